// Portable workflows on an engine: `engine.run(workflow, body)`, with nothing to load, save or inject.

import { badArgument, checkOptions, kindOf, type OptionNames } from "../../core/argument.ts";
import { callSite } from "../../core/call-site.ts";
import type { WorkflowDefinition } from "../../core/definition.ts";
import { RingbackError } from "../../core/errors.ts";
import { type PortableWorkflow, portable } from "../../core/portable.ts";
import type { Receipt } from "../../core/receipt.ts";
import type { EngineApi, ResumeOptions, StartOptions } from "../../engine/engine-api.ts";
import type { EngineCore } from "../../engine/engine.ts";
import { here } from "../../engine/realm.ts";
import { isReloadingAllowed, sourceId } from "../../engine/registry.ts";
import type { RunHandle } from "../../engine/run-handle.ts";
import { functionOf } from "../../engine/workflow.ts";
import type { PendingApproval, PendingHook } from "../portable/hook.ts";
import type { Result } from "../portable/result.ts";
import type { WorkflowContext } from "../portable/workflow.ts";
import { approvalToken, EngineHost, hookToken } from "./host.ts";
import { endingOf, kept, registerKept, resultOf } from "./kept.ts";

/** A portable workflow's code. */
export type PortableBody<T, E, D, I> = (context: WorkflowContext<E, D, I>) => T | Promise<T>;

/** The errors that are left where waits are settled. */
export type Settled<E> = Exclude<E, PendingHook | PendingApproval>;

/** How a portable workflow is started on an engine. */
export interface PortableStartOptions<I = unknown> extends Pick<StartOptions, "id" | "attributes"> {
  /** What the run is given, as `ctx.input`: plain data, dates, maps, sets, bytes, errors. */
  readonly input?: I | undefined;
}

const startOptions: OptionNames<PortableStartOptions> = { id: true, attributes: true, input: true };

/** A run of a portable workflow on an engine. */
export interface DurableRun<T, E> {
  /** The run's id; the code has it as `ctx.workflowId`. */
  readonly runId: string;
  /** The run as any other: its state, its timeline, `cancel()`. It has failed where the code came to an error. */
  readonly run: RunHandle<T>;
  /**
   * What the code comes to, as it would alone, as soon as it has. Rejects `RunCancelledError`, `RunNotFoundError`, and `RunFailedError` where
   * the run failed by no doing of its code: what it came to cannot be kept.
   */
  result(): Promise<Result<T, E>>;
  /** Gives somebody's word on the approval under this key; what comes before it is asked for is kept for an hour. The receipt says what became of it. */
  approve(stepKey: string, value: unknown, options?: ResumeOptions): Promise<Receipt>;
}

interface AnyWorkflow {
  readonly [portable]: PortableWorkflow;
}
type AnyBody = PortableBody<unknown, never, never, never>;

interface Known {
  readonly workflow: unknown;
  readonly body: unknown;
  readonly definition: WorkflowDefinition;
}

export class Bridge {
  readonly #api: EngineApi;
  readonly #core: EngineCore;
  readonly #known = new Map<string, Known>();

  constructor(api: EngineApi, core: EngineCore) {
    this.#api = api;
    this.#core = core;
    registerKept(core.classes);
  }

  /** Whether a value is a portable workflow. */
  static takes(value: unknown): value is AnyWorkflow {
    return (value as Partial<AnyWorkflow> | null | undefined)?.[portable] !== undefined;
  }

  /** Registers a portable workflow with its code. Throws `bad_argument`, `duplicate_name`. */
  register(call: string, workflow: unknown, body: unknown): WorkflowDefinition {
    if (!Bridge.takes(workflow))
      throw badArgument(
        "workflow",
        workflow,
        `${call} takes what createWorkflow() of ringback/portable returned, got ${kindOf(workflow)}.`,
      );
    const described = workflow[portable];
    const { name } = described;
    if (typeof body !== "function")
      throw badArgument("body", body, `${call} takes a workflow and its code, a function, got ${kindOf(body)}.`);
    if (name === null)
      throw badArgument(
        "workflow",
        workflow,
        `${call} takes a workflow that has a name: its runs are found by it. createWorkflow("checkout", …).`,
      );
    const known = this.#known.get(name);
    if (known?.workflow === workflow && known.body === body) return known.definition;
    const codeId = sourceId(body as WorkflowDefinition["body"]);
    if (known?.definition.codeId === codeId && !isReloadingAllowed()) throw madeAnew(call, name);
    const definition = { name, codeId, site: callSite(), body: bodyOf(this.#core, described, body as AnyBody) };
    this.#core.register(definition);
    this.#core.parts.registry.keepEarly(hookToken(""));
    this.#known.set(name, { workflow, body, definition });
    return definition;
  }

  async run(workflow: unknown, body: unknown, options: PortableStartOptions = {}): Promise<DurableRun<unknown, unknown>> {
    const call = "engine.run()";
    checkOptions(call, options, startOptions);
    const { input, ...start } = options;
    const definition = this.register(call, workflow, body);
    const run = await this.#api.start(functionOf<[unknown], unknown>(definition), [kept(input, "The input of the run")], start);
    return new StartedRun(this.#api, run);
  }
}

function bodyOf({ parts }: EngineCore, { drive, schemas }: PortableWorkflow, body: AnyBody): WorkflowDefinition["body"] {
  return async (input: unknown): Promise<unknown> => {
    const run = here("a portable workflow");
    const host = new EngineHost(run, { clock: parts.clock, schemas });
    const result = await drive(body, host, { workflowId: run.identity.id, input });
    // What could not be undone is told of; all else ends as what was asked for.
    if (run.isCancelled && (result.ok || !isUndoFailed(result.cause))) throw run.cancelledError();
    return endingOf(result);
  };
}

function isUndoFailed(cause: unknown): boolean {
  return (cause as { readonly _tag?: unknown } | null | undefined)?._tag === "CompensationFailed";
}

class StartedRun implements DurableRun<unknown, unknown> {
  readonly run: RunHandle;
  readonly #api: EngineApi;

  constructor(api: EngineApi, run: RunHandle) {
    this.#api = api;
    this.run = run;
  }

  get runId(): string {
    return this.run.runId;
  }

  async result(): Promise<Result<unknown, unknown>> {
    try {
      return { ok: true, value: await this.run.returnValue };
    } catch (error) {
      const result = RingbackError.is(error, "run_failed") ? resultOf(error.cause) : null;
      if (result === null) throw error;
      return result;
    }
  }

  approve(stepKey: string, value: unknown, options: ResumeOptions = {}): Promise<Receipt> {
    return this.#api.signal(approvalToken(this.runId, stepKey), value, { early: true, ...options });
  }
}

/** Which of the two would a run go on with that an earlier process has left? What they have taken from around them is gone. */
function madeAnew(call: string, name: string): RingbackError {
  const message = `${call} was given workflow "${name}" before, with the same code as another object or function. What those take from around them is gone after a restart: make both once, at the top of a module, and give a run what is its own by { input }.`;
  return new RingbackError("duplicate_name", message, { details: { kind: "workflow", name } });
}
