// A connection as the store needs it: durable settings set and asserted each time, tables brought up to date.
//
// SQ1. A WAL commit is synced. Some builds of SQLite default to `synchronous=NORMAL` for every process but the one that made the file, so
//     no connection is used before it has answered FULL.

import { RingbackError } from "../../core/errors.ts";
import type { StoreReport } from "../port.ts";
import { ask, assertVersion, type Database, type Driver } from "./driver.ts";
import { migrations as engineMigrations } from "./schema.ts";

export interface ConnectOptions {
  readonly path: string;
  /** Name for people. */
  readonly store: string;
  readonly maxBytes?: number | undefined;
  /** What makes the tables. Default: an engine's. */
  readonly migrations?: readonly string[];
  /** What the file says to be. Default: an engine's store. */
  readonly applicationId?: number;
}

/** How long a commit waits for another process's, in the thread that does the work. */
export const busyMs = 5_000;

/** Each setting, and what a connection must answer once it is set. Those that `keeps` have are for what is committed; others for speed. */
const settings: readonly {
  readonly name: string;
  readonly keeps?: true;
  readonly value: string;
  readonly answer: string | number | null;
  readonly onlyOn?: NodeJS.Platform;
}[] = [
  { name: "busy_timeout", value: String(busyMs), answer: busyMs },
  { name: "journal_mode", keeps: true, value: "WAL", answer: "wal" },
  { name: "synchronous", keeps: true, value: "FULL", answer: 2 },
  // macOS's fsync leaves data in the drive's own cache.
  { name: "fullfsync", keeps: true, value: "ON", answer: 1, onlyOn: "darwin" },
  { name: "checkpoint_fullfsync", keeps: true, value: "ON", answer: 1, onlyOn: "darwin" },
  // Inside the commit: a second connection that checkpoints costs a fifth of the throughput. Four times SQLite's own span, a WAL of 16 MB:
  // callbacks in random order dirty the same pages again and again, and each is written back once per checkpoint.
  { name: "wal_autocheckpoint", value: "4000", answer: 4000 },
  { name: "cache_size", value: "-65536", answer: -65536 },
];

export function connect(driver: Driver, options: ConnectOptions): Database {
  const database = new driver(options.path);
  try {
    // First of all: others may be recovering the file, or making it, and to look at it is to wait for them. To ask for the version is to look.
    database.exec(`pragma busy_timeout=${busyMs}`);
    assertVersion(database, options.store);
    // Only a new file takes it. It costs 6 % of SQLite's part of a callback, and lets the file shrink while callbacks are taken: VACUUM
    // would stop them.
    database.exec("pragma auto_vacuum=INCREMENTAL");
    for (const { name, value, answer, onlyOn } of settings) {
      if (onlyOn !== undefined && onlyOn !== process.platform) continue;
      database.exec(`pragma ${name}=${value}`);
      assertSetting(database, options.store, name, answer);
    }
    if (options.maxBytes !== undefined) capSize(database, options.maxBytes);
    const { store, migrations = engineMigrations, applicationId = 0 } = options;
    assertKind(database, store, applicationId);
    migrate(database, { store, migrations, applicationId });
    assertWritable(database, migrations.length);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Each setting that keeps what is committed, as the connection answers it now, and the format of the tables. */
export function describeConnection(database: Database): Pick<StoreReport, "settings"> & { readonly format: string } {
  const own = settings.filter(({ keeps, onlyOn }) => keeps && (onlyOn === undefined || onlyOn === process.platform));
  const told = own.map(({ name, value, answer }) => {
    const actual = ask(database, `pragma ${name}`)[0] ?? null;
    return { name, value: actual === answer ? value : String(actual), isAsNeeded: actual === answer };
  });
  return { settings: told, format: String(version(database)) };
}

/**
 * Closes the connection and leaves the file whole. Closing alone does not: @photostructure/sqlite keeps the connection until its
 * statements are collected, and with it what is only in the WAL.
 */
export function disconnect(database: Database): void {
  try {
    database.exec("pragma busy_timeout=0; pragma wal_checkpoint(TRUNCATE)");
  } catch {
    // Read-only, or the disk is bad: the WAL keeps what is in it, and the next connection reads it there.
  }
  database.close();
}

function assertSetting(database: Database, store: string, name: string, answer: string | number | null): void {
  const actual = ask(database, `pragma ${name}`)[0] ?? null;
  if (actual === answer) return;
  const message = `${store} does not take ${name}=${String(answer)} (it answers ${String(actual)}), so accepted callbacks could be lost. Put the file on a local disk.`;
  throw new RingbackError("unsafe_durability", message, { details: { store, setting: `${name}=${String(actual)}` } });
}

/** Even a door writes: one that cannot is told now, not at its first callback. On a read-only file `begin immediate` alone succeeds. */
function assertWritable(database: Database, format: number): void {
  database.exec(`begin immediate; pragma user_version=${format}; rollback`);
}

/** A file of another kind is left as it is. */
function assertKind(database: Database, store: string, applicationId: number): void {
  if (version(database) === 0 || ask(database, "pragma application_id")[0] === applicationId) return;
  const message = `${store} is a file of another kind: an engine and portable runs need a file each. Give another path.`;
  throw new RingbackError("bad_argument", message, { details: { argument: "path", value: store } });
}

function capSize(database: Database, bytes: number): void {
  const [pageSize] = ask(database, "pragma page_size");
  database.exec(`pragma max_page_count=${Math.max(1, Math.floor(bytes / Number(pageSize)))}`);
}

interface Format {
  readonly store: string;
  readonly migrations: readonly string[];
  readonly applicationId: number;
}

function migrate(database: Database, { store, migrations, applicationId }: Format): void {
  if (version(database) === migrations.length) return;
  database.exec("begin immediate");
  try {
    // Asked again under the lock: two processes may have opened a new file at once.
    const found = version(database);
    if (found > migrations.length) {
      const message = `${store} was written by a later version of ringback (format ${found}; this one knows ${migrations.length}). Run that version, or a newer one.`;
      throw new RingbackError("store_newer", message, { details: { store, found, known: migrations.length } });
    }
    for (const sql of migrations.slice(found)) database.exec(sql);
    database.exec(`pragma user_version=${migrations.length}`);
    if (applicationId !== 0) database.exec(`pragma application_id=${applicationId}`);
    database.exec("commit");
  } catch (error) {
    database.exec("rollback");
    throw error;
  }
}

function version(database: Database): number {
  return Number(ask(database, "pragma user_version")[0]);
}
