// What authors pass in: the names of options, and values that are one of a few. A slip is told at the call that makes it.

import { RingbackError } from "./errors.ts";

/** Every option a call knows. */
export type OptionNames<T> = { readonly [K in keyof Required<T>]: true };

/** Refuses options that are no object, and an option of another name: it would be ignored in silence. */
export function checkOptions<T>(call: string, options: T, known: OptionNames<T>): void {
  if (typeof options !== "object" || options === null || Array.isArray(options))
    throw badArgument("options", options, `${call} takes its options as an object, got ${kindOf(options)}.`);
  for (const name of Object.keys(options)) {
    if (Object.hasOwn(known, name)) continue;
    const names = Object.keys(known);
    const meant = names.find((other) => isSlip(name.toLowerCase(), other.toLowerCase()));
    const advice = meant === undefined ? "" : ` Did you mean "${meant}"?`;
    throw badArgument(name, options[name as keyof T], `${call} has no option "${name}".${advice} It takes ${names.join(", ")}.`);
  }
}

export function badArgument(argument: string, value: unknown, message: string): RingbackError<"bad_argument"> {
  return new RingbackError("bad_argument", message, { details: { argument, value: kindOf(value) } });
}

/** What a value is, without showing what it holds: it may be a secret, or what somebody else sent. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  return Array.isArray(value) ? "array" : typeof value;
}

/** One letter more, less or other, or two that changed places. */
function isSlip(written: string, name: string): boolean {
  let same = 0;
  while (same < name.length && written[same] === name[same]) same++;
  const [a, b] = [written.slice(same), name.slice(same)];
  return a.slice(1) === b || a === b.slice(1) || a.slice(1) === b.slice(1) || a === `${b[1]}${b[0]}${b.slice(2)}`;
}
