// Spans of time as authors write them: "3d", "1.5h", or milliseconds. The notation is that of the package `ms`.

/** Ten years of 365.25 days: a longer wait is a mistake in a unit. */
const longestMs = 315_576_000_000;
const unitMs: { readonly [unit: string]: number } = { s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5, y: 315576e5 };
const written = /^(\d*\.?\d+) *(ms|msecs?|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?|y|yrs?|years?)?$/;

/** What every span may be. */
export const spanAdvice = 'Give milliseconds or text such as "30s" or "3d", from 0 to 10 years.';

/** Whole milliseconds; null for anything but a finite span of 0 to 10 years. */
export function spanMs(span: unknown): number | null {
  const ms = typeof span === "string" ? textMs(span) : span;
  return typeof ms === "number" && ms >= 0 && ms <= longestMs ? Math.round(ms) : null;
}

function textMs(text: string): number | null {
  // A match takes the square of the length.
  const [, count, unit = "ms"] = (text.length <= 100 && written.exec(text.toLowerCase())) || [];
  return count === undefined ? null : Number(count) * (/^m(s|il)/.test(unit) ? 1 : (unitMs[unit.charAt(0)] as number));
}

/** The delay after the `failures`-th failure: the first one, doubled each time, up to a cap; all in milliseconds. */
export function backoffMs(firstMs: number, capMs: number, failures: number): number {
  return Math.min(capMs, firstMs * 2 ** Math.min(failures - 1, 40));
}
