// Programs made by chance, run in pieces that chance makes: each wait is answered by what was meant for it, each step has its own record, nothing
// that was kept is done again, and what a state says is said again by whoever runs it.

import fc from "fast-check";
import { expect, test } from "vitest";
import { err, getPendingHooks, injectHook, ok, parse, pendingHook, type ResumeState, serialize } from "../src/portable.ts";
import { memoryResumeStore, type ResumeHandler, resumeHandler } from "../src/resume.ts";
import { createManualClock, type ManualClock } from "../src/testing/manual-clock.ts";
import { type Given, isWait, once, type Ran } from "./portable/play.ts";

type Program =
  | { readonly does: "step"; readonly id: string; readonly fails: boolean; readonly undo: boolean; readonly turns: number }
  | { readonly does: "hook" | "sleep"; readonly id: string }
  | { readonly does: "seq" | "both" | "race" | "all" | "any" | "map" | "try" | "finally" | "fallback"; readonly parts: readonly Program[] }
  | { readonly does: "child" | "loop" | "beside"; readonly id: string; readonly part: Program };

const ids = fc.constantFrom("a", "b", "a#2", "a.0", "undo:a", "hook:a", "a/a", "__proto__");
const step = fc.record({
  does: fc.constant("step" as const),
  id: ids,
  fails: fc.integer({ min: 0, max: 11 }).map((n) => n === 0),
  undo: fc.boolean(),
  turns: fc.integer({ min: 0, max: 2 }),
});
const wait = fc.record({ does: fc.constantFrom("hook" as const, "hook" as const, "sleep" as const), id: ids });
const leaf = fc.oneof({ arbitrary: step, weight: 3 }, wait);
const parts = fc.letrec<{ program: Program }>((tie) => ({
  program: fc.oneof(
    { maxDepth: 4, depthSize: "max", withCrossShrink: true },
    leaf,
    fc.record({
      does: fc.constantFrom("seq" as const, "seq" as const, "both" as const, "race" as const, "try" as const, "finally" as const),
      parts: fc.array(tie("program"), { minLength: 2, maxLength: 3 }),
    }),
    // What these take are operations of steps.
    fc.record({
      does: fc.constantFrom("all" as const, "any" as const, "map" as const, "fallback" as const),
      parts: fc.array(leaf, { minLength: 2, maxLength: 3 }),
    }),
    fc.record({ does: fc.constantFrom("child" as const, "loop" as const, "beside" as const), id: ids, part: tie("program") }),
  ),
})).program;
const programs = fc.record({ does: fc.constant("seq" as const), parts: fc.array(parts, { minLength: 1, maxLength: 6, size: "max" }) });

/** What one program does in all its runs. */
interface Log {
  readonly effects: string[];
  readonly undone: string[];
  /** What the code was given, in order, in the run at hand. */
  seen: unknown[];
  readonly wrong: string[];
}

/** An operation that is known by its place in the program. */
function operation(leaf: Program, at: string, log: Log): () => any {
  if (leaf.does === "hook" || leaf.does === "sleep") return async () => pendingHook(`h ${at}`);
  if (leaf.does !== "step") throw new TypeError(leaf.does);
  return async () => {
    for (let turn = 0; turn < leaf.turns; turn++) await new Promise((resolve) => setImmediate(resolve));
    log.effects.push(at);
    return leaf.fails ? err(at) : ok(at);
  };
}

/** Runs a program as the code of a workflow. Whatever a step gives must be what its place in the program gives. */
async function run(program: Program, given: Given, at: string, log: Log): Promise<unknown> {
  const { step: does } = given;
  const sub = (part: Program, n: number | string): Promise<unknown> => run(part, given, `${at}.${n}`, log);
  const is = (wanted: readonly string[], value: unknown): unknown => {
    log.seen.push(value);
    if (!wanted.includes(String(value))) log.wrong.push(`${at}: ${String(value)}`);
    return value;
  };
  const of = (leaf: Program, place: string): string => (leaf.does === "step" ? place : `for h ${place}`);
  const failsAs =
    (...wanted: string[]) =>
    (thrown: any): never => {
      if ("error" in Object(thrown)) is(wanted, thrown.error);
      throw thrown;
    };
  switch (program.does) {
    case "step":
      return does(program.id, operation(program, at, log), program.undo ? { compensate: () => void log.undone.push(at) } : {}).then(
        (value) => is([at], value),
        failsAs(at),
      );
    case "hook":
      return does(program.id, operation(program, at, log)).then((value) => is([of(program, at)], value));
    case "sleep":
      return does.sleep(program.id, 1000 + at.length);
    case "seq": {
      const values = [];
      for (const [n, part] of program.parts.entries()) values.push(await sub(part, n));
      return values;
    }
    case "both":
      return Promise.all(program.parts.map(sub));
    case "race":
      return Promise.race(program.parts.map(sub));
    case "try":
      return sub(program.parts[0] as Program, 0).catch((thrown) => {
        if (!("error" in Object(thrown))) throw thrown;
        return sub(program.parts[1] as Program, 1);
      });
    case "finally":
      return (async () => {
        try {
          return await sub(program.parts[0] as Program, 0);
        } finally {
          await sub(program.parts[1] as Program, 1);
        }
      })();
    case "all":
    case "any": {
      const wanted = program.parts.map((part, n) => of(part, `${at}.${n}`));
      const operations = Object.fromEntries(program.parts.map((part, n) => [n, operation(part, `${at}.${n}`, log)]));
      if (program.does === "any") return does.race("a", operations).then((value) => is(wanted, value), failsAs(...wanted));
      return does
        .all("a", operations)
        .then((values) => Object.values(values).map((value, n) => is([wanted[n] as string], value)), failsAs(...wanted));
    }
    case "map": {
      const wanted = program.parts.map((part, n) => of(part, `${at}.${n}`));
      const mapped = does.map("a", program.parts, (part, n) => operation(part, `${at}.${n}`, log)(), { concurrency: 2 });
      return mapped.then((values) => values.map((value, n) => is([wanted[n] as string], value)), failsAs(...wanted));
    }
    case "fallback": {
      const [first, second] = program.parts.map((part, n) => operation(part, `${at}.${n}`, log)) as [() => any, () => any];
      const wanted = program.parts.map((part, n) => of(part, `${at}.${n}`));
      return does.withFallback("a", first, { fallback: second }).then((value) => is(wanted, value), failsAs(...wanted));
    }
    case "child":
      return does.workflow(
        program.id,
        given.child((own) => run(program.part, own, `${at}.0`, log)),
      );
    case "loop":
      return [await sub(program.part, 0), await sub(program.part, 1)];
    case "beside":
      return void sub(program.part, 0).catch(() => {});
  }
}

/** One run, with time that passes when the code does nothing else. */
async function ran(
  program: Program,
  log: Log,
  { clock, ...options }: Parameters<typeof once>[1] & { readonly clock: ManualClock },
): Promise<Ran> {
  log.seen = [];
  const mine: Log = { ...log, seen: log.seen };
  let isOver = false;
  const running = once((given) => run(program, given, "0", mine), { clock, ...options }).finally(() => (isOver = true));
  for (let turn = 0; !isOver; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
    if (turn % 40 === 39) clock.advance(1000);
    if (turn > 4000) throw new Error("It hangs.");
  }
  return running;
}

/** Nothing that was kept is done again. */
function nothingTwice(state: ResumeState | undefined, effects: readonly string[]): void {
  const kept = (state?.events ?? []).flatMap((event) => {
    if ((event.kind !== "step_completed" && event.kind !== "step_failed") || event.name.startsWith("undo:")) return [];
    return event.kind === "step_completed" ? event.result : event.error;
  });
  for (const effect of effects) expect(kept).not.toContain(JSON.stringify([effect]));
}

const isEnded = (ends: Ran): boolean => !isWait(ends);

/** Runs a program to its end: `chances` say which wait comes next, when time passes instead, and when the process dies. */
async function toItsEnd(
  program: Program,
  chances: readonly number[],
): Promise<{ readonly last: Ran; readonly log: Log; readonly clock: ManualClock }> {
  const clock = createManualClock();
  const log: Log = { effects: [], undone: [], seen: [], wrong: [] };
  let kept: ResumeState | undefined;
  for (let round = 0; ; round++) {
    if (round > 200) throw new Error("It goes round and round.");
    const chance = (salt: number): number => (chances[(round * 3 + salt) % chances.length] as number) ^ salt;
    let left = chance(0) % 4 === 0 ? chance(1) % 12 : Infinity;
    const checkpoint = (state: ResumeState): void => {
      if (left-- <= 0) throw new Error("killed");
      kept = parse(serialize(state));
    };
    const before = kept;
    const from = log.effects.length;
    const last = await ran(program, log, { clock, resumeState: kept, checkpoint });
    nothingTwice(before, log.effects.slice(from));
    expect(log.wrong).toEqual([]);
    if (last.result.error?.cause?.message === "killed") continue;
    if (isEnded(last)) return { last, log, clock };
    expect(parse(serialize(last.resumeState))).toEqual(kept);
    const open = getPendingHooks(last.resumeState);
    const hookId = open[chance(2) % (open.length + 1)];
    if (hookId !== undefined) kept = injectHook(kept as ResumeState, { hookId, value: `for ${hookId}` });
    else if (last.wakeAt !== null) clock.set(Math.max(clock.now(), last.wakeAt));
    else kept = injectHook(kept as ResumeState, { hookId: open[0] as string, value: `for ${open[0]}` });
  }
}

/** The same by callbacks, to two handlers of one store: some come early, some twice at once. */
async function byCallbacks(
  program: Program,
  chances: readonly number[],
): Promise<{ readonly result: unknown; readonly state: ResumeState; readonly log: Log }> {
  const clock = createManualClock();
  const store = memoryResumeStore({ clock });
  const log: Log = { effects: [], undone: [], seen: [], wrong: [] };
  const begin = (options: object): Promise<any> => once((given) => run(program, given, "0", log), { ...options, clock });
  const [one, other] = [1, 2].map(() => resumeHandler({ ...store, run: begin, clock, leaseMs: 1e12 })) as [
    ResumeHandler<unknown, unknown>,
    ResumeHandler<unknown, unknown>,
  ];
  const chance = (turn: number): number => chances[turn % chances.length] as number;
  const deliver = (to: typeof one, hookId: string): Promise<unknown> => to.deliver(hookId, `for ${hookId}`);
  await deliver(one, `h 0.${chance(0) % 3}`);
  void one.start({ runId: "r" });
  for (let turn = 0; turn < 4000; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
    if (turn % 20 !== 19) continue;
    const { state, result, owner } = JSON.parse((await store.load("ResumeRun/r"))?.text ?? "{}");
    if (result !== undefined) return { result: (await other.resume("r")).result, state, log };
    const open = getPendingHooks(state);
    const drawn = chance((turn + 1) / 20);
    const hookId = open[(drawn + turn) % (open.length + 1)];
    if (hookId !== undefined) await Promise.all([one, other].slice(drawn % 2).map((to) => deliver(to, hookId)));
    else if (owner !== null || open.length === 0 || drawn % 3 === 0) clock.advance(1000);
  }
  throw new Error("It hangs.");
}

const isLong = process.env["RINGBACK_LONG"] === "1";

test("whatever the program, and in whatever pieces it is run", async () => {
  const chances = fc.array(fc.nat({ max: 1000 }), { minLength: 20, maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(programs, chances, async (program, drawn) => {
      const { last, log, clock } = await toItsEnd(program, drawn);
      const seen = [...log.seen];
      const [effects, undone] = [log.effects.length, log.undone.length];
      // Run again, by whoever has the state: the same end, in the same order, and nothing is done.
      const again = await ran(program, log, { clock, resumeState: parse(serialize(last.resumeState)) });
      expect(again.result).toEqual(last.result);
      nothingTwice(last.resumeState, log.effects.slice(effects)); // what still ran at the end has no record
      expect(log.undone).toHaveLength(undone);
      expect(log.seen).toEqual(seen);
      expect(log.wrong).toEqual([]);
    }),
    { numRuns: isLong ? 5000 : 150 },
  );
});

test("whatever the program, and however its callbacks come to two handlers of one store", async () => {
  const chances = fc.array(fc.nat({ max: 1000 }), { minLength: 20, maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(programs, chances, async (program, drawn) => {
      const { result, state, log } = await byCallbacks(program, drawn);
      expect(log.wrong).toEqual([]);
      const known = [...new Set(log.effects)];
      expect(known).toHaveLength(log.effects.length);
      // Run again from what is kept of it: the same end.
      const again = await ran(program, log, { clock: createManualClock(Date.UTC(2027, 0, 1)), resumeState: state });
      expect(again.result.ok).toBe((result as { readonly ok: boolean }).ok);
      expect(again.result.value).toEqual((result as { readonly value?: unknown }).value);
      expect(log.wrong).toEqual([]);
    }),
    { numRuns: isLong ? 2000 : 40 },
  );
});
