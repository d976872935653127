// Whose turn it is. Everything durable asks here for its run; the realm opens and closes turns, core only reads.
//
// T1. Code of a run advances only while `current` is that run.
// T2. Scopes (`branch`) follow the code through its awaits; where from is the realm's business, not core's.

import type { Run } from "./run.ts";

/** The run whose turn it is, or null. Set by `enter` and `leave` alone. */
export let current: Run | null = null;

export function enter(run: Run): void {
  current = run;
}

export function leave(): void {
  current = null;
}

/** The run whose own code is calling, in its turn; null for all other code, even where that runs within the turn. */
export let caller: () => Run | null = () => current;

/** Whether `run`'s own code is calling, in its turn. Without a realm nothing tells, and all code counts as the run's. */
export let isCaller: (run: object) => boolean = () => true;

/** The realm hands in its own at load, which looks at the code's async context. */
export function useCaller(own: () => Run | null): void {
  caller = own;
  isCaller = (run) => own() === run;
}

/** Whether a durable call may be made here and now; where it may not, the run is told so. For calls that cannot throw. */
export let isAllowed: (call: string) => boolean = () => true;

/** The realm hands in its own at load. */
export function useGuard(own: (call: string) => boolean): void {
  isAllowed = own;
}

/** A value that follows code through its awaits (AsyncLocalStorage, in Node). */
export interface Scopes {
  get(): unknown;
  run<T>(scope: unknown, code: () => T): T;
}

export let scopes: Scopes = { get: () => undefined, run: (_scope, code) => code() };

/** The realm hands in its own at load. */
export function useScopes(own: Scopes): void {
  scopes = own;
}
