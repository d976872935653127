// The process is killed at every crash point, and while it recovers from that, and at any moment under load: nothing that was
// acknowledged is lost, nothing is taken twice, no finished step begins again, and a restart is all it takes (G1, G2, G3, G5).

import { describe, expect, test } from "vitest";
import type { CrashPoint } from "../src/engine/crash-point.ts";
import { createCrashWorld, type CrashWorld } from "./crash/driver.ts";
import { checkAttempts, checkRepeats, checkSecrets, checkTaken, journalsOf, type Sent, trade } from "./crash/trader.ts";
import { defaultMode } from "./harness.ts";

const isLong = process.env["RINGBACK_LONG"] === "1";
const points: readonly CrashPoint[] = [
  "deliver.before_commit",
  "deliver.after_commit",
  "append.before_commit",
  "append.after_commit",
  "step.before_body",
  "step.before_commit",
  "step.after_commit",
  "answer.before_commit",
  "answer.after_commit",
  "end.before_commit",
  "end.after_commit",
  "load.after_claim",
];
const env = { CRASH_CLOCK: "short", CRASH_HOT: defaultMode === "evict" ? "0" : "1000" };

/** Small, seeded, and good enough to mix with. */
function createChance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5) >>> 0;
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32;
  };
}

/** Eight providers trade, each run after run, until `isOver`; then all that must hold is checked. */
async function tradeUntil(world: CrashWorld, isOver: () => boolean, seed: number): Promise<{ runs: number; deliveries: number }> {
  const all: Sent[] = [];
  const runs: string[] = [];
  const provider = async (number: number): Promise<void> => {
    const chance = createChance(seed * 1_000 + number);
    do {
      const run = `t${number}-${runs.length}`;
      runs.push(run);
      const { sent, taken } = await trade(world, run, 2, chance);
      checkTaken(taken, sent);
      all.push(...sent);
    } while (!isOver());
  };
  await Promise.all(Array.from({ length: 8 }, (_, number) => provider(number)));
  await world.life.close();
  world.begin();
  await checkRepeats(world, all);
  await world.life.close();
  expect(world.life.stderr).toBe("");
  checkAttempts(world.entries(), await journalsOf(world, runs));
  checkSecrets(world);
  return { runs: runs.length, deliveries: all.length };
}

describe("a killed process loses nothing and repeats nothing", () => {
  test.each(isLong ? [1, 2, 3, 4, 5, 6, 7, 8] : [1])("at every crash point, and while it recovers (seed %i)", async (seed) => {
    const chance = createChance(seed);
    const world = await createCrashWorld(env);
    // Every second life gets on with the work: three deaths in a row before a run has got anywhere would be held against the run.
    const deaths = points.flatMap((point) => {
      const early = `${point}:${1 + Math.floor(chance() * 3)}`;
      const late = `${point.startsWith("load") ? "deliver.after_commit" : point}:${10 + Math.floor(chance() * 10)}`;
      return [late, early];
    });
    const dying = world.dieAt(deaths).then(() => {
      isDone = true;
    });
    let isDone = false;
    await Promise.all([dying, tradeUntil(world, () => isDone, seed)]);
    expect(world.lives.length).toBe(deaths.length + 2);
  }, 120_000);
});
