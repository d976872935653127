// Spans of time as authors write them: "3d", "1.5h", milliseconds; a `Date` where an instant is meant.

import ms from "ms";
import { RingbackError } from "./errors.ts";
import type { Due } from "./event.ts";

/** Ten years of 365.25 days: a longer wait is a mistake in a unit. */
const longestMs = 10 * 365.25 * 24 * 60 * 60 * 1000;

/** Milliseconds of `duration`. Anything but a finite span of 0 to 10 years is `bad_argument`, naming `argument`. */
export function parseDuration(duration: string | number, argument: string): number {
  const span = typeof duration === "string" ? spanOf(duration) : duration;
  if (typeof span !== "number" || !(span >= 0 && span <= longestMs)) {
    throw bad(argument, duration, 'Give milliseconds or text such as "30s", "15m", "36h", "3d", from 0 to 10 years.');
  }
  return Math.round(span);
}

/** A deadline as it is recorded: a span stays a span, a `Date` is an instant. */
export function toDue(due: string | number | Date, argument: string = "duration"): Due {
  if (!(due instanceof Date)) return { afterMs: parseDuration(due, argument) };
  const at = due.getTime();
  if (Number.isNaN(at)) throw bad(argument, "Invalid Date", "Give a valid Date.");
  return { at };
}

/** `ms` gives undefined for what it cannot read, and throws on the empty text. */
function spanOf(text: string): number | undefined {
  return text === "" ? undefined : ms(text as ms.StringValue);
}

function bad(argument: string, value: unknown, advice: string): RingbackError<"bad_argument"> {
  const shown = typeof value === "string" ? JSON.stringify(value) : String(value);
  return new RingbackError("bad_argument", `${argument} is ${shown}, which is not a span of time. ${advice}`, {
    details: { argument, value: shown },
  });
}
