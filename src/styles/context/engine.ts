// The engine as the context style has it: a thin class over one that `createEngine` made.

import { checkOptions, type OptionNames } from "../../core/argument.ts";
import { pinnedCode, type WorkflowDefinition } from "../../core/definition.ts";
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
import { breakpointToken, updateToken } from "./signals.ts";
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
  /** By name and version. */
  readonly #definitions = new Map<string, Map<string, WorkflowDefinition>>();
  readonly #around: Surroundings;

  constructor(engine: PlainEngine, options: WorkflowEngineOptions = {}) {
    checkOptions("new WorkflowEngine()", options, engineOptions);
    this.engine = engine;
    this.#around = {
      steps: this.#steps,
      definition: (call, ref, version) => this.#definition(call, ref, version),
      signal: (token, payload, sending) => this.signal(token, payload, sending),
    };
    this.registerSteps(...(options.steps ?? []));
    this.register(...(options.workflows ?? []));
  }

  /**
   * Adds workflows: an instance of a class with `@Workflow`, a class that can be made without arguments, or what `defineWorkflow` returned.
   * Runs that waited for their code go on. Throws `duplicate_name` where a version of the name has other code.
   */
  register(...workflows: readonly (object | WorkflowRef)[]): void {
    for (const workflow of workflows) this.#register(workflow);
    this.engine.core.nameCame();
  }

  /** Adds the methods with `@Step` of these instances: what `ctx.step(ref, input)` runs. Runs that waited for one go on. */
  registerSteps(...instances: readonly object[]): void {
    for (const instance of instances) this.#steps.add(instance);
    this.engine.core.nameCame();
  }

  /**
   * Starts a run; resolves when it is committed. A `runId` that is taken by a run of the same workflow and input gives that run, else it rejects
   * `run_conflict`. Without one, an id is made.
   */
  start<W extends WorkflowRef>(
    ref: W,
    input: WorkflowInput<W>,
    runId?: string,
    options?: WorkflowStartOptions,
  ): Promise<RunHandle<WorkflowOutput<W>>>;
  /** The same by the workflow's name. */
  start<O = unknown>(name: string, input: unknown, runId?: string, options?: WorkflowStartOptions): Promise<RunHandle<O>>;
  async start(ref: unknown, input: unknown, runId?: string, options: WorkflowStartOptions = {}): Promise<RunHandle<unknown>> {
    checkOptions("engine.start()", options, startOptions);
    const { version, attributes } = options;
    const workflow = functionOf<[unknown], unknown>(this.#definition("engine.start()", ref, version));
    return this.engine.start(workflow, [input], { ...(runId === undefined ? {} : { id: runId }), ...(attributes && { attributes }) });
  }

  /** Delivers a value to a token; resolves when it is committed. The receipt says what became of it: it rejects for none of that. */
  signal(token: string, payload: unknown, options?: ResumeOptions): Promise<Receipt> {
    return this.engine.signal(token, payload, options);
  }

  /**
   * Delivers a value to the token of a run, and starts the run with it where there is none of that id: run, token and payload are committed
   * together. An open run's input is left as it is. The receipt says what became of the payload; it rejects `run_conflict` where the id is
   * another workflow's run, and `HookConflictError` where the token is another run's.
   */
  signalWithStart<W extends WorkflowRef>(
    ref: W,
    input: WorkflowInput<W>,
    runId: string,
    signal: WorkflowSignal,
    options?: WorkflowStartOptions,
  ): Promise<StartedWithSignal<WorkflowOutput<W>>>;
  /** The same by the workflow's name. */
  signalWithStart<O = unknown>(
    name: string,
    input: unknown,
    runId: string,
    signal: WorkflowSignal,
    options?: WorkflowStartOptions,
  ): Promise<StartedWithSignal<O>>;
  async signalWithStart(
    ref: unknown,
    input: unknown,
    runId: string,
    signal: WorkflowSignal,
    options: WorkflowStartOptions = {},
  ): Promise<StartedWithSignal<unknown>> {
    checkOptions("engine.signalWithStart()", options, startOptions);
    checkOptions("engine.signalWithStart(…, signal)", signal, signalNames);
    const { version, attributes } = options;
    const workflow = functionOf<[unknown], unknown>(this.#definition("engine.signalWithStart()", ref, version));
    const { token, payload, key } = signal;
    const sending = { token, payload, ...(key === undefined ? {} : { key }) };
    return this.engine.signalWithStart(workflow, [input], { id: runId, ...sending, ...(attributes && { attributes }) });
  }

  /**
   * Asks a run to end: its pending waits reject with `RunCancelledError`. With `compensate` it undoes what it has done first, by its
   * compensations. A second call without `compensate` ends it at once. Rejects `RunNotFoundError`.
   */
  cancel(runId: string, options?: CancelOptions): Promise<void> {
    return this.getRun(runId).cancel(options);
  }

  /** Delivers the argument of an update to `ctx.onUpdate(name)`; where its validator refuses it, the receipt is `invalid` and says why. */
  async update(runId: string, name: string, argument: unknown, options?: ResumeOptions): Promise<Receipt> {
    return this.signal(updateToken(runId, checkName("hook", name)), argument, options);
  }

  /** What the run's code published last under a key; undefined where it published nothing. Rejects `RunNotFoundError`. */
  getEvent<T = unknown>(runId: string, key: string): Promise<T | undefined> {
    return this.getRun(runId).published<T>(key);
  }

  /** Lets a run go on that stands at a `ctx.breakpoint()`. */
  continue(runId: string): Promise<Receipt> {
    return this.signal(breakpointToken(runId), null);
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
    const ref = declaredOf(workflow) === null ? workflow.constructor : workflow;
    const { name, version } = declarationOf("engine.register()", ref);
    const instance = (typeof workflow === "function" ? new (workflow as new () => object)() : workflow) as Runnable;
    const body = (input: unknown): unknown => runWithContext(this.#around, (ctx, given) => instance.run(ctx, given), input);
    const codeId = pinnedCode(version, codeHash(sourceOf(ref as WorkflowRef)));
    const definition: WorkflowDefinition = { name, body: body as WorkflowDefinition["body"], pin: version, codeId };
    this.#steps.add(instance);
    this.engine.core.register(definition);
    const versions = this.#definitions.get(name) ?? new Map<string, WorkflowDefinition>();
    versions.delete(version);
    this.#definitions.set(name, versions.set(version, definition));
  }

  #definition(call: string, ref: unknown, version?: string): WorkflowDefinition {
    const declared = typeof ref === "string" ? { name: ref } : declarationOf(call, ref);
    const wanted = version ?? ("version" in declared ? declared.version : undefined);
    const versions = this.#definitions.get(declared.name);
    const found = wanted === undefined ? [...(versions?.values() ?? [])].at(-1) : versions?.get(wanted);
    if (!found) throw notRegistered(declared.name, wanted);
    return found;
  }
}

interface Runnable {
  run(ctx: WorkflowCtx, input: unknown): unknown;
}
