// A run that fails, is set aside or cannot be taken up, and a store that fails, are told of in a line each: by default on stderr.

import { afterEach, expect, onTestFinished, test, vi } from "vitest";
import { RingbackError } from "../src/core/errors.ts";
import { createHook, sleep, workflow } from "../src/index.ts";
import { memoryStore } from "../src/store/memory/store.ts";
import { createManualClock } from "../src/testing/manual-clock.ts";
import { createEngine, type EngineOptions } from "../src/wiring.ts";
import { settled } from "../src/testing/settled.ts";
import { createWorld, epoch, testKeys } from "./harness.ts";

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

const fails = workflow("fails", async () => {
  throw new RangeError("first line\n  second line");
});
const misuses = workflow("misuses", async () => {
  await new Promise(() => {});
});

test.each<[string, Partial<EngineOptions>, string[]]>([
  [
    "production",
    {},
    ["ringback: run f (fails) failed: RangeError: first line second line", "ringback: run m (misuses) is blocked (misuse): "],
  ],
  [
    "development",
    {},
    ["ringback: run f (fails) failed: RangeError: first line second line", "ringback: run m (misuses) is blocked (misuse): "],
  ],
  ["production", { logger: false }, []],
  ["test", {}, []],
])("by default, on stderr, one line each (%s, %o)", async (mode, options, expected) => {
  vi.stubEnv("NODE_ENV", mode);
  const told: string[] = [];
  vi.spyOn(process.stderr, "write").mockImplementation((text) => told.push(String(text)) > 0);
  const clock = createManualClock(epoch);
  const engine = createEngine({
    store: "memory:",
    clock,
    keys: testKeys,
    baseUrl: null,
    leaseMs: 1e12,
    workflows: [fails, misuses],
    ...options,
  });
  onTestFinished(() => engine.close({ graceMs: 0 }));
  await engine.start(fails, [], { id: "f" });
  await engine.start(misuses, [], { id: "m" });
  await settled(engine);
  expect(told.map((line, index) => line.slice(0, expected[index]?.length))).toEqual(expected);
  for (const line of told) expect(line).toMatch(/^[^\n]+\n$/);
});

test("a run that cannot be taken up is told once, as what it is and what happens next; then it goes on", async () => {
  const waits = workflow("waits", async () => createHook<string>({ token: "t" }));
  const world = await createWorld([waits], { mode: "two-workers", hotRuns: 0 });
  const run = await world.start(waits);
  const chapter = vi.spyOn(world.store, "chapter").mockRejectedValue(new TypeError("odd\nentry"));
  await world.engine.resumeHook("t", "payload");
  await world.settled();
  for (let second = 0; second < 3; second++) await world.advance(1_000);
  const line = `ringback: run ${run.runId} (waits) could not be taken up, and is tried again each second: TypeError: odd entry`;
  expect(new Set(world.lines)).toEqual(new Set([line]));
  expect(world.lines.length).toBeLessThanOrEqual(world.engines.length);
  chapter.mockRestore();
  await world.advance(1_000);
  expect(await run.returnValue).toBe("payload");
});

test("a store that fails is told of, once a minute while it does, and not for each run", async () => {
  const clock = createManualClock(epoch);
  const store = memoryStore({ clock });
  const lines: string[] = [];
  const logger = { warn: (line: string) => void lines.push(line), error: (line: string) => void lines.push(line) };
  const naps = workflow("naps", async () => sleep("10s"));
  const engine = createEngine({ store, clock, keys: testKeys, baseUrl: null, leaseMs: 1e12, workflows: [naps], logger, hotRuns: 0 });
  onTestFinished(() => engine.close({ graceMs: 0 }));
  for (let run = 0; run < 20; run++) await engine.start(naps, []);
  await settled(engine);
  const away = new RingbackError("store_unavailable", "It is away.", { details: { store: "memory" } });
  const commit = vi.spyOn(store, "commit").mockRejectedValue(away);
  const line = "ringback: store memory failed; callbacks get 503 and runs wait until it answers: RingbackError: It is away.";
  for (let seconds = 10; seconds < 60; seconds += 10) {
    clock.advance(10_000);
    await settled(engine);
  }
  expect(lines).toEqual([line]);
  clock.advance(60_000);
  await settled(engine);
  expect(lines).toEqual([line, line]);
  commit.mockRestore();
  clock.advance(10_000);
  await settled(engine);
  expect((await engine.listRuns({ state: "completed" })).length).toBe(20);
});

test("a store that was closed with its engine has not failed, whatever still comes", async () => {
  const world = await createWorld([], { mode: "hot" });
  const { core } = world.engine;
  await core.abandon();
  await expect(core.committer.commit({ op: "release", worker: core.id })).rejects.toThrow("is not open");
  expect(world.lines).toEqual([]);
});
