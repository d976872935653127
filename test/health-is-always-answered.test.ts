// engine.health(): what a probe, a dashboard or a person asks; bounded, and answered also when the store is not (HE1).

import { expect, onTestFinished, test, vi } from "vitest";
import { RingbackError } from "../src/errors.ts";
import { createHook, createWebhook, sleep, workflow } from "../src/index.ts";
import { memoryStore } from "../src/store/memory/store.ts";
import { createManualClock } from "../src/testing/manual-clock.ts";
import { createEngine, type Engine, type EngineOptions } from "../src/wiring.ts";
import { settled } from "../src/testing/settled.ts";
import { createWorld, epoch, modes, testKeys } from "./harness.ts";

const parks = workflow("parks", async () => createHook<string>({ token: "h" }));
const misuses = workflow("misuses", async () => {
  await new Promise(() => {});
});

test.each(modes)("an engine that does its work has no problems (%s)", async (mode) => {
  const world = await createWorld([parks, misuses], { mode });
  await world.start(parks);
  await world.start(misuses);
  await world.advance(60_000);
  const { engine } = world;
  const health = await engine.health();
  expect(health).toEqual({
    ok: true,
    problems: [],
    at: new Date(epoch + 60_000),
    isOpen: true,
    role: "worker",
    worker: engine.core.id,
    store: { name: world.store.name, isReachable: true, latencyMs: 0, clockSkewMs: 0, failedAt: null },
    lease: mode === "two-workers" ? { kind: "lease", leftMs: expect.any(Number) } : { kind: "lock", leftMs: null },
    runs: { hot: engine.core.worker.hotCount, open: 1, blocked: 1, stuck: [] },
    timers: { overdueMs: 0 },
    commits: { queued: 0 },
    keys: { current: "t1", kids: ["t1"], missing: [] },
    versions: { ringback: expect.stringMatching(/^\d+\.\d+\.\d+/), node: process.versions.node },
  });
  expect(JSON.parse(JSON.stringify(health))).toMatchObject({ ok: true, runs: { open: 1 } });
});

test("before it is open and after it is closed it says so, and opens nothing", async () => {
  const engine = createEngine({ store: "memory:", baseUrl: null, keys: testKeys, workflows: [] });
  const closed = { ok: false, isOpen: false, problems: ["The engine is not open."], lease: null, store: { isReachable: false } };
  expect(await engine.health()).toMatchObject(closed);
  await engine.open();
  expect(await engine.health()).toMatchObject({ ok: true, isOpen: true });
  await engine.close();
  expect(await engine.health()).toMatchObject(closed);
});

test("a store that fails, and one that does not answer, are told of within 5 s", async () => {
  const world = await createWorld([], { mode: "hot" });
  const { engine, store } = world;
  const away = new RingbackError("store_unavailable", "It is away.", { details: { store: "sqlite" } });
  const nextDue = vi.spyOn(store, "nextDue").mockRejectedValue(away);
  const commit = vi.spyOn(store, "commit").mockRejectedValue(away);
  await engine.core.committer.commit({ op: "release", worker: "nobody" }).catch(() => {});
  expect(await engine.health()).toMatchObject({
    ok: false,
    problems: [
      `Store ${store.name} does not answer: RingbackError: It is away.`,
      `Store ${store.name} has been failing since ${new Date(epoch).toISOString()}.`,
    ],
    store: { isReachable: false, latencyMs: null, failedAt: new Date(epoch) },
  });
  commit.mockRestore();
  await engine.core.committer.commit({ op: "release", worker: "nobody" });
  let answer: (due: null) => void = () => {};
  nextDue.mockImplementation(() => new Promise((resolve) => (answer = resolve)));
  const waiting = engine.health();
  world.clock.advance(5_000);
  expect(await waiting).toMatchObject({ ok: false, problems: [`Store ${store.name} does not answer: not within 5 s.`] });
  answer(null);
  nextDue.mockRestore();
  expect(await engine.health()).toMatchObject({ ok: true, store: { isReachable: true, failedAt: null } });
});

/** Two processes on one store. */
function beside(options: Partial<EngineOptions>, ...others: Partial<EngineOptions>[]): [ReturnType<typeof createManualClock>, ...Engine[]] {
  const clock = createManualClock(epoch);
  const store = memoryStore({ clock });
  const base = { store, clock, keys: testKeys, baseUrl: "https://app.example", logger: false, workflows: [] } as const;
  const engines = [options, ...others].map((more) => createEngine({ ...base, ...more }));
  onTestFinished(async () => {
    for (const engine of engines) await engine.close({ graceMs: 0 });
  });
  return [clock, ...engines];
}

test("a run that had something to do for more than 30 s and has not moved", async () => {
  const naps = workflow("naps", async () => sleep("10s"));
  const [clock, door] = beside({ role: "ingress" }) as [ReturnType<typeof createManualClock>, Engine];
  await door.start(naps, [], { id: "nobody runs it" });
  clock.advance(30_000);
  expect((await door.health()).runs.stuck).toEqual([]);
  clock.advance(1);
  expect(await door.health()).toMatchObject({
    ok: false,
    role: "ingress",
    lease: null,
    problems: ["Runs have had something to do for more than 30 s and have not moved: nobody runs it."],
    runs: { open: 1, stuck: ["nobody runs it"] },
  });
});

test("a timer that nobody fires", async () => {
  const naps = workflow("naps", async () => sleep("10s"));
  const [clock, worker, door] = beside({ workflows: [naps] }, { role: "ingress" }) as [
    ReturnType<typeof createManualClock>,
    Engine,
    Engine,
  ];
  await worker.start(naps, []);
  await settled(worker);
  expect((await worker.health()).lease).toEqual({ kind: "lease", leftMs: 15_000 });
  await door.open();
  await worker.core.abandon();
  clock.advance(40_000);
  expect((await door.health()).problems).toEqual([]);
  clock.advance(1);
  expect((await door.health()).problems).toEqual(["A timer has been due for 30001 ms: is a worker running?"]);
});

test("a worker whose beats do not come through says that its lease is over", async () => {
  const [clock, worker] = beside({}) as [ReturnType<typeof createManualClock>, Engine];
  await worker.open();
  const commit = vi.spyOn(worker.core.parts.store, "commit").mockRejectedValue(new Error("away"));
  onTestFinished(() => commit.mockRestore());
  clock.advance(15_000);
  expect((await worker.health()).problems).toContain("This worker's lease is over: other workers may take its runs.");
});

test("a key that open hooks need and the ring lacks", async () => {
  const hands = workflow("hands", async () => createWebhook());
  const rotated = `t2=${"ab".repeat(32)}`;
  const [, old, rotating] = beside({ role: "ingress" }, { workflows: [hands], keys: `${rotated},${testKeys}` }) as [
    unknown,
    Engine,
    Engine,
  ];
  await old.open();
  await rotating.start(hands, []);
  await settled(rotating);
  expect(await old.health()).toMatchObject({
    ok: false,
    problems: ["Open hooks need keys that the ring lacks: t2. Their callbacks get 404 here."],
    keys: { current: "t1", kids: ["t1"], missing: ["t2"] },
  });
  expect(await rotating.health()).toMatchObject({ ok: true, keys: { current: "t2", kids: ["t2", "t1"], missing: [] } });
});
