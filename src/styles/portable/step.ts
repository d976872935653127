// The forms of `step`: all of them go through one host, and none takes a wait for an error.

import type { StepHost } from "../../core/portable.ts";
import { backoffMs } from "../../core/span.ts";
import {
  HOOK_STEP_KEY_PREFIX,
  HookTimedOut,
  isPendingApproval,
  isPendingHook,
  type PendingApproval,
  type PendingHook,
  span,
} from "./hook.ts";
import { type Operation, outcomeOf, StepExit, valueOf } from "./outcome.ts";
import { type AsyncResult, type Err, err, isResult, type Result } from "./result.ts";
import { type ErrorClass, TaggedError, type TaggedErrorBase, type UnexpectedError } from "./tagged-error.ts";
import { Undos } from "./undo.ts";

type Maybe<T> = T | Promise<T>;
type MaybeResult<T, E> = Maybe<Result<T, E>>;

/** A step took longer than it may. */
export interface StepTimedOut extends TaggedErrorBase {
  readonly _tag: "StepTimedOut";
  readonly step: string;
  readonly ms: number;
}
export const StepTimedOut: ErrorClass<StepTimedOut> = TaggedError("StepTimedOut") as never;

/** How attempts are repeated. */
export interface RetryOptions<E = unknown> {
  /** How many in all, from 1. */
  readonly attempts: number;
  readonly backoff?: "fixed" | "linear" | "exponential" | undefined;
  /** Milliseconds before the second attempt. Default 100. */
  readonly initialDelay?: number | undefined;
  /** The longest delay, in milliseconds. Default 30 s. */
  readonly maxDelay?: number | undefined;
  /** Whether this error is worth another attempt. Default: every one. */
  readonly shouldRetry?: ((error: E, attempt: number) => boolean) | undefined;
}

/** How a step is known. */
export interface StepKey {
  /** What the step is known by in the state. Default: its id, and how often that came before. */
  readonly key?: string | undefined;
}

export interface StepOptions<T = never> extends StepKey {
  readonly retry?: RetryOptions | undefined;
  /** Undoes the step when the workflow ends with an error later. An error that it throws or returns is told of in the run's result. */
  readonly compensate?: ((value: T) => unknown) | undefined;
}

/** What a child's run is given, so that its steps are steps of its parent. */
export interface ParentRun {
  /** @internal */
  readonly [parent]?: Parent | undefined;
}
/** @internal */
export const parent: unique symbol = Symbol("parent");
/** @internal */
export interface Parent {
  readonly steps: Steps;
  readonly prefix: string;
}

type Operations<E> = { readonly [name: string]: (() => MaybeResult<unknown, E>) | { readonly fn: () => MaybeResult<unknown, E> } };
type OperationOf<O> = O extends { readonly fn: infer F } ? F : O;
type ValueOfOperation<O> = OperationOf<O> extends () => Maybe<Result<infer T, unknown>> ? T : never;

/** The steps of a workflow whose errors are `E`. */
export interface Step<E = unknown> {
  /** Does something once, and gives its value; an error it returns ends the workflow. */
  <T, StepError extends E>(
    id: string,
    operation: (() => MaybeResult<T, StepError>) | MaybeResult<T, StepError>,
    options?: StepOptions<T>,
  ): Promise<T>;
  /** The same for code that throws: `error` stands for whatever it throws. */
  try<T, const StepError extends E>(
    id: string,
    operation: () => Maybe<T>,
    options: ({ readonly error: StepError } | { readonly onError: (cause: unknown) => StepError }) & StepOptions<T>,
  ): Promise<T>;
  /** The same for code whose errors are others: `error` stands for them. */
  fromResult<T, Other, const StepError extends E>(
    id: string,
    operation: () => MaybeResult<T, Other>,
    options: ({ readonly error: StepError } | { readonly onError: (error: Other) => StepError }) & StepOptions<T>,
  ): Promise<T>;
  /** The same with attempts. */
  retry<T, StepError extends E>(
    id: string,
    operation: () => MaybeResult<T, StepError>,
    options: RetryOptions<StepError> & StepKey,
  ): Promise<T>;
  /**
   * The same with a limit, in milliseconds or as a duration ("3d"), which bounds a wait, too. What is over it ends with `error`; without one
   * `StepTimedOut` is thrown.
   */
  withTimeout<T, StepError extends E, const Late extends E>(
    id: string,
    operation: () => MaybeResult<T, StepError>,
    options: { readonly ms: number | string; readonly error?: Late } & StepKey,
  ): Promise<T>;
  /** Waits for a while that the state remembers: a duration ("1h") or milliseconds. */
  sleep(id: string, duration: string | number, options?: StepKey): Promise<void>;
  /** Several at once, by name; each is a step of its own. */
  all<Ops extends Operations<E>>(id: string, operations: Ops, options?: StepKey): Promise<{ [K in keyof Ops]: ValueOfOperation<Ops[K]> }>;
  /** One for each item, `concurrency` at a time; each is a step of its own. */
  map<Item, T, StepError extends E>(
    id: string,
    items: readonly Item[],
    mapper: (item: Item, index: number) => MaybeResult<T, StepError>,
    options?: { readonly concurrency?: number | undefined } & StepKey,
  ): Promise<T[]>;
  /** The first of several, by name: one that waits goes on waiting, and loses to one that is done. */
  race<Ops extends Operations<E>>(id: string, operations: Ops, options?: StepKey): Promise<ValueOfOperation<Ops[keyof Ops]>>;
  /** Another way where the first ends with an error; a wait is none. */
  withFallback<T, First extends E, Second extends E>(
    id: string,
    operation: () => MaybeResult<T, First>,
    options: { readonly fallback: () => MaybeResult<T, Second>; readonly on?: First | undefined } & StepKey,
  ): Promise<T>;
  /**
   * Another workflow, whose steps are steps of this one: `step.workflow("ship", (parent) => shipping.run(body, parent))`. Without `parent` it
   * is one step, and may not wait.
   */
  workflow<T>(
    id: string,
    begin: (parent: ParentRun) => AsyncResult<T, E | PendingHook | PendingApproval | UnexpectedError>,
    options?: StepKey,
  ): Promise<T>;
}

type Late = () => unknown;

/** The steps of one run, or of a child within it. */
export class Steps {
  declare readonly step: Step;
  declare readonly host: StepHost;
  declare readonly undos: Undos;
  readonly #prefix: string;

  constructor(host: StepHost, { steps, prefix = "" }: Partial<Parent> = {}) {
    this.host = host;
    this.#prefix = prefix;
    this.undos = new Undos(host, steps?.undos ?? null);
    const one = (id: string, operation: unknown, options?: StepOptions): Promise<unknown> =>
      this.#one(id, typeof operation === "function" ? (operation as Operation) : begun(operation), options);
    const forms = {
      try: (id: string, operation: Operation, options: Mapping & StepOptions) => one(id, () => tried(operation, options), options),
      fromResult: (id: string, operation: Operation, options: Mapping & StepOptions) => one(id, () => mapped(operation, options), options),
      retry: (id: string, operation: Operation, { key, ...retry }: RetryOptions & StepKey) => one(id, operation, { retry, key }),
      withTimeout: (id: string, operation: Operation, { ms, key, ...said }: { ms: number | string; error?: unknown } & StepKey) => {
        const limit = span(id, ms);
        const late = (): unknown => {
          if ("error" in said) return said.error;
          throw new StepTimedOut({ step: id, ms: limit });
        };
        return this.#one(id, () => this.#within(limit, operation, late), { key }, late);
      },
      sleep: async (id: string, duration: string | number, options?: StepKey) =>
        void (await host.sleep(id, this.#key(id, options), span(id, duration))),
      all: this.#all.bind(this),
      map: this.#map.bind(this),
      race: this.#race.bind(this),
      withFallback: this.#withFallback.bind(this),
      workflow: this.#workflow.bind(this),
    };
    const handled = Object.entries(forms).map(([name, form]) => [name, whoeverAwaits(form as AnyForm)]);
    this.step = Object.assign(whoeverAwaits(one as AnyForm), Object.fromEntries(handled)) as Step;
  }

  #key(id: string, { key }: StepKey = {}): string {
    if (typeof id !== "string") throw new TypeError("A step takes its id first.");
    const own = key === undefined || key.startsWith(HOOK_STEP_KEY_PREFIX) ? key : this.#prefix + key;
    return this.host.keyFor(this.#prefix + id, own);
  }

  #one(id: string, operation: Operation, options: StepOptions = {}, late?: Late): Promise<unknown> {
    return this.#at(id, this.#key(id, options), operation, options, late);
  }

  async #at(id: string, key: string, operation: Operation, { retry, compensate }: StepOptions = {}, late?: Late): Promise<unknown> {
    if (retry) atLeastOne(id, retry.attempts, "attempt");
    const body = retry === undefined ? operation : () => this.#repeated(operation, retry);
    this.undos.checkOpen(id);
    const settled = this.host.step(this.#prefix + id, key, () => outcomeOf(id, body));
    if (compensate !== undefined) this.undos.add(key, compensate as (value: unknown) => unknown);
    return valueOf(await settled, late ?? (() => new HookTimedOut({ step: id })));
  }

  async #repeated(
    operation: Operation,
    { attempts, backoff = "exponential", initialDelay = 100, maxDelay = 30_000, shouldRetry = () => true }: RetryOptions,
  ): Promise<unknown> {
    for (let attempt = 1; ; attempt++) {
      const isLast = (error: unknown): boolean => attempt >= attempts || !shouldRetry(error, attempt);
      try {
        const result = await operation();
        if (!isFailure(result) || isLast(result.error)) return result;
      } catch (cause) {
        if (isLast(cause)) throw cause;
      }
      const { clock } = this.host;
      const delay =
        backoff === "exponential"
          ? backoffMs(initialDelay, maxDelay, attempt)
          : Math.min(maxDelay, initialDelay * (backoff === "linear" ? attempt : 1));
      await new Promise<void>((resolve) => void clock.alarm(clock.now() + delay, resolve));
    }
  }

  /** Bounds what runs; where that waits, the rest of the time bounds the wait. */
  async #within(ms: number, operation: Operation, late: Late): Promise<unknown> {
    const { clock } = this.host;
    const until = clock.now() + ms;
    let cancel = (): void => {};
    const over = new Promise<void>((resolve) => (cancel = clock.alarm(until, resolve))).then(() => err(late()));
    const result = await Promise.race([over, (async () => operation())()]).finally(() => cancel());
    if (!isResult(result) || result.ok || !isWait(result.error)) return result;
    const { timeoutMs = ms } = result.error as { readonly timeoutMs?: number };
    return err({ ...(result.error as object), timeoutMs: Math.min(timeoutMs, Math.max(0, until - clock.now())) });
  }

  async #all(id: string, operations: object, options?: StepKey): Promise<unknown> {
    const parts = this.#parts(id, operations, options);
    const values = await Promise.all(Object.values(parts));
    return Object.fromEntries(Object.keys(parts).map((name, index) => [name, values[index]]));
  }

  async #race(id: string, operations: object, options?: StepKey): Promise<unknown> {
    atLeastOne(id, Object.keys(operations).length, "way");
    return Promise.race(Object.values(this.#parts(id, operations, options)));
  }

  /** A step for each operation, by its name. */
  #parts(id: string, operations: object, options?: StepKey): { readonly [name: string]: Promise<unknown> } {
    const key = this.#key(id, options);
    const begin = ([name, operation]: [string, Operation | { fn: Operation }]): [string, Promise<unknown>] => [
      name,
      this.#at(id, this.#part(`${key}.${name}`, options), typeof operation === "function" ? operation : operation.fn),
    ];
    return Object.fromEntries(Object.entries(operations).map(begin));
  }

  /** A step within one that has this key: where that has one of its author's, this has one, too. */
  #part(key: string, options?: StepKey): string {
    return this.host.keyFor(key, options?.key && key);
  }

  async #map(
    id: string,
    items: readonly unknown[],
    mapper: (item: unknown, index: number) => unknown,
    { concurrency = items.length || 1, ...options }: { readonly concurrency?: number | undefined } & StepKey = {},
  ): Promise<unknown[]> {
    atLeastOne(id, concurrency, "lane");
    const key = this.#key(id, options);
    const values: unknown[] = [];
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < items.length) {
        const index = next++;
        values[index] = await this.#at(id, this.#part(`${key}[${index}]`, options), () => mapper(items[index], index));
      }
    };
    await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, lane));
    return values;
  }

  async #withFallback(
    id: string,
    operation: Operation,
    { fallback, on, ...options }: { readonly fallback: Operation; readonly on?: unknown } & StepKey,
  ): Promise<unknown> {
    const key = this.#key(id, options);
    try {
      return await this.#at(id, key, operation);
    } catch (thrown) {
      if (!(thrown instanceof StepExit) || (on !== undefined && thrown.error !== on)) throw thrown;
      return this.#at(id, this.#part(`${key}.fallback`, options), fallback);
    }
  }

  async #workflow(id: string, begin: (run: ParentRun) => Promise<Result<unknown, unknown>>, options?: StepKey): Promise<unknown> {
    const run = async (given: ParentRun): Promise<Result<unknown, unknown>> => {
      const result = await begin(given);
      if (result.ok || !isWait(result.error)) return result;
      throw new TypeError(`A child that waits needs its parent: step.workflow("${id}", (parent) => child.run(body, parent)).`);
    };
    if (begin.length === 0) return this.#one(id, () => run({}), options);
    const result = await run({ [parent]: { steps: this, prefix: `${this.#key(id, options)}/` } });
    if (!result.ok) throw new StepExit(result.error, result.cause);
    return result.value;
  }
}

type AnyForm = (...given: never[]) => Promise<unknown>;

/** Whoever begins a step may await it later: until then its failure is nobody's. */
function whoeverAwaits(form: AnyForm): AnyForm {
  return (...given) => {
    const promise = form(...given);
    promise.catch(() => {});
    return promise;
  };
}

/** What has begun already: where the step is done its failure is nobody's. */
function begun(operation: unknown): Operation {
  Promise.resolve(operation).catch(() => {});
  return () => operation;
}

function atLeastOne(id: string, count: number, what: string): void {
  if (!(count >= 1)) throw new TypeError(`Step "${id}" needs 1 ${what} or more, not ${count}.`);
}

interface Mapping {
  readonly error?: unknown;
  readonly onError?: (error: unknown) => unknown;
}

async function tried(operation: Operation, mapping: Mapping): Promise<unknown> {
  try {
    return await operation();
  } catch (cause) {
    return err(errorBy(mapping, cause), { cause });
  }
}

async function mapped(operation: Operation, mapping: Mapping): Promise<unknown> {
  const result = await operation();
  return isFailure(result) ? err(errorBy(mapping, result.error)) : result;
}

function errorBy({ error, onError }: Mapping, given: unknown): unknown {
  return onError ? onError(given) : error;
}

function isFailure(result: unknown): result is Err<unknown> {
  return isResult(result) && !result.ok && !isWait(result.error);
}

function isWait(error: unknown): boolean {
  return isPendingHook(error) || isPendingApproval(error);
}
