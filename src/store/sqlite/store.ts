// The SQLite store: one file, one worker process, any number of others beside it that deliver and read.
//
// SQ2. The one worker holds the file's owner lock, so leases are moot: whoever held a run before is dead.
// SQ3. Other processes write too: their commits are seen by polling `data_version`, and told as `changed`.
// SQ4. After a failed read or write of the disk, damage, or the loss of the file's place, nothing more is committed: whether the last
//     commit is on the disk cannot be known, and the next one may destroy more.
// SQ5. Whoever waits for another's lock holds up the whole process: the full span is waited once, then briefly until the lock is free.

import { existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Clock } from "../../core/clock.ts";
import { RingbackError } from "../../core/errors.ts";
import { Listeners } from "../listener.ts";
import type {
  Address,
  AnswerRow,
  Command,
  DeliveryNumber,
  HeldFilter,
  HeldRow,
  HookRow,
  Notice,
  OpenOptions,
  Outcome,
  RunFilter,
  RunNumber,
  RunRow,
  Store,
  StoreReport,
  StreamPart,
  StreamPlace,
} from "../port.ts";
import { readChapter } from "./chapter.ts";
import { busyMs, connect, describeConnection, disconnect } from "./connection.ts";
import { deliveryOf, hookRow, locate } from "./deliver.ts";
import { type Database, type Driver, driverInUse, loadDriver } from "./driver.ts";
import { isBusy, isLasting, lostError, storeError } from "./error.ts";
import { type Committed, commitGroup } from "./group.ts";
import { readHeldRows } from "./held.ts";
import { type Owner, ownerOf, takeOwnership } from "./owner.ts";
import { Place } from "./place.ts";
import {
  findRun,
  readBlocked,
  readDelivery,
  readDue,
  readHooks,
  readJournal,
  readKeys,
  readNextDue,
  readOrphans,
  readOutcome,
  readPublished,
  readRunnable,
  readRuns,
  readTimers,
} from "./read.ts";
import { readAnswer } from "./purge.ts";
import { readStream } from "./stream.ts";
import { Tables } from "./table.ts";

export interface SqliteStoreOptions {
  /** The file; its folder is made where there is none. It must be on a local disk. */
  readonly path: string;
  readonly clock: Clock;
  /** The file grows no larger than this; beyond it commits reject with `store_full`. */
  readonly maxBytes?: number;
  /** Whether a file that is not there is made. Default true; else `open` rejects with `store_not_found`. */
  readonly create?: boolean;
}

/** How often a store looks for other processes' commits. */
const pollMs = 100;
/** SQ5 */
const brieflyMs = 50;

/** Keeps everything in one SQLite file, synced at each commit. One process may be its worker; others may open it to deliver and to read. */
export function sqliteStore(options: SqliteStoreOptions): Store {
  return new SqliteStore(options);
}

interface Open {
  readonly database: Database;
  readonly tables: Tables;
  readonly place: Place;
}

class SqliteStore implements Store {
  readonly name: string;
  readonly isExclusive: boolean = true;
  readonly #options: SqliteStoreOptions;
  readonly #clock: Clock;
  readonly #listeners = new Listeners();
  #users = 0;
  #open: Open | null = null;
  #owner: Owner | null = null;
  #failed: RingbackError | null = null;
  #isLocked = false;
  #version = 0;
  #stopPolling: (() => void) | null = null;

  constructor(options: SqliteStoreOptions) {
    this.name = `sqlite:${options.path}`;
    this.#options = options;
    this.#clock = options.clock;
  }

  async open(options: OpenOptions): Promise<void> {
    if (this.#options.create === false) this.#assertExists();
    const driver = await loadDriver();
    let owner: Owner | null = null;
    try {
      this.#makeFolder();
      if (options.role === "worker") owner = takeOwnership(driver, this.#options.path);
      this.#open ??= this.#connect(driver);
      this.#owner ??= owner;
    } catch (error) {
      owner?.release();
      if (this.#users === 0) this.#disconnect();
      throw storeError(error, this.name) ?? error;
    }
    this.#users += 1;
  }

  async close(): Promise<void> {
    this.#users = Math.max(0, this.#users - 1);
    if (this.#users > 0) return;
    this.#disconnect();
    this.#disown();
  }

  now(): number {
    return this.#clock.now();
  }

  async commit(group: readonly Command[]): Promise<readonly Outcome[]> {
    const open = this.#assertOpen();
    if (this.#failed !== null) throw this.#failed;
    const { outcomes, notices } = this.#commit(open, group);
    // Asked afterwards: what went into a file that is gone is not acknowledged. Where it was only moved, it may be there all the same.
    if (open.place.isLost) throw (this.#failed = lostError(this.name));
    this.#listeners.tell(notices);
    return outcomes;
  }

  async run(by: { readonly id: string } | { readonly run: RunNumber } | { readonly key: string }): Promise<RunRow | null> {
    return this.#read((tables) => findRun(tables, by));
  }

  async journal(run: RunNumber, after: number): ReturnType<Store["journal"]> {
    return this.#read((tables) => readJournal(tables, run, after));
  }

  async chapter(run: RunNumber): ReturnType<Store["chapter"]> {
    return this.#read((tables) => readChapter(tables, run));
  }

  async outcome(run: RunNumber): ReturnType<Store["outcome"]> {
    return this.#read((tables) => readOutcome(tables, run));
  }

  async stream(place: StreamPlace): Promise<StreamPart | null> {
    return this.#read((tables) => readStream(tables, place));
  }

  async hook(address: Address): Promise<HookRow | null> {
    return this.#read((tables) => {
      const facts = locate(tables, address);
      // What is kept of a run may be of one that another process has purged.
      return facts === null || tables.progress(facts.origin.run) === null ? null : hookRow(tables, this.now(), facts);
    });
  }

  async deliveryOf(address: Address, key: string): Promise<DeliveryNumber | null> {
    return this.#read((tables) => deliveryOf(tables, address, key));
  }

  async delivery(delivery: number): ReturnType<Store["delivery"]> {
    return this.#read((tables) => readDelivery(tables, this.now(), delivery));
  }

  async answer(delivery: DeliveryNumber): Promise<AnswerRow | null> {
    return this.#read((tables) => readAnswer(tables, delivery));
  }

  async held(filter: HeldFilter): Promise<readonly HeldRow[]> {
    return this.#read((tables) => readHeldRows(tables, this.now(), filter));
  }

  async runnable(worker: string, workflows: readonly string[], limit: number): Promise<readonly RunRow[]> {
    return this.#read((tables) => readRunnable(tables, worker, workflows, limit));
  }

  async orphans(_worker: string, workflows: readonly string[], limit: number): Promise<readonly string[]> {
    return this.#read((tables) => readOrphans(tables, workflows, limit));
  }

  async blocked(workflow: string, codeId: string, limit: number): Promise<readonly RunRow[]> {
    return this.#read((tables) => readBlocked(tables, workflow, codeId, limit));
  }

  async due(until: number, limit: number): ReturnType<Store["due"]> {
    return this.#read((tables) => readDue(tables, until, limit));
  }

  async timers(run: RunNumber): ReturnType<Store["timers"]> {
    return this.#read((tables) => readTimers(tables, run));
  }

  async nextDue(): Promise<number | null> {
    return this.#read(readNextDue);
  }

  async runs(filter: RunFilter): Promise<readonly RunRow[]> {
    return this.#read((tables) => readRuns(tables, filter));
  }

  async published(run: RunNumber, key: string): ReturnType<Store["published"]> {
    return this.#read((tables) => readPublished(tables, run, key));
  }

  async attributes(run: RunNumber): ReturnType<Store["attributes"]> {
    return this.#read((tables) => tables.attributes(run));
  }

  async hooks(filter: { readonly run?: RunNumber; readonly open?: boolean; readonly limit: number }): Promise<readonly HookRow[]> {
    return this.#read((tables) => readHooks(tables, this.now(), filter));
  }

  async keys(): ReturnType<Store["keys"]> {
    return this.#read(readKeys);
  }

  async describe(): Promise<StoreReport> {
    const { database } = this.#assertOpen();
    const { path } = this.#options;
    const { settings, format } = describeConnection(database);
    const { driver, versions } = driverInUse(database);
    return { driver, versions: { ...versions, format }, settings, bytes: sizeOf(path), owner: ownerOf(path) };
  }

  subscribe(listener: (notice: Notice) => void): () => void {
    return this.#listeners.add(listener);
  }

  #read<T>(question: (tables: Tables) => T): T {
    const { tables } = this.#assertOpen();
    try {
      return question(tables);
    } catch (error) {
      throw this.#noted(error) ?? error;
    }
  }

  #commit({ database, tables }: Open, group: readonly Command[]): Committed {
    try {
      const committed = commitGroup(tables, this.#clock.now(), group, this.name);
      if (this.#isLocked) this.#beLocked(database, false);
      return committed;
    } catch (error) {
      if (isBusy(error) !== this.#isLocked) this.#beLocked(database, isBusy(error));
      const message = `${this.name} could not commit, and nothing of the group is stored: ${String(error)}. Try again.`;
      throw this.#noted(error) ?? new RingbackError("store_unavailable", message, { details: { store: this.name }, cause: error });
    }
  }

  /** SQ5 */
  #beLocked(database: Database, isLocked: boolean): void {
    this.#isLocked = isLocked;
    database.exec(`pragma busy_timeout=${isLocked ? brieflyMs : busyMs}`);
  }

  /** The error for the store as a whole (SQ4), or null. */
  #noted(error: unknown): RingbackError | null {
    const known = storeError(error, this.name);
    if (known !== null && isLasting(error)) this.#failed = known;
    return known;
  }

  #assertOpen(): Open {
    if (this.#open !== null) return this.#open;
    throw new RingbackError("store_unavailable", `${this.name} is not open. Call \`open()\` before you use it.`, {
      details: { store: this.name },
    });
  }

  #assertExists(): void {
    const { path } = this.#options;
    if (path === ":memory:" || existsSync(path)) return;
    const message = `There is no database at ${path}. The app makes it when it first starts; RINGBACK_DATABASE_URL says where it is.`;
    throw new RingbackError("store_not_found", message, { details: { store: this.name } });
  }

  /** The folder holds payloads and must not end in somebody's repository. */
  #makeFolder(): void {
    const folder = dirname(this.#options.path);
    mkdirSync(folder, { recursive: true });
    if (basename(folder) !== ".ringback") return;
    try {
      writeFileSync(join(folder, ".gitignore"), "*\n", { flag: "wx" });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
  }

  #connect(driver: Driver): Open {
    const { path, maxBytes } = this.#options;
    const database = connect(driver, { path, store: this.name, maxBytes });
    const tables = new Tables(database);
    this.#failed = null;
    this.#isLocked = false;
    this.#version = this.#dataVersion(tables);
    this.#poll(tables);
    return { database, tables, place: new Place(path) };
  }

  #disconnect(): void {
    this.#stopPolling?.();
    this.#stopPolling = null;
    if (this.#open !== null && this.#failed === null) disconnect(this.#open.database);
    else this.#open?.database.close();
    this.#open = null;
  }

  #disown(): void {
    this.#owner?.release();
    this.#owner = null;
  }

  #poll(tables: Tables): void {
    this.#stopPolling = this.#clock.alarm(this.now() + pollMs, () => {
      this.#look(tables);
      // Armed again in a later microtask, so that a clock moved by days looks once, not a million times.
      queueMicrotask(() => {
        if (this.#open?.tables === tables) this.#poll(tables);
      });
    });
  }

  #look(tables: Tables): void {
    try {
      this.#saveLog();
      const version = this.#dataVersion(tables);
      if (version === this.#version) return;
      this.#version = version;
      this.#listeners.tell([{ type: "changed" }]);
    } catch {
      // The next command meets the same error, and has somebody to tell.
    }
  }

  /** What is in a log that was deleted is brought into the file while it can be. */
  #saveLog(): void {
    if (this.#failed !== null || this.#open?.place.isLogLost !== true) return;
    this.#failed = lostError(this.name);
    this.#open.database.exec("pragma wal_checkpoint(TRUNCATE)");
  }

  #dataVersion(tables: Tables): number {
    return tables.row("pragma data_version")![0] as number;
  }
}

/** The file and its WAL. */
function sizeOf(path: string): number | null {
  const file = statSync(path, { throwIfNoEntry: false });
  return file ? file.size + (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) : null;
}
