// `createWorkflow`: code that is run with a state, rests as a value where it waits, and is run again with the answer.

import type { Clock } from "../../core/clock.ts";
import { type PortableRun, type PortableWorkflow, portable, type StepHost } from "../../core/portable.ts";
import { systemClock } from "./clock.ts";
import { drain } from "./drain.ts";
import { Execution, StateMismatch } from "./execution.ts";
import { type PendingApproval, type PendingHook, schemas } from "./hook.ts";
import { StepExit } from "./outcome.ts";
import { err, type ErrorsOf, ok, type Result } from "./result.ts";
import { emptyState, parse, type ResumeState, type StateEvent } from "./state.ts";
import { type Parent, type ParentRun, parent, type Step, Steps } from "./step.ts";
import { UnexpectedError } from "./tagged-error.ts";
import { read, write } from "./value.ts";

type AnyFunction = (...args: never[]) => unknown;
/** What a workflow is made of: functions that return results. */
export type Deps = { readonly [name: string]: AnyFunction };

/** What is known of a run from its begin on. */
export interface RunContext<I = unknown> {
  /** The run's id: the same however often it is run again. */
  readonly workflowId: string;
  /** What the run was given; run again, what it was given first. */
  readonly input: I;
}

/** What a workflow's code is given. */
export interface WorkflowContext<E, D, I = unknown> {
  readonly step: Step<E>;
  readonly deps: D;
  readonly ctx: RunContext<I>;
}

/** What listeners are told: each new fact of a run, that it goes on from a state, and what it comes to. */
export type Fact =
  | StateEvent
  | { readonly kind: "run_resumed"; readonly state: ResumeState }
  | { readonly kind: "run_suspended"; readonly pending: PendingHook | PendingApproval }
  | { readonly kind: "run_ended"; readonly result: Result<unknown, unknown> };

/** How a workflow is run. */
export interface RunOptions<D = Deps, I = unknown> extends ParentRun {
  /** What an earlier run has done: its steps are not done again. */
  readonly resumeState?: ResumeState | (() => ResumeState | Promise<ResumeState>) | undefined;
  /** What the run is given, kept in its state: plain data, dates, maps, sets, bytes. */
  readonly input?: I | undefined;
  /** In place of some of the workflow's own. */
  readonly deps?: Partial<D> | undefined;
  /** Told of each new fact of the run, in order. What it throws is nobody's trouble. */
  readonly onEvent?: ((event: Fact) => void) | undefined;
  /**
   * Keeps the state after each new fact. The code is told of nothing that is not kept: what a killed process has done is done once, but for the
   * step that it died in. Where it rejects the run ends, with that as the cause of an `UnexpectedError`.
   */
  readonly checkpoint?: ((state: ResumeState) => void | Promise<void>) | undefined;
  /** Where time comes from, for tests: `createManualClock()`. Default: the system's. */
  readonly clock?: Clock | undefined;
}

/** How a workflow is made. */
export interface WorkflowOptions<D = Deps, U = UnexpectedError> extends RunOptions<D> {
  /** What an exception becomes. Default: an `UnexpectedError`. */
  readonly catchUnexpected?: ((cause: unknown) => U) | undefined;
}

type Body<T, E, D, I> = (context: WorkflowContext<E, D, I>) => T | Promise<T>;

/** What a run comes to, and what it has done. */
export interface RunWithState<T, E> {
  readonly result: Result<T, E>;
  readonly resumeState: ResumeState;
  /** Where the run rests: when its next timer is due, or the time of a wait is up, in milliseconds since 1970; else null. */
  readonly wakeAt: number | null;
}

/** A workflow: its name, what its errors are, and what it is made of. */
export interface Workflow<E, D, U = UnexpectedError> {
  readonly name: string | null;
  /** Runs code under an id of your own, as below. */
  run<T, I = unknown>(
    id: string,
    body: Body<T, E, D, I>,
    options?: RunOptions<D, I>,
  ): Promise<Result<T, E | U | PendingHook | PendingApproval>>;
  /** Runs code until it ends or waits. Never rejects: what it comes to is a result. */
  run<T, I = unknown>(body: Body<T, E, D, I>, options?: RunOptions<D, I>): Promise<Result<T, E | U | PendingHook | PendingApproval>>;
  /** The same with the state that the run has come to. */
  runWithState<T, I = unknown>(
    id: string,
    body: Body<T, E, D, I>,
    options?: RunOptions<D, I>,
  ): Promise<RunWithState<T, E | U | PendingHook | PendingApproval>>;
  runWithState<T, I = unknown>(
    body: Body<T, E, D, I>,
    options?: RunOptions<D, I>,
  ): Promise<RunWithState<T, E | U | PendingHook | PendingApproval>>;
  /** The same workflow with others in place of some of its functions. */
  withDeps(deps: Partial<D>): Workflow<E, D, U>;
  /** @internal How others run it. */
  readonly [portable]: PortableWorkflow;
}

type AnyBody = Body<unknown, unknown, Deps, unknown>;
type AnyOptions = WorkflowOptions<Deps, unknown>;
type AnyRun = RunWithState<unknown, unknown>;

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
  const [name, deps, options] = (typeof given[0] === "string" ? given : [null, ...given]) as [string | null, Deps?, AnyOptions?];
  return make(name, deps, options);
}

function make(name: string | null, deps: Deps = {}, options: AnyOptions = {}): Workflow<unknown, Deps, unknown> {
  const runWithState = async (...call: readonly unknown[]): Promise<AnyRun> => {
    const [id, body, own] = (typeof call[0] === "string" ? call : [undefined, ...call]) as [string | undefined, AnyBody, AnyOptions?];
    const both = { ...options, ...own } as { [option: string]: unknown };
    // What is undefined was not given.
    for (const [option, value] of Object.entries(options)) both[option] ??= value;
    const ran = await runOnce(workflow, { id, body, deps, options: both });
    lastStates.set(workflow, ran.resumeState);
    return ran;
  };
  const workflow = {
    name,
    runWithState,
    run: async (...call: readonly unknown[]) => (await runWithState(...call)).result,
    withDeps: (others: Deps) => make(name, { ...deps, ...others }, options),
    [portable]: {
      name,
      schemas,
      drive: (body: AnyBody, host: StepHost, run: PortableRun) => drive({ body, deps, options, run, steps: new Steps(host) }),
    },
  } as unknown as Workflow<unknown, Deps, unknown>;
  return workflow;
}

/** Runs code without making a workflow first: `run(deps, body)`. */
export function run<const D extends Deps, T, U = UnexpectedError>(
  deps: D,
  body: Body<T, ErrorsOf<D>, D, unknown>,
  options?: WorkflowOptions<D, U>,
): Promise<Result<T, ErrorsOf<D> | U | PendingHook | PendingApproval>>;
/** The same with its errors said: `run<string, "NOT_FOUND">(body)`. */
export function run<T, E = never, U = UnexpectedError>(
  body: Body<T, E, Record<never, never>, unknown>,
  options?: WorkflowOptions<Record<never, never>, U>,
): Promise<Result<T, E | U | PendingHook | PendingApproval>>;
export function run(...given: readonly unknown[]): Promise<Result<unknown, unknown>> {
  const [deps, body, options] = (typeof given[0] === "function" ? [{}, ...given] : given) as [Deps, AnyBody, AnyOptions?];
  return createWorkflow(deps, options).run(body as never) as Promise<Result<unknown, unknown>>;
}

const lastStates = new WeakMap<object, ResumeState>();

/** What the run of a workflow has done that came to its end, or to rest, last. */
export function lastStateOf(workflow: object): ResumeState {
  return lastStates.get(workflow) ?? emptyState;
}

interface Call {
  readonly body: AnyBody;
  readonly deps: Deps;
  readonly options: AnyOptions;
}

async function runOnce({ name }: { readonly name: string | null }, call: Call & { readonly id: string | undefined }): Promise<AnyRun> {
  const { id, options } = call;
  const { resumeState, onEvent, checkpoint, clock = systemClock } = options;
  if (options[parent]) return { result: await asChild(call, options[parent]), resumeState: emptyState, wakeAt: null };
  const tell = (event: Fact): void => {
    (async () => onEvent?.(event))().catch(() => {}); // a listener's trouble is its own
  };
  let state = emptyState;
  try {
    if (resumeState !== undefined) state = parse(typeof resumeState === "function" ? await resumeState() : resumeState);
    const execution = new Execution({ state, drain, clock, onFact: tell, checkpoint });
    if (resumeState !== undefined) tell({ kind: "run_resumed", state });
    return await runBy(execution, { ...call, run: begin(execution, { name, id, input: options.input }) }, tell);
  } catch (cause) {
    return { result: unexpected(options, cause), resumeState: state, wakeAt: null };
  }
}

/** The run as it began, now or earlier. Throws `StateMismatch` for a state of another workflow. */
function begin(
  execution: Execution,
  { name, id, input }: { readonly name: string | null; readonly id: string | undefined; readonly input: unknown },
): PortableRun {
  const started = execution.state.events.find((event) => event.kind === "run_started");
  if (started) {
    const { workflow } = started;
    if (name === null || workflow === null || workflow === name)
      return { workflowId: started.id, input: started.input === undefined ? undefined : read(started.input) };
    const message = `The state is that of a run of "${workflow}", and this is "${name}".`;
    throw new StateMismatch({ left: [workflow], asked: [name] }, { message });
  }
  const run = { workflowId: id ?? crypto.randomUUID(), input };
  const text = input === undefined ? input : write(input, "The input of the run");
  execution.add({ kind: "run_started", id: run.workflowId, workflow: name, input: text });
  return run;
}

async function runBy(execution: Execution, call: Call & { readonly run: PortableRun }, tell: (event: Fact) => void): Promise<AnyRun> {
  const ended = drive({ ...call, steps: new Steps(execution) });
  const stopped = await Promise.race([ended.then((result) => ({ type: "ended", result }) as const), execution.stopped]);
  const { wakeAt } = execution;
  execution.end();
  const resumeState = execution.state;
  if (stopped.type === "waits") {
    tell({ kind: "run_suspended", pending: stopped.pending });
    return { result: err(stopped.pending), resumeState, wakeAt };
  }
  const result = stopped.type === "ended" ? stopped.result : unexpected(call.options, stopped.cause);
  tell({ kind: "run_ended", result });
  return { result, resumeState, wakeAt: null };
}

function asChild({ body, deps, options }: Call, { steps, prefix }: Parent): Promise<Result<unknown, unknown>> {
  const run = { workflowId: prefix.slice(0, -1), input: options.input };
  return drive({ body, deps, options, run, steps: new Steps(steps.host, { steps, prefix }) });
}

/** Runs a body by its steps. Where it ends with an error, what was done is undone. */
async function drive({
  body,
  deps,
  options,
  run: ctx,
  steps,
}: Call & { readonly run: PortableRun; readonly steps: Steps }): Promise<Result<unknown, unknown>> {
  try {
    return ok(await body({ step: steps.step, deps: { ...deps, ...options.deps } as Deps, ctx }));
  } catch (thrown) {
    const failed = await steps.undos.unwind(thrown instanceof StepExit ? thrown.error : thrown);
    if (failed) return unexpected(options, failed);
    return thrown instanceof StepExit ? err(thrown.error, { cause: thrown.cause }) : unexpected(options, thrown);
  }
}

function unexpected({ catchUnexpected = (cause) => new UnexpectedError(cause) }: AnyOptions, cause: unknown): Result<never, unknown> {
  try {
    return err(catchUnexpected(cause), { cause });
  } catch (thrown) {
    return err(new UnexpectedError(thrown), { cause });
  }
}
