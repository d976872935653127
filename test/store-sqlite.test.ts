// What SQLite adds to the store's laws: durable settings, one worker per file, doors beside it, and clear errors (SQ1–SQ4, SD1).

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync, chmodSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { compiledChild } from "./child/compiled.ts";
import { RingbackError } from "../src/core/errors.ts";
import type { Command, Notice, Store } from "../src/store/port.ts";
import { connect } from "../src/store/sqlite/connection.ts";
import { ask, type Database, type Driver, loadDriver, prepare, type Statement } from "../src/store/sqlite/driver.ts";
import { commitGroup } from "../src/store/sqlite/group.ts";
import * as read from "../src/store/sqlite/read.ts";
import { sqliteStore } from "../src/store/sqlite/store.ts";
import { readStream } from "../src/store/sqlite/stream.ts";
import { Tables } from "../src/store/sqlite/table.ts";
import { createManualClock, type ManualClock } from "../src/testing/manual-clock.ts";
import { deliver, hookCreated, minted, newRun, runEnded, start, valuePublished } from "../src/testing/law/world.ts";

const cleanUp: (() => unknown)[] = [];

afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

function newPath(...inside: string[]): string {
  const folder = mkdtempSync(join(tmpdir(), "ringback-sqlite-"));
  cleanUp.push(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, ...inside, "test.db");
}

async function openStore(
  path: string,
  role: "worker" | "ingress" = "worker",
  clock: ManualClock = createManualClock(),
  maxBytes?: number,
): Promise<Store> {
  const store = sqliteStore({ path, clock, ...(maxBytes === undefined ? {} : { maxBytes }) });
  await store.open({ role });
  cleanUp.push(() => store.close());
  return store;
}

async function waitingRun(store: Store, id: string): Promise<number> {
  const [outcome] = await store.commit([start(id)]);
  const { run } = (outcome as { row: { run: number } }).row;
  await store.commit([{ op: "append", run, fence: 1, seen: 1, events: [hookCreated(1)] }]);
  return run;
}

test("every connection syncs each commit: the first, a second one, and one on a file that is there", async () => {
  const driver = await loadDriver();
  const path = newPath();
  const settings = (database: Database) =>
    ["journal_mode", "synchronous", "busy_timeout", "wal_autocheckpoint", "cache_size"].map((name) => ask(database, `pragma ${name}`)[0]);
  const first = connect(driver, { path, store: "test" });
  const second = connect(driver, { path, store: "test" });
  expect([settings(first), settings(second)]).toEqual(Array(2).fill(["wal", 2, 5000, 4000, -65536]));
  first.close();
  second.close();
  const reopened = connect(driver, { path, store: "test" });
  expect(settings(reopened)).toEqual(["wal", 2, 5000, 4000, -65536]);
  reopened.close();
});

test("a connection waits for others from its first look at the file on", async () => {
  const Real = await loadDriver();
  const asked: string[] = [];
  const recorded = class extends (Real as new (path: string) => Database) {
    override exec(sql: string): void {
      asked.push(sql);
      super.exec(sql);
    }
  };
  connect(recorded, { path: newPath(), store: "test" }).close();
  expect(asked[0]).toBe("pragma busy_timeout=5000");
});

test("a connection that does not take a durable setting is refused", async () => {
  const Real = await loadDriver();
  class Careless extends (Real as new (path: string) => Database) {
    override exec(sql: string): void {
      super.exec(sql.replace("synchronous=FULL", "synchronous=NORMAL"));
    }
  }
  const path = newPath();
  expect(() => connect(Careless, { path, store: "test" })).toThrow(
    expect.objectContaining({ code: "unsafe_durability", details: { store: "test", setting: "synchronous=1" } }),
  );
  await expect(openStore(":memory:", "ingress")).rejects.toMatchObject({ code: "unsafe_durability" });
});

test("a file has one worker: a second one is told whose it is, and a closed one makes room", async () => {
  const path = newPath();
  const first = sqliteStore({ path, clock: createManualClock() });
  await first.open({ role: "worker" });
  await expect(openStore(path)).rejects.toMatchObject({ code: "store_in_use", details: { path, pid: process.pid } });
  await expect(first.open({ role: "worker" })).rejects.toMatchObject({ code: "store_in_use" });
  await first.close();
  await openStore(path);
});

test("a worker that was killed leaves the file free at once, and its runs with it", async () => {
  const path = newPath();
  const child = spawn(process.execPath, [compiledChild("child/sqlite-owner"), path], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await spoken(child);
  await expect(openStore(path)).rejects.toMatchObject({ code: "store_in_use", details: { pid: child.pid } });
  child.kill("SIGKILL");
  await once(child, "exit");
  const store = await openStore(path);
  const [row] = await store.runnable("next", ["w"], 10);
  expect(row).toMatchObject({ id: "run-1", worker: "killed" });
  expect(await store.commit([{ op: "claim", run: row!.run, worker: "next" }])).toMatchObject([
    { type: "claimed", row: { worker: "next", fence: row!.fence + 1 } },
  ]);
});

async function spoken(child: ChildProcess): Promise<void> {
  cleanUp.push(() => child.kill("SIGKILL"));
  await once(child.stdout!, "data");
}

test("a door beside the worker sees its commits, and is noticed by it", async () => {
  const path = newPath();
  const clock = createManualClock();
  const worker = await openStore(path, "worker", clock);
  const run = await waitingRun(worker, "run-1");
  const door = await openStore(path, "ingress", clock);
  const heard: Notice[] = [];
  worker.subscribe((notice) => heard.push(notice));
  expect(await door.run({ run })).toMatchObject({ seq: 2 });
  expect(await door.commit([deliver(minted("run-1"), { key: "k1" })])).toMatchObject([{ type: "accepted" }]);
  clock.advance(99);
  expect(heard).toEqual([]);
  clock.advance(1);
  expect(heard).toEqual([{ type: "changed" }]);
  // The worker has kept the row in memory; it must not write over what the door did.
  expect(await worker.commit([deliver(minted("run-1"), { key: "k1" }), deliver(minted("run-1"), { key: "k2" })])).toMatchObject([
    { type: "duplicate" },
    { type: "accepted", event: { seq: 4 } },
  ]);
  expect(await door.commit([{ op: "append", run, fence: 1, seen: 4, events: [runEnded()] }])).toMatchObject([{ type: "appended" }]);
  expect(await worker.commit([deliver(minted("run-1"), { key: "k3" })])).toMatchObject([{ type: "closed", by: "ended" }]);
  expect((await worker.journal(run, 0)).map((event) => event.seq)).toEqual([1, 2, 3, 4, 5]);
});

test("a clock that is moved by a month is looked at once", async () => {
  const clock = createManualClock();
  const store = await openStore(newPath(), "worker", clock);
  clock.advance(30 * 24 * 3_600_000);
  await Promise.resolve();
  clock.advance(100);
  expect(store.now()).toBe(clock.now());
});

test("a file of a later version is left alone", async () => {
  const path = newPath();
  await (await openStore(path)).close();
  const database = new (await loadDriver())(path);
  database.exec("pragma user_version=99");
  database.close();
  await expect(openStore(path)).rejects.toMatchObject({ code: "store_newer", details: { found: 99, known: 6 } });
});

test("a file from before runs had streams is brought up to date, with what is in it", async () => {
  const path = newPath();
  const earlier = await openStore(path);
  const [outcome] = await earlier.commit([start("old")]);
  await earlier.close();
  const database = new (await loadDriver())(path);
  database.exec("drop table published; drop table chunks; drop table streams; drop table streamed_on; pragma user_version=4");
  database.close();
  const store = await openStore(path);
  const { run, fence } = (outcome as { row: { run: number; fence: number } }).row;
  await store.commit([{ op: "write", run, fence, stream: "=", chunks: ["=1"], isLast: false }]);
  expect(await store.stream({ run, stream: "=", from: 0, bytes: 9 })).toMatchObject({ chunks: ["=1"], length: 1 });
  expect((await store.describe()).versions["format"]).toBe("6");
  await store.close();
});

test("a file from before runs published values is brought up to date, and its runs publish", async () => {
  const path = newPath();
  const earlier = await openStore(path);
  const run = await waitingRun(earlier, "old");
  await earlier.close();
  const database = new (await loadDriver())(path);
  database.exec("drop table published; pragma user_version=5");
  database.close();
  const store = await openStore(path);
  expect((await store.describe()).versions["format"]).toBe("6");
  expect([await store.published(run, "status"), (await store.journal(run, 0)).length]).toEqual([null, 2]);
  await store.commit([{ op: "append", run, fence: 1, seen: 1, events: [valuePublished(2, "status", "=1")] }]);
  expect(await store.published(run, "status")).toMatchObject({ kind: "value_published", name: "status", value: "=1", seq: 3 });
  await store.close();
});

test("a file that is no database, or a damaged one, is called so", async () => {
  const garbage = newPath();
  writeFileSync(garbage, "this is not a database. ".repeat(500));
  await expect(openStore(garbage)).rejects.toMatchObject({ code: "store_corrupt" });
  const damaged = newPath();
  const store = await openStore(damaged);
  await store.commit(Array.from({ length: 200 }, (_, index) => start(`run-${index}`)));
  await store.close();
  const { size } = statSync(damaged);
  truncateSync(damaged, Math.floor(size / 2 / 4096) * 4096);
  const opened = sqliteStore({ path: damaged, clock: createManualClock() });
  const readAll = async (): Promise<void> => {
    await opened.open({ role: "ingress" });
    for (let run = 1; run <= 200; run++) await opened.journal(run, 0);
  };
  cleanUp.push(() => opened.close());
  await expect(readAll()).rejects.toMatchObject({ code: "store_corrupt" });
});

test("a file or folder that may not be written is called so", async () => {
  const original = newPath();
  await (await openStore(original)).close();
  // A copy: within one process SQLite may use a file descriptor again that it was once allowed to write through.
  const path = newPath();
  copyFileSync(original, path);
  chmodSync(path, 0o444);
  chmodSync(join(path, ".."), 0o555);
  const isRoot = process.getuid?.() === 0;
  if (isRoot) process.seteuid!(65_534);
  try {
    await expect(openStore(path)).rejects.toMatchObject({ code: "store_unavailable", message: expect.stringContaining("may write there") });
    await expect(openStore(path, "ingress")).rejects.toMatchObject({
      code: "store_unavailable",
      message: expect.stringContaining("read-only"),
    });
  } finally {
    if (isRoot) process.seteuid!(0);
    chmodSync(join(path, ".."), 0o755);
  }
});

test("a full disk refuses the group, keeps the process, and is over when there is room", async () => {
  const path = newPath();
  const store = await openStore(path, "worker", createManualClock(), 300_000);
  const run = await waitingRun(store, "run-1");
  const large = deliver(minted("run-1"), {
    payload: { type: "request", head: { method: "POST", url: null, search: "", headers: [] }, body: new Uint8Array(200_000) },
  });
  await expect(store.commit([deliver(minted("run-1")), large, large])).rejects.toMatchObject({ code: "store_full" });
  expect(await store.run({ run })).toMatchObject({ seq: 2, wake: false });
  expect(await store.commit([deliver(minted("run-1"))])).toMatchObject([{ type: "accepted" }]);
  await store.close();
  const roomy = await openStore(path);
  expect(await roomy.commit([large, large])).toMatchObject([{ type: "accepted" }, { type: "accepted" }]);
});

test("what is not open says so", async () => {
  const store = sqliteStore({ path: newPath(), clock: createManualClock() });
  await expect(store.commit([])).rejects.toBeInstanceOf(RingbackError);
  await expect(store.run({ run: 1 })).rejects.toMatchObject({ code: "store_unavailable" });
});

test(".ringback/ is made with a .gitignore, another folder without", async () => {
  const own = newPath(".ringback");
  await openStore(own);
  expect(readFileSync(join(own, "..", ".gitignore"), "utf8")).toBe("*\n");
  const other = newPath("data");
  await openStore(other);
  expect(existsSync(join(other, "..", ".gitignore"))).toBe(false);
});

test("a refused delivery dirties no page", async () => {
  const path = newPath();
  const store = await openStore(path);
  const run = await waitingRun(store, "run-1");
  await store.commit([deliver(minted("run-1"), { key: "k1" })]);
  const before = statSync(`${path}-wal`).size;
  await store.commit([
    deliver(minted("run-1"), { key: "k1" }),
    deliver(minted("run-2"), { key: "k1" }),
    { op: "append", run, fence: 7, seen: 1, events: [runEnded()] },
  ]);
  expect(statSync(`${path}-wal`).size).toBe(before);
});

/** A driver that writes down every statement. */
function recording(Real: Driver, seen: Set<string>): Driver {
  return class extends (Real as new (path: string) => Database) {
    override prepare(sql: string): Statement {
      seen.add(sql);
      return super.prepare(sql);
    }
  };
}

test("no statement of a callback or of a worker's rounds reads a whole table", async () => {
  const seen = new Set<string>();
  const Real = await loadDriver();
  const database = connect(recording(Real, seen), { path: newPath(), store: "test" });
  const tables = new Tables(database);
  const commit = (...group: Command[]) => commitGroup(tables, 0, group, "test").outcomes;
  const append = (run: number, ...events: Extract<Command, { op: "append" }>["events"]): Command => ({
    op: "append",
    run,
    fence: 1,
    seen: 1,
    events,
  });
  commit(start("run-1"), { op: "start", run: newRun("run-2"), worker: null });
  commit(
    append(1, hookCreated(1, { timeout: { afterMs: 5 } }), hookCreated(2, { address: { type: "custom", token: "t", hash: "h" } }), {
      kind: "child_awaited",
      turn: 1,
      position: 3,
      name: "n",
      digest: "d",
      runId: "run-2",
    }),
    append(1, valuePublished(4, "status", "=1")),
  );
  commit(
    deliver(minted("run-1"), { key: "k" }),
    deliver(minted("run-1"), { key: "k" }),
    deliver({ token: "t" }),
    { op: "claim", run: 2, worker: "A" },
    { op: "write", run: 1, fence: 1, stream: "=", chunks: ["=1"], isLast: false },
    { op: "park", run: 1, fence: 1, seen: 4 },
  );
  commit({ op: "fire", run: 1, position: 1, early: true }, { op: "cancel", run: 2, graceMs: 5 }, append(2, runEnded()), {
    op: "decide",
    delivery: 1,
    answer: { status: 200, headers: [], body: new Uint8Array() },
    by: "workflow",
  });
  tables.forget();
  readStream(tables, { run: 1, stream: "=", from: -1, bytes: 9 });
  read.readRunnable(tables, "A", ["w"], 10);
  read.readBlocked(tables, "w", "c", 10);
  read.readDue(tables, 1, 10);
  read.readNextDue(tables);
  read.readJournal(tables, 1, 0);
  read.readPublished(tables, 1, "status");
  read.findRun(tables, { key: "key-of-run-1" });
  const scans: string[] = [];
  for (const sql of [...seen].filter((text) => /^\s*(select|update|delete|insert)/i.test(text))) {
    const plan = prepare(database, `explain query plan ${sql}`).all(
      ...Array(
        Math.max(
          sql.split("?").length - 1 - 2 * (sql.match(/\?\d/g) ?? []).length,
          ...(sql.match(/\?\d+/g) ?? ["?0"]).map((name) => Number(name.slice(1))),
        ),
      ).fill(null),
    ) as [number, number, number, string][];
    for (const [, , , line] of plan)
      if (line.startsWith("SCAN") && !/json_each|CONSTANT ROW|USING (COVERING )?INDEX (runs_with_work|runs_blocked)/.test(line))
        scans.push(`${line}: ${sql}`);
  }
  expect([scans, seen.size > 30]).toEqual([[], true]);
  database.close();
});
