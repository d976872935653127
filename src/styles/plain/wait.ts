// Waiting and choosing in the plain style.

import * as core from "../../core/branch.ts";
import { callSleep } from "../../core/call.ts";
import { durably } from "../../engine/realm.ts";

/** Waits, durably: a duration ("30s", "3d"), milliseconds, or until a `Date`; at most 10 years. The process may restart meanwhile. */
export function sleep(duration: string | number | Date): Promise<void> {
  return durably("sleep()", (run) => callSleep(run, duration));
}

/**
 * Waits for the first of several named sides and says which: `race({ paid: hook, late: sleep("3d") })`. A side may be a function, run as
 * a `branch`. The losers' reads sleep (no payload is lost to them), their timers are cancelled, their running steps go on.
 */
export const race: typeof core.race = (sides) => durably("race()", () => core.race(sides));

/** Runs code as a promise that can be seen into: once it has lost a race, what it reads from hooks sleeps; its steps go on. */
export const branch: typeof core.branch = (code) => durably("branch()", () => core.branch(code));
