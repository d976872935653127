// Bad input is refused where it is given, with what, which and what to do, and nothing is stored.

import { afterEach, describe, expect, test, vi } from "vitest";
import { createHook, createWebhook, defineHook, step, workflow } from "../src/index.ts";
import { createEngine, type EngineOptions } from "../src/wiring.ts";
import { createWorld, testKeys } from "./harness.ts";

/** What callers without types may pass. */
const any = (value: unknown): never => value as never;

/** The code and the whole text of what a call throws, or rejects with. */
async function refused(call: () => unknown): Promise<string> {
  try {
    await call();
  } catch (error) {
    return `${(error as { code: string }).code}: ${(error as Error).message}`;
  }
  return "nothing";
}

const engineOf = (options: EngineOptions) => () => createEngine({ store: "memory:", keys: testKeys, baseUrl: null, ...options });

afterEach(() => {
  vi.unstubAllEnvs();
});

describe("createEngine()", () => {
  test("a role is one of two; so is RINGBACK_ROLE", async () => {
    const roles = 'takes "worker", which runs workflows, or "ingress", which only starts, delivers and reads; got "door".';
    expect(await refused(engineOf({ role: any("door") }))).toBe(`bad_argument: createEngine({ role }) ${roles}`);
    vi.stubEnv("RINGBACK_ROLE", "door");
    expect(await refused(engineOf({}))).toBe(`bad_argument: RINGBACK_ROLE ${roles}`);
    expect(engineOf({ role: "worker" })().core.parts.role).toBe("worker");
    expect(engineOf({ role: "ingress" })().core.parts.role).toBe("ingress");
    const taken = ["", "worker", "ingress"].map((role) => {
      vi.stubEnv("RINGBACK_ROLE", role);
      return engineOf({})().core.parts.role;
    });
    expect(taken).toEqual(["worker", "worker", "ingress"]);
  });

  test.each([
    ["./x.db", "sqlite:./x.db"],
    ["/var/x.db", "sqlite:/var/x.db"],
    ["file:x.db", "sqlite:x.db"],
    ["C:\\x.db", "sqlite:C:\\x.db"],
    ["mysql://me:secret@host/db", "sqlite:path/to/file.db"],
    [":memory:", "sqlite:path/to/file.db"],
  ])("a store that is no address says which it may be (%s)", async (store, advised) => {
    const shown = store.replace("mysql://me:secret@", "");
    expect(await refused(engineOf({ store }))).toBe(
      `bad_store_url: "${shown}" is not a store this version knows. Use ${advised}, or memory: for tests.`,
    );
  });

  test("options have the names they have", async () => {
    expect(await refused(engineOf(any({ baseURL: "http://x" })))).toMatch(
      /^bad_argument: createEngine\(\) has no option "baseURL"\. Did you mean "baseUrl"\? It takes store, workflows, baseUrl, .*, retention.*\.$/,
    );
    expect(await refused(() => createEngine(any("memory:")))).toBe(
      "bad_argument: createEngine() takes its options as an object, got string.",
    );
  });
});

test.each([
  [
    () => workflow("w", async () => {}, any({ versoin: "1" })),
    'workflow("w") has no option "versoin". Did you mean "version"? It takes version.',
  ],
  [
    () => step("s", async () => {}, any({ retries: 3 })),
    'step("s") has no option "retries". It takes maxRetries, backoff, maxBackoff, timeout.',
  ],
  [() => step("s", async () => {}, any({ timeOut: 3 })), /Did you mean "timeout"/],
  [
    () => step("s", async () => {}, { timeout: "soon" }),
    'timeout of step "s" is "soon", which is not a span of time. Give milliseconds or text such as "30s" or "3d", from 0 to 10 years.',
  ],
  [() => step("s", async () => {}, { backoff: "soon" }), /^bad_argument: backoff of step "s" is "soon"/],
  [() => step("s", async () => {}, { maxBackoff: -1 }), /^bad_argument: maxBackoff of step "s" is -1/],
  [() => step("s", async () => {}, { maxRetries: 1.5 }), /^bad_argument: maxRetries of step "s" must be a whole number from 0, got 1\.5/],
  [() => defineHook(any({ shema: {} })), 'defineHook() has no option "shema". Did you mean "schema"? It takes schema.'],
  [() => defineHook("kind", any(null)), "defineHook() takes its options as an object, got null."],
])("declarations refuse options they do not know (%#)", async (call, message) => {
  const told = await refused(call);
  if (typeof message === "string") expect(told).toBe(`bad_argument: ${message}`);
  else expect(told).toMatch(message);
});

test("a step whose options no attempt could use sets its run aside as it is called, and the run goes on with code that is mended", async () => {
  const bodies: string[] = [];
  const hurry = (timeout: string) =>
    workflow("hurry", async () => {
      await step.run("first", () => void bodies.push("first"));
      return step.run("second", () => bodies.push("second"), { timeout });
    });
  const world = await createWorld([hurry("soon")]);
  const { runId } = await world.start(hurry("soon"));
  await world.settled();
  expect(await world.engine.getRun(runId).blocked).toMatchObject({
    reason: "misuse",
    message: expect.stringMatching(/^timeout of step "second" is "soon"/) as string,
  });
  await world.restart({ workflows: [hurry("1m")] });
  await world.advance(1_000);
  expect([await world.engine.getRun(runId).returnValue, bodies]).toEqual([2, ["first", "second"]]);
});

test("hooks refuse what they would ignore, in workflow code, and take no position for it", async () => {
  const wf = workflow("slips", async () => [
    await refused(() => createHook(any({ tokn: "t" }))),
    await refused(() => createHook(any("t"))),
    await refused(() => createWebhook(any({ respondWith: "Manual" }))),
    await refused(() => createWebhook(any({ respondWith: null }))),
    await refused(() => createWebhook(any({ methods: "GET" }))),
    await refused(() => createWebhook(any({ timeuot: "3d" }))),
  ]);
  const world = await createWorld([wf]);
  const run = await world.start(wf);
  expect(await run.returnValue).toEqual([
    'bad_argument: createHook() has no option "tokn". Did you mean "token"? It takes token, name, metadata, timeout, reserve, experimental_minRetention, isWebhook.',
    "bad_argument: createHook() takes its options as an object, got string.",
    'bad_argument: createWebhook({ respondWith }) takes a Response or "manual", got "Manual".',
    'bad_argument: createWebhook({ respondWith }) takes a Response or "manual", got null.',
    'bad_argument: createWebhook({ methods }) takes an array such as ["GET", "POST"], got string.',
    'bad_argument: createWebhook() has no option "timeuot". Did you mean "timeout"? It takes token, name, metadata, timeout, reserve, experimental_minRetention, respondWith, respondWithin, methods, schema.',
  ]);
  expect((await world.journal(run)).map((event) => event.kind)).toEqual(["run_started", "run_ended"]);
});

test("host calls refuse what names no run, no hook and no arguments; a token is never shown", async () => {
  const takes = workflow("takes", async (order: string) => order);
  const none = workflow("takes none", async () => "none");
  const world = await createWorld([takes, none]);
  const { engine } = world;
  const start = engine.start.bind(engine) as (...args: unknown[]) => Promise<unknown>;
  const calls: [() => unknown, string][] = [
    [() => engine.getRun(any(undefined)), "getRun() takes the id of a run, got undefined."],
    [() => engine.resumeHook(any(42), 1), "resumeHook() takes a hook's token, as text, got number."],
    [() => engine.resumeHook(any({ token: 42 }), 1), "resumeHook() takes a hook's token, as text, got an object whose token is number."],
    [() => engine.resumeHook("t", 1, any({ idempotencyKey: "k" })), 'resumeHook() has no option "idempotencyKey". It takes key, early.'],
    [() => engine.signal(any(undefined), 1), "signal() takes a hook's token, as text, got undefined."],
    [() => engine.resumeWebhook(any(null), any({})), "resumeWebhook() takes a hook's token, as text, got null."],
    [() => engine.getHookByToken(any(42)), "getHookByToken() takes a hook's token, as text, got number."],
    [() => engine.signal("t", 1, any(null)), "signal() takes its options as an object, got null."],
    [() => engine.signal("t", 1, { key: any(42) }), "signal({ key }) takes text, got number."],
    [() => engine.resumeHook("t", 1, { key: any(null) }), "resumeHook({ key }) takes text, got null."],
    [
      () => start(takes, "order"),
      'start() takes the arguments of workflow "takes" as an array, got string: start(workflow, [first, …], options).',
    ],
    [
      () => start(none, { order: "x" }),
      'start() has no option "order". It takes id, hook, attributes, allowReservedAttributes, deploymentId, specVersion.',
    ],
    [
      () => start(none, { id: "x" }, {}),
      'start() takes the arguments of workflow "takes none" as an array, got object: start(workflow, [], options).',
    ],
    [
      () => start(none, [], { ID: "x" }),
      'start() has no option "ID". Did you mean "id"? It takes id, hook, attributes, allowReservedAttributes, deploymentId, specVersion.',
    ],
    [() => start(none, [], { id: 42 }), 'A run id is text, such as "order-42", got number.'],
    [() => engine.listRuns({ workflow: any(42) }), "listRuns({ workflow }) takes text, got number."],
    [() => engine.listRuns({ before: any({}) }), "listRuns({ before }) takes text, got object."],
    [
      () => engine.listRuns({ state: any("running") }),
      'listRuns({ state }) takes "open", "blocked", "completed", "failed", "cancelled"; got "running".',
    ],
    [() => engine.listHooks({ runId: any(42) }), "listHooks({ runId }) takes text, got number."],
    ...[0, -1, 1.5, NaN, 1_001].map((limit) => [
      () => engine.listRuns({ limit }),
      `listRuns({ limit }) takes a whole number from 1 to 1,000, got ${limit}.`,
    ]),
    [() => engine.listHooks({ limit: any("5") }), "listHooks({ limit }) takes a whole number from 1 to 1,000, got string."],
  ] as [() => unknown, string][];
  for (const [call, message] of calls) {
    const told = await refused(call);
    if (typeof message === "string") expect(told).toBe(`bad_argument: ${message}`);
    else expect(told).toMatch(message);
  }
  expect(await engine.listRuns({ limit: 1_000 })).toEqual([]);
  expect(await (await engine.start(none)).returnValue).toBe("none");
  expect(await engine.listHooks({ limit: 1_000 })).toEqual([]);
});

test("arguments may be left out where they are optional", async () => {
  const greet = workflow("greet", async (name?: string) => `hello ${name ?? "you"}`);
  const world = await createWorld([greet]);
  expect(await (await world.engine.start(greet)).returnValue).toBe("hello you");
  expect(await (await world.engine.start(greet, undefined, { id: "by id" })).returnValue).toBe("hello you");
});

test("what is no schema is refused where the hook is declared", async () => {
  const message =
    "bad_argument: defineHook({ schema }) takes a Standard Schema, as Zod, Valibot and ArkType make them, got object without it.";
  for (const schema of [{}, { "~standard": {} }]) expect(await refused(() => defineHook({ schema: any(schema) }))).toBe(message);
});
