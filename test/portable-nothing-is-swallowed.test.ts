// What goes wrong in a portable run is told where it goes wrong, by its name, and nowhere else: nothing is lost on the way to the state, and
// nothing hangs. Numbers in brackets are those of docs/coming-from-awaitly.md, "Thirty-eight weaknesses".

import { expect, onTestFinished, test } from "vitest";
import { createWorkflow, err, type Fact, ok, parse, pendingHook, type ResumeState, serialize, TaggedError } from "../src/portable.ts";
import { type Body, once, play } from "./portable/play.ts";

const waits = (id: string) => async () => pendingHook<string>(id);

/** What nobody has caught while the test ran. */
function strays(): unknown[] {
  const found: unknown[] = [];
  const note = (error: unknown): void => void found.push(error);
  process.on("unhandledRejection", note);
  onTestFinished(() => void process.off("unhandledRejection", note));
  return found;
}
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

test.each<[string, unknown, RegExp]>([
  ["a function", { deep: [() => 1] }, /\.deep\[0\]/],
  ["a symbol", Symbol("s"), /Symbol/],
  ["an instance of a class", new (class Order {})(), /POJO/],
  ["a promise", { later: Promise.resolve(1) }, /\.later/],
  [
    "a getter that throws",
    {
      get worse() {
        throw new RangeError("no");
      },
    },
    /no/,
  ],
  [
    "a getter that throws null",
    {
      get worse() {
        throw null;
      },
    },
    /./,
  ],
])("%s as a step's value fails that step, by its name, and nothing else (20)", async (_, poison, why) => {
  const kept: ResumeState[] = [];
  const { result, state } = await play(
    async ({ step }) => {
      await step("before", () => ok(1));
      const caught = await step("poison", () => ok(poison)).catch((error: unknown) => error);
      await step("wait", waits("h"));
      await step("after", () => ok(2));
      return caught;
    },
    { checkpoint: (to) => void kept.push(parse(serialize(to))) },
  );
  expect(result).toMatchObject({ ok: true, value: expect.any(Error) });
  expect((result.value as Error).message).toMatch(why);
  // Each fact was kept: what cannot be kept has not switched that off.
  expect(kept.at(-1)?.events).toHaveLength(state.events.length);
  expect(state.events.map((event) => ("name" in event ? event.name : ""))).toEqual(["", "before", "poison", "wait", "wait", "after"]);
});

test("poison as an error, an input, metadata, or a payload is told as well (20)", async () => {
  const poison = (): void => {};
  expect((await once(({ step }) => step("fails", () => err({ poison })))).result.error.message).toMatch(/error of step "fails".*\.poison/);
  expect((await once(() => 1, { input: { poison } })).result.error.message).toMatch(/input of the run.*\.poison/);
  const pending: Body = ({ step }) => step("wait", () => pendingHook("h", { metadata: { poison } }));
  expect((await once(pending)).result.error.message).toMatch(/metadata of step "wait".*\.poison/);
  expect((await once(({ step }) => step("wait", () => pendingHook(undefined as never)))).result).toMatchObject({
    ok: false,
    error: { _tag: "UnexpectedError" },
  });
});

test("what a step gives is what the state keeps, the first time as well (21)", async () => {
  class Order extends TaggedError("Order")<{ at: Date }> {}
  const value = {
    at: new Date(1),
    map: new Map([[{ a: 1 }, new Set([1n])]]),
    numbers: [NaN, -0, Infinity, undefined, , 2],
    bytes: new Uint8Array([1, 2]),
    url: new URL("https://a.example/?b"),
    pattern: /a/gi,
    error: new Order({ at: new Date(2) }, { cause: new RangeError("r") }),
    ["__proto__x"]: Object.create(null),
  };
  const seen: unknown[] = [];
  await play(async ({ step }) => {
    seen.push(await step("make", () => ok(value)));
    await step("wait", waits("h"));
  });
  expect(seen).toHaveLength(2);
  expect(seen[0]).toEqual(seen[1]);
  expect(seen[0]).toEqual(value);
  expect(seen[0]).not.toBe(value);
});

test.each<[string, () => unknown]>([
  ["undefined", () => undefined],
  ["null", () => null],
  ["a symbol", () => Symbol("s")],
  ["an object without a prototype", () => Object.create(null)],
  [
    "an error that throws when it is read",
    () =>
      Object.defineProperty(new Error("x"), "message", {
        get() {
          throw new Error("message");
        },
      }),
  ],
  ["an error with a function", () => Object.assign(new Error("with"), { request: () => {} })],
  [
    "an object whose text throws",
    () => ({
      toString() {
        throw new Error("text");
      },
    }),
  ],
])("%s, thrown by a step or by the code, is an UnexpectedError, and undoes what was done", async (_, made) => {
  const found = strays();
  for (const where of ["step", "code"]) {
    const undone: string[] = [];
    const { result, runs } = await play(async ({ step }) => {
      await step("before", () => ok(1), { compensate: () => void undone.push("before") });
      await step("wait", waits("h"));
      if (where === "code") throw made();
      await step("throws", () => {
        throw made();
      });
    });
    expect([result, runs.length, undone]).toMatchObject([{ ok: false, error: { _tag: "UnexpectedError" } }, 2, ["before"]]);
  }
  await settled();
  expect(found).toEqual([]);
});

test("what cannot even be looked at, thrown by a step, fails that step", async () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  const { result } = await once(({ step }) => step("throws", () => Promise.reject(proxy)));
  expect(result).toMatchObject({ ok: false, error: { message: "What was thrown cannot be kept." } });
});

test("a failed step is history: run again it fails again without being done; from the state before it, it has another attempt (8)", async () => {
  let attempts = 0;
  const before: ResumeState[] = [];
  const body: Body = async ({ step }) => {
    await step("charge", () => ok((attempts += 10)));
    return step("ship", () => (++attempts < 12 ? err("NO_STOCK") : ok("shipped")));
  };
  const failed = await once(body, { checkpoint: (state) => void before.push(state) });
  expect([failed.result, attempts]).toMatchObject([{ ok: false, error: "NO_STOCK" }, 11]);
  const again = await once(body, { resumeState: failed.resumeState });
  expect([again.result, attempts]).toMatchObject([{ ok: false, error: "NO_STOCK" }, 11]);
  // The last that was kept before it failed: the charge is in it.
  const last = before.at(-2) as ResumeState;
  expect((await once(body, { resumeState: parse(serialize(last)) })).result).toEqual(ok("shipped"));
  expect(attempts).toBe(12);
});

test("attempts of a step are no outcome of it, and a failure that the code has caught is kept as one (8)", async () => {
  let attempts = 0;
  const { result } = await play(async ({ step }) => {
    const flaky = await step("flaky", () => (++attempts < 3 ? err("again") : ok(attempts)), { retry: { attempts: 4, initialDelay: 0 } });
    const failed = await step("fails", () => err(`after ${++attempts}`)).catch(({ error }: any) => error);
    return [flaky, failed, await step("wait", waits("h"))];
  });
  expect(result).toEqual(ok([3, "after 4", "for h"]));
});

test("a listener that throws or rejects, and one that runs workflows itself, changes nothing (36)", async () => {
  const found = strays();
  const body: Body = async ({ step }) => [await step("a", () => ok(1)), await step("wait", waits("h"))];
  const { state } = await play(body, { onEvent: () => {} });
  const listeners: ((fact: Fact) => void)[] = [
    () => {
      throw new Error("a listener's");
    },
    async () => Promise.reject(new Error("a listener's")),
    async () => void (await once(({ step }) => step("inner", () => ok(1)))),
  ];
  for (const onEvent of listeners) {
    const { result, state: other } = await play(body, { onEvent });
    expect(result).toEqual(ok([1, "for h"]));
    expect(other.events.slice(1)).toEqual(state.events.slice(1));
  }
  await settled();
  expect(found).toEqual([]);
});

test("a run is one run however often it is run again: its id, and that it goes on, are told each time (32)", async () => {
  const ids: string[] = [];
  const { facts } = await play(async ({ step, ctx }) => {
    ids.push(ctx.workflowId);
    return [await step("a", waits("h1")), await step("b", waits("h2"))];
  });
  expect([ids.length, new Set(ids).size]).toEqual([3, 1]);
  expect(facts.filter(({ kind }) => kind === "run_started")).toMatchObject([{ id: ids[0] }]);
  for (const fact of facts)
    if (fact.kind === "run_resumed") expect(fact.state.events[0]).toMatchObject({ kind: "run_started", id: ids[0] });
});

test("numbers that would do nothing, or go on for ever, are refused at the call", async () => {
  const calls: Body[] = [
    ({ step }) => step.map("m", [1, 2], (n) => ok(n), { concurrency: 0 }),
    ({ step }) => step.map("m", [1, 2], (n) => ok(n), { concurrency: Number.NaN }),
    ({ step }) => step.retry("m", () => err("E"), { attempts: undefined as never }),
    ({ step }) => step.retry("m", () => err("E"), { attempts: Number.NaN }),
    ({ step }) => step("m", () => err("E"), { retry: {} as never }),
    ({ step }) => step.race("m", {}),
    ({ step }) => step.sleep("m", Number.NaN),
    ({ step }) => step.withTimeout("m", () => ok(1), { ms: "soon" }),
  ];
  for (const body of calls) {
    const { result, resumeState } = await once(body);
    expect(result).toMatchObject({
      ok: false,
      error: { _tag: "UnexpectedError", message: expect.stringContaining('"m"'), cause: expect.any(TypeError) },
    });
    expect(resumeState.events).toHaveLength(1); // so that the mended code goes on with it
  }
  expect((await once(({ step }) => step.map("m", [], () => ok(1)))).result).toEqual(ok([]));
  expect((await once(({ step }) => step.all("m", {}))).result).toEqual(ok({}));
});

test("a step within a step's body is a part of it, and takes nobody's record; it may not wait there, for ever", async () => {
  const { result } = await play(async ({ step }) => [
    await step("outer", async () => ok(`(${await step("inner", () => ok("in"))})`)),
    await step("inner", () => ok("own")),
    await step("wait", waits("h")),
  ]);
  expect(result).toEqual(ok(["(in)", "own", "for h"]));
  const bodies: Body[] = [
    ({ step }) => step("outer", async () => ok(await step("inner", waits("h")))),
    ({ step }) => step.all("outer", { a: async () => ok(await step("inner", waits("h"))) }),
    ({ step, child }) =>
      step(
        "outer",
        () =>
          step.workflow(
            "c",
            child(({ step: own }) => own("inner", waits("h"))),
          ) as never,
      ),
  ];
  for (const body of bodies) {
    const message = expect.stringContaining('inner" waits within the body of another step');
    expect((await once(body)).result).toMatchObject({ ok: false, error: { message } });
  }
});

test("what has begun before its step is nobody's failure where the step is done already", async () => {
  const found = strays();
  const { resumeState } = await once(async ({ step }) => [await step("a", () => ok(1)), await step("wait", waits("h"))]);
  const { result } = await once(async ({ step }) => [await step("a", Promise.reject(new Error("begun"))), await step("wait", waits("h"))], {
    resumeState,
  });
  await settled();
  expect([result.error.type, found]).toEqual(["PENDING_HOOK", []]);
});

test("a state that was tampered with ends the run with an error, and hangs nothing", async () => {
  const found = strays();
  const body: Body = async ({ step }) => [await step("a", () => ok(1)), await step("wait", () => pendingHook("h", { metadata: { a: 1 } }))];
  const { resumeState } = await once(body);
  for (const field of ["metadata", "result"]) {
    const events = resumeState.events.map((event) => (field in event ? { ...event, [field]: "{" } : event)) as ResumeState["events"];
    const { result } = await once(body, { resumeState: { ...resumeState, events } });
    expect(result).toMatchObject({ ok: false, error: { _tag: "UnexpectedError", cause: expect.any(SyntaxError) } });
  }
  await settled();
  expect(found).toEqual([]);
});

test("a run never rejects, also where its own catchUnexpected or its state's loader throws", async () => {
  const throws = (): never => {
    throw new Error("its own");
  };
  expect(await createWorkflow("w", {}, { catchUnexpected: throws }).run(throws)).toMatchObject({
    ok: false,
    error: { _tag: "UnexpectedError", message: "its own" },
  });
  expect(await createWorkflow("w").run(() => 1, { resumeState: throws })).toMatchObject({
    ok: false,
    error: { _tag: "UnexpectedError", message: "its own" },
  });
  expect(await createWorkflow("w").run(() => 1, { resumeState: async () => throws() })).toMatchObject({
    ok: false,
    error: { message: "its own" },
  });
});

test("a step without an id is refused, before anything is done", async () => {
  let done = 0;
  const { result } = await createWorkflow("ids").runWithState((({ step }: any) => step(() => ok(done++), { key: "a" })) as never);
  expect([result, done]).toMatchObject([{ ok: false, error: { message: "A step takes its id first." } }, 0]);
});
