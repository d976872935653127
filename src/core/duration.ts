// Spans of time that are refused where they are none, and deadlines; a `Date` where an instant is meant.

import { RingbackError } from "./errors.ts";
import type { Due } from "./event.ts";
import { spanAdvice, spanMs } from "./span.ts";

/** Milliseconds of `duration`. Anything but a finite span of 0 to 10 years is `bad_argument`, naming `argument`. */
export function parseDuration(duration: string | number, argument: string): number {
  const span = spanMs(duration);
  if (span === null) throw bad(argument, duration, spanAdvice);
  return span;
}

/** A deadline as it is recorded: a span stays a span, a `Date` is an instant. */
export function toDue(due: string | number | Date, argument: string = "duration"): Due {
  if (!(due instanceof Date)) return { afterMs: parseDuration(due, argument) };
  const at = due.getTime();
  if (Number.isNaN(at)) throw bad(argument, "Invalid Date", "Give a valid Date.");
  return { at };
}

function bad(argument: string, value: unknown, advice: string): RingbackError<"bad_argument"> {
  const shown = typeof value === "string" ? JSON.stringify(value) : String(value);
  return new RingbackError("bad_argument", `${argument} is ${shown}, which is not a span of time. ${advice}`, {
    details: { argument, value: shown },
  });
}
