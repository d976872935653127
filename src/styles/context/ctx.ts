// The context that a workflow of this style is given: an object over the plain form.

import { badArgument, checkOptions, kindOf, type OptionNames } from "../../core/argument.ts";
import { type Attributes, attributeChanges, changedBy, checkCount } from "../../core/attribute.ts";
import type { Side, Won } from "../../core/branch.ts";
import { callOutcome, callPublish, callStart, callStep } from "../../core/call.ts";
import { callContinue } from "../../core/chapter.ts";
import type { StepDefinition, WorkflowDefinition } from "../../core/definition.ts";
import { RingbackError } from "../../core/errors.ts";
import type { HookPart } from "../../core/hook.ts";
import { limits } from "../../core/limits.ts";
import type { Receipt } from "../../core/receipt.ts";
import type { Run } from "../../core/run.ts";
import type { ResumeOptions } from "../../engine/engine-api.ts";
import { callingStep, durably, here, type StepContext } from "../../engine/realm.ts";
import { setAttributes } from "../plain/attribute.ts";
import { checkName } from "../../engine/registry.ts";
import { partOf } from "../plain/hook.ts";
import { random, uuid } from "../plain/metadata.ts";
import { patched } from "../plain/patch.ts";
import { setAside, step } from "../plain/step.ts";
import { race, sleep } from "../plain/wait.ts";
import { carriedInto, goesAlong } from "./carried.ts";
import type { WorkflowInput, WorkflowOutput, WorkflowRef } from "./definition.ts";
import { type CtxWebhookOptions, type DurableWebhook, openWebhook, type WaitOptions } from "./durable-webhook.ts";
import { Saga } from "./saga.ts";
import { Signals, type UpdateOptions } from "./signals.ts";
import {
  type Attempts,
  attempts,
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
   * Undoes the step when the workflow throws later, in a step of its own, after all later steps were undone: a function of the output, with
   * the retries every step has, or a step that is known by name, which gets `{ input, output }`. What was done before `continueAsNew` stands.
   */
  readonly compensate?: ((output: Output) => unknown) | RemoteStep<StepUndo<undefined, Output>> | string;
}

/** How a step by reference is run, and undone. */
export interface RefStepOptions<Input = unknown, Output = unknown> extends CtxStepOptions {
  /** Undoes the step when the workflow throws later: a step, with the options of its `@Step`, or a function, of `{ input, output }`. As there. */
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

/** What follows the workflow in `child()`: its input, which may be left out where it takes none, then the child's id, or options. */
export type WorkflowChild<W> =
  undefined extends WorkflowInput<W>
    ? [input?: WorkflowInput<W>, options?: string | ChildOptions]
    : [input: WorkflowInput<W>, options?: string | ChildOptions];

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
  /** Runs a step that is registered under `name`. */
  step<O = unknown>(name: string, input: unknown, options?: RefStepOptions<unknown, O>): Promise<O>;
  /** Runs a method with `@Step` that takes nothing: `ctx.step(this.stock.count)`. */
  step<O>(ref: () => O | Promise<O>, input?: undefined, options?: RefStepOptions<undefined, NoInfer<Awaited<O>>>): Promise<Awaited<O>>;
  /** Runs a method with `@Step`, which takes one input, or what `remoteStep` returned: `ctx.step(this.payments.charge, order)`. */
  step<I, O>(ref: StepRef<I, O>, input: NoInfer<I>, options?: RefStepOptions<NoInfer<I>, NoInfer<Awaited<O>>>): Promise<Awaited<O>>;
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
  /** Runs `make`, without retries, and records what it returns: for what is not the same twice. Rejects with what it throws. */
  sideEffect<T>(make: () => T | Promise<T>): Promise<T>;
  /**
   * Waits for the next signal at a token of your own, ≤ 255 bytes, which is this run's from now on: what comes between two waits is kept for
   * the second. Rejects `SignalTimeoutError`, or `HookConflictError` where the token is another run's.
   */
  waitForSignal<T = unknown>(token: string, options?: WaitOptions): Promise<T>;
  /** Delivers a value to a token, once, whatever becomes of this process; the receipt says what became of it, an unknown token too. */
  signal(token: string, payload: unknown, options?: ResumeOptions): Promise<Receipt>;
  /** Publishes a value under a key, ≤ 255 bytes, for `engine.getEvent(runId, key)`: the last one stands. Committed with what the code asks for next. */
  setEvent(key: string, value: unknown): Promise<void>;
  /** Waits for the next `engine.update(runId, name, argument)`, which its validator has let through. */
  onUpdate<T = unknown>(name: string, options?: UpdateOptions<T>): Promise<T>;
  /** Stands until somebody calls `engine.continue(runId)`. The label is in the metadata that `listHooks` has: `{ breakpoint: label }`. */
  breakpoint(label?: string): Promise<void>;
  /**
   * Starts another workflow by its name and waits for what it returns. Rejects `RunFailedError`, whose `cause` is what it threw. A child is a run of its
   * own: where this one is cancelled, or throws meanwhile, it goes on.
   */
  child<O = unknown>(name: string, input?: unknown, options?: string | ChildOptions): Promise<O>;
  /** The same by its class, or by what `defineWorkflow` returned. */
  child<W extends WorkflowRef>(ref: W, ...rest: WorkflowChild<W>): Promise<WorkflowOutput<W>>;
  /** Starts another workflow by its name, and resolves with its run id once it is there. It goes on by itself. */
  startChild(name: string, input?: unknown, options?: string | ChildOptions): Promise<string>;
  /** The same by its class, or by what `defineWorkflow` returned. */
  startChild<W extends WorkflowRef>(ref: W, ...rest: WorkflowChild<W>): Promise<string>;
  /** `Promise.all`. */
  all<const T extends readonly unknown[]>(promises: T): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }>;
  /** A child of the workflow of this name for each input, and what they return, in this order. */
  all<O = unknown>(name: string, inputs: readonly unknown[], options?: AllOptions): Promise<O[]>;
  /** The same by its class, or by what `defineWorkflow` returned. */
  all<W extends WorkflowRef>(ref: W, inputs: readonly WorkflowInput<W>[], options?: AllOptions): Promise<WorkflowOutput<W>[]>;
  /** The first of several named sides, and which: the losers' timers are cancelled, and no payload is lost to them. */
  race<const S extends Record<string, Side>>(sides: S): Promise<Won<S>>;
  /** `Promise.race`. */
  race<const T extends readonly unknown[]>(promises: T): Promise<Awaited<T[number]>>;
  /** Labels the run: `listRuns({ attributes })` finds it by them. */
  setAttributes(attributes: { readonly [name: string]: string | undefined }): Promise<void>;
  /** Whether this run takes the code behind the patch `id`: see `patched` of the plain style. */
  patched(id: string): boolean;
  /**
   * Starts the workflow's code again with another input, as the same run. Named webhooks and the tokens it has waited for go along, with what
   * nobody has read; nothing that was done before is undone any more.
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
    const output = await body(ctx, input);
    if (!run.isCompensating) return output;
  } catch (error) {
    if (!run.fault && (!run.isCancelled || run.isCompensating)) await ctx.saga.unwind();
    throw error;
  }
  // The code has caught the cancel, and was asked to undo all the same.
  await ctx.saga.unwind();
  throw run.cancelledError();
}

class RunContext implements WorkflowCtx {
  readonly runId: string;
  readonly saga: Saga;
  readonly #around: Surroundings;
  readonly #signals: Signals;
  /** The named ones, and whether this chapter has asked for each. */
  readonly #webhooks = new Map<string, { readonly part: HookPart; readonly isAsked: boolean }>();
  readonly #signalStep: StepDefinition;

  constructor(run: Run, around: Surroundings) {
    this.runId = run.identity.id;
    this.saga = new Saga(run);
    this.#around = around;
    const carried = carriedInto(run);
    const isWebhook = ({ created }: HookPart): boolean => created.purpose === "webhook";
    for (const part of carried.filter(isWebhook)) this.#webhooks.set(part.created.name, { part, isAsked: false });
    this.#signals = new Signals(
      run,
      carried.filter((part) => !isWebhook(part)),
    );
    // The step's key: an attempt that is made again delivers nothing twice.
    const body = (token: string, payload: unknown, options: ResumeOptions): Promise<Receipt> =>
      around.signal(token, payload, { ...options, key: options.key ?? (callingStep() as StepContext).idempotencyKey });
    this.#signalStep = { name: "signal", body, options: {} };
  }

  webhook<T>(options: CtxWebhookOptions<T> = {}): DurableWebhook<T> {
    const known = options?.name === undefined ? undefined : this.#webhooks.get(options.name);
    const isCarried = known !== undefined && !known.isAsked && !known.part.mailbox.isClosed;
    const { hook, webhook } = openWebhook<T>(options, isCarried ? known.part : null);
    if (options.name !== undefined) this.#webhooks.set(options.name, { part: partOf(hook) as HookPart, isAsked: true });
    return webhook;
  }

  step<R>(first: unknown, second?: unknown, options: InlineStepOptions<never> | RefStepOptions = {}): Promise<R> {
    const call = "ctx.step()";
    return this.#next(call, () => {
      checkOptions(call, options as RefStepOptions, undoableOptions);
      const { compensate, ...how } = options;
      const name = stepName(first);
      const said = setAside(() => attempts(call, how));
      const isInline = typeof first === "string" && typeof second === "function";
      if (compensate !== undefined) checkUndo(compensate);
      if (!isInline) refusePromise(name, second);
      const result = isInline ? step.run(name, second as () => R, stepOptions(said)) : this.#dispatch<R>(first, second, said);
      if (compensate === undefined) return result;
      const input = isInline ? undefined : second;
      return this.saga.follow(name, result, (output) =>
        isStepRef(compensate)
          ? this.#dispatch(compensate, { input, output })
          : step.run(undoName(name), () => (compensate as (undo: unknown) => unknown)(isInline ? output : { input, output })),
      );
    });
  }

  localStep<R>(name: string, body: () => Promise<R> | R, options?: InlineStepOptions<R>): Promise<R> {
    if (typeof body !== "function")
      throw badArgument("body", body, `ctx.localStep(${JSON.stringify(name)}) needs a function, got ${kindOf(body)}.`);
    return this.step(name, body, options as InlineStepOptions<never>);
  }

  /** For calls that do something. */
  #next<T>(call: string, begin: (run: Run) => Promise<T>): Promise<T> {
    return durably(call, (run) => this.saga.next(() => begin(run)));
  }

  #dispatch<R>(ref: unknown, input: unknown, said: Attempts = {}): Promise<R> {
    return durably("ctx.step()", (run) => {
      const definition = orWait(run, "step_not_registered", () => this.#around.steps.definition(ref, said));
      return callStep(run, definition, [input]) as Promise<R>;
    });
  }

  sleep(duration: string | number): Promise<void> {
    return sleep(duration);
  }

  sleepUntil(when: Date | number): Promise<void> {
    const instant = typeof when === "number" ? new Date(when) : when;
    if (!(instant instanceof Date) || Number.isNaN(instant.getTime()))
      throw badArgument("when", when, `ctx.sleepUntil() takes a valid Date, or milliseconds since 1970, got ${shown(when)}.`);
    return sleep(instant);
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
    return this.#next("ctx.sideEffect()", () => {
      if (typeof make !== "function") throw badArgument("make", make, `ctx.sideEffect() takes a function, got ${kindOf(make)}.`);
      return step.run("sideEffect", make, { maxRetries: 0 });
    });
  }

  waitForSignal<T>(token: string, options: WaitOptions = {}): Promise<T> {
    return this.#signals.wait<T>(token, options);
  }

  signal(token: string, payload: unknown, options: ResumeOptions = {}): Promise<Receipt> {
    return this.#next("ctx.signal()", (run) => callStep(run, this.#signalStep, [token, payload, options]) as Promise<Receipt>);
  }

  setEvent(key: string, value: unknown): Promise<void> {
    return this.#next("ctx.setEvent()", async (run) => callPublish(run, key, value));
  }

  onUpdate<T>(name: string, options: UpdateOptions<T> = {}): Promise<T> {
    return this.#signals.update<T>(name, options);
  }

  breakpoint(label?: string): Promise<void> {
    return this.#signals.breakpoint(label);
  }

  child<O>(ref: unknown, input?: unknown, options: string | ChildOptions = {}): Promise<O> {
    const started = this.#begin("ctx.child()", ref, input, options);
    return started.then(({ runId }) => durably("ctx.child()", (run) => callOutcome(run, runId) as Promise<O>));
  }

  startChild(ref: unknown, input?: unknown, options: string | ChildOptions = {}): Promise<string> {
    return this.#begin("ctx.startChild()", ref, input, options).then(({ runId }) => runId);
  }

  #begin(call: string, ref: unknown, input: unknown, options: string | ChildOptions): Promise<{ runId: string }> {
    return this.#next(call, (run) => {
      const given: ChildOptions = typeof options === "string" ? { childId: options } : options;
      checkOptions(call, given, childOptions);
      const { childId: id, version, attributes } = given;
      const labels = attributes && labelsOf(run, call, attributes);
      const definition = orWait(run, "workflow_not_registered", () => this.#around.definition(call, ref, version));
      return callStart(run, definition, [input], { id, attributes: labels });
    });
  }

  all(first: unknown, inputs?: readonly unknown[], options: AllOptions = {}): Promise<never> {
    const call = "ctx.all()";
    return durably(call, () => {
      checkOptions(call, options, allOptions);
      const { mode = "waitAll" } = options;
      if (mode !== "waitAll" && mode !== "failFast")
        throw badArgument("mode", mode, `ctx.all({ mode }) takes "waitAll" or "failFast", got ${shown(mode)}.`);
      const [list, what] = inputs === undefined ? [first, "promises, or a workflow and"] : [inputs, "a workflow and"];
      if (!Array.isArray(list)) throw badArgument("inputs", list, `ctx.all() takes ${what} an array of inputs, got ${kindOf(list)}.`);
      if (inputs === undefined) return Promise.all(list) as Promise<never>;
      const children = list.map((input: unknown) => this.child(first, input));
      return (mode === "failFast" ? Promise.all(children) : allOf(children)) as Promise<never>;
    });
  }

  race(sides: unknown): Promise<never> {
    return durably("ctx.race()", () => {
      if (typeof sides !== "object" || sides === null)
        throw badArgument("sides", sides, `ctx.race() takes an object of sides, or an array of promises, got ${kindOf(sides)}.`);
      return (Array.isArray(sides) ? Promise.race(sides) : race(sides as Record<string, Side>)) as Promise<never>;
    });
  }

  setAttributes(attributes: { readonly [name: string]: string | undefined }): Promise<void> {
    return setAttributes(attributes);
  }

  patched(id: string): boolean {
    return patched(id);
  }

  continueAsNew(input?: unknown): Promise<never> {
    return this.#next("ctx.continueAsNew()", (run) => {
      const webhooks = [...this.#webhooks.values()].filter(({ part, isAsked }) => goesAlong(part, isAsked)).map(({ part }) => part);
      return callContinue(run, [input], [...webhooks, ...this.#signals.parts]);
    });
  }
}

/** Another deployment may have what is missing here: the run is set aside until it comes. */
function orWait<T>(run: Run, code: "step_not_registered" | "workflow_not_registered", find: () => T): T {
  try {
    return find();
  } catch (error) {
    if (RingbackError.is(error, code)) run.misuse(error);
    throw error;
  }
}

/** What cannot undo anything is told of where it is given, not when something is to be undone. */
function checkUndo(compensate: unknown): void {
  if (typeof compensate === "function") return;
  if (!isStepRef(compensate))
    throw badArgument("compensate", compensate, `ctx.step({ compensate }) takes a function or a step, got ${kindOf(compensate)}.`);
  checkName("step", stepName(compensate));
}

function refusePromise(name: string, input: unknown): void {
  if (typeof (input as { readonly then?: unknown } | null | undefined)?.then !== "function") return;
  const message = `ctx.step(${JSON.stringify(name)}) was given a promise: what makes it has begun already, outside the step. Give the function that makes it, () => …, or await it first.`;
  throw badArgument("input", input, message);
}

/** Within what a name may take. */
function undoName(name: string): string {
  const letters = Array.from(`undo ${name}`);
  while (Buffer.byteLength(letters.join("")) > limits.nameBytes) letters.pop();
  return letters.join("");
}

function labelsOf(run: Run, call: string, given: { readonly [name: string]: string }): Attributes {
  const words = { call: `${call.slice(0, -1)}{ attributes })`, given, isReservedAllowed: false, sealText: run.host.sealText };
  const labels = changedBy({}, attributeChanges(words));
  checkCount(Object.keys(labels));
  return labels;
}

function shown(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : value instanceof Date ? "an invalid one" : kindOf(value);
}

/** Waits for all, whatever becomes of them; then says what failed, all at once. */
async function allOf(children: readonly Promise<unknown>[]): Promise<unknown[]> {
  const settled = await Promise.allSettled(children);
  const failed = settled.filter((each): each is PromiseRejectedResult => each.status === "rejected").map(({ reason }): unknown => reason);
  if (failed.length > 0) throw new AggregateError(failed, `${failed.length} of ${children.length} children did not complete.`);
  return settled.map((each) => (each as PromiseFulfilledResult<unknown>).value);
}
