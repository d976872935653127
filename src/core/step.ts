// When a failed attempt of a step is repeated. Pure: chance comes in as an argument.

import { badArgument } from "./argument.ts";
import type { StepOptions } from "./definition.ts";
import { parseDuration, toDue } from "./duration.ts";
import { type ErrorCode, RingbackError } from "./errors.ts";
import { FatalError, RetryableError } from "./own-error.ts";
import { backoffMs } from "./span.ts";

const defaults = { maxRetries: 3, backoff: 1_000, maxBackoff: 300_000 } as const;

/** What the next attempt would meet again. */
const hopeless: ReadonlySet<ErrorCode> = new Set(["unserialisable", "too_large", "bad_argument", "stream_closed"]);

export type AfterFailure = { readonly type: "give_up" } | { readonly type: "retry"; readonly dueAt: number };

/**
 * Decides what follows when an attempt threw, the `failures`-th that did. Attempts that a process took with it are not counted. Exponential backoff, capped, with full jitter in its upper half:
 * `chance` in [0, 1) spreads the delay over 50–100 % of its value. A `FatalError` ends the step; a `RetryableError` names the instant.
 */
export function afterFailure(error: unknown, failures: number, options: StepOptions, now: number, chance: number): AfterFailure {
  if (FatalError.is(error) || (RingbackError.is(error) && hopeless.has(error.code))) return { type: "give_up" };
  if (failures > (options.maxRetries ?? defaults.maxRetries)) return { type: "give_up" };
  if (RetryableError.is(error) && error.retryAfter !== undefined) {
    const due = toDue(error.retryAfter, "retryAfter");
    return { type: "retry", dueAt: "at" in due ? due.at : now + due.afterMs };
  }
  const first = parseDuration(options.backoff ?? defaults.backoff, "backoff");
  const cap = parseDuration(options.maxBackoff ?? defaults.maxBackoff, "maxBackoff");
  const delay = backoffMs(first, cap, failures);
  return { type: "retry", dueAt: now + Math.round(delay * (0.5 + chance / 2)) };
}

/** Refuses where a step is declared or called what no attempt could use. Throws `bad_argument`. */
export function checkStepOptions(step: string, { maxRetries, backoff, maxBackoff, timeout }: StepOptions): void {
  if (maxRetries !== undefined) checkMaxRetries(step, maxRetries);
  for (const [name, span] of Object.entries({ backoff, maxBackoff, timeout }))
    if (span !== undefined) parseDuration(span, `${name} of step "${step}"`);
}

/** Attempts after the first: a whole number. Throws `bad_argument`. */
export function checkMaxRetries(step: string, maxRetries: unknown): number {
  if (Number.isInteger(maxRetries) && (maxRetries as number) >= 0) return maxRetries as number;
  const message = `maxRetries of step "${step}" must be a whole number from 0, got ${String(maxRetries)}.`;
  throw badArgument("maxRetries", maxRetries, message);
}

/** The key every attempt of a step shares; give it to the service the step calls. */
export function idempotencyKey(runId: string, position: number): string {
  return `${runId}:${position}`;
}
