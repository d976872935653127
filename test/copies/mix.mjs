// An app that has the package under several names and mixes them: what one copy makes, another starts, resumes and catches.

/** `copies`: what `require` or `import` gave of `.`, `./api`, `./errors`, `./compiled` and `./testing`, by the name of the copy. Gives what came of it. */
export async function mix({ ringback, workflow, awaitly }) {
  const work = awaitly.root.step("work", (text) => {
    if (text === "fail") throw new workflow.root.FatalError("worn out", "tired");
    return `${text}, worked on in attempt ${ringback.root.getStepMetadata().attempt}`;
  });
  const compiled = workflow.compiled.step("compiled", (text) => `${text}, compiled as ${awaitly.root.getStepMetadata().stepName}`);
  const approval = workflow.root.defineHook("approval");
  const order = workflow.root.workflow("order", async (text) => {
    const hook = ringback.root.createHook({ token: `order:${text}` });
    const approved = approval.create({ token: `approval:${text}` });
    const callback = awaitly.root.createWebhook({ token: `callback:${text}`, respondWith: new Response("thank you") });
    const [paid, by, request] = await Promise.all([hook, approved, callback]);
    const isRunTime = Date.now() === new Date().getTime() && new Date() instanceof Date;
    await workflow.root.sleep(1);
    return { paid, by, body: await request.text(), isRunTime, worked: await compiled(await work(text)) };
  });
  const run = await awaitly.api.start(order, ["one"], { id: "one" });
  await arrive("one");
  const value = await ringback.api.getRun("one").returnValue;
  const failing = await ringback.api.start(order, ["fail"], { id: "fail" });
  await arrive("fail");
  const error = await failing.returnValue.catch((thrown) => thrown);
  const own = awaitly.root.createEngine({ store: "memory:", workflows: [order], logger: false });
  const elsewhere = await own.start(order, ["two"]);
  await ringback.testing.settled(own);
  await own.resumeHook("order:two", 1);
  await own.close();
  const result = {
    value,
    steps: (await run.timeline).filter(({ event }) => event.startsWith("step_")).map(({ event }) => event),
    runs: await Promise.all([ringback, workflow, awaitly].map(async ({ api }) => (await api.listRuns()).map(({ runId }) => runId))),
    isOneEngine: new Set([ringback, workflow, awaitly].map(({ api }) => api.defaultEngine())).size === 1,
    isRun: [run, elsewhere].every((each) => each instanceof workflow.api.Run),
    error: [ringback, workflow, awaitly].map(({ errors }) => [
      error instanceof errors.RunFailedError,
      errors.RingbackError.is(error, "run_failed"),
      error.cause instanceof errors.FatalError,
      errors.FatalError.is(error.cause),
      error.cause.code,
    ]),
    unknown: await ringback.api.resumeHook("nobody", 1).catch((thrown) => thrown instanceof awaitly.errors.HookNotFoundError),
  };
  await awaitly.api.defaultEngine().close();
  return result;

  /** Each payload comes by another copy. */
  async function arrive(text) {
    await workflow.testing.settled(ringback.api.defaultEngine());
    await workflow.api.resumeHook(`order:${text}`, 7);
    await approval.resume(`approval:${text}`, "me");
    const answer = await awaitly.api.resumeWebhook(`callback:${text}`, new Request("http://a.example/", { method: "POST", body: "hello" }));
    if ((await answer.text()) !== "thank you") throw new Error(`It answered ${answer.status}.`);
  }
}

/** All that a copy of the package may have changed in the process, compared by identity. */
export function realm(builtin) {
  const crypto = Object.getPrototypeOf(globalThis.crypto);
  const globals = { globalThis, process, Date, "Date.prototype": Date.prototype, Math, Promise, performance, crypto, console };
  const modules = Object.fromEntries(["crypto", "timers", "timers/promises", "fs/promises"].map((name) => [name, builtin(`node:${name}`)]));
  const objects = { ...globals, "EventTarget.prototype": EventTarget.prototype, "Promise.prototype": Promise.prototype, ...modules };
  const found = new Map();
  for (const [name, object] of Object.entries(objects)) {
    for (const key of Reflect.ownKeys(object)) {
      const { value, get, set } = Object.getOwnPropertyDescriptor(object, key);
      for (const each of [value, get, set]) add(`${name}.${String(key)}`, each);
    }
  }
  for (const event of process.eventNames())
    for (const listener of process.rawListeners(event)) add(`process.on(${String(event)})`, listener);
  // Timers, sockets and the like. Requests to files come and go with Node's loader, an immediate with the collector (native finalizers).
  for (const resource of process.getActiveResourcesInfo()) if (!/Req|^Immediate$/.test(resource)) add("active", resource);
  return found;

  function add(name, value) {
    found.set(name, [...(found.get(name) ?? []), value]);
  }
}

/** The names of what differs. */
export function differences(before, after) {
  const names = new Set([...before.keys(), ...after.keys()]);
  return [...names].filter((name) => {
    const [a = [], b = []] = [before.get(name), after.get(name)];
    return a.length !== b.length || a.some((each, at) => !Object.is(each, b[at]));
  });
}
