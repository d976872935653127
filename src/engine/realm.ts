// Where workflow code meets the process: turns as whole macrotasks, the guard, patched globals, stray rejections. The only file that
// touches ticks, async context and globals. Everything here is per process, installed once, and costs one variable check outside turns.
//
// M1. A turn is the whole of one macrotask: it begins as the first thing in its own `setImmediate` and ends in a tick queued from a
//     microtask. Ticks queued by others meanwhile are held back, bound to their caller's context, and queued again behind its end.
// M2. A durable call needs `current` to be the run in whose context it is made. Anything else is misuse of the run that owns the code.
// M3. The code of a run starts in the context this module was loaded in, never in that of the request that started the run.
// M4. Rejections that nobody handles are a run's when their context is the run; all others keep Node's default.

import { AsyncLocalStorage, AsyncResource } from "node:async_hooks";
import { RingbackError } from "../core/errors.ts";
import { patchedPromise } from "../core/combinator.ts";
import { callSite, type Run } from "../core/run.ts";
import { current, enter, leave, useScopes } from "../core/turn.ts";
import { native, patchGlobals } from "./realm/globals.ts";

const owner = new AsyncLocalStorage<Run>();
const scope = new AsyncLocalStorage<unknown>();
const base = new AsyncResource("ringback"); // M3
useScopes({ get: () => scope.getStore(), run: (value, code) => scope.run(value, code) });

const nextTick = process.nextTick;
const later = setImmediate;
type Tick = Parameters<typeof process.nextTick>;
let held: Tick[] | null = null;
let strays: Run | null = null;

/** Takes a run's turn as a macrotask of its own, then calls `done`, outside any turn. `done` must not begin another turn itself. */
export function takeTurn(run: Run, body: (run: Run) => void, done: () => void): void {
  later(() => runTurn(run, body, () => later(dropStrayListeners), done));
}

/**
 * Takes turns of one run back to back in one macrotask, while `next` says there is one, for at most `sliceMs`; then `done`. A turn in
 * which ticks were held back ends the slice: those ticks belong between the turns.
 */
export function takeTurns(run: Run, next: () => ((run: Run) => void) | null, sliceMs: number, done: (isDrained: boolean) => void): void {
  later(() => {
    const until = native.performanceNow() + sliceMs;
    const step = (): void => {
      const body = next();
      if (!body) return finish(true);
      runTurn(run, body, null, (hadTicks) => (hadTicks || native.performanceNow() > until ? finish(false) : nextTick(step)));
    };
    const finish = (isDrained: boolean): void => {
      later(dropStrayListeners);
      done(isDrained);
    };
    step();
  });
}

/** All of a turn is in the run's own context (M3): callbacks that the engine calls, too. */
function advance(run: Run, body: (run: Run) => void): void {
  owner.run(run, body, run);
}

function runTurn(run: Run, body: (run: Run) => void, atEnd: (() => void) | null, done: (hadTicks: boolean) => void): void {
  enter(run);
  held = [];
  if (strays === null) addStrayListeners();
  strays = run;
  let thrown: unknown = null;
  try {
    base.runInAsyncScope(advance, undefined, run, body);
  } catch (error) {
    thrown = error ?? new Error("A turn threw nothing.");
  }
  if (thrown) run.misuse(asMisuse(run, thrown));
  queueMicrotask(() =>
    nextTick(() => {
      const ticks = held as Tick[];
      held = null;
      leave();
      atEnd?.();
      for (const tick of ticks) nextTick(...tick);
      done(ticks.length > 0);
    }),
  );
}

function asMisuse(run: Run, error: unknown): RingbackError {
  if (RingbackError.is(error)) return error;
  const message = `Run ${run.identity.id} could not be advanced: ${error instanceof Error ? error.message : String(error)}`;
  return new RingbackError("nothing_pending", message, {
    details: { run: run.identity.id, workflow: run.identity.workflow },
    cause: error,
  });
}

process.nextTick = function hold(callback: (...args: unknown[]) => void, ...args: unknown[]): void {
  if (held === null) return nextTick(callback, ...args);
  if (typeof callback === "function") held.push([AsyncResource.bind(callback), ...args] as unknown as Tick);
  else nextTick(callback); // throws what Node throws
} as typeof process.nextTick;

/** Who is told that a run's code was caught outside its turn. Set by the engine that advances the run. */
export type MisuseListener = (run: Run, error: RingbackError) => void;
const listeners = new WeakMap<Run, MisuseListener>();
export function onMisuse(run: Run, listener: MisuseListener): void {
  listeners.set(run, listener);
}

/** The run whose code makes this call, or null where no run is around: a durable call there is plain host code, or an error. */
export function callingRun(): Run | null {
  return owner.getStore() ?? null;
}

/** M2: the run that `call` belongs to; throws `outside_turn` or `other_run` with what to do. */
export function here(call: string): Run {
  const own = owner.getStore();
  if (current !== null && own === current) return current;
  throw own && current ? otherRun(own, current, call) : outsideTurn(own ?? null, call);
}

function outsideTurn(own: Run | null, call: string): RingbackError {
  if (!own) {
    const foreign = current ? ` (a turn of run ${current.identity.id} is under way, but this code was not started by it)` : "";
    const message = `${call} belongs in workflow code, and no run is around here${foreign}. Call it in the body of a workflow that was started with start().`;
    return new RingbackError("outside_turn", message, { details: { call } });
  }
  const { id, workflow } = own.identity;
  const suspect = own.suspect ?? null;
  const why = suspect ? `The run last called ${suspect}; code after it` : "Code that awaited a timer, a fetch or a file";
  const message = `${call} in run ${id} (${workflow}) at ${callSite() ?? "an unknown place"} was made outside the run's turn. ${why} runs where no replay can follow: move it into a step.`;
  const error = new RingbackError("outside_turn", message, { details: { run: id, workflow, call, ...(suspect ? { suspect } : {}) } });
  listeners.get(own)?.(own, error);
  return error;
}

function otherRun(own: Run, other: Run, call: string): RingbackError {
  const a = own.identity;
  const b = other.identity;
  const message = `${call} of run ${a.id} (${a.workflow}) at ${callSite() ?? "an unknown place"} was made in a turn of run ${b.id} (${b.workflow}). A promise or queue that both runs share (a module-level cache, p-limit, a DataLoader) carried it there: give each run its own, or put the shared work into a step.`;
  const details = { call, run: a.id, workflow: a.workflow, other: b.id, otherWorkflow: b.workflow };
  const error = new RingbackError("other_run", message, { details });
  listeners.get(own)?.(own, error);
  return error;
}

/** What `getStepMetadata()` answers with, and what a step body finds around itself. */
export interface StepContext {
  readonly name: string;
  readonly position: number;
  readonly attempt: number;
  readonly startedAt: number;
  readonly idempotencyKey: string;
  readonly signal: AbortSignal;
  readonly run: { readonly id: string; readonly workflow: string; readonly createdAt: number };
}
const step = new AsyncLocalStorage<StepContext>();

/** Runs a step's body: outside every run's context, with its own. */
export function inStep<T>(context: StepContext, body: () => T): T {
  return base.runInAsyncScope(() => step.run(context, body));
}

/** The step whose body makes this call, or null. */
export function callingStep(): StepContext | null {
  return step.getStore() ?? null;
}

const strayReasons = new WeakMap<object, { run: Run; text: string }>();
const onStray = (reason: unknown, promise: Promise<unknown>): void => {
  const run = owner.getStore();
  if (!run) return rethrow(reason, promise);
  const text = `Nobody handled a rejection: ${reason instanceof Error ? `${reason.name}: ${reason.message}` : String(reason)}`;
  strayReasons.set(promise, { run, text });
  run.warn(text);
};
const onHandled = (promise: Promise<unknown>): void => {
  const stray = strayReasons.get(promise);
  const index = stray ? (stray.run.warnings?.indexOf(stray.text) ?? -1) : -1;
  if (index >= 0) stray?.run.warnings?.splice(index, 1);
};

/** A rejection from elsewhere that happened to surface within a turn's macrotask: Node's default happens once we no longer listen. */
function rethrow(reason: unknown, promise: Promise<unknown>): void {
  if (process.listenerCount("unhandledRejection") > 1) return;
  later(() => {
    if (strays === null) void Promise.reject(reason);
    else rethrow(reason, promise);
  });
}

function addStrayListeners(): void {
  process.on("unhandledRejection", onStray);
  process.on("rejectionHandled", onHandled);
}

function dropStrayListeners(): void {
  if (strays === null) return;
  strays = null;
  process.off("unhandledRejection", onStray);
  process.off("rejectionHandled", onHandled);
}

patchGlobals(() => (current !== null && owner.getStore() === current ? current : null));
Object.assign(Promise, patchedPromise(Promise));
