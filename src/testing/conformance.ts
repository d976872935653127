// The suite that every store answers to: a law for each promise of the port, and random sequences against the memory store.

import type { Law, StoreSubject, ExpectFunction, TestFunction } from "./law/world.ts";
import { World } from "./law/world.ts";
import { answerLaws, deliverLaws, tokenLaws } from "./law/hook-law.ts";
import { chapterLaws } from "./law/chapter-law.ts";
import { attributeLaws } from "./law/attribute-law.ts";
import { claimLaws } from "./law/claim-law.ts";
import { heldLaws } from "./law/held-law.ts";
import { compareWithOracle } from "./law/oracle.ts";
import { publishedLaws } from "./law/published-law.ts";
import { purgeLaws } from "./law/purge-law.ts";
import { readLaws } from "./law/read-law.ts";
import { streamLaws } from "./law/stream-law.ts";
import { appendLaws, leaseLaws, startLaws } from "./law/run-law.ts";
import { childLaws, timeLaws } from "./law/time-law.ts";
import { createManualClock, type ManualClock } from "./manual-clock.ts";

export type { ExpectFunction, StoreSubject, TestFunction } from "./law/world.ts";

/** How long the random part of the suite is. */
export interface ConformanceOptions {
  /** How many random sequences are compared with the memory store. Default 20. */
  readonly sequences?: number;
  /** Groups in each. Default 60. */
  readonly groups?: number;
  /** The first sequence's seed; the others' follow. Default 1. */
  readonly seed?: number;
}

const laws: readonly Law[] = [
  ...startLaws,
  ...appendLaws,
  ...leaseLaws,
  ...deliverLaws,
  ...tokenLaws,
  ...answerLaws,
  ...timeLaws,
  ...childLaws,
  ...chapterLaws,
  ...readLaws,
  ...attributeLaws,
  ...publishedLaws,
  ...heldLaws,
  ...claimLaws,
  ...streamLaws,
  ...purgeLaws,
];

/**
 * Registers the tests that a store must pass, with the runner's own `test` and `expect`. `create` makes a store on fresh data, not
 * opened, that takes its time from the clock it is given.
 */
export function storeConformance(
  test: TestFunction,
  expect: ExpectFunction,
  create: (clock: ManualClock) => Promise<StoreSubject>,
  options: ConformanceOptions = {},
): void {
  for (const law of laws) {
    test(law.name, async () => {
      const clock = createManualClock();
      const world = new World(await create(clock), clock, expect);
      await world.open();
      try {
        await law.holds(world);
      } finally {
        await world.over();
      }
    });
  }
  const { sequences = 20, groups = 60, seed = 1 } = options;
  test("random commands: the same outcomes, notices and rows as the memory store", async () => {
    for (let index = 0; index < sequences; index++) await compareWithOracle(create, expect, { seed: seed + index, groups });
  });
}
