// Puts a function of the realm over a native one: same name, same length, same attributes.

import type { Run } from "../../core/run.ts";

/** The run whose own code is calling, in its turn; null for all other code. */
export type Inside = () => Run | null;

export function patch(target: object, name: PropertyKey, value: unknown): void {
  const before = Object.getOwnPropertyDescriptor(target, name);
  const original: unknown = Reflect.get(target, name);
  if (typeof value === "function" && typeof original === "function") {
    for (const key of ["name", "length"] as const) Object.defineProperty(value, key, { value: original[key], configurable: true });
  }
  if (before?.configurable === false) Reflect.set(target, name, value);
  else Object.defineProperty(target, name, { configurable: true, writable: true, enumerable: before?.enumerable ?? false, value });
}
