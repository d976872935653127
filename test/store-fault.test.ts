// Any statement may fail, with a full disk, a broken one, or an error of its own: what a commit says is what the file then holds (P1,
// SQ4, TB4).

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import type { Command, Outcome, Store } from "../src/store/port.ts";
import { ask, type Database, type Driver, loadDriver, type Statement } from "../src/store/sqlite/driver.ts";
import { sqliteStore } from "../src/store/sqlite/store.ts";
import { createManualClock } from "../src/testing/manual-clock.ts";
import { cancel, deliver, disposeOf, hookCreated, manual, minted, runEnded, start, timerSet } from "../src/testing/law/world.ts";

/** Statements run until one fails, and how it fails; 0 and below: none does. */
const fault = { left: 0, errcode: 0 };

function mayFail(): void {
  if (--fault.left === 0) throw Object.assign(new Error(`injected ${fault.errcode}`), { code: "ERR_SQLITE_ERROR", errcode: fault.errcode });
}

vi.mock("../src/store/sqlite/driver.ts", async (actual) => {
  const module = await actual<typeof import("../src/store/sqlite/driver.ts")>();
  const Real = (await module.loadDriver()) as new (path: string) => Database;
  class Faulty extends Real {
    override prepare(sql: string): Statement {
      const real = super.prepare(sql);
      const faulty =
        <A extends unknown[], R>(call: (...values: A) => R) =>
        (...values: A): R => (mayFail(), call(...values));
      return {
        run: faulty(real.run.bind(real)),
        get: faulty(real.get.bind(real)),
        all: faulty(real.all.bind(real)),
        setReturnArrays: (on) => real.setReturnArrays(on),
      };
    }
  }
  return { ...module, loadDriver: async () => Faulty as Driver };
});

const [otherError, ioError, full] = [1, 10, 13];
const folders: string[] = [];

afterEach(() => {
  fault.left = 0;
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

async function openStore(path?: string): Promise<{ store: Store; path: string }> {
  const folder = mkdtempSync(join(tmpdir(), "ringback-fault-"));
  folders.push(folder);
  const file = path ?? join(folder, "test.db");
  const store = sqliteStore({ path: file, clock: createManualClock() });
  await store.open({ role: "worker" });
  return { store, path: file };
}

/** A group that writes to most tables, on a run of its own. */
function groupOf(id: string, run: number): Command[] {
  const append = (seen: number, ...events: Extract<Command, { op: "append" }>["events"]): Command => ({
    op: "append",
    run,
    fence: 1,
    seen,
    events,
  });
  return [
    start(id),
    append(1, hookCreated(1, { timeout: { afterMs: 1_000 }, response: manual }), timerSet(2, 50), hookCreated(3)),
    deliver(minted(id), { key: "k1", digest: "d" }),
    deliver(minted(id), { key: "k1", digest: "d" }),
    append(4, disposeOf(3, 4)),
    cancel(run),
    append(7, runEnded()),
  ];
}
const allTaken = ["created", "appended", "accepted", "duplicate", "appended", "requested", "appended"];
const typesOf = (outcomes: readonly Outcome[]): string[] => outcomes.map((outcome) => outcome.type);

test("a full disk at any statement: nothing of the group is there, and the same group succeeds afterwards", async () => {
  const { store, path } = await openStore();
  let refused = 0;
  for (let at = 1; ; at++) {
    const id = `run-${at}`;
    Object.assign(fault, { left: at, errcode: full });
    const outcome = await store.commit(groupOf(id, at)).catch((error: unknown) => error);
    const isOver = fault.left > 0;
    fault.left = 0;
    if (isOver) break;
    expect(outcome).toMatchObject({ code: "store_full" });
    expect(await store.run({ id })).toBe(null);
    refused += 1;
    expect(typesOf(await store.commit(groupOf(id, at)))).toEqual(allTaken);
    expect((await store.journal(at, 0)).map((event) => event.seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  }
  expect(refused).toBeGreaterThan(30);
  await store.close();
  const database = new (await loadDriver())(path);
  expect(ask(database, "pragma integrity_check")).toEqual(["ok"]);
  database.close();
});

test("an error of one statement: the group is repeated member by member, and each takes effect once", async () => {
  const { store } = await openStore();
  for (let at = 1; ; at++) {
    Object.assign(fault, { left: at, errcode: otherError });
    const outcomes = await store
      .commit(groupOf(`run-${at}`, at))
      .catch((error: unknown) => (expect(error).toMatchObject({ code: "store_unavailable" }), null));
    const isOver = fault.left > 0;
    fault.left = 0;
    // Where the transaction itself could not begin or end, nothing of it is there.
    if (outcomes === null) expect(typesOf(await store.commit(groupOf(`run-${at}`, at)))).toEqual(allTaken);
    else expect(typesOf(outcomes)).toEqual(allTaken);
    expect((await store.journal(at, 0)).map((event) => event.seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    if (isOver) break;
  }
  await store.close();
});

test("after a failed read or write of the disk nothing is committed until the store is opened again", async () => {
  const { store, path } = await openStore();
  Object.assign(fault, { left: 3, errcode: ioError });
  await expect(store.commit([start("run-1")])).rejects.toMatchObject({ code: "store_unavailable" });
  await expect(store.commit([start("run-1")])).rejects.toMatchObject({ code: "store_unavailable" });
  await store.close();
  const { store: again } = await openStore(path);
  expect(typesOf(await again.commit([start("run-1")]))).toEqual(["created"]);
  await again.close();
});
