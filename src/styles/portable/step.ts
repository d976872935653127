// The forms of `step`: all of them go through one execution, and none takes a wait for an error.

import type { Clock } from "../../core/clock.ts";
import { parseDuration } from "../../core/duration.ts";
import type { Execution, Operation } from "./execution.ts";
import { err, isResult, type Result } from "./result.ts";
import { StepExit } from "./execution.ts";

type Maybe<T> = T | Promise<T>;
type MaybeResult<T, E> = Maybe<Result<T, E>>;

/** How attempts are repeated. */
export interface RetryOptions<E = unknown> {
  /** How many in all, from 1. */
  readonly attempts: number;
  readonly backoff?: "fixed" | "linear" | "exponential";
  /** Milliseconds before the second attempt. Default 100. */
  readonly initialDelay?: number;
  /** The longest delay, in milliseconds. Default 30 s. */
  readonly maxDelay?: number;
  /** Whether this error is worth another attempt. Default: every one. */
  readonly shouldRetry?: (error: E, attempt: number) => boolean;
}

export interface StepOptions<T = never> {
  /** What the step is known by in the state. Default: its id, and how often that came before. */
  readonly key?: string;
  readonly retry?: RetryOptions;
  /** Undoes the step when the workflow ends with an error later. */
  readonly compensate?: (value: T) => unknown;
}

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
  /** The same with attempts. */
  retry<T, StepError extends E>(
    id: string,
    operation: () => MaybeResult<T, StepError>,
    options: RetryOptions<StepError> & { readonly key?: string },
  ): Promise<T>;
  /** Waits for a while that the state remembers: a duration ("1h") or milliseconds. */
  sleep(id: string, duration: string | number, options?: { readonly key?: string }): Promise<void>;
  /** Several at once, by name; each is a step of its own. */
  all<Operations extends { readonly [name: string]: () => MaybeResult<unknown, E> }>(
    id: string,
    operations: Operations,
  ): Promise<{ [K in keyof Operations]: Operations[K] extends () => MaybeResult<infer T, E> ? T : never }>;
  /** One for each item, `concurrency` at a time; each is a step of its own. */
  map<Item, T, StepError extends E>(
    id: string,
    items: readonly Item[],
    mapper: (item: Item, index: number) => MaybeResult<T, StepError>,
    options?: { readonly concurrency?: number; readonly key?: string },
  ): Promise<T[]>;
  /** The first of several, by name: one that waits goes on waiting, and loses to one that is done. */
  race<Operations extends { readonly [name: string]: () => MaybeResult<unknown, E> }>(
    id: string,
    operations: Operations,
  ): Promise<Operations[keyof Operations] extends () => MaybeResult<infer T, E> ? T : never>;
  /** Another way where the first ends with an error; a wait is none. */
  withFallback<T, First extends E, Second extends E>(
    id: string,
    operation: () => MaybeResult<T, First>,
    options: { readonly fallback: () => MaybeResult<T, Second>; readonly on?: First; readonly key?: string },
  ): Promise<T>;
}

interface Undo {
  readonly key: string;
  readonly run: Operation;
}

/** The steps of one run, and what undoes them. */
export class Steps {
  readonly undos: Undo[] = [];
  readonly step: Step;
  readonly #execution: Execution;
  readonly #clock: Clock;

  constructor(execution: Execution, clock: Clock) {
    this.#clock = clock;
    this.#execution = execution;
    const one = (id: string, operation: unknown, options: StepOptions = {}): Promise<unknown> =>
      this.#one(id, typeof operation === "function" ? (operation as Operation) : () => operation, options);
    this.step = Object.assign(one, {
      try: (id: string, operation: Operation, options: { error?: unknown; onError?: (cause: unknown) => unknown } & StepOptions) =>
        one(id, () => tried(operation, options), options),
      retry: (id: string, operation: Operation, { key, ...retry }: RetryOptions & { key?: string }) =>
        one(id, operation, { retry, ...(key === undefined ? {} : { key }) }),
      sleep: (id: string, duration: string | number, options: { key?: string } = {}) =>
        execution.sleep(id, execution.keyFor(id, options.key), parseDuration(duration, "duration")),
      all: (id: string, operations: { readonly [name: string]: Operation }) => this.#all(id, operations),
      map: (id: string, items: readonly unknown[], mapper: (item: unknown, index: number) => unknown, options = {}) =>
        this.#map(id, items, mapper, options),
      race: (id: string, operations: { readonly [name: string]: Operation }) => {
        const key = execution.keyFor(id, undefined);
        return Promise.race(Object.entries(operations).map(([name, operation]) => one(id, operation, { key: `${key}.${name}` })));
      },
      withFallback: (id: string, operation: Operation, options: { fallback: Operation; on?: unknown; key?: string }) =>
        this.#withFallback(id, operation, options),
    }) as unknown as Step;
  }

  #one(id: string, operation: Operation, { key: given, retry, compensate }: StepOptions): Promise<unknown> {
    const key = this.#execution.keyFor(id, given);
    const repeated = retry === undefined ? operation : () => this.#repeated(operation, retry);
    const done = this.#execution.step(id, key, repeated);
    if (compensate === undefined) return done;
    return done.then((value) => {
      this.undos.push({ key: `undo:${key}`, run: () => (compensate as (value: unknown) => unknown)(value) });
      return value;
    });
  }

  async #repeated(
    operation: Operation,
    { attempts, backoff = "exponential", initialDelay = 100, maxDelay = 30_000, shouldRetry = () => true }: RetryOptions,
  ): Promise<unknown> {
    for (let attempt = 1; ; attempt++) {
      let result: unknown;
      let thrown: { readonly cause: unknown } | null = null;
      try {
        result = await operation();
      } catch (cause) {
        thrown = { cause };
      }
      const error = thrown ? thrown.cause : isResult(result) && !result.ok ? result.error : undefined;
      const isFailure = thrown !== null || (isResult(result) && !result.ok && !isWait(error));
      if (!isFailure || attempt >= attempts || !shouldRetry(error, attempt)) {
        if (thrown) throw thrown.cause;
        return result;
      }
      const factor = backoff === "fixed" ? 1 : backoff === "linear" ? attempt : 2 ** (attempt - 1);
      await new Promise<void>((resolve) => void this.#clock.alarm(this.#clock.now() + Math.min(maxDelay, initialDelay * factor), resolve));
    }
  }

  async #all(id: string, operations: { readonly [name: string]: Operation }): Promise<{ readonly [name: string]: unknown }> {
    const key = this.#execution.keyFor(id, undefined);
    const entries = Object.entries(operations).map(
      async ([name, operation]) => [name, await this.#one(id, operation, { key: `${key}.${name}` })] as const,
    );
    return Object.fromEntries(await Promise.all(entries));
  }

  async #map(
    id: string,
    items: readonly unknown[],
    mapper: (item: unknown, index: number) => unknown,
    { concurrency = items.length, key: given }: { readonly concurrency?: number; readonly key?: string },
  ): Promise<unknown[]> {
    const key = this.#execution.keyFor(id, given);
    const values: unknown[] = [];
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < items.length) {
        const index = next++;
        values[index] = await this.#one(id, () => mapper(items[index], index), { key: `${key}[${index}]` });
      }
    };
    await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, lane));
    return values;
  }

  async #withFallback(
    id: string,
    operation: Operation,
    { fallback, on, key: given }: { readonly fallback: Operation; readonly on?: unknown; readonly key?: string },
  ): Promise<unknown> {
    const key = this.#execution.keyFor(id, given);
    try {
      return await this.#one(id, operation, { key });
    } catch (thrown) {
      if (!(thrown instanceof StepExit) || (on !== undefined && thrown.error !== on)) throw thrown;
      return this.#one(id, fallback, { key: `${key}.fallback` });
    }
  }
}

async function tried(
  operation: Operation,
  options: { readonly error?: unknown; readonly onError?: (cause: unknown) => unknown },
): Promise<unknown> {
  try {
    return await operation();
  } catch (cause) {
    return err(options.onError ? options.onError(cause) : options.error, { cause });
  }
}

function isWait(error: unknown): boolean {
  const { type } = (error ?? {}) as { readonly type?: unknown };
  return type === "PENDING_HOOK" || type === "PENDING_APPROVAL";
}
