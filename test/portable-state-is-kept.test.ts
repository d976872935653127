// What a portable run has done is done once, however often and in however many pieces it is run.

import { expect, test } from "vitest";
import {
  createHook,
  createResumeStateCollector,
  createWorkflow,
  err,
  type Fact,
  getPendingHooks,
  hasPendingHook,
  injectApproval,
  injectHook,
  isPendingHook,
  match,
  ok,
  parse,
  pendingApproval,
  pendingHook,
  type ResumeState,
  serialize,
  type Step,
  TaggedError,
  tryInjectHook,
  UnexpectedError,
} from "../src/portable.ts";
import { createManualClock } from "../src/testing/manual-clock.ts";

type Body = (context: { readonly step: Step<any>; readonly deps: Record<string, () => any> }) => unknown;

/** Runs a body again and again: each hook it waits for gets its own id as payload, and the state travels as text. */
async function played(body: Body, answer: (hookId: string) => unknown = (id) => `for ${id}`): Promise<{ result: unknown; runs: number }> {
  const workflow = createWorkflow("played", { wait: (() => {}) as never });
  let state: ResumeState | undefined;
  for (let runs = 1; ; runs++) {
    const ran = await workflow.runWithState(body as never, state === undefined ? {} : { resumeState: parse(serialize(state)) });
    const { result, resumeState } = ran;
    if (result.ok || !isPendingHook(result.error)) return { result, runs };
    const { hookId } = result.error;
    state = injectHook(resumeState, { hookId, value: answer(hookId) });
  }
}

const waits = (id: string) => async () => pendingHook<string>(id);

test("parts of all, map and race are steps: each is done once, beside hooks that wait", async () => {
  const done: string[] = [];
  const does = (what: string) => () => ok((done.push(what), what));
  const { result, runs } = await played(async ({ step }) => [
    await step.all("all", { a: does("a"), b: waits("h1"), c: waits("h2") }),
    await step.map("map", [1, 2, 3], (n) => does(`m${n}`)(), { concurrency: 2 }),
    await step.race("race", { slow: waits("h3"), quick: does("quick") }),
    await step.retry("retry", does("retry"), { attempts: 3 }),
    await step("last", waits("h4")),
    await step("twice", does("t1")),
    await step("twice", does("t2")),
  ]);
  expect(result).toEqual(ok([{ a: "a", b: "for h1", c: "for h2" }, ["m1", "m2", "m3"], "quick", "retry", "for h4", "t1", "t2"]));
  expect(done).toEqual(["a", "m1", "m2", "m3", "quick", "retry", "t1", "t2"]);
  expect(runs).toBe(4); // h3 lost its race: it is open still, and nobody stands at it
});

test("a wait that fails many times is retried; a wait for the outside is not", async () => {
  let attempts = 0;
  let asked = 0;
  const { result } = await played(({ step }) =>
    Promise.all([
      step.retry("flaky", () => (++attempts < 3 ? err("again") : ok(attempts)), { attempts: 5, initialDelay: 0 }),
      step.retry("wait", async () => (asked++, pendingHook("h")), { attempts: 5 }),
    ]),
  );
  expect([result, attempts, asked]).toEqual([ok([3, "for h"]), 3, 1]);
});

test("a hook whose id is made anew in each process stands for the one in the state", async () => {
  const workflow = createWorkflow("anew");
  const run = (state?: ResumeState) => {
    const hooks = [createHook(), createHook()]; // as a module would, at its top
    const body: Body = ({ step }) =>
      Promise.all(hooks.map(({ hookId, stepKey }) => step("wait", async () => pendingHook<string>(hookId), { key: stepKey })));
    return workflow.runWithState(body as never, state === undefined ? {} : { resumeState: state });
  };
  const first = await run();
  const [a, b] = getPendingHooks(first.resumeState) as [string, string];
  const second = await run(injectHook(first.resumeState, { hookId: b, value: "to b" }));
  expect(second.result).toMatchObject({ ok: false, error: { hookId: a } });
  expect([getPendingHooks(second.resumeState), hasPendingHook(second.resumeState, b)]).toEqual([[a], false]);
  expect((await run(injectHook(second.resumeState, { hookId: a, value: "to a" }))).result).toEqual(ok(["to a", "to b"]));
});

test("injecting is refused, with a type, for what the state does not wait for", async () => {
  const rested = await createWorkflow("refuses").runWithState((({ step }: any) => step("wait", waits("h"))) as never);
  const answered = injectHook(rested.resumeState, { hookId: "h", value: 1 });
  expect(tryInjectHook(answered, { hookId: "h", value: 2 })).toMatchObject({
    ok: false,
    error: { _tag: "HookNotPending", reason: "answered" },
  });
  expect(() => injectHook(rested.resumeState, { hookId: "other", value: 1 })).toThrow(/has no hook other\. Open waits: 1/);
  expect(() => injectHook(rested.resumeState, { hookId: "h", value: () => {} })).toThrow(/payload of hook h cannot be kept/);
  expect(rested.resumeState.events).toHaveLength(2); // what was given is as it was
});

test.each<[unknown, RegExp]>([
  ["{", /no JSON/],
  [null, /no kind "ResumeState"/],
  [{ kind: "ResumeState", version: 2, events: [] }, /version 2, and this package knows version 1/],
  [{ kind: "ResumeState", version: 1, events: [{ kind: "step_completed", name: "a" }] }, /not what this version writes/],
  [{ kind: "ResumeState", version: 1, events: [{ kind: "toString", name: "a" }] }, /not what this version writes/],
  [{ steps: new Map() }, /no kind/],
])("%j is no state that can be read", async (given, why) => {
  expect(() => parse(given)).toThrow(why);
  const { result } = await createWorkflow("reads").runWithState((() => 1) as never, { resumeState: given as never });
  expect(result).toMatchObject({ ok: false, error: { _tag: "UnexpectedError", message: expect.stringMatching(why) } });
});

test("what is no state takes no payload, and says what it is", () => {
  for (const state of [undefined, null, { steps: {} }])
    expect(() => tryInjectHook(state as never, { hookId: "h", value: 1 })).toThrow('it has no kind "ResumeState"');
});

test("values come back as they were: dates, maps, bytes, errors with their tag, cause and fields", async () => {
  const value = {
    at: new Date(7),
    map: new Map([["a", 1n]]),
    bytes: new Uint8Array([1, 2]),
    gone: undefined,
    error: new TypeError("no", { cause: new UnexpectedError("x") }),
  };
  const { result } = await played(async ({ step }) => {
    const kept = await step("make", () => ok(value));
    await step("wait", waits("h"));
    return kept;
  });
  expect(result).toEqual(ok(value));
  const { error } = (result as { value: typeof value }).value;
  expect([error instanceof TypeError, (error.cause as { _tag?: string })._tag]).toEqual([true, "UnexpectedError"]);
});

test("a value that cannot be kept fails its step, at once and by its name", async () => {
  const { result } = await played(({ step }) => step("socket", () => ok({ deep: { open: () => {} } })));
  expect(result).toMatchObject({
    ok: false,
    error: { _tag: "UnexpectedError", message: expect.stringMatching(/value of step "socket".*\.deep\.open/) },
  });
});

test("what a step throws is recorded, thrown again as it was, and an UnexpectedError of the run once", async () => {
  let thrown = 0;
  const caught: unknown[] = [];
  const throws = async () => (thrown++, Promise.reject(new RangeError("out")));
  const { result } = await played(async ({ step }) => {
    await step("throws", throws).catch((error: unknown) => caught.push(error));
    await step("wait", waits("h"));
    return step("again", throws);
  });
  expect(caught).toEqual([new RangeError("out"), new RangeError("out")]);
  expect([result, thrown]).toMatchObject([{ ok: false, error: { _tag: "UnexpectedError", cause: new RangeError("out") } }, 2]);
});

test("code that goes on after its run has come to rest has no part in it", async () => {
  let goOn = (): void => {};
  const gate = new Promise<void>((resolve) => (goOn = resolve));
  let branch: Promise<unknown> = gate;
  const workflow = createWorkflow("rests");
  const rested = await workflow.runWithState((({ step }: any) => {
    branch = gate.then(() => step("late", () => ok(1)));
    return step("wait", waits("h"));
  }) as never);
  goOn();
  await expect(branch).rejects.toMatchObject({ _tag: "RunSuspended" });
  expect(rested.resumeState.events.map(({ kind }) => kind)).toEqual(["run_started", "hook_created"]);
});

test("an approval waits for its word, and for one only", async () => {
  const workflow = createWorkflow("approves");
  const body = (({ step }: any) => step("ask", () => pendingApproval("ask", { metadata: { to: "ann" } }))) as never;
  const { result, resumeState } = await workflow.runWithState(body);
  expect(result).toMatchObject({ ok: false, error: { type: "PENDING_APPROVAL", stepKey: "ask", metadata: { to: "ann" } } });
  expect(() => injectApproval(resumeState, { stepKey: "other", value: 1 })).toThrow(expect.objectContaining({ reason: "unknown" }));
  const answered = injectApproval(resumeState, { stepKey: "ask", value: "yes" });
  expect(() => injectApproval(answered, { stepKey: "ask", value: "no" })).toThrow(expect.objectContaining({ reason: "answered" }));
  expect(await workflow.run(body, { resumeState: answered })).toEqual(ok("yes"));
});

test("a sleep counts from when it began, and is not slept again", async () => {
  const clock = createManualClock();
  const workflow = createWorkflow("sleeps", {}, { clock });
  const set: number[] = [];
  const onEvent = (event: Fact): void => {
    if (event.kind === "timer_set") set.push(event.dueAt - clock.now());
    if (event.kind === "timer_set") clock.advance(3_600_000); // as time would pass
  };
  const nap = await workflow.run((({ step }: any) => step.sleep("nap", "1h").then(() => "awake")) as never, { onEvent });
  expect([nap, set]).toEqual([ok("awake"), [3_600_000]]);
  const body = (({ step }: any) => Promise.all([step.sleep("year", "365d"), step("wait", waits("h"))])) as never;
  const first = await workflow.runWithState(body);
  clock.advance(5_000);
  expect((await workflow.runWithState(body, { resumeState: first.resumeState })).resumeState).toEqual(first.resumeState);
});

test("a collector has all of the last run; one that belongs to no workflow says so", async () => {
  const body: Body = async ({ step }) => [await step("a", waits("h1")), await step("b", waits("h2"))];
  const workflow = createWorkflow("collected");
  const collector = createResumeStateCollector(workflow);
  await workflow.run(body as never);
  const wired = createResumeStateCollector();
  const throwing = () => {
    throw new Error("a listener's own");
  };
  const state = injectHook(collector.getResumeState(), { hookId: "h1", value: 1 });
  await createWorkflow("collected").run(body as never, { resumeState: state, onEvent: throwing });
  await createWorkflow("collected").run(body as never, { resumeState: state, onEvent: wired.handleEvent });
  expect(getPendingHooks(wired.getResumeState())).toEqual(["h2"]);
  expect(wired.getResumeState().events).toHaveLength(4);
  expect(() => createResumeStateCollector().getResumeState()).toThrow(/belongs to no workflow/);
});

test("a hook is found by its id, whatever key its step has in another run", async () => {
  const workflow = createWorkflow("keys");
  const run = (key: string | undefined, state?: ResumeState) =>
    workflow.runWithState((({ step }: any) => step("wait", waits("h"), { key })) as never, { resumeState: state });
  const first = await run("hook:h");
  const answered = injectHook(first.resumeState, { hookId: "h", value: "here" });
  for (const key of ["hook:h", undefined, "wait", "hook:mistyped"]) expect((await run(key, answered)).result).toEqual(ok("here"));
});

test("a payload that no step comes to is a diagnosis, not another wait", async () => {
  const workflow = createWorkflow("lost");
  const run = (hookId: string, state?: ResumeState) =>
    workflow.runWithState((({ step }: any) => step(`wait for ${hookId}`, waits(hookId))) as never, { resumeState: state });
  const first = await run("a");
  const { result } = await run("b", injectHook(first.resumeState, { hookId: "a", value: 1 }));
  expect(result).toMatchObject({
    ok: false,
    error: { _tag: "UnexpectedError", cause: { _tag: "StateMismatch", left: ["wait for a"], asked: ["wait for b"] } },
  });
});

test("a state of another workflow is refused", async () => {
  const body = (({ step }: any) => step("wait", waits("h"))) as never;
  const { resumeState } = await createWorkflow("one").runWithState(body);
  const { result } = await createWorkflow("two").runWithState(body, { resumeState });
  expect(result).toMatchObject({ ok: false, error: { message: 'The state is that of a run of "one", and this is "two".' } });
});

test("code is told of nothing that is not kept; what cannot be kept ends the run", async () => {
  const kept: string[] = [];
  const seen: string[] = [];
  const body = (async ({ step }: any) => {
    for (const id of ["a", "b"]) {
      await step(id, () => ok(id));
      seen.push(`${id} after ${kept.at(-1)}`);
    }
    await step("wait", waits("h"));
  }) as never;
  const checkpoint = async ({ events }: ResumeState): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve));
    kept.push(events.map((event) => ("name" in event ? event.name : event.kind)).join(" "));
  };
  const rested = await createWorkflow("kept").runWithState(body, { checkpoint });
  expect(seen).toEqual(["a after run_started a", "b after run_started a b"]);
  expect(kept.at(-1)).toBe("run_started a b wait");
  expect(rested.result).toMatchObject({ error: { type: "PENDING_HOOK" } });
  const full = new Error("disk full");
  const lost = await createWorkflow("kept").runWithState(body, { checkpoint: () => Promise.reject(full) });
  expect([lost.result, seen.length]).toMatchObject([{ ok: false, error: { _tag: "UnexpectedError", cause: full } }, 2]);
});

test("a run has an id and an input, the same however often it is run again", async () => {
  const workflow = createWorkflow("named");
  const seen: unknown[] = [];
  const body = (async ({ step, ctx }: any) => (seen.push({ ...ctx }), step("wait", waits("h")))) as never;
  const { resumeState } = await workflow.runWithState("run-1", body, { input: { at: new Date(3) } });
  await workflow.run("run-2", body, { resumeState: injectHook(resumeState, { hookId: "h", value: 1 }), input: "other" });
  expect(seen).toEqual(Array.from({ length: 2 }, () => ({ workflowId: "run-1", input: { at: new Date(3) } })));
});

test("a wait with a limit ends when it is over; a payload that comes later is refused", async () => {
  const clock = createManualClock();
  const workflow = createWorkflow("late", {}, { clock });
  const bodies = [
    ({ step }: any) => step("wait", () => pendingHook("h", { timeout: "1h" })),
    ({ step }: any) => step.withTimeout("wait", () => pendingHook("h"), { ms: "1h" }),
    ({ step }: any) => step.withTimeout("wait", () => pendingHook("h"), { ms: "1h", error: "TOO_LATE" }),
  ];
  const errors = [
    { _tag: "HookTimedOut", step: "wait" },
    { _tag: "UnexpectedError", cause: { _tag: "StepTimedOut", step: "wait" } },
    "TOO_LATE",
  ];
  for (const [index, body] of bodies.entries()) {
    const { resumeState, wakeAt } = await workflow.runWithState(body as never);
    const until = clock.now() + 3_600_000;
    expect(wakeAt).toBe(until);
    const state = injectHook(resumeState, { hookId: "h", value: 1, at: until - 1 });
    expect(() => injectHook(resumeState, { hookId: "h", value: 1, at: until })).toThrow(expect.objectContaining({ reason: "expired" }));
    clock.advance(3_600_000);
    expect(await workflow.run(body as never, { resumeState: state })).toEqual(ok(1));
    const late = await workflow.runWithState(body as never, { resumeState });
    expect(late.result).toMatchObject({ ok: false, error: errors[index] });
    expect(await workflow.run(body as never, { resumeState: late.resumeState })).toMatchObject({ ok: false, error: errors[index] });
  }
});

test("what is due when a run goes on has come, whenever alarms ring: it does not rest again", async () => {
  let now = 1_000;
  const workflow = createWorkflow("due", {}, { clock: { now: () => now, alarm: () => () => {} } });
  const sleeping = (({ step }: any) => Promise.race([step("wait", () => pendingHook("h")), step.sleep("nap", 500)])) as never;
  const limited = (({ step }: any) => step("wait", () => pendingHook("h", { timeout: 500 }))) as never;
  const rested = [await workflow.runWithState(sleeping), await workflow.runWithState(limited)] as const;
  expect(rested.map(({ wakeAt }) => wakeAt)).toEqual([1_500, 1_500]);
  now = 1_500;
  expect(await workflow.run(sleeping, { resumeState: rested[0].resumeState })).toEqual(ok(undefined));
  expect(await workflow.run(limited, { resumeState: rested[1].resumeState })).toMatchObject({ ok: false, error: { _tag: "HookTimedOut" } });
});

test("an error keeps what it came from, also when the run is repeated", async () => {
  const workflow = createWorkflow("caused");
  const body = (({ step }: any) => step.try("pay", () => Promise.reject(new RangeError("socket")), { error: "DECLINED" })) as never;
  const first = await workflow.runWithState(body);
  for (const { result } of [first, await workflow.runWithState(body, { resumeState: first.resumeState })])
    expect(result).toEqual(err("DECLINED", { cause: new RangeError("socket") }));
});

test("a step that comes to a wait while what was done is undone is left as it is", async () => {
  const undone: string[] = [];
  const { result } = await played(async ({ step }) => {
    await step("first", () => ok("first"), { compensate: (value) => void undone.push(value) });
    const slow = async () => {
      for (let passes = 0; passes < 3; passes++) await new Promise((resolve) => void setImmediate(resolve));
      return pendingHook("h");
    };
    await Promise.all([step("slow", slow, { compensate: () => void undone.push("slow") }), step("fail", () => err("FAILED"))]);
  });
  expect([result, undone]).toEqual([err("FAILED"), ["first"]]);
});

test("a hook's key that comes again has one place, also where ids are made anew", async () => {
  const run = (state?: ResumeState) => {
    const [one, two] = [createHook(), createHook()];
    const wait = (step: Step<any>, { hookId, stepKey }: typeof one) =>
      step("wait", async () => pendingHook<string>(hookId), { key: stepKey });
    const body: Body = ({ step }) => Promise.all([wait(step, one), wait(step, one), wait(step, two)]);
    return createWorkflow("again").runWithState(body as never, state === undefined ? {} : { resumeState: state });
  };
  let state = (await run()).resumeState;
  for (const hookId of getPendingHooks(state)) state = injectHook((await run(state)).resumeState, { hookId, value: hookId });
  const ids = getPendingHooks((await run()).resumeState).length;
  const { result } = await run(state);
  expect([ids, result]).toMatchObject([2, { ok: true }]);
  const [first, second, third] = (result as { value: string[] }).value;
  expect(first).toBe(second);
  expect(third).not.toBe(first);
});

test("a wait that undoing has left is left when the code is run again with its payload", async () => {
  const undone: string[] = [];
  const workflow = createWorkflow("left");
  const body: Body = async ({ step }) => {
    const part = (run: object) =>
      createWorkflow("part").run(async ({ step: own }) => {
        const undo = { compensate: () => void undone.push("wait") };
        await Promise.all([(own as Step<any>)("wait", waits("h1"), undo), (own as Step<any>)("fail", () => err("FAILED"))]);
      }, run);
    await step.workflow("part", part as never).catch(() => {});
    return step("last", waits("h2"));
  };
  let { resumeState: state } = await workflow.runWithState(body as never);
  for (const hookId of ["h1", "h2"]) {
    const resumeState = injectHook(parse(serialize(state)), { hookId, value: hookId });
    const { result, ...ran } = await workflow.runWithState(body as never, { resumeState });
    state = ran.resumeState;
    expect(result).toMatchObject(hookId === "h2" ? ok("h2") : { ok: false, error: { hookId: "h2" } });
  }
  expect(undone).toEqual([]);
});

test("an error that is read back is told apart by its tag, the first time as well, and is an instance of its class by it", async () => {
  class Declined extends TaggedError("Declined")<{ code: number }> {}
  const workflow = createWorkflow("declined", { pay: async () => err(new Declined({ code: 7 })) });
  const first = await workflow.runWithState(({ step, deps }) => step("pay", () => deps.pay()));
  const again = await workflow.run(({ step, deps }) => step("pay", () => deps.pay()), { resumeState: parse(serialize(first.resumeState)) });
  for (const result of [first.result, again]) {
    expect(match(result, { ok: () => 0, Declined: ({ code }) => code, err: () => -1 })).toBe(7);
    expect(!result.ok && TaggedError.isTaggedError(result.error)).toBe(true);
    const error: unknown = result.ok ? null : result.error;
    expect([error instanceof Declined, error instanceof Error, error instanceof UnexpectedError]).toEqual([true, true, false]);
  }
  expect([new Declined({ code: 1 }) instanceof Declined, {} instanceof Declined, (null as unknown) instanceof Declined]).toEqual([
    true,
    false,
    false,
  ]);
});
