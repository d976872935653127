// A portable workflow that waits through `step` alone comes to the same on an engine as alone, and does the same in the same order: programs
// made by chance, which get the same payloads and the same time at the same places.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  createWorkflow,
  err,
  getPendingHooks,
  injectHook,
  isPendingHook,
  ok,
  parse,
  pendingHook,
  type ResumeState,
  type Result,
  serialize,
  type Step,
} from "../src/portable.ts";
import { createManualClock, type ManualClock } from "../src/testing/manual-clock.ts";
import { createWorld, epoch, modesOfLength, type World } from "./harness.ts";

/** What the body of a step does. */
type Op =
  | { readonly op: "do" | "fail" | "throw" | "wait" }
  | { readonly op: "timed"; readonly s: number }
  | { readonly op: "flaky"; readonly times: number };

type Part =
  | { readonly is: "step"; readonly id: string; readonly op: Op; readonly undo: boolean }
  | { readonly is: "sleep"; readonly id: string; readonly s: number }
  | { readonly is: "retry"; readonly id: string; readonly op: Op; readonly attempts: number }
  | { readonly is: "late"; readonly id: string; readonly op: Op; readonly s: number }
  | { readonly is: "all" | "race"; readonly id: string; readonly ops: readonly Op[] }
  | { readonly is: "map"; readonly id: string; readonly ops: readonly Op[]; readonly concurrency: number }
  | { readonly is: "fallback"; readonly id: string; readonly op: Op; readonly other: Op }
  | { readonly is: "try" | "seq" | "par" | "first"; readonly parts: readonly Part[] }
  | { readonly is: "child"; readonly id: string; readonly parts: readonly Part[] };

const id = fc.constantFrom("a", "b", "c");
/** Time passes where nothing else is left to do: never while a step is under way. */
const s = fc.integer({ min: 1, max: 3 });
const op: fc.Arbitrary<Op> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Op>({ op: "do" }) },
  { weight: 4, arbitrary: fc.constant<Op>({ op: "wait" }) },
  { weight: 1, arbitrary: fc.constantFrom<Op>({ op: "fail" }, { op: "throw" }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("timed" as const), s }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("flaky" as const), times: fc.integer({ min: 1, max: 2 }) }) },
);
const ops = fc.array(op, { minLength: 1, maxLength: 3 });
const { part } = fc.letrec<{ part: Part; parts: readonly Part[] }>((tie) => ({
  parts: fc.array(tie("part"), { minLength: 1, maxLength: 3 }),
  part: fc.oneof(
    { maxDepth: 3 },
    { weight: 5, arbitrary: fc.record({ is: fc.constant("step" as const), id, op, undo: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ is: fc.constant("sleep" as const), id, s }) },
    { weight: 1, arbitrary: fc.record({ is: fc.constant("retry" as const), id, op, attempts: fc.integer({ min: 1, max: 3 }) }) },
    { weight: 1, arbitrary: fc.record({ is: fc.constant("late" as const), id, op, s }) },
    { weight: 2, arbitrary: fc.record({ is: fc.constantFrom("all" as const, "race" as const), id, ops }) },
    { weight: 1, arbitrary: fc.record({ is: fc.constant("map" as const), id, ops, concurrency: fc.integer({ min: 1, max: 3 }) }) },
    { weight: 1, arbitrary: fc.record({ is: fc.constant("fallback" as const), id, op, other: op }) },
    {
      weight: 4,
      arbitrary: fc.record({ is: fc.constantFrom("try" as const, "seq" as const, "par" as const, "first" as const), parts: tie("parts") }),
    },
    { weight: 1, arbitrary: fc.record({ is: fc.constant("child" as const), id, parts: tie("parts") }) },
  ),
}));
const program = fc.array(part, { minLength: 1, maxLength: 4 });

/** What a program does, in order. */
type Effects = string[];

/** Milliseconds that differ from place to place: what is due at one instant has no order. */
function msOf(seconds: number, at: string): number {
  let sum = 0;
  for (const character of at) sum = (sum * 31 + character.charCodeAt(0)) % 991;
  return seconds * 1000 + sum;
}

/** Runs a program's parts. Each place of the program has a label of its own, which its hook has, too. */
class Player {
  readonly #effects: Effects;
  readonly #name: string;
  constructor(effects: Effects, name: string) {
    this.#effects = effects;
    this.#name = name;
  }

  async seq(step: Step, parts: readonly Part[], at: string): Promise<unknown> {
    const values: unknown[] = [];
    for (const [index, each] of parts.entries()) values.push(await this.part(step, each, `${at}.${index}`));
    return values;
  }

  async part(step: Step, each: Part, at: string): Promise<unknown> {
    const op = (given: Op, index: number | string = ""): (() => Result<unknown, any> | Promise<Result<unknown, any>>) =>
      this.#op(given, at + index);
    switch (each.is) {
      case "step":
        return step(
          each.id,
          op(each.op),
          each.undo ? { compensate: (value) => void this.#effects.push(`undo ${at} ${String(value)}`) } : {},
        );
      case "sleep":
        return step.sleep(each.id, msOf(each.s, at));
      case "retry":
        return step.retry(each.id, op(each.op), { attempts: each.attempts, initialDelay: 0 });
      case "late":
        return step.withTimeout(each.id, op(each.op), { ms: msOf(each.s, at), error: `late ${at}` });
      case "all":
        return step.all(each.id, Object.fromEntries(each.ops.map((one, index) => [`p${index}`, op(one, index)])));
      case "race":
        return step.race(each.id, Object.fromEntries(each.ops.map((one, index) => [`p${index}`, op(one, index)])));
      case "map":
        return step.map(each.id, each.ops, (one, index) => op(one, index)(), { concurrency: each.concurrency });
      case "fallback":
        return step.withFallback(each.id, op(each.op, "x"), { fallback: op(each.other, "y") });
      case "seq":
        return this.seq(step, each.parts, at);
      case "try":
        return this.seq(step, each.parts, at).catch(
          (error: { readonly error?: unknown; readonly message?: string }) => `caught ${JSON.stringify(error.error ?? error.message)}`,
        );
      case "par":
        return Promise.all(each.parts.map((one, index) => this.part(step, one, `${at}.${index}`)));
      case "first":
        return Promise.race(each.parts.map((one, index) => this.part(step, one, `${at}.${index}`)));
      case "child": {
        const child = createWorkflow("child");
        return step.workflow(each.id, (parent) => child.run((context) => this.seq(context.step as Step, each.parts, at), parent) as never);
      }
    }
  }

  #op(given: Op, at: string): () => Result<unknown, any> | Promise<Result<unknown, any>> {
    let failures = 0;
    let attempts = 0;
    return () => {
      this.#effects.push(`${attempts++ === 0 ? "" : "again "}${given.op} ${at}`);
      switch (given.op) {
        case "do":
          return ok(`did ${at}`);
        case "fail":
          return err(`failed ${at}`);
        case "throw":
          throw new RangeError(`threw ${at}`);
        case "wait":
          return pendingHook(`${this.#name}${at}`);
        case "timed":
          return pendingHook(`${this.#name}${at}`, { timeout: msOf(given.s, at) });
        case "flaky":
          return failures++ < given.times ? err(`flaky ${at}`) : ok(`flew ${at}`);
      }
    };
  }
}

/** What comes from outside, where the run rests. */
type Action = { readonly deliver: string } | { readonly advance: number };

interface Played {
  readonly result: unknown;
  readonly effects: Effects;
}

/** What a run asked for last, before it ended by what had come already, is not begun on an engine: alone, bodies begin as they are asked for. */
interface PlayedOnEngine extends Played {
  readonly abandoned: number;
}

/** The effects, but for as many as were abandoned that are not there. */
function withoutAbandoned(all: Effects, { effects, abandoned }: PlayedOnEngine): Effects {
  const left = all.filter((effect) => !effects.includes(effect));
  return left.length > abandoned ? all : all.filter((effect) => effects.includes(effect));
}

/**
 * What has no order is put behind the rest: a later attempt comes when its body's own time has passed; a child and its parent may undo beside each other.
 */
function inOrder(effects: Effects, parts: readonly Part[]): Effects {
  const hasChild = JSON.stringify(parts).includes('"child"');
  const isApart = (effect: string): boolean => effect.startsWith("again ") || (hasChild && effect.startsWith("undo "));
  return [...effects.filter((effect) => !isApart(effect)), ...effects.filter(isApart).sort()];
}

/** Errors by what they say: the classes of those that were thrown are not kept. */
function plain(result: Result<unknown, unknown>): unknown {
  if (result.ok) return result;
  const { error } = result;
  return { ok: false, error: error instanceof Error ? `${error.name}: ${error.message}` : error };
}

/** A manual clock that says when its next alarm rings. */
function createTellingClock(): ManualClock & { nextAt(): number } {
  const clock = createManualClock(epoch);
  const alarms = new Set<{ readonly at: number }>();
  return {
    ...clock,
    alarm(at, wake) {
      const alarm = { at };
      alarms.add(alarm);
      const takeBack = clock.alarm(at, () => (alarms.delete(alarm), wake()));
      return () => (alarms.delete(alarm), takeBack());
    },
    nextAt: () => Math.min(...[...alarms].map(({ at }) => at)),
  };
}

const tick = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** Alone: run, rest, inject, again. What comes in which order is drawn. */
async function alone(parts: readonly Part[], name: string, draws: readonly number[]): Promise<Played & { readonly actions: Action[] }> {
  const clock = createTellingClock();
  const workflow = createWorkflow(name);
  const effects: Effects = [];
  const actions: Action[] = [];
  let state = '{"kind":"ResumeState","version":1,"events":[]}';
  let facts = 0;
  for (let drawn = 0; ; drawn++) {
    const given = parse(state);
    const options = { clock, onEvent: () => void facts++, resumeState: given };
    const running = workflow.runWithState((context) => new Player(effects, name).seq(context.step as Step, parts, ""), options);
    let isOver = false;
    void running.then(() => (isOver = true));
    while (!isOver) {
      // Quiet for longer than it takes to go through what the state has: only time brings it on.
      const passes = (): number => 6 + given.events.length + facts;
      for (let [quiet, seen] = [0, facts]; quiet < passes() && !isOver; quiet++, await tick())
        if (seen !== facts) [quiet, seen] = [0, facts];
      if (isOver) break;
      if (actions.length > 200) throw new Error("It comes to no end.");
      const ms = clock.nextAt() - clock.now();
      if (ms === Number.POSITIVE_INFINITY) throw new Error("Nothing brings it on.");
      actions.push({ advance: ms });
      clock.advance(ms);
    }
    const { result, resumeState, wakeAt } = await running;
    if (result.ok || !isPendingHook(result.error)) return { result: plain(result), effects, actions };
    const open = getPendingHooks(resumeState).sort();
    const draw = draws[drawn % draws.length] as number;
    let next: ResumeState = resumeState;
    if (wakeAt !== null && draw % 3 === 0) {
      actions.push({ advance: wakeAt - clock.now() });
      clock.advance(wakeAt - clock.now());
    } else {
      const hookId = open[draw % open.length] as string;
      actions.push({ deliver: hookId });
      next = injectHook(resumeState, { hookId, value: `for ${hookId}`, at: clock.now() });
    }
    state = serialize(next);
  }
}

async function onEngine(world: World, parts: readonly Part[], name: string, actions: readonly Action[]): Promise<PlayedOnEngine> {
  const workflow = createWorkflow(name);
  const effects: Effects = [];
  const body = (context: { readonly step: unknown }): unknown => new Player(effects, name).seq(context.step as Step, parts, "");
  for (const engine of world.engines) engine.register(workflow, body);
  const run = await world.engine.run(workflow, body);
  await world.settled();
  for (const action of actions) {
    if ("advance" in action) await world.advance(action.advance);
    else {
      const { disposition } = await world.engine.signal(`hook:${action.deliver}`, `for ${action.deliver}`, { early: false });
      if (disposition !== "accepted") return { result: `${action.deliver} is ${disposition}`, effects, abandoned: 0 };
      await world.settled();
    }
  }
  const { state } = run.run;
  const over = ["completed", "failed"].includes(await state);
  const journal = await world.journal(run);
  const ended = new Set(journal.map((event) => (event.kind === "step_completed" ? event.position : null)));
  const open = journal.filter((event) => event.kind === "step_scheduled" && !ended.has(event.position));
  const abandoned = open.length + ((await run.run.ending)?.abandoned.length ?? 0);
  return { abandoned, result: over ? plain(await run.result()) : `it is ${await state}: ${(await run.run.blocked)?.message}`, effects };
}

const isLong = process.env["RINGBACK_LONG"] === "1";
/** In memory where there is little time; cold, the code is run again from its journal for each thing that comes. */
const worlds: readonly (readonly [string, Parameters<typeof createWorld>[1]])[] = isLong
  ? modesOfLength.map((mode) => [mode, { mode }] as const)
  : [
      ["hot", { mode: "two-workers" }],
      ["cold", { mode: "two-workers", hotRuns: 0 }],
    ];

describe.each(worlds)("%s", (_, options) => {
  test("programs made by chance", async () => {
    const world = await createWorld([], options);
    let programs = 0;
    await fc.assert(
      fc.asyncProperty(program, fc.array(fc.nat(100), { minLength: 1, maxLength: 6 }), async (parts, draws) => {
        const name = `p${++programs}`;
        const { actions, result, effects } = await alone(parts, name, draws);
        const found = await onEngine(world, parts, name, actions);
        expect({ result: found.result, effects: inOrder(found.effects, parts), actions }).toEqual({
          result,
          effects: inOrder(withoutAbandoned(effects, found), parts),
          actions,
        });
      }),
      { numRuns: isLong ? 1_000 : 75 },
    );
  });
});
