// `createWorkflow`: code that is run with a state, rests as a value where it waits, and is run again with the answer.

import type { Clock } from "../../core/clock.ts";
import { Execution, StepExit } from "./execution.ts";
import type { PendingApproval, PendingHook } from "./hook.ts";
import { err, type ErrorsOf, ok, type Result } from "./result.ts";
import { emptyState, type Fact, parse, type ResumeState } from "./state.ts";
import { Steps, type Step } from "./step.ts";
import { UnexpectedError } from "./tagged-error.ts";

type AnyFunction = (...args: never[]) => unknown;
/** What a workflow is made of: functions that return results. */
export type Deps = { readonly [name: string]: AnyFunction };

/** What a workflow's code is given. */
export interface WorkflowContext<E, D> {
  readonly step: Step<E>;
  readonly deps: D;
}

/** How a workflow is run. */
export interface RunOptions<D = Deps> {
  /** What an earlier run has done: its steps are not done again. */
  readonly resumeState?: ResumeState | (() => ResumeState | Promise<ResumeState>);
  /** In place of some of the workflow's own. */
  readonly deps?: Partial<D>;
  /** Told of each new fact of the run, in order. What it throws is nobody's trouble. */
  readonly onEvent?: (event: Fact) => void;
  /** Where time comes from, for tests: `createManualClock()`. Default: the system's. */
  readonly clock?: Clock;
}

/** How a workflow is made. */
export interface WorkflowOptions<D = Deps, U = UnexpectedError> extends RunOptions<D> {
  /** What an exception becomes. Default: an `UnexpectedError`. */
  readonly catchUnexpected?: (cause: unknown) => U;
}

type Body<T, E, D> = (context: WorkflowContext<E, D>) => T | Promise<T>;
/** What a run comes to, and what it has done. */
export interface RunWithState<T, E> {
  readonly result: Result<T, E>;
  readonly resumeState: ResumeState;
}

/** A workflow: its name, what its errors are, and what it is made of. */
export interface Workflow<E, D, U = UnexpectedError> {
  readonly name: string | null;
  /** Runs code until it ends or waits. Never rejects: what it comes to is a result. */
  run<T>(body: Body<T, E, D>, options?: RunOptions<D>): Promise<Result<T, E | U | PendingHook | PendingApproval>>;
  /** The same with the state that the run has come to. */
  runWithState<T>(body: Body<T, E, D>, options?: RunOptions<D>): Promise<RunWithState<T, E | U | PendingHook | PendingApproval>>;
}

/** Makes a workflow; the errors of its runs are those that its deps return. */
export function createWorkflow<const D extends Deps, U = UnexpectedError>(
  name: string,
  deps?: D,
  options?: WorkflowOptions<D, U>,
): Workflow<ErrorsOf<D>, D, U>;
export function createWorkflow<const D extends Deps, U = UnexpectedError>(
  deps: D,
  options?: WorkflowOptions<D, U>,
): Workflow<ErrorsOf<D>, D, U>;
export function createWorkflow(...given: readonly unknown[]): Workflow<unknown, Deps, unknown> {
  const [name, deps = {}, options = {}] = (typeof given[0] === "string" ? given : [null, ...given]) as [
    string | null,
    Deps?,
    WorkflowOptions<Deps, unknown>?,
  ];
  const runWithState = async <T>(body: Body<T, unknown, Deps>, own: RunOptions = {}): Promise<RunWithState<T, unknown>> => {
    const ran = await runOnce(body, deps, { ...options, ...own });
    lastStates.set(workflow, ran.resumeState);
    return ran;
  };
  const workflow: Workflow<unknown, Deps, unknown> = {
    name,
    runWithState,
    run: async (body, own) => (await runWithState(body, own)).result,
  };
  return workflow;
}

const lastStates = new WeakMap<object, ResumeState>();

/** What the run of a workflow has done that came to its end, or to rest, last. */
export function lastStateOf(workflow: object): ResumeState {
  return lastStates.get(workflow) ?? emptyState;
}

const systemClock: Clock = {
  now: () => Date.now(),
  alarm: (at, wake) => {
    const timer = setTimeout(wake, Math.max(0, at - Date.now()));
    return () => clearTimeout(timer);
  },
};

async function runOnce<T>(
  body: Body<T, unknown, Deps>,
  deps: Deps,
  options: WorkflowOptions<Deps, unknown>,
): Promise<RunWithState<T, unknown>> {
  const { resumeState, catchUnexpected = (cause: unknown) => new UnexpectedError(cause), onEvent, clock = systemClock } = options;
  let state = emptyState;
  try {
    if (resumeState !== undefined) state = parse(typeof resumeState === "function" ? await resumeState() : resumeState);
  } catch (cause) {
    return { result: err(catchUnexpected(cause), { cause }), resumeState: state };
  }
  tell(onEvent, { kind: "run_started", state });
  const execution = new Execution({ state, drain, clock, onFact: (event) => tell(onEvent, event) });
  const steps = new Steps(execution, clock);
  const context = { step: steps.step, deps: { ...deps, ...options.deps } as Deps };
  const ended = (async () => body(context))().then(
    (value): Result<T, unknown> => ok(value) as Result<T, unknown>,
    (thrown: unknown): Result<T, unknown> =>
      thrown instanceof StepExit ? err(thrown.error, { cause: thrown.cause }) : err(catchUnexpected(thrown), { cause: thrown }),
  );
  const undone = ended.then(async (result) => {
    if (!result.ok) await undo(steps, execution);
    return result;
  });
  const result = await Promise.race([undone, execution.suspended.then((pending): Result<T, unknown> => err(pending))]);
  execution.end();
  return { result, resumeState: execution.state };
}

/** What was done is undone, the last first; each once, as a step. */
async function undo({ undos }: Steps, execution: Execution): Promise<void> {
  for (const { key, run } of undos.reverse()) await execution.step(key, key, run).catch(() => {});
}

function tell(onEvent: RunOptions["onEvent"], event: Fact): void {
  try {
    onEvent?.(event);
  } catch {
    // A listener's trouble is its own.
  }
}

/** Until the code rests: microtasks run before the next macrotask. */
function drain(): Promise<void> {
  return new Promise((resolve) => {
    const { setImmediate, MessageChannel } = globalThis as {
      setImmediate?: (ring: () => void) => void;
      MessageChannel?: typeof globalThis.MessageChannel;
    };
    if (setImmediate) return setImmediate(resolve);
    if (!MessageChannel) return setTimeout(resolve, 0);
    const { port1, port2 } = new MessageChannel();
    port1.addEventListener("message", () => {
      port1.close();
      resolve();
    });
    port1.start();
    port2.postMessage(null);
  });
}
