// The two errors that authors throw themselves, in steps. They carry codes of the author's, and stand outside the engine's table.

import { toDue } from "./duration.ts";
import { holds } from "./errors.ts";

/** The instant that spans count from. The realm hands in its own at load: the clock of the engine whose step this is. */
let instant: () => number = () => 0;

export function useInstant(now: () => number): void {
  instant = now;
}

/** Throw it in a step to end the step at once, without another attempt. `code` is yours. */
export class FatalError extends Error {
  static {
    this.prototype.name = "FatalError";
  }
  /** What `FatalError.is` looks for. */
  readonly fatal: true = true;
  /** Yours. */
  readonly code?: string;
  constructor(message: string, options?: string | { code?: string; cause?: unknown }) {
    const { code, ...rest } = typeof options === "string" ? { code: options } : (options ?? {});
    super(message, rest);
    if (code !== undefined) this.code = code;
  }
  /** Whether a value is one, from whatever copy of the package or realm. Never throws. */
  static is(value: unknown): value is FatalError {
    return holds(() => isError(value) && (value as { fatal?: unknown }).fatal === true);
  }
}

/** How a `RetryableError` is made. */
export interface RetryableErrorOptions {
  /** When the next attempt starts: a duration ("5m"), milliseconds, or a `Date`. Default 1 s. */
  readonly retryAfter?: string | number | Date;
  /** Yours. */
  readonly code?: string;
  /** What was behind it. */
  readonly cause?: unknown;
}

/** Throw it in a step to choose when the next attempt starts: after a duration ("5m") or milliseconds, or at a `Date`. Attempts still count. */
export class RetryableError extends Error {
  static {
    this.prototype.name = "RetryableError";
  }
  /** When the next attempt starts: 1 s from where the error was made, unless told. */
  readonly retryAfter: Date;
  /** Yours. */
  readonly code?: string;
  /** Throws `bad_argument` for what is no span of time. */
  constructor(message: string, options: RetryableErrorOptions = {}) {
    const { code, retryAfter = 1_000, ...rest } = options;
    super(message, rest);
    if (code !== undefined) this.code = code;
    const due = toDue(retryAfter, "retryAfter");
    this.retryAfter = new Date("at" in due ? due.at : instant() + due.afterMs);
  }
  /** Whether a value is one, from whatever copy of the package or realm. Never throws. */
  static is(value: unknown): value is RetryableError {
    return holds(() => isError(value) && (value instanceof RetryableError || value.name === "RetryableError"));
  }
}

function isError(value: unknown): value is Error {
  return value instanceof Error || Object.prototype.toString.call(value) === "[object Error]";
}
