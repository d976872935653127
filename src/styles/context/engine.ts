// The engine as the context style has it: a thin class over one that `createEngine` made.

import { badArgument, checkOptions, kindOf, type OptionNames } from "../../core/argument.ts";
import { pinnedCode, type WorkflowDefinition } from "../../core/definition.ts";
import { RingbackError } from "../../core/errors.ts";
import type { Receipt } from "../../core/receipt.ts";
import type { EngineApi, ListRunsOptions, ResumeOptions, StartedWithSignal, StartOptions } from "../../engine/engine-api.ts";
import type { RunInfo } from "../../engine/info.ts";
import type { CancelOptions, RunHandle } from "../../engine/run-handle.ts";
import { checkName, codeHash } from "../../engine/registry.ts";
import { functionOf } from "../../engine/workflow.ts";
import type { EngineCore } from "../../engine/engine.ts";
import {
  declarationOf,
  declaredOf,
  notRegistered,
  sourceOf,
  type WorkflowInput,
  type WorkflowOutput,
  type WorkflowRef,
} from "./definition.ts";
import { runWithContext, type Surroundings, type WorkflowCtx } from "./ctx.ts";
import { breakpointToken, checkSignalToken, isSignalToken, updateToken } from "./signals.ts";
import { StepTable } from "./step-ref.ts";

/** What `createEngine` returns, as far as this class asks. */
export interface PlainEngine extends EngineApi {
  open(): Promise<void>;
  close(options?: { readonly graceMs?: number }): Promise<void>;
  /** @internal */
  readonly core: EngineCore;
}

/** How a run is started. */
export interface WorkflowStartOptions extends Pick<StartOptions, "attributes"> {
  /** The version it is to begin with. Default: the one that was registered last. */
  readonly version?: string;
}

/** What follows the workflow in `start()`; a workflow without input may be given none. */
export type WorkflowStart<W> =
  undefined extends WorkflowInput<W>
    ? [input?: WorkflowInput<W>, runId?: string, options?: WorkflowStartOptions]
    : [input: WorkflowInput<W>, runId?: string, options?: WorkflowStartOptions];

/** What an engine is to run. */
export interface WorkflowEngineOptions {
  /** Instances of workflow classes, classes that can be made without arguments, and what `defineWorkflow` returned. */
  readonly workflows?: readonly (object | WorkflowRef)[];
  /** Instances whose methods with `@Step` are run by reference. */
  readonly steps?: readonly object[];
}

/** What is delivered to a run that may have to be started first. */
export interface WorkflowSignal {
  /** The token that the run waits at, by `ctx.waitForSignal(token)`. */
  readonly token: string;
  /** What is delivered. */
  readonly payload?: unknown;
  /** Delivers once: a repeat with the same key changes nothing. */
  readonly key?: string;
}

const signalNames: OptionNames<WorkflowSignal> = { token: true, payload: true, key: true };
const startOptions: OptionNames<WorkflowStartOptions> = { attributes: true, version: true };
const engineOptions: OptionNames<WorkflowEngineOptions> = { workflows: true, steps: true };

/** Starts, signals and finds runs of workflows in the context style: `new WorkflowEngine(createEngine({ webhookUrl }), { workflows: [Checkout] })`. */
export class WorkflowEngine {
  /** The engine below, for all that this class leaves to it. */
  readonly engine: PlainEngine;
  readonly #steps = new StepTable();
  /** What runs of a class or of a function workflow call. */
  readonly #instances = new Map<unknown, Runnable>();
  readonly #around: Surroundings;

  /** `engine`: what `createEngine` returned. Throws `bad_argument`, `duplicate_name`. */
  constructor(engine: PlainEngine, options: WorkflowEngineOptions = {}) {
    if (typeof (engine as Partial<PlainEngine> | null)?.core?.register !== "function")
      throw badArgument(
        "engine",
        engine,
        `new WorkflowEngine() takes what createEngine() returned, then its options, got ${kindOf(engine)}.`,
      );
    checkOptions("new WorkflowEngine()", options, engineOptions);
    const { steps = [], workflows = [] } = options;
    for (const [name, list] of Object.entries({ steps, workflows }))
      if (!Array.isArray(list)) throw badArgument(name, list, `new WorkflowEngine({ ${name} }) takes an array, got ${kindOf(list)}.`);
    this.engine = engine;
    this.#around = {
      steps: this.#steps,
      definition: (call, ref, version) => this.#definition(call, ref, version),
      signal: (token, payload, sending) => this.signal(token, payload, sending),
    };
    if (steps.length > 0) this.registerSteps(...steps);
    this.register(...workflows);
  }

  /**
   * Adds workflows: an instance of a class with `@Workflow`, a class that can be made without arguments, or what `defineWorkflow` returned.
   * One instance serves all runs. Runs that waited for their code go on. Throws `bad_argument`, and `duplicate_name` where a version of the
   * name is there with other code, or as another instance.
   */
  register(...workflows: readonly (object | WorkflowRef)[]): void {
    for (const workflow of workflows) this.#register(workflow);
    this.engine.core.nameCame();
  }

  /**
   * Adds the methods with `@Step` of these instances: what `ctx.step(ref, input)` runs. Runs that waited for one go on. Throws
   * `bad_argument` for what has none, `duplicate_name`.
   */
  registerSteps(...instances: readonly object[]): void {
    for (const instance of instances) {
      const isInstance = typeof instance === "object" && (instance as object | null) !== null;
      if (isInstance && this.#steps.add(instance) > 0) continue;
      const given = isInstance
        ? `an instance of ${instance.constructor.name}, which has none`
        : typeof instance === "function"
          ? `${(instance as { name: string }).name || "a function"} itself: give an instance of it`
          : kindOf(instance);
      throw badArgument("instances", instance, `engine.registerSteps() takes instances with methods that have @Step(), got ${given}.`);
    }
    this.engine.core.nameCame();
  }

  /**
   * Starts a run of the workflow of a name; resolves when it is committed. A `runId` that is taken by a run of the same workflow and input
   * gives that run, else it rejects `run_conflict`. Without one, an id is made.
   */
  start<O = unknown>(name: string, input?: unknown, runId?: string, options?: WorkflowStartOptions): Promise<RunHandle<O>>;
  /** The same by its class, or by what `defineWorkflow` returned. */
  start<W extends WorkflowRef>(ref: W, ...rest: WorkflowStart<W>): Promise<RunHandle<WorkflowOutput<W>>>;
  async start<O>(ref: unknown, input?: unknown, runId?: string, options: WorkflowStartOptions = {}): Promise<RunHandle<O>> {
    checkOptions("engine.start()", options, startOptions);
    const { version, attributes } = options;
    const workflow = functionOf<[unknown], O>(this.#definition("engine.start()", ref, version));
    return this.engine.start(workflow, [input], { ...(runId === undefined ? {} : { id: runId }), ...(attributes && { attributes }) });
  }

  /**
   * Delivers a value to a token; resolves when it is committed. The receipt says what became of it: it rejects for none of that. Updates and
   * breakpoints are not reached: their tokens are `unknown` here.
   */
  async signal(token: string, payload: unknown, options: ResumeOptions = {}): Promise<Receipt> {
    if (!isSignalToken(token)) return { disposition: "unknown", keyed: options.key !== undefined };
    return this.engine.signal(token, payload, options);
  }

  /**
   * Delivers a value to the token of a run, and starts the run with it where there is none of that id: run, token and payload are committed
   * together. An open run's input is left as it is. The receipt says what became of the payload; it rejects `run_conflict` where the id is
   * another workflow's run, and `HookConflictError` where the token is another run's.
   */
  signalWithStart<O = unknown>(
    name: string,
    input: unknown,
    runId: string,
    signal: WorkflowSignal,
    options?: WorkflowStartOptions,
  ): Promise<StartedWithSignal<O>>;
  /** The same by its class, or by what `defineWorkflow` returned. */
  signalWithStart<W extends WorkflowRef>(
    ref: W,
    input: WorkflowInput<W>,
    runId: string,
    signal: WorkflowSignal,
    options?: WorkflowStartOptions,
  ): Promise<StartedWithSignal<WorkflowOutput<W>>>;
  async signalWithStart<O>(
    ref: unknown,
    input: unknown,
    runId: string,
    signal: WorkflowSignal,
    options: WorkflowStartOptions = {},
  ): Promise<StartedWithSignal<O>> {
    checkOptions("engine.signalWithStart()", options, startOptions);
    checkOptions("engine.signalWithStart(…, signal)", signal, signalNames);
    const { version, attributes } = options;
    const workflow = functionOf<[unknown], O>(this.#definition("engine.signalWithStart()", ref, version));
    const { token, payload, key } = signal;
    checkSignalToken("engine.signalWithStart()", token);
    const sending = { token, payload, ...(key === undefined ? {} : { key }) };
    return this.engine.signalWithStart(workflow, [input], { id: runId, ...sending, ...(attributes && { attributes }) });
  }

  /**
   * Asks a run to end: its pending waits reject with `RunCancelledError`. With `compensate` it undoes what it has done first, by its
   * compensations. A second call without `compensate` ends it at once. Its children go on. Rejects `RunNotFoundError`.
   */
  cancel(runId: string, options?: CancelOptions): Promise<void> {
    return this.getRun(runId).cancel(options);
  }

  /**
   * Delivers the argument of an update to `ctx.onUpdate(name)`. Where its validator refuses it the receipt is `invalid` and has the `issues`.
   * One that comes before the run has asked for it is kept for an hour, `buffered`, and judged when the run asks; after the run's end it is
   * `closed`, at no run `unknown`. Rejects `schema_unavailable` where the code that judges cannot be asked now: send it again.
   */
  async update(runId: string, name: string, argument: unknown, options: ResumeOptions = {}): Promise<Receipt> {
    checkName("update", name);
    const run = this.getRun(runId);
    const token = updateToken(runId, name);
    const receipt = await this.engine.signal(token, argument, options);
    if (receipt.disposition !== "unknown" || options.early === false || !(await run.exists)) return receipt;
    const isOver = over.includes(await run.status);
    return isOver ? { ...receipt, disposition: "closed", by: "ended" } : this.engine.signal(token, argument, { ...options, early: true });
  }

  /** What the run's code published last under a key; undefined where it published nothing. Rejects `RunNotFoundError`. */
  getEvent<T = unknown>(runId: string, key: string): Promise<T | undefined> {
    return this.getRun(runId).published<T>(key);
  }

  /** Lets a run go on that stands at a `ctx.breakpoint()`. At none, the receipt is `unknown`, or `closed` where it has come past one. */
  continue(runId: string): Promise<Receipt> {
    return this.engine.signal(breakpointToken(this.getRun(runId).runId), null, { early: false });
  }

  /** A run by its id, at once; whether it exists shows when it is asked something. */
  getRun<R = unknown>(runId: string): RunHandle<R> {
    return this.engine.getRun(runId);
  }

  /** Runs, newest first, 100 unless `limit` says otherwise. */
  listRuns(options?: ListRunsOptions): Promise<RunInfo[]> {
    return this.engine.listRuns(options);
  }

  /** Opens the store and takes up what an earlier process left. Every other call does it too. */
  open(): Promise<void> {
    return this.engine.open();
  }

  /** Stops taking work and waits for what runs, at most `graceMs` (10 s). */
  close(options?: { readonly graceMs?: number }): Promise<void> {
    return this.engine.close(options);
  }

  #register(workflow: object | WorkflowRef): void {
    const call = "engine.register()";
    const isRef = declaredOf(workflow) !== null || typeof workflow !== "object" || (workflow as object | null) === null;
    const ref = isRef ? workflow : workflow.constructor;
    const { name, version, site } = declarationOf(call, ref === Object ? workflow : ref, "");
    const known = this.#instances.get(ref);
    if (known !== undefined && (isRef || known === workflow)) return;
    if (known !== undefined) throw twoInstances((ref as { name: string }).name, name);
    const instance = (isRef && typeof workflow === "function" ? made(workflow as new () => object) : workflow) as Runnable;
    const body = (input: unknown): unknown => runWithContext(this.#around, (ctx, given) => instance.run(ctx, given), input);
    const codeId = pinnedCode(version, codeHash(sourceOf(ref as WorkflowRef)));
    this.engine.core.register({ name, body: body as WorkflowDefinition["body"], pin: version, codeId, site });
    this.#steps.add(instance);
    this.#instances.set(ref, instance);
  }

  /** Without a version the one that was registered last. */
  #definition(call: string, ref: unknown, version?: string): WorkflowDefinition {
    const declared: { name: string; version?: string } = typeof ref === "string" ? { name: ref } : declarationOf(call, ref);
    const wanted = version ?? declared.version;
    const found = this.engine.core.parts.registry.workflow(declared.name, wanted);
    if (!found) throw notRegistered(declared.name, wanted);
    return found;
  }
}

interface Runnable {
  run(ctx: WorkflowCtx, input: unknown): unknown;
}

const over: readonly string[] = ["completed", "failed", "cancelled"];

/** What a constructor takes nobody here knows. */
function made(type: new () => object): object {
  if (type.length === 0) return new type();
  const message = `Class ${type.name} takes ${type.length} ${type.length === 1 ? "argument" : "arguments"}: give engine.register() an instance, new ${type.name}(…), or make it a provider of a Nest app.`;
  throw badArgument("workflow", type, message);
}

function twoInstances(type: string, name: string): RingbackError {
  const message = `Workflow "${name}" is registered with another instance of ${type}, and one instance serves all its runs. Register one.`;
  return new RingbackError("duplicate_name", message, { details: { kind: "workflow", name } });
}
