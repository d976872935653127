// The context that a workflow of this style is given: an object over the plain form.

import { badArgument, checkOptions, kindOf, type OptionNames } from "../../core/argument.ts";
import type { Side, Won } from "../../core/branch.ts";
import { callOutcome, callPublish, callStart, callStep } from "../../core/call.ts";
import { callContinue } from "../../core/chapter.ts";
import type { StepDefinition, StepOptions, WorkflowDefinition } from "../../core/definition.ts";
import { RingbackError } from "../../core/errors.ts";
import type { Receipt } from "../../core/receipt.ts";
import type { Run } from "../../core/run.ts";
import type { ResumeOptions } from "../../engine/engine-api.ts";
import { callingStep, durably, here, type StepContext } from "../../engine/realm.ts";
import type { HookPart } from "../../core/hook.ts";
import { setAttributes } from "../plain/attribute.ts";
import { type Hook, partOf } from "../plain/hook.ts";
import { random, uuid } from "../plain/metadata.ts";
import { patched } from "../plain/patch.ts";
import { step } from "../plain/step.ts";
import { race, sleep } from "../plain/wait.ts";
import type { WorkflowInput, WorkflowOutput, WorkflowRef } from "./definition.ts";
import { type CtxWebhookOptions, type DurableWebhook, openWebhook, type WaitOptions } from "./durable-webhook.ts";
import { Saga } from "./saga.ts";
import { Signals, type UpdateOptions } from "./signals.ts";
import {
  type CtxStepOptions,
  isStepRef,
  type RemoteStep,
  type StepRef,
  type StepTable,
  stepName,
  stepOptionNames,
  stepOptions,
} from "./step-ref.ts";

/** What a compensation by reference is given. */
export interface StepUndo<Input = unknown, Output = unknown> {
  /** What the step was given; undefined for a function written in place. */
  readonly input: Input;
  /** What it returned. */
  readonly output: Output;
}

/** How a step that is written in place is run, and undone. */
export interface InlineStepOptions<Output = unknown> extends CtxStepOptions {
  /**
   * Undoes the step when the workflow throws later: a function of its output, or a step that is known by name, which gets `{ input, output }`.
   * It runs as a step of its own, after the compensations of all later steps.
   */
  readonly compensate?: ((output: Output) => unknown) | RemoteStep<StepUndo<undefined, Output>> | string;
}

/** How a step by reference is run, and undone. */
export interface RefStepOptions<Input = unknown, Output = unknown> extends CtxStepOptions {
  /** Undoes the step when the workflow throws later: a step, or a function, of `{ input, output }`. As there. */
  readonly compensate?: StepRef<StepUndo<Input, Output>> | string;
}

/** How a child is started. */
export interface ChildOptions {
  /** The child's run id. Default: the parent's, and the place in it. */
  readonly childId?: string;
  /** The version it is to begin with. Default: the one that was registered last. */
  readonly version?: string;
  /** Labels of the child. */
  readonly attributes?: { readonly [name: string]: string };
}

/** How several children are waited for. */
export interface AllOptions {
  /** `failFast` rejects with the first failure; `waitAll`, the default, waits for all, then rejects with an `AggregateError` of the failures. */
  readonly mode?: "waitAll" | "failFast";
}

/** What a workflow of the context style is given beside its input. All of it is durable; use it in the workflow's own code, not within steps. */
export interface WorkflowCtx {
  /** The run's id. */
  readonly runId: string;
  /** Mints a callback address, at once: hand out its `url` or `token` in a step, then `wait()`. */
  webhook<T = unknown>(options?: CtxWebhookOptions<T>): DurableWebhook<T>;
  /** Runs `body` once, durably, under `name`, with retries: what it returns is recorded. */
  step<R>(name: string, body: () => Promise<R> | R, options?: InlineStepOptions<R>): Promise<R>;
  /** Runs a method with `@Step`, or a step known by name: `ctx.step(this.payments.charge, order)`. */
  step<I, O>(ref: StepRef<I, O>, input: I, options?: RefStepOptions<I, Awaited<O>>): Promise<Awaited<O>>;
  /** The same by the step's name. */
  step<O = unknown>(name: string, input: unknown, options?: RefStepOptions<unknown, O>): Promise<O>;
  /** The same as `step(name, body, options)`. */
  localStep<R>(name: string, body: () => Promise<R> | R, options?: InlineStepOptions<R>): Promise<R>;
  /** Waits, durably: a duration ("30s", "3d") or milliseconds. */
  sleep(duration: string | number): Promise<void>;
  /** Waits until an instant: a `Date`, or milliseconds since 1970. */
  sleepUntil(when: Date | number): Promise<void>;
  /** The run's time, in milliseconds since 1970: the same on every replay. */
  now(): number;
  /** A version 4 UUID that replays the same. No secret. */
  uuid(): string;
  /** A number in [0, 1) that replays the same. */
  random(): number;
  /** Runs `make` once, without retries, and records what it returns: for what is neither a step of the trade nor the same twice. */
  sideEffect<T>(make: () => T | Promise<T>): Promise<T>;
  /**
   * Waits for the next signal at a token of your own, ≤ 255 bytes, which is this run's from now on: what comes between two waits is kept for
   * the second. Rejects `SignalTimeoutError`, or `HookConflictError` where the token is another run's.
   */
  waitForSignal<T = unknown>(token: string, options?: WaitOptions): Promise<T>;
  /** Delivers a value to a token, once, whatever becomes of this process; the receipt says what became of it. */
  signal(token: string, payload: unknown, options?: ResumeOptions): Promise<Receipt>;
  /** Publishes a value under a key, ≤ 255 bytes, for `engine.getEvent(runId, key)`: the last one stands. Committed with what the code asks for next. */
  setEvent(key: string, value: unknown): Promise<void>;
  /** Waits for the next `engine.update(runId, name, argument)`, which its validator has let through. */
  onUpdate<T = unknown>(name: string, options?: UpdateOptions<T>): Promise<T>;
  /** Stands until somebody calls `engine.continue(runId)`. */
  breakpoint(label?: string): Promise<void>;
  /** Starts another workflow and waits for what it returns. Rejects `RunFailedError`, whose `cause` is what it threw. */
  child<W extends WorkflowRef>(ref: W, input: WorkflowInput<W>, options?: string | ChildOptions): Promise<WorkflowOutput<W>>;
  /** The same by the workflow's name. */
  child<O = unknown>(name: string, input: unknown, options?: string | ChildOptions): Promise<O>;
  /** Starts another workflow, and resolves with its run id once it is there. It goes on by itself. */
  startChild<W extends WorkflowRef>(ref: W, input: WorkflowInput<W>, options?: string | ChildOptions): Promise<string>;
  /** The same by the workflow's name. */
  startChild(name: string, input: unknown, options?: string | ChildOptions): Promise<string>;
  /** `Promise.all`. */
  all<const T extends readonly unknown[]>(promises: T): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }>;
  /** A child for each input, and what they return, in this order. */
  all<W extends WorkflowRef>(ref: W, inputs: readonly WorkflowInput<W>[], options?: AllOptions): Promise<WorkflowOutput<W>[]>;
  /** The same by the workflow's name. */
  all<O = unknown>(name: string, inputs: readonly unknown[], options?: AllOptions): Promise<O[]>;
  /** The first of several named sides, and which: the losers' timers are cancelled, and no payload is lost to them. */
  race<const S extends Record<string, Side>>(sides: S): Promise<Won<S>>;
  /** `Promise.race`. */
  race<const T extends readonly unknown[]>(promises: T): Promise<Awaited<T[number]>>;
  /** Labels the run: `listRuns({ attributes })` finds it by them. */
  setAttributes(attributes: { readonly [name: string]: string | undefined }): Promise<void>;
  /** Whether this run takes the code behind the patch `id`: see `patched` of the plain style. */
  patched(id: string): boolean;
  /**
   * Starts the workflow's code again with another input, as the same run. Signals that nobody has read, and named webhooks, go along;
   * compensations do not: what an earlier chapter did is not undone.
   */
  continueAsNew(input?: unknown): Promise<never>;
}

/** What an engine has for the contexts of its runs. */
export interface Surroundings {
  readonly steps: StepTable;
  /** The workflow that a reference stands for. Throws `workflow_not_registered`, `bad_argument`. */
  definition(call: string, ref: unknown, version?: string): WorkflowDefinition;
  signal(token: string, payload: unknown, options: ResumeOptions): Promise<Receipt>;
}

const undoableOptions: OptionNames<RefStepOptions> = { ...stepOptionNames, compensate: true };
const childOptions: OptionNames<ChildOptions> = { childId: true, version: true, attributes: true };
const allOptions: OptionNames<AllOptions> = { mode: true };

/** Runs a workflow's code with a context, and undoes what it has done where it throws (SG2). */
export async function runWithContext<I, O>(around: Surroundings, body: (ctx: WorkflowCtx, input: I) => O, input: I): Promise<Awaited<O>> {
  const run = here("a workflow");
  const ctx = new RunContext(run, around);
  try {
    return await body(ctx, input);
  } catch (error) {
    if (!run.isCancelled || run.isCompensating) await ctx.saga.unwind();
    throw error;
  }
}

class RunContext implements WorkflowCtx {
  readonly runId: string;
  readonly saga: Saga;
  readonly #around: Surroundings;
  readonly #signals: Signals;
  readonly #webhooks: Hook[] = [];

  constructor(run: Run, around: Surroundings) {
    this.runId = run.identity.id;
    this.saga = new Saga(run);
    this.#around = around;
    this.#signals = new Signals(run);
  }

  webhook<T>(options: CtxWebhookOptions<T> = {}): DurableWebhook<T> {
    const { hook, webhook } = openWebhook<T>(options);
    if (options.name !== undefined) this.#webhooks.push(hook);
    return webhook;
  }

  step<R>(first: unknown, second?: unknown, options: InlineStepOptions<never> | RefStepOptions = {}): Promise<R> {
    refuseWithinStep("ctx.step()");
    checkOptions("ctx.step()", options as RefStepOptions, undoableOptions);
    const { compensate, ...rest } = options;
    const isInline = typeof first === "string" && typeof second === "function";
    if (compensate !== undefined && typeof compensate !== "function" && !isStepRef(compensate))
      throw badArgument("compensate", compensate, `ctx.step({ compensate }) takes a function or a step, got ${kindOf(compensate)}.`);
    const result = isInline ? step.run(first, second as () => R, stepOptions(rest)) : this.#dispatch<R>(first, second, stepOptions(rest));
    if (compensate === undefined) return result;
    const name = isInline ? first : stepName(first);
    const input = isInline ? undefined : second;
    return this.saga.follow(name, result, (output) =>
      isStepRef(compensate)
        ? this.#dispatch(compensate, { input, output })
        : step.run(`undo ${name}`, () => (compensate as (undo: unknown) => unknown)(isInline ? output : { input, output })),
    );
  }

  localStep<R>(name: string, body: () => Promise<R> | R, options?: InlineStepOptions<R>): Promise<R> {
    return this.step(name, body, options as InlineStepOptions<never>);
  }

  #dispatch<R>(ref: unknown, input: unknown, options: StepOptions = {}): Promise<R> {
    return durably("ctx.step()", (run) => {
      let definition: StepDefinition;
      try {
        definition = this.#around.steps.definition(ref, options);
      } catch (error) {
        // Another deployment lacks it: the run waits until it is there.
        if (RingbackError.is(error, "step_not_registered")) run.misuse(error);
        throw error;
      }
      return callStep(run, definition, [input]) as Promise<R>;
    });
  }

  sleep(duration: string | number): Promise<void> {
    return sleep(duration);
  }

  sleepUntil(when: Date | number): Promise<void> {
    return sleep(typeof when === "number" ? new Date(when) : when);
  }

  now(): number {
    return here("ctx.now()").time;
  }

  uuid(): string {
    here("ctx.uuid()");
    return uuid();
  }

  random(): number {
    here("ctx.random()");
    return random();
  }

  sideEffect<T>(make: () => T | Promise<T>): Promise<T> {
    refuseWithinStep("ctx.sideEffect()");
    return step.run("sideEffect", make, { maxRetries: 0 });
  }

  waitForSignal<T>(token: string, options: WaitOptions = {}): Promise<T> {
    return this.#signals.wait<T>(token, options);
  }

  signal(token: string, payload: unknown, options: ResumeOptions = {}): Promise<Receipt> {
    refuseWithinStep("ctx.signal()");
    // The step's key: an attempt that is made again delivers nothing twice.
    const deliver = async (): Promise<Receipt> => {
      const { idempotencyKey } = callingStep() as StepContext;
      return this.#around.signal(token, payload, { key: idempotencyKey, ...options });
    };
    return step.run("signal", deliver);
  }

  setEvent(key: string, value: unknown): Promise<void> {
    return durably("ctx.setEvent()", async (run) => callPublish(run, key, value));
  }

  onUpdate<T>(name: string, options: UpdateOptions<T> = {}): Promise<T> {
    return this.#signals.update<T>(name, options);
  }

  breakpoint(label?: string): Promise<void> {
    return this.#signals.breakpoint(label);
  }

  child<O>(ref: unknown, input: unknown, options: string | ChildOptions = {}): Promise<O> {
    const started = this.#begin("ctx.child()", ref, input, options);
    return started.then(({ runId }) => durably("ctx.child()", (run) => callOutcome(run, runId) as Promise<O>));
  }

  startChild(ref: unknown, input: unknown, options: string | ChildOptions = {}): Promise<string> {
    return this.#begin("ctx.startChild()", ref, input, options).then(({ runId }) => runId);
  }

  #begin(call: string, ref: unknown, input: unknown, options: string | ChildOptions): Promise<{ runId: string }> {
    return durably(call, (run) => {
      const { childId: id, version, attributes }: ChildOptions = typeof options === "string" ? { childId: options } : options;
      if (typeof options !== "string") checkOptions(call, options, childOptions);
      let definition: WorkflowDefinition;
      try {
        definition = this.#around.definition(call, ref, version);
      } catch (error) {
        if (RingbackError.is(error, "workflow_not_registered")) run.misuse(error);
        throw error;
      }
      return callStart(run, definition, [input], { id, attributes });
    });
  }

  all(first: unknown, inputs?: readonly unknown[], options: AllOptions = {}): Promise<never> {
    here("ctx.all()");
    if (inputs === undefined) return Promise.all(first as readonly unknown[]) as Promise<never>;
    checkOptions("ctx.all()", options, allOptions);
    const { mode = "waitAll" } = options;
    if (mode !== "waitAll" && mode !== "failFast")
      throw badArgument("mode", mode, `ctx.all({ mode }) takes "waitAll" or "failFast", got ${JSON.stringify(mode)}.`);
    const children = inputs.map((input) => this.child(first, input));
    return (mode === "failFast" ? Promise.all(children) : allOf(children)) as Promise<never>;
  }

  race(sides: unknown): Promise<never> {
    here("ctx.race()");
    return (Array.isArray(sides) ? Promise.race(sides) : race(sides as Record<string, Side>)) as Promise<never>;
  }

  setAttributes(attributes: { readonly [name: string]: string | undefined }): Promise<void> {
    return setAttributes(attributes);
  }

  patched(id: string): boolean {
    return patched(id);
  }

  continueAsNew(input?: unknown): Promise<never> {
    return durably("ctx.continueAsNew()", (run) => {
      const open = this.#webhooks.map((hook) => partOf(hook)).filter((part) => part !== null && !part.mailbox.isClosed);
      return callContinue(run, [input], [...(open as HookPart[]), ...this.#signals.parts]);
    });
  }
}

/** Waits for all, whatever becomes of them; then says what failed, all at once. */
async function allOf(children: readonly Promise<unknown>[]): Promise<unknown[]> {
  const settled = await Promise.allSettled(children);
  const failed = settled.filter((each): each is PromiseRejectedResult => each.status === "rejected").map(({ reason }): unknown => reason);
  if (failed.length > 0) throw new AggregateError(failed, `${failed.length} of ${children.length} children did not complete.`);
  return settled.map((each) => (each as PromiseFulfilledResult<unknown>).value);
}

/** What a step does is recorded as one: nothing within it is. */
function refuseWithinStep(call: string): void {
  const within = callingStep();
  if (within === null) return;
  const message = `${call} was called within step "${within.name}". What a step does is recorded as a whole: call it in the workflow's own code, or leave it out.`;
  throw new RingbackError("outside_turn", message, { details: { call, run: within.run.id, workflow: within.run.workflow } });
}
