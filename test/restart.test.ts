// A restart is all it takes: a close drains, one process at a time works on a file, doors work beside it, and what nobody was told of is
// found (G5, L1, ST3, SQ2, SQ3).

import { setImmediate } from "node:timers";
import { describe, expect, onTestFinished, test } from "vitest";
import { createHook, sleep, step, workflow } from "../src/index.ts";
import { memoryStore } from "../src/store/memory/store.ts";
import type { Command, Store } from "../src/store/port.ts";
import { sqliteStore } from "../src/store/sqlite/store.ts";
import { createManualClock, type ManualClock } from "../src/testing/manual-clock.ts";
import { createEngine, type Engine, type EngineOptions } from "../src/wiring.ts";
import { settled as allSettled } from "../src/testing/settled.ts";
import { createCrashWorld, type CrashWorld, type Life, send } from "./crash/driver.ts";
import { checkAttempts, checkRepeats, checkTaken, deliver, journalsOf, pathOf, type Sent, trade } from "./crash/trader.ts";
import { createWorld, epoch, testKeys } from "./harness.ts";

const isLong = process.env["RINGBACK_LONG"] === "1";
const short = { CRASH_CLOCK: "short" };

describe("processes on one file", () => {
  test(
    "a close under load drains: nothing is lost, and no step that began is begun again",
    async () => {
      const world = await createCrashWorld(short);
      const closes = isLong ? 100 : 6;
      let random = 1;
      const chance = (): number => (random = (random * 16_807) % 2_147_483_647) / 2_147_483_647;
      const all: Sent[] = [];
      const runs: string[] = [];
      let isDone = false;
      const closing = world.closeAnytime(closes, chance).then(() => {
        isDone = true;
      });
      const provider = async (): Promise<void> => {
        do {
          const run = `r${runs.length}`;
          runs.push(run);
          const { sent, taken } = await trade(world, run, 2, chance);
          checkTaken(taken, sent);
          all.push(...sent);
        } while (!isDone);
      };
      await Promise.race([world.complaint(), Promise.all([closing, ...Array.from({ length: 8 }, provider)])]);
      await checkRepeats(world, all);
      await world.life.close();
      expect(await Promise.all(world.lives.map((life) => life.exited))).toEqual(world.lives.map(() => ({ code: 0, signal: null })));
      expect(world.lives.map((life) => life.stderr).join("")).toBe("");
      const begun = world
        .entries()
        .filter((entry) => entry.step !== "flaky")
        .map((entry) => entry.key);
      expect(begun.length).toBe(new Set(begun).size);
      checkAttempts(world.entries(), await journalsOf(world, runs));
    },
    isLong ? 600_000 : 30_000,
  );

  test("a second worker is refused and told the first one's pid; when that is killed, the next opens at once", async () => {
    const world = await createCrashWorld(short);
    const first = world.begin();
    await first.port;
    const second = world.beside({});
    await second.exited;
    expect(second.refusal).toMatchObject({ code: "store_in_use", details: { path: world.store, pid: first.child.pid } });
    expect(second.refusal?.message).toContain(`process ${first.child.pid}`);
    await first.kill();
    const third = world.begin();
    expect(await third.port).toBeGreaterThan(0);
    expect(third.refusal).toBe(null);
  });

  async function withDoor(): Promise<{ world: CrashWorld; door: Life; port: number }> {
    const world = await createCrashWorld(short);
    await world.begin().port;
    const door = world.beside({ RINGBACK_ROLE: "ingress" });
    onTestFinished(() => door.kill());
    return { world, door, port: (await door.port) ?? 0 };
  }

  test("a door in another process delivers, and the worker goes on at once; a sender at the door gets what the workflow answers", async () => {
    const { world, port } = await withDoor();
    await world.value("/start/trade/t/1");
    await world.noted((entry) => entry.step === "hand out");
    const call = (kind: string) => send(port, pathOf(world, "t", kind), { headers: { "idempotency-key": `t-${kind}` }, body: `t-${kind}` });
    const [plain, manual] = await Promise.all([call("plain"), call("manual")]);
    expect([plain.status, plain.disposition]).toEqual([202, "accepted"]);
    expect([manual.status, manual.body, manual.disposition]).toEqual([200, JSON.stringify({ taken: "t-manual" }), "accepted"]);
    await call("fixed");
    expect((await deliver(world, "t", "fixed", "t-fixed")).disposition).toBe("duplicate");
    expect((await send(port, "/resume/direct:t/t-direct", { body: "t-direct" })).status).toBe(200);
    expect(await world.value("/result/t")).toEqual(["t-plain", "t-manual", "t-fixed", "t-direct"]);
  });

  test("a run that a door starts is taken up; one that a door cancels is ended when its grace is over", async () => {
    const { world, port } = await withDoor();
    expect((await send(port, "/start/single/s/0", {})).status).toBe(200);
    await world.noted((entry) => entry.run === "s");
    await world.ask(pathOf(world, "s", "plain"), { body: "hello" });
    const result = await send(port, "/result/s", {}); // the door's own wait is woken, too
    expect(result.body).toBe('"hello"');
    await world.value("/start/stubborn/c/0");
    await world.noted((entry) => entry.run === "c");
    expect((await send(port, "/cancel/c", {})).status).toBe(200);
    const { body } = await send(port, "/result/c", {});
    expect(JSON.parse(body)).toMatchObject({ code: "run_cancelled" });
  });
});

/** Engines of our own on a clock that stands. */
function manual(): { clock: ManualClock; create: (store: Store, options: EngineOptions) => Engine; settled: () => Promise<void> } {
  const clock = createManualClock(epoch);
  const engines: Engine[] = [];
  onTestFinished(async () => {
    for (const engine of engines) await engine.close({ graceMs: 0 });
  });
  const create = (store: Store, options: EngineOptions): Engine => {
    const engine = createEngine({ clock, keys: testKeys, baseUrl: null, logger: false, ...options, store });
    engines.push(engine);
    return engine;
  };
  const settled = (): Promise<void> => allSettled(...engines);
  return { clock, create, settled };
}

/** What `store` is asked to commit from here on. */
function watched(store: Store): Command["op"][] {
  const ops: Command["op"][] = [];
  const commit = store.commit.bind(store);
  store.commit = (group) => {
    ops.push(...group.map((command) => command.op));
    return commit(group);
  };
  return ops;
}

const waiting = workflow("waits for t", async (token: string) => createHook<string>({ token }));

describe("what nobody was told of", () => {
  test("a run whose wake-up was lost is found by the next look", async () => {
    const { path } = await createWorld([], { mode: "hot" });
    const { clock, create, settled } = manual();
    const store = (isDeaf: boolean): Store => {
      const own = sqliteStore({ path: `${path}-lost`, clock });
      return isDeaf ? Object.assign(own, { subscribe: () => () => {} }) : own;
    };
    const worker = create(store(true), { workflows: [waiting] });
    const run = await worker.start(waiting, ["t"]);
    await settled();
    const door = create(store(false), { role: "ingress", workflows: [] });
    await door.resumeHook("t", "payload");
    const started = await door.start(waiting, ["u"]);
    await settled();
    expect([await run.state, await started.state]).toEqual(["running", "pending"]);
    clock.advance(4_000);
    await settled();
    expect(await run.state).toBe("running");
    clock.advance(1_000);
    await settled();
    expect(await run.returnValue).toBe("payload");
    expect(await started.state).toBe("waiting");
  });

  test("a dead worker's runs are taken up when its lease is over, steps and all", async () => {
    const { clock, create, settled } = manual();
    const store = memoryStore({ clock });
    let attempts = 0;
    const hangs = workflow("hangs once", async () => {
      const result = await step.run("body", () => (++attempts === 1 ? new Promise<string>(() => {}) : "second"));
      return [result, await createHook<string>({ token: "t" })];
    });
    const dying = create(store, { workflows: [hangs] });
    const heir = create(store, { workflows: [hangs] });
    await heir.open();
    const { runId } = await dying.start(hangs, []);
    while (attempts === 0) await new Promise(setImmediate);
    await dying.core.abandon();
    clock.advance(14_000);
    await settled();
    expect(attempts).toBe(1);
    clock.advance(6_000);
    await settled();
    expect(attempts).toBe(2);
    await heir.resumeHook("t", "payload");
    expect(await heir.getRun(runId).returnValue).toEqual(["second", "payload"]);
  });

  test("a start takes up what has something to do, and leaves parked runs alone", async () => {
    const { path } = await createWorld([], { mode: "hot" });
    const { clock, create, settled } = manual();
    const open = (): Store => sqliteStore({ path: `${path}-parked`, clock });
    const sleeps = workflow("sleeps", async () => sleep("1h"));
    const first = create(open(), { workflows: [waiting, sleeps] });
    for (let n = 0; n < 100; n++) await first.start(waiting, [`t${n}`]);
    const late = await first.start(sleeps, []);
    await settled();
    await first.core.abandon();
    clock.advance(3_600_000);
    const store = open();
    const ops = watched(store);
    const second = create(store, { workflows: [waiting, sleeps] });
    await second.open();
    await settled();
    expect(await second.getRun(late.runId).state).toBe("completed");
    expect(ops.filter((op) => op === "claim").length).toBe(1);
    expect(ops.filter((op) => op === "append").length).toBe(1);
    expect(await second.signal("t7", "x")).toMatchObject({ disposition: "accepted" });
    await settled();
    expect(ops.filter((op) => op === "claim").length).toBe(2);
  });

  test("a step whose outcome found no store is taken up again without a restart", async () => {
    const { path } = await createWorld([], { mode: "hot" });
    const { clock, create, settled } = manual();
    const store = sqliteStore({ path: `${path}-away`, clock });
    let bodies = 0;
    const keys = new Set<string>();
    const wf = workflow("outcome", async () => step.run("body", () => `done ${++bodies}`));
    const engine = create(store, { workflows: [wf] });
    await engine.open();
    const commit = store.commit.bind(store);
    let isAway = true;
    store.commit = async (group) => {
      const outcome = group.find((command) => command.op === "append" && command.events[0]?.kind === "step_completed");
      if (outcome && isAway) throw new Error("The disk is away.");
      return commit(group);
    };
    const run = await engine.start(wf, []);
    await settled();
    expect([bodies, await run.state, keys.size]).toEqual([1, "running", 0]);
    isAway = false;
    clock.advance(5_000);
    await settled();
    expect(await run.returnValue).toBe(`done ${bodies}`);
  });
});
