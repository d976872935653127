// Changing code under runs that are under way, in the plain style.

import { callPatched } from "../../core/patch.ts";
import { here } from "../../engine/realm.ts";
import { checkName } from "../../engine/registry.ts";

/**
 * Whether a run takes the new code: `if (patched("fraud-check")) await checkFraud(order)`. True for runs that come to it new; false for
 * those that had passed that place before the patch was there. The first answer stands for the whole run, so a loop that began without
 * the patch goes on without it, until `continueAsNew`. Once no run without it is left, the call may go and the new code stay.
 */
export function patched(id: string): boolean {
  checkName("patch", id);
  return callPatched(here("patched()"), id);
}
