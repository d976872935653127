// Whose code is running, followed through its awaits: a run's, a branch's, a step's.
//
// M3. The code of a run, and the body of a step, start in the context this module was loaded in, never in that of the request that
//     started the run or brought it its payload.

import { AsyncLocalStorage, AsyncResource } from "node:async_hooks";
import type { AttributeChanges } from "../../core/attribute.ts";
import type { Run, RunHost } from "../../core/run.ts";
import type { StreamReference } from "../../core/stream.ts";
import { current } from "../../core/turn.ts";

const owner = new AsyncLocalStorage<Run>();
const scope = new AsyncLocalStorage<unknown>();
const step = new AsyncLocalStorage<StepContext>();
const base = new AsyncResource("ringback");

/** What `getStepMetadata()` answers with, and what a step body finds around itself. */
export interface StepContext {
  readonly name: string;
  readonly position: number;
  readonly attempt: number;
  readonly startedAt: number;
  /** The engine's clock. */
  readonly now: () => number;
  readonly idempotencyKey: string;
  readonly signal: AbortSignal;
  readonly run: { readonly id: string; readonly workflow: string; readonly createdAt: number };
  readonly host: RunHost;
  /** Resolves when it is committed. */
  readonly setAttributes: (changes: AttributeChanges) => Promise<void>;
  /** What the attempt writes. */
  readonly streams: { writable(reference: StreamReference): WritableStream<unknown> };
}

/** The run whose code makes this call, or null where no run is around: a durable call there is plain host code, or an error. */
export function callingRun(): Run | null {
  return owner.getStore() ?? null;
}

/** The same, where that run's turn is under way. */
export function callingInTurn(): Run | null {
  return current !== null && owner.getStore() === current ? current : null;
}

/** The step whose body makes this call, or null. */
export function callingStep(): StepContext | null {
  return step.getStore() ?? null;
}

export function callingScope(): unknown {
  return scope.getStore();
}

export function inScope<T>(value: unknown, code: () => T): T {
  return scope.run(value, code);
}

/** Runs a step's body: outside every run's context, with its own. */
export function inStep<T>(context: StepContext, body: () => T): T {
  return afresh(() => step.run(context, body));
}

/** Advances a run, all in the run's own context: the callbacks that the engine calls, too. */
export function inRun(run: Run, body: (run: Run) => void): void {
  if (run.turn === 0) afresh(() => owner.run(run, body, run));
  else base.runInAsyncScope(advance, undefined, run, body);
}

function advance(run: Run, body: (run: Run) => void): void {
  owner.run(run, body, run);
}

/** On a resource of its own, where code begins: what that code gives to `enterWith` would stay on `base`, for all runs (Node before 24). */
export function afresh<T>(code: () => T): T {
  return base.runInAsyncScope(() => new AsyncResource("ringback").runInAsyncScope(code));
}
