// What hooks and webhooks of other engines are known to lose, refuse or leave hanging, in code written with directives: here it holds.

import { expect, onTestFinished, test } from "vitest";
import { createHook, createWebhook, defineHook, fetch as durableFetch, type RequestWithResponse, sleep } from "workflow";
import { HookConflictError, HookDisposedError, HookTimeoutError } from "workflow/errors";
import { z } from "zod";
import { createWorld, type World } from "./harness.ts";

const day = 86_400_000;

async function tokenOf(world: World, index = 0): Promise<string> {
  return (await world.engine.listHooks({ withTokens: true, all: true }))[index]?.token as string;
}
async function urlOf(world: World): Promise<string> {
  return (await world.engine.listHooks({ withTokens: true }))[0]?.url as string;
}
const post = (url: string, init: RequestInit = {}): Request => new Request(url, { method: "POST", body: "{}", ...init });

async function pollingLoop() {
  "use workflow";
  using hook = createHook<string>({ token: "loop" });
  const seen: string[] = [];
  for (let pass = 0; pass < 8 && seen.length < 2; pass++) {
    const got = await Promise.race([hook, sleep("1h").then(() => "late")]);
    if (got !== "late") seen.push(got);
  }
  return seen;
}

test("a race with a timer in a loop loses no payload that was accepted", async () => {
  const world = await createWorld([pollingLoop]);
  const run = await world.start(pollingLoop);
  await world.advance(6 * 3_600_000);
  for (const payload of ["one", "two"]) await world.engine.resumeHook("loop", payload);
  await world.settled();
  expect(await run.returnValue).toEqual(["one", "two"]);
});

async function oneRead(token: string) {
  "use workflow";
  return await createHook<unknown>({ token });
}

test("a payload that comes before its hook is kept for it, where its sender asks for that", async () => {
  const world = await createWorld([oneRead]);
  expect((await world.engine.resumeHook("early", 7, { early: true })).delivery.disposition).toBe("buffered");
  const run = await world.start(oneRead, "early");
  await world.settled();
  expect(await run.returnValue).toBe(7);
});

async function readAll() {
  "use workflow";
  const seen: unknown[] = [];
  using hook = createHook<{ done?: boolean }>({ token: "all" });
  for await (const payload of hook) {
    seen.push(payload);
    if (payload.done) break;
  }
  return seen;
}

test("five identical resumes at once, with the provider's delivery id, are one", async () => {
  const world = await createWorld([readAll]);
  const run = await world.start(readAll);
  await world.settled();
  const resumes = Array.from({ length: 5 }, () => world.engine.resumeHook("all", { n: 1 }, { key: "delivery-1" }));
  const got = (await Promise.all(resumes)).map(({ delivery }) => delivery.disposition).toSorted();
  expect(got).toEqual(["accepted", "duplicate", "duplicate", "duplicate", "duplicate"]);
  await world.engine.resumeHook("all", { done: true });
  await world.settled();
  expect(await run.returnValue).toEqual([{ n: 1 }, { done: true }]);
});

test("five identical requests to a webhook are one, and each gets the first answer", async () => {
  const world = await createWorld([oneRequest]);
  const run = await world.start(oneRequest);
  await world.settled();
  const url = await urlOf(world);
  const answers = await Promise.all(
    Array.from({ length: 5 }, () => world.engine.ingress(post(url, { headers: { "webhook-id": "msg_1" } }))),
  );
  expect(answers.map(({ status }) => status)).toEqual([202, 202, 202, 202, 202]);
  await world.settled();
  expect(await run.returnValue).toBe("POST");
  expect((await run.ending)?.unread).toEqual([]);
});

async function oneRequest() {
  "use workflow";
  return (await createWebhook()).method;
}

test("a payload that nobody read is recorded as such when its run ends", async () => {
  const world = await createWorld([oneRead]);
  const run = await world.start(oneRead, "two");
  await world.settled();
  await Promise.all(["one", "two"].map((payload) => world.engine.resumeHook("two", payload).catch(() => {})));
  await world.settled();
  expect(await run.returnValue).toBe("one");
  expect((await run.ending)?.unread).toHaveLength(1);
});

test("of twelve claimers of one token one holds it; each other learns who", async () => {
  const world = await createWorld([claim]);
  const runs = await Promise.all(Array.from({ length: 12 }, () => world.start(claim)));
  await world.settled();
  const waiting: typeof runs = [];
  for (const run of runs) if ((await run.state) === "waiting") waiting.push(run);
  expect(waiting).toHaveLength(1);
  await world.engine.resumeHook("entity:1", "mine");
  await world.settled();
  const results = await Promise.all(runs.map((run) => run.returnValue));
  expect(results.filter((result) => result === "mine")).toHaveLength(1);
  expect(results.filter((result) => result === waiting[0]?.runId)).toHaveLength(11);
});

async function claim() {
  "use workflow";
  using hook = createHook<string>({ token: "entity:1" });
  const conflict = await hook.getConflict();
  if (!conflict) return await hook;
  try {
    return await hook;
  } catch (error) {
    return HookConflictError.is(error) ? conflict.runId : "another error";
  }
}

async function disposeAndWait() {
  "use workflow";
  const hook = createHook<string>({ token: "gone" });
  await hook;
  hook.dispose();
  await createHook({ token: "go" });
}

test("unknown, disposed and ended are told apart, by resumeHook and over HTTP", async () => {
  const world = await createWorld([disposeAndWait, oneRequest]);
  await expect(world.engine.resumeHook("gone", 1)).rejects.toMatchObject({ code: "hook_not_found" });
  const run = await world.start(disposeAndWait);
  await world.settled();
  await world.engine.resumeHook("gone", 1);
  await world.settled();
  await expect(world.engine.resumeHook("gone", 2)).rejects.toMatchObject({ code: "hook_closed", details: { by: "disposed" } });
  await world.engine.resumeHook("go", 1);
  await world.settled();
  expect(await run.state).toBe("completed");
  await expect(world.engine.resumeHook("go", 2)).rejects.toMatchObject({ code: "hook_closed", details: { by: "ended" } });
  const other = await world.start(oneRequest);
  await world.settled();
  const url = await urlOf(world);
  await world.engine.ingress(post(url));
  await world.settled();
  expect(await other.state).toBe("completed");
  expect((await world.engine.ingress(post(url))).status).toBe(410);
  expect((await world.engine.ingress(post(url.replace(/.$/, (last) => (last === "A" ? "B" : "A"))))).status).toBe(404);
});

async function deadline() {
  "use workflow";
  const hook = createHook({ token: "deadline", timeout: "1d" });
  return await hook.then(
    () => "read",
    (error: unknown) => (HookTimeoutError.is(error) ? "timed out" : "another error"),
  );
}

test("a hook has a deadline of its own", async () => {
  const world = await createWorld([deadline]);
  const run = await world.start(deadline);
  await world.advance(day);
  expect(await run.returnValue).toBe("timed out");
  await expect(world.engine.resumeHook("deadline", 1)).rejects.toMatchObject({ code: "hook_closed" });
});

const amount = defineHook({ schema: z.object({ cents: z.number().int() }) });

async function judged() {
  "use workflow";
  return (await amount.create({ token: "judged" })).cents;
}

test("a schema judges at each door, not at its own alone, and a refused payload leaves the wait open", async () => {
  const world = await createWorld([judged]);
  const run = await world.start(judged);
  await world.settled();
  await expect(world.engine.resumeHook("judged", { cents: 1.5 })).rejects.toMatchObject({ code: "invalid_payload" });
  expect(await world.engine.signal("judged", { cents: "1" })).toMatchObject({ disposition: "invalid" });
  expect(await run.state).toBe("waiting");
  await world.engine.resumeHook("judged", { cents: 150 });
  await world.settled();
  expect(await run.returnValue).toBe(150);
});

async function awaitAfterDispose() {
  "use workflow";
  const hook = createHook();
  hook.dispose();
  return await hook.then(
    () => "read",
    (error: unknown) => HookDisposedError.is(error),
  );
}

async function disposeThenCreate() {
  "use workflow";
  const seen: unknown[] = [];
  for (let turn = 0; turn < 3; turn++) {
    using hook = createHook({ token: "again" });
    seen.push(await hook);
  }
  return seen;
}

test("awaiting a disposed hook rejects, and its token can be used again in the same run", async () => {
  const world = await createWorld([awaitAfterDispose, disposeThenCreate]);
  const first = await world.start(awaitAfterDispose);
  const run = await world.start(disposeThenCreate);
  for (const payload of [1, 2, 3]) {
    await world.settled();
    await world.engine.resumeHook("again", payload);
  }
  await world.settled();
  expect([await first.returnValue, await run.returnValue]).toEqual([true, [1, 2, 3]]);
});

test("an empty token is refused, and opens nothing", async () => {
  const world = await createWorld([oneRead]);
  const run = await world.start(oneRead, "");
  await world.settled();
  await expect(run.returnValue).rejects.toMatchObject({ cause: expect.objectContaining({ code: "bad_argument" }) });
});

test("a minted token is not made of what is public of its run", async () => {
  const [first, second] = [await createWorld([oneRequest]), await createWorld([oneRequest])];
  const urls = [];
  // The same workflow, id, position and instant, under the same keys: what a stranger may know.
  for (const world of [first, second]) {
    await world.engine.start(oneRequest, [], { id: "public" });
    await world.settled();
    urls.push(await tokenOf(world));
  }
  expect(urls[0]).not.toBe(urls[1]);
});

test("GET, HEAD and OPTIONS do not resume", async () => {
  const world = await createWorld([oneRequest]);
  const run = await world.start(oneRequest);
  await world.settled();
  const url = await urlOf(world);
  const answers = [];
  for (const method of ["GET", "HEAD", "OPTIONS", "DELETE"])
    answers.push((await world.engine.ingress(new Request(url, { method }))).status);
  expect(answers).toEqual([405, 405, 204, 405]);
  expect(await run.state).toBe("waiting");
});

async function silent(isEnding: boolean) {
  "use workflow";
  const webhook = createWebhook({ respondWith: "manual", respondWithin: "10s" });
  const request: RequestWithResponse = await webhook;
  if (!isEnding) await sleep("1d");
  return request.method;
}

test.each([
  ["goes on", false],
  ["has ended", true],
])("a sender whose run never answers, and %s, is answered all the same", async (_, isEnding) => {
  const world = await createWorld([silent]);
  await world.start(silent, isEnding);
  await world.settled();
  const answering = world.engine.ingress(post(await urlOf(world)));
  await world.settled();
  await world.advance(10_000);
  expect((await answering).status).toBe(202);
});

test("a body over the cap is refused before it is stored, and the wait stays open", async () => {
  const world = await createWorld([oneRequest], { bodyBytes: 1_000 });
  const run = await world.start(oneRequest);
  await world.settled();
  expect((await world.engine.ingress(post(await urlOf(world), { body: "x".repeat(1_001) }))).status).toBe(413);
  expect(await run.state).toBe("waiting");
});

test("there is no route by which a stranger starts a run", async () => {
  const world = await createWorld([oneRead]);
  const forged = JSON.stringify({ runInput: { workflowName: "oneRead", args: ["mine"] } });
  for (const path of ["flow", "step", "webhook", "webhook/"]) {
    const answer = await world.engine.ingress(post(`http://localhost/.well-known/workflow/v1/${path}`, { body: forged }));
    expect(answer.status).toBe(404);
  }
  expect(await world.engine.listRuns()).toEqual([]);
});

async function cleanUp(done: string[]) {
  "use workflow";
  try {
    await createHook();
  } finally {
    done.push(await released());
  }
}
async function released() {
  "use step";
  finals.push("released");
  return "released";
}
const finals: string[] = [];

test("a run that is cancelled learns of it, and cleans up", async () => {
  const world = await createWorld([cleanUp]);
  const run = await world.start(cleanUp, []);
  await world.settled();
  await run.cancel();
  await world.settled();
  expect([await run.state, finals]).toEqual(["cancelled", ["released"]]);
});

class CardDeclined extends Error {
  readonly reason: string;
  constructor(reason: string) {
    super("The card was declined.");
    this.reason = reason;
  }
}

async function pay() {
  "use step";
  throw new CardDeclined("expired");
}
pay.maxRetries = 0;

async function paying() {
  "use workflow";
  try {
    return await pay();
  } catch (error) {
    return { name: (error as Error).constructor.name, message: (error as Error).message, reason: (error as CardDeclined).reason };
  }
}

test("what a step throws keeps its message and fields, after as many attempts as the function says", async () => {
  const world = await createWorld([paying]);
  const run = await world.start(paying);
  await world.settled();
  expect(await run.returnValue).toMatchObject({ message: "The card was declined.", reason: "expired" });
  const kinds = (await world.journal(run)).map(({ kind }) => kind);
  expect(kinds.filter((kind) => kind === "step_retrying")).toEqual([]);
});

test("what waits for a run's result is told at once: no clock moves", async () => {
  const world = await createWorld([oneRead]);
  const run = await world.start(oneRead, "told");
  await world.settled();
  const value = run.returnValue;
  const before = world.clock.now();
  await world.engine.resumeHook("told", 1);
  expect(await value).toBe(1);
  expect(world.clock.now()).toBe(before);
});

async function libraryThatFetches(url: string) {
  "use workflow";
  globalThis.fetch = durableFetch as typeof fetch;
  return await (await globalThis.fetch(url)).text();
}

test("the durable fetch may be put in the place of the platform's: libraries then fetch as steps, and all other code as before", async () => {
  const before = globalThis.fetch;
  onTestFinished(() => void (globalThis.fetch = before));
  const world = await createWorld([libraryThatFetches]);
  const run = await world.start(libraryThatFetches, "data:text/plain,hello");
  await world.settled();
  expect(await run.returnValue).toBe("hello");
  expect((await world.journal(run)).some((event) => event.kind === "step_scheduled" && event.name === "fetch")).toBe(true);
  expect(await (await globalThis.fetch("data:text/plain,host")).text()).toBe("host");
});
