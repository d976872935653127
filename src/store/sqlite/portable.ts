// Keeps portable runs in one SQLite file of its own, synced at each write; any number of processes may use it at once.

import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import type { Clock } from "../../core/clock.ts";
import { RingbackError } from "../../core/errors.ts";
import { limits } from "../../core/limits.ts";
import type { ResumeStore } from "../../core/resume-store.ts";
import { connect, disconnect } from "./connection.ts";
import { type Database, loadDriver, prepare, type SqlRow, type SqlValue, type Statement } from "./driver.ts";
import { isLasting, lostError, storeError } from "./error.ts";
import { Place } from "./place.ts";

/** An append-only list; `user_version` counts those that a file has had. `versions` gives each version once (RK2). */
const migrations: readonly string[] = [
  `
create table records(
  id text primary key,
  version integer not null,
  expires_at integer,
  early_bytes integer,            -- of what anybody may cause; null for the others
  text text not null
);
create index records_expiry on records(expires_at) where expires_at is not null;
create index records_early on records(early_bytes) where early_bytes is not null;
create table versions(last integer not null);
insert into versions values(0);
`,
];
/** What the file says to be: no engine's store is taken for one, nor the reverse. */
const applicationId = 0x52_62_72_73;
/** Rows that are over, removed with each write: no write waits for many. */
const droppedRows = 8;

const statements = {
  load: "select version, text from records where id = ?1 and (expires_at is null or expires_at > ?2)",
  early: "select count(*), coalesce(sum(early_bytes), 0) from records where early_bytes is not null and id <> ?1 and expires_at > ?2",
  number: "update versions set last = last + 1 returning last",
  write:
    "insert into records(id, version, expires_at, early_bytes, text) values(?1, ?2, ?3, ?4, ?5) on conflict(id) do update set version = ?2, expires_at = ?3, early_bytes = ?4, text = ?5",
  delete: "delete from records where id = ?1",
  drop: `delete from records where id in (select id from records where expires_at <= ?1 limit ${droppedRows})`,
  list: "select id from records where id > ?1 and id >= ?2 and substr(id, 1, length(?2)) = ?2 and (expires_at is null or expires_at > ?3) order by id limit ?4",
} as const;

interface Open {
  readonly database: Database;
  readonly place: Place;
  readonly ask: (name: keyof typeof statements, ...values: SqlValue[]) => SqlRow[];
}

/**
 * One file, of its own, on a local disk; its folder is made where there is none. It is opened with the first use. Rejects as an engine's store
 * does: `store_unavailable`, `store_full`, `store_corrupt`, `store_newer`, `unsafe_durability`; `early_full` where no more early callbacks are kept.
 */
export function sqliteResumeStore(
  path: string,
  { clock = Date }: { readonly clock?: Pick<Clock, "now"> } = {},
): Required<ResumeStore> & { close(): Promise<void> } {
  const name = `sqlite:${path}`;
  let opening: Promise<Open> | null = null;
  let broken: RingbackError | null = null;
  const use = async <T>(act: (open: Open) => T): Promise<T> => {
    try {
      if (broken) throw broken;
      opening ??= openFile(path, name);
      opening.catch(() => (opening = null));
      const open = await opening;
      const done = act(open);
      if (open.place.isLost) throw (broken = lostError(name));
      return done;
    } catch (error) {
      const known = storeError(error, name);
      if (known && isLasting(error)) broken = known;
      throw known ?? error;
    }
  };
  const now = (): number => clock.now();
  return {
    load: (id) =>
      use(({ ask }) => {
        const [row] = ask("load", id, now());
        return row ? { version: Number(row[0]), text: String(row[1]) } : null;
      }),
    save: (id, text, { expected, expiresAt = null, isEarly = false }) =>
      use(({ database, ask }) =>
        within(database, () => {
          const [row] = ask("load", id, now());
          if ((row ? Number(row[0]) : null) !== expected) return null;
          ask("drop", now());
          if (isEarly) assertRoom(ask("early", id, now())[0], text.length);
          const version = Number(ask("number")[0]?.[0]);
          ask("write", id, version, expiresAt, isEarly ? text.length : null, text);
          return version;
        }),
      ),
    delete: (id, { expected }) =>
      use(({ database, ask }) =>
        within(database, () => {
          const isIt = Number(ask("load", id, now())[0]?.[0]) === expected;
          if (isIt) ask("delete", id);
          return isIt;
        }),
      ),
    list: (prefix, { limit, after = "" }) => use(({ ask }) => ask("list", after, prefix, now(), limit).map(([id]) => String(id))),
    async close() {
      const closing = opening;
      opening = null;
      if (closing) disconnect((await closing).database);
    },
  };
}

async function openFile(path: string, store: string): Promise<Open> {
  const driver = await loadDriver();
  mkdirSync(dirname(path), { recursive: true });
  const database = connect(driver, { path, store, migrations, applicationId });
  const prepared = new Map<string, Statement>();
  const ask: Open["ask"] = (name, ...values) => {
    let statement = prepared.get(name);
    if (!statement) prepared.set(name, (statement = prepare(database, statements[name])));
    return statement.all(...values) as SqlRow[];
  };
  return { database, place: new Place(path), ask };
}

/** The write lock is taken first: what is read stands until the write. */
function within<T>(database: Database, act: () => T): T {
  database.exec("begin immediate");
  try {
    const done = act();
    database.exec("commit");
    return done;
  } catch (error) {
    try {
      database.exec("rollback");
    } catch {
      // SQLite has rolled back by itself.
    }
    throw error;
  }
}

function assertRoom([rows, bytes]: SqlRow = [0, 0], more: number): void {
  if (Number(rows) < limits.earlyRows && Number(bytes) + more <= limits.earlyBytes) return;
  throw new RingbackError("early_full", "No more early callbacks are kept in this store. Send it again later.", { details: {} });
}
