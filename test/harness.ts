// Engines under a manual clock, in every mode the functional suite runs in.
//
// Modes: `hot` (one engine on a SQLite file), `evict` (the same, every run cold after every turn), `two-workers` (two engines on one
// memory store, used in turn). RINGBACK_TEST_MODE picks one for the whole run; default hot.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { Recorded } from "../src/core/event.ts";
import { createEngine, type Engine, type EngineOptions } from "../src/wiring.ts";
import { memoryStore } from "../src/store/memory/store.ts";
import { sqliteStore } from "../src/store/sqlite/store.ts";
import type { Store } from "../src/store/port.ts";
import { createManualClock, type ManualClock } from "../src/testing/manual-clock.ts";
import { settled as allSettled } from "../src/testing/settled.ts";
import type { RunHandle } from "../src/engine/run-handle.ts";
import type { WorkflowFunction } from "../src/engine/workflow.ts";

export type Mode = "hot" | "evict" | "two-workers";
export const modes: readonly Mode[] = ["hot", "evict", "two-workers"];
/** For what takes long in each mode: in `npm test` that of the whole run alone. */
export const modesOfLength: readonly Mode[] =
  process.env["RINGBACK_LONG"] === "1" ? modes : [(process.env["RINGBACK_TEST_MODE"] as Mode | undefined) ?? "hot"];
/** Likewise, for what shows best where every turn begins cold and from the file. */
export const coldModes: readonly Mode[] =
  process.env["RINGBACK_LONG"] === "1" ? modes : [(process.env["RINGBACK_TEST_MODE"] as Mode | undefined) ?? "evict"];
export const defaultMode: Mode = (process.env["RINGBACK_TEST_MODE"] as Mode | undefined) ?? "hot";

/** 2026-01-01, so that instants in failures are easy to read. */
export const epoch = 1_767_225_600_000;
const leaseForEver = 1e12;
export const testKeys = "t1=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

export interface World {
  readonly clock: ManualClock;
  readonly mode: Mode;
  /** The engine to use next: in `two-workers` they take turns. */
  readonly engine: Engine;
  readonly engines: readonly Engine[];
  readonly store: Store;
  /** Path of the SQLite file, or null. */
  readonly path: string | null;
  /** Until nothing is under way in any engine; what waits for the clock or the outside stays. */
  settled(): Promise<void>;
  /** Moves the clock, then settles. */
  advance(ms: number): Promise<void>;
  /** Drops every engine as a crash would, and opens new ones on what is stored. */
  /** Without `isSettled`, for who waits for something else. */
  restart(options?: Partial<EngineOptions>, isSettled?: boolean): Promise<void>;
  start<A extends unknown[], R>(workflow: WorkflowFunction<A, R>, ...args: A): Promise<RunHandle<R>>;
  journal(run: { readonly runId: string }): Promise<readonly Recorded[]>;
  /** What the engines logged. */
  readonly lines: string[];
}

export async function createWorld(
  workflows: readonly WorkflowFunction<any[], any>[],
  options: Partial<EngineOptions> & { mode?: Mode } = {},
): Promise<World> {
  const { mode = defaultMode, ...own } = options;
  const clock = createManualClock(epoch);
  const folder = mode === "two-workers" ? null : mkdtempSync(join(tmpdir(), "ringback-test-"));
  const path = folder && join(folder, "test.db");
  const memory = path ? null : memoryStore({ clock });
  const lines: string[] = [];
  const sink = { warn: (line: string) => void lines.push(line), error: (line: string) => void lines.push(line) };
  const base: EngineOptions = {
    baseUrl: "https://app.example",
    keys: testKeys,
    clock,
    leaseMs: leaseForEver,
    logger: sink,
    workflows,
    ...(mode === "evict" ? { hotRuns: 0 } : {}),
    ...own,
  };
  let engines: Engine[] = [];
  let stores: Store[] = [];
  let next = 0;
  const openAll = async (more: Partial<EngineOptions> = {}, isSettled = true): Promise<void> => {
    stores = path ? [sqliteStore({ path, clock })] : [memory as Store];
    const count = mode === "two-workers" ? 2 : 1;
    engines = Array.from({ length: count }, () => createEngine({ ...base, ...more, store: stores[0] as Store }));
    for (const engine of engines) await engine.open();
    if (isSettled) await settled();
  };
  const settled = (): Promise<void> => allSettled(...engines);
  await openAll();
  onTestFinished(async () => {
    for (const engine of engines) await engine.close({ graceMs: 0 }).catch(() => {});
    if (folder) rmSync(folder, { recursive: true, force: true });
  });
  return {
    clock,
    mode,
    path,
    lines,
    settled,
    get engines() {
      return engines;
    },
    get engine() {
      return engines[next++ % engines.length] as Engine;
    },
    get store() {
      return stores[0] as Store;
    },
    async advance(ms) {
      clock.advance(ms);
      await settled();
    },
    async restart(more, isSettled) {
      await memory?.open({ role: "ingress" });
      for (const engine of engines) await engine.core.abandon();
      // What passing time would do: the leases of the dead are over, and their runs are anybody's.
      await memory?.commit(engines.map((engine) => ({ op: "release" as const, worker: engine.core.id })));
      await memory?.close();
      await openAll(more, isSettled);
    },
    async start(workflow, ...args) {
      const run = await (engines[next++ % engines.length] as Engine).start(workflow, args);
      await settled();
      return run;
    },
    async journal(run) {
      const store = stores[0] as Store;
      const row = await store.run({ id: run.runId });
      return row ? store.journal(row.run, 0) : [];
    },
  };
}
