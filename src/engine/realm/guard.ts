// The guard of every durable call.
//
// M2. A durable call needs `current` to be the run in whose context it is made. Anything else is misuse of the run that owns the code,
//     which is told to who advances that run. What returns a promise rejects; what must answer at once throws. Neither ends the process,
//     wherever it is thrown: the run is set aside, and no other has a part in it.
// M5. A run that was told so often enough is told nothing any more: its calls never settle, and no loop that catches errors goes on.

import { callSite } from "../../core/call-site.ts";
import { RingbackError } from "../../core/errors.ts";
import type { Run } from "../../core/run.ts";
import { current } from "../../core/turn.ts";
import { callingRun, callingStep, type StepContext } from "./context.ts";
import { forgive } from "./stray.ts";

/** Who is told that a run's code was caught outside its turn. Set by the engine that advances the run. */
export type MisuseListener = (run: Run, error: RingbackError) => void;
const listeners = new WeakMap<Run, MisuseListener>();

export function onMisuse(run: Run, listener: MisuseListener): void {
  listeners.set(run, listener);
}

/** The run that `call` belongs to (M2). Throws `outside_turn` or `other_run` with what to do, and in a run that was set aside, why. */
export function here(call: string): Run {
  const own = callingRun();
  if (!own) throw nowhere(call);
  if (own === current && !own.fault) return own;
  if (!own.refuse()) return own; // M5: nothing that it asks for counts
  throw own === current ? own.fault?.error : misused(own, call);
}

/** Makes a durable call that returns a promise. */
export function durably<T>(call: string, make: (run: Run) => Promise<T>): Promise<T> {
  let run: Run;
  try {
    run = here(call);
  } catch (error) {
    const own = callingRun();
    if (own === null || own === current) throw error;
    return rejected(error);
  }
  return run === current && !run.fault ? make(run) : new Promise(() => {});
}

/** Whether `call` may be made here; where it may not, the run has been told as if it were made. Never throws. */
export function allows(call: string): boolean {
  try {
    const run = here(call);
    return run === current && !run.fault;
  } catch {
    return false;
  }
}

function rejected(error: unknown): Promise<never> {
  const promise = Promise.reject(error);
  promise.catch(() => {});
  return promise;
}

function nowhere(call: string): RingbackError {
  const step = callingStep();
  if (step !== null) return withinStep(call, step);
  const foreign = current ? ` (a turn of run ${current.identity.id} is under way, but this code was not started by it)` : "";
  const message = `${call} belongs in workflow code, and no run is around here${foreign}. Call it in the body of a workflow that was started with start().`;
  return new RingbackError("outside_turn", message, { details: { call } });
}

function withinStep(call: string, { name, run, host }: StepContext): RingbackError {
  const { id, workflow } = run;
  const message = `${call} was called within step "${host.sealText(name)}" of run ${id} (${workflow}). What a step does is recorded as a whole, and nothing within it: make the call in the workflow's own code.`;
  return new RingbackError("outside_turn", message, { details: { call, run: id, workflow } });
}

function misused(own: Run, call: string): RingbackError {
  const error = current ? otherRun(own, current, call) : outsideTurn(own, call);
  if (!own.isOver && !own.fault) listeners.get(own)?.(own, error);
  forgive(error, own);
  return error;
}

function outsideTurn(own: Run, call: string): RingbackError {
  const { id, workflow } = own.identity;
  const { suspect } = own;
  const why = suspect ? `The run last called ${suspect}; code after it` : "Code that awaited a timer, a fetch or a file";
  const message = `${call} in run ${id} (${workflow}) at ${callSite() ?? "an unknown place"} was made outside the run's turn. ${why} runs where no replay can follow: move it into a step.`;
  return new RingbackError("outside_turn", message, { details: { run: id, workflow, call, ...(suspect ? { suspect } : {}) } });
}

function otherRun(own: Run, other: Run, call: string): RingbackError {
  const a = own.identity;
  const b = other.identity;
  const message = `${call} of run ${a.id} (${a.workflow}) at ${callSite() ?? "an unknown place"} was made in a turn of run ${b.id} (${b.workflow}). A promise, queue or listener that both runs share (a module-level cache, p-limit, a DataLoader) carried it there: give each run its own, or put the shared work into a step.`;
  return new RingbackError("other_run", message, {
    details: { call, run: a.id, workflow: a.workflow, other: b.id, otherWorkflow: b.workflow },
  });
}
