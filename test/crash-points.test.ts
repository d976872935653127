// The process is killed at every crash point, and while it recovers from that, and at any moment under load: nothing that was
// acknowledged is lost, nothing is taken twice, no finished step begins again, and a restart is all it takes (G1, G2, G3, G5, W2, D3).

import { describe, expect, test } from "vitest";
import { systemClock } from "../src/engine/clock.ts";
import type { CrashPoint } from "../src/engine/crash-point.ts";
import { sqliteStore } from "../src/store/sqlite/store.ts";
import { createCrashWorld, type CrashWorld, send } from "./crash/driver.ts";
import { checkAttempts, checkRepeats, checkSecrets, checkTaken, deliver, journalsOf, pathOf, type Sent, trade } from "./crash/trader.ts";
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

/** Providers trade, each run after run, until `isOver`; then all that must hold is checked. */
async function tradeUntil(
  world: CrashWorld,
  isOver: () => boolean,
  seed: number,
  providers: number,
): Promise<{ runs: number; deliveries: number }> {
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
  await Promise.race([world.complaint(), Promise.all(Array.from({ length: providers }, (_, number) => provider(number)))]);
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
  test.each(isLong ? [1, 2, 3, 4, 5, 6, 7, 8] : [1])(
    "at every crash point, and while it recovers (seed %i)",
    async (seed) => {
      const chance = createChance(seed);
      const world = await createCrashWorld(env);
      // Before each early death, and in the long tests before every one, a life gets on with the work: three deaths in a row before a run
      // has got anywhere would be held against the run.
      const deaths = points.flatMap((point, index) => {
        const isEarly = index % 2 === seed % 2 || point === "load.after_claim"; // only one run may be there to load
        const at = point === "load.after_claim" ? 1 : isEarly ? 1 + Math.floor(chance() * 3) : 8 + Math.floor(chance() * 8);
        const death = `${point}:${at}`;
        return isLong || at <= 3 ? [`step.after_commit:${10 + Math.floor(chance() * 10)}`, death] : [death];
      });
      const dying = world.dieAt(deaths).then(() => {
        isDone = true;
      });
      let isDone = false;
      await Promise.all([dying, tradeUntil(world, () => isDone, seed, 4)]);
      expect(world.lives.length).toBe(deaths.length + 2);
    },
    120_000,
  );

  test(
    "between chapters: each callback is taken once, at one URL",
    async () => {
      const world = await createCrashWorld(env);
      const ends: readonly CrashPoint[] = ["continue.before_commit", "continue.after_commit"];
      const others: readonly CrashPoint[] = ["append.after_commit", "deliver.after_commit"];
      const points: readonly CrashPoint[] = [...ends, "load.after_claim", ...(isLong ? ends : []), ...others, ...(isLong ? ends : [])];
      // Every second life gets on with the work, as above.
      const deaths = points.flatMap((point, index) => [`continue.after_commit:${3 + index}`, `${point}:1`]);
      let isDone = false;
      const dying = world.dieAt(deaths).then(() => {
        isDone = true;
      });
      const all: Sent[] = [];
      const relay = async (number: number): Promise<string[]> => {
        const runs: string[] = [];
        do {
          const run = `relay-${number}-${runs.length}`;
          runs.push(run);
          const count = isLong ? 100 : 13;
          await world.value(`/start/relay/${run}/${count}`);
          await world.noted((entry) => entry.run === run && entry.step === "hand out");
          // Two at a time, so that one waits while a chapter ends.
          const sent: Sent[] = [];
          for (let n = 0; n < count; n += 2) {
            const keys = [n, n + 1].filter((each) => each < count).map((each) => `${run}-${each}`);
            sent.push(
              ...(await Promise.all(
                keys.map(async (key) => ({ run, kind: "plain", key, first: await deliver(world, run, "plain", key) })),
              )),
            );
          }
          checkTaken(await world.value<string[]>(`/result/${run}`), sent);
          all.push(...sent);
        } while (!isDone);
        return runs;
      };
      const [, ...runs] = (await Promise.race([world.complaint(), Promise.all([dying, relay(1), relay(2), relay(3)])])) as [
        void,
        ...string[][],
      ];
      await world.life.close();
      world.begin();
      await checkRepeats(world, all);
      await world.life.close();
      expect(world.life.stderr).toBe("");
      checkAttempts(world.entries(), await journalsOf(world, runs.flat()));
      checkSecrets(world);
      expect(world.lives.length).toBe(deaths.length + 2);
    },
    isLong ? 300_000 : 60_000,
  );

  test.each([
    ["start.before_commit", [0, 0], "buffered"],
    ["start.after_commit", [1, 1], "duplicate"],
  ] as const)("a run and what it is started with are both there, or neither (%s)", async (point, there, disposition) => {
    const world = await createCrashWorld(env);
    const life = world.begin(point);
    await send((await life.port) ?? 0, "/tell/a/k1", { body: "hi" }).catch(() => {});
    expect((await life.exited).signal).toBe("SIGKILL");
    const store = sqliteStore({ path: world.store, clock: systemClock });
    await store.open({ role: "ingress" });
    const held = await Promise.all([1, 2, 3].map((delivery) => store.held({ delivery })));
    expect([(await store.runs({ limit: 9 })).length, held.flat().length]).toEqual(there);
    await store.close();
    world.begin();
    expect(await world.value("/tell/a/k1", "hi")).toMatchObject({ disposition });
    expect(await world.value("/result/a")).toBe("hi");
    await world.life.close();
    checkAttempts(world.entries(), await journalsOf(world, ["a"]));
  });

  test(
    "at any moment, under a load of eight clients",
    async () => {
      const deaths = isLong ? 400 : 8;
      const chance = createChance(7);
      const world = await createCrashWorld(env);
      let isDone = false;
      const dying = world.dieAnytime(deaths, chance).then(() => {
        isDone = true;
      });
      await Promise.all([dying, tradeUntil(world, () => isDone, 7, 8)]);
      expect(world.lives.filter((life) => life.child.signalCode === "SIGKILL").length).toBe(deaths);
    },
    isLong ? 900_000 : 60_000,
  );

  test("a run that kills its process at each load is set aside, and costs no other run anything", async () => {
    const world = await createCrashWorld(env);
    world.begin();
    const good = Array.from({ length: 20 }, (_, n) => `good-${n}`);
    const runs = [...good.slice(0, 10), "bad", ...good.slice(10)];
    for (const run of runs) await world.value(`/start/${run === "bad" ? "poison" : "single"}/${run}/0`);
    for (const run of runs) await world.noted((entry) => entry.run === run);
    await world.life.kill();
    const door = world.beside({ RINGBACK_ROLE: "ingress" });
    for (const run of runs)
      expect(await send((await door.port) ?? 0, pathOf(world, run, "plain"), { body: run })).toMatchObject({ status: 202 });
    await door.close();
    let isSetAside = false;
    const dying = world.dieByItself({ CRASH_POISON: "1" }, () => isSetAside);
    const results = await Promise.all(good.map((run) => world.value(`/result/${run}`)));
    expect(results).toEqual(good);
    while (!isSetAside) isSetAside = (await world.value<[string]>("/state/bad"))[0] === "blocked";
    await world.life.close();
    await dying;
    expect(world.lives.length).toBeLessThanOrEqual(6);
    expect(world.life.stderr).toContain("run bad (poison) is blocked (crash_loop)");
  });
});
