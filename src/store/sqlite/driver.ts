// The one place that knows which SQLite is under the store: Node's own where it is new enough, else the packaged one. Both have the
// same synchronous interface; what the store uses of it is declared here.

import { createRequire } from "node:module";
import { RingbackError } from "../../core/errors.ts";

/** Before 3.51.3 two connections that write and checkpoint together can corrupt a WAL file. */
const oldestVersion = [3, 51, 3] as const;

export type SqlValue = string | number | null | Uint8Array;
export type SqlRow = readonly SqlValue[];

/** A prepared statement; rows come as arrays. */
export interface Statement {
  run(...values: SqlValue[]): { readonly changes: number | bigint };
  get(...values: SqlValue[]): unknown;
  all(...values: SqlValue[]): unknown[];
  setReturnArrays(enabled: boolean): void;
}

export interface Database {
  exec(sql: string): void;
  prepare(sql: string): Statement;
  close(): void;
}

/** Opens connections; the class that both libraries export. */
export type Driver = new (path: string) => Database;

/** Takes `node:sqlite` only where Node and its SQLite are new enough; that is asked before it is loaded, since loading an old one warns. */
export async function loadDriver(): Promise<Driver> {
  if (hasOwnDriver()) {
    return (process.getBuiltinModule("node:sqlite" as "node:fs") as unknown as { DatabaseSync: Driver }).DatabaseSync;
  }
  return ((await import("@photostructure/sqlite")) as unknown as { DatabaseSync: Driver }).DatabaseSync;
}

const packaged = "@photostructure/sqlite";

/** Which of the two it is, and the versions of library and SQLite. */
export function driverInUse(database: Database): { readonly driver: string; readonly versions: { readonly [of: string]: string } } {
  const sqlite = String(ask(database, "select sqlite_version()")[0]);
  if (hasOwnDriver()) return { driver: "node:sqlite", versions: { sqlite } };
  const { version } = createRequire(import.meta.url)("@photostructure/sqlite/package.json") as { readonly version: string };
  return { driver: packaged, versions: { [packaged]: version, sqlite } };
}

function hasOwnDriver(): boolean {
  const [major = 0] = process.versions.node.split(".").map(Number);
  return major >= 24 && isNewEnough(process.versions["sqlite"] ?? "0");
}

function isNewEnough(version: string): boolean {
  const parts = version.split(".").map(Number);
  for (const [index, least] of oldestVersion.entries()) {
    const part = parts[index] ?? 0;
    if (part !== least) return part > least;
  }
  return true;
}

/** Prepares `sql` for rows as arrays, which cost half of what objects do. */
export function prepare(database: Database, sql: string): Statement {
  const statement = database.prepare(sql);
  statement.setReturnArrays(true);
  return statement;
}

/** The first row of a query that is asked once. */
export function ask(database: Database, sql: string): SqlRow {
  return (prepare(database, sql).get() ?? []) as SqlRow;
}

export function assertVersion(database: Database, store: string): void {
  const version = String(ask(database, "select sqlite_version()")[0]);
  if (isNewEnough(version)) return;
  const message = `SQLite ${version} under ${store} can corrupt a file that two processes use. Use Node 24 or newer, or update @photostructure/sqlite; ${oldestVersion.join(".")} is the oldest safe version.`;
  throw new RingbackError("unsafe_durability", message, { details: { store, setting: `sqlite_version=${version}` } });
}
