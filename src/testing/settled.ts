// When a test may look: what engines can do without the clock and the outside, they have done.

import { setImmediate } from "node:timers";
import type { EngineCore } from "../engine/engine.ts";

/** Passes of the event loop in which nothing must be under way: what one pass hands to the next is then done, too. */
const quietPasses = 4;

/**
 * Resolves when nothing is under way in these engines: no turn, no commit, no step. What waits for the clock or the outside stays. To be
 * called after what a test did from outside: `clock.advance(…)`, a delivery, a start.
 */
export async function settled(...engines: readonly { readonly core: EngineCore }[]): Promise<void> {
  for (let quiet = 0; quiet < quietPasses; ) {
    await new Promise<void>((resolve) => void setImmediate(resolve));
    quiet = engines.every(({ core }) => core.isIdle) ? quiet + 1 : 0;
  }
}
