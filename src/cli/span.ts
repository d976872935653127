// Instants and spans as people read them: how far away, and when exactly.

const units: readonly (readonly [ms: number, name: string])[] = [
  [86_400_000, "d"],
  [3_600_000, "h"],
  [60_000, "min"],
  [1_000, "s"],
];

/** A span in its two largest units: `3 d 4 h`, `1 min 5 s`, `1.25 s`, `80 ms`. */
export function spanText(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1_000).toFixed(2).replace(/\.?0+$/, "")} s`;
  // The unit below the largest one is the last that is shown, so it is the one to round to.
  const largest = units.findIndex(([each]) => ms >= each);
  const [least] = units[Math.min(largest + 1, units.length - 1)]!;
  let rest = Math.round(ms / least) * least;
  const parts: string[] = [];
  for (const [each, name] of units) {
    const count = Math.floor(rest / each);
    rest -= count * each;
    if (count > 0) parts.push(`${count} ${name}`);
  }
  return parts.slice(0, 2).join(" ");
}

/** `2026-01-31 08:05:09Z`: to the second, and the same whoever reads it wherever. */
export function instantText(at: Date): string {
  return at
    .toISOString()
    .replace("T", " ")
    .replace(/\.\d+Z$/, "Z");
}

/** `5 min ago`, `in 3 d`, `now`. */
export function relativeText(at: Date, now: Date): string {
  const ms = at.getTime() - now.getTime();
  if (Math.abs(ms) < 1_000) return "now";
  const whole = Math.round(Math.abs(ms) / 1_000) * 1_000;
  return ms > 0 ? `in ${spanText(whole)}` : `${spanText(whole)} ago`;
}

/** Both. */
export function whenText(at: Date, now: Date): string {
  return `${relativeText(at, now)} (${instantText(at)})`;
}
