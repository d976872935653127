// Rows in and out: the prepared statements that a transaction uses, and how a row becomes a value. Decides nothing.
//
// TB1. What never changes (origins, `hook_created`, worker numbers) is kept in memory once read or written. Of a hook that may be opened
//     again at its place it is asked whether that one is the last.
// TB2. A run's row is kept too, but only while no other connection has written: `begin` asks SQLite, under the write lock.
// TB3. Every write of a run's row goes through `insertProgress`, `writeProgress` or `writeInput`, which keep what is kept true.
// TB4. After a rollback nothing is kept: it may never have been committed.

import type { AttributeChanges, Attributes } from "../../core/attribute.ts";
import { ByPosition } from "../../core/by-position.ts";
import { type EventRow, decodeEvent, encodeEvent } from "../../core/event-codec.ts";
import type { Answer, HookCreated, Recorded } from "../../core/event.ts";
import { Recent } from "../../core/recent.ts";
import type { Draft, HookMark, HookState, RunOrigin, RunProgress, RunStatus } from "../../core/run-row.ts";
import { hookScope, isKeyText, mayReopen } from "../../core/run-row.ts";
import type { AnswerRow, HookRow } from "../port.ts";
import { type Database, prepare, type SqlRow, type SqlValue, type Statement } from "./driver.ts";

/** A row of `runs`. */
export interface Progress extends RunProgress {
  /** The journal's number of the run's last event. */
  readonly head: number;
  /** What there is of the run in other tables; a sum of `flag`. Most runs have nothing there, and nobody looks. */
  readonly flags: number;
  /** Where `flag.keyed` says so: the first delivery under a key at one of its minted tokens. */
  readonly keyed: number;
}
export const flag = {
  /** It has set a timer or a deadline. */
  timers: 1,
  /** Another run awaits its end. */
  watchers: 2,
  /** It was asked to end, or set aside. */
  details: 4,
  /** One of its hooks has an end of its own, or never won its token. */
  marks: 8,
  /** A delivery under a key has come to one of its minted tokens. */
  keyed: 16,
  /** One of its hooks has reserved its token. */
  reserved: 32,
  /** It was started with a custom token. */
  token: 64,
  /** It has, or had, attributes. */
  attributes: 128,
} as const;

/** All of a hook that never changes. */
export interface HookFacts {
  readonly origin: RunOrigin;
  readonly created: Recorded<HookCreated>;
}

/** By `runs.status`. */
const statuses: readonly (RunStatus | null)[] = [null, null, "open", "blocked", "completed", "failed", "cancelled"];
/** By `hooks.closed_by`. */
const closings = ["disposed", "timeout"] as const;

export const originColumns = "o.run, o.id, o.key, o.workflow, o.code_id, o.created_at";
export const progressColumns = "r.run, r.head, r.seq, r.input, r.wake, r.status, r.fence, r.worker, r.loads, r.steps, r.flags, r.keyed";
export const eventColumns = "j.kind, j.position, j.turn, j.key, j.head, j.body, j.id, j.seq, j.at";

const factsFrom = `select ${originColumns}, ${eventColumns} from origins o join hooks h on h.run = o.run and h.position = ?2 join journal j on j.id = h.event`;
const factsByRun = `${factsFrom} where o.run = ?1`;
const factsByKey = `${factsFrom} where o.key = ?1`;
const originBy = {
  run: `select ${originColumns} from origins o where o.run = ?`,
  id: `select ${originColumns} from origins o where o.id = ?`,
  key: `select ${originColumns} from origins o where o.key = ?`,
} as const;
const lastOpening = "select j.seq from hooks h join journal j on j.id = h.event where h.run = ? and h.position = ?";
const oneProgress = `select ${progressColumns} from runs r where r.run = ?`;
const oneEvent = `select ${eventColumns} from journal j where j.id = ?`;
const usual = {
  event: "insert into journal(id, run, seq, prev, kind, position, turn, at, head, body) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
  keyed: `
    insert into journal(id, run, seq, prev, kind, position, at, head, body, scope, key, digest) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    on conflict(scope, key) where scope is not null do nothing`,
  input: "update runs set head = ?, seq = ?, input = ?, wake = 1, flags = ?, keyed = ? where run = ?",
  step: "update runs set head = ?, seq = ?, input = ?, wake = ?, loads = ?, steps = ? where run = ?",
  end: "update runs set head = ?, seq = ?, status = ?, wake = 0, worker = null, loads = 0, steps = 0 where run = ?",
} as const;
const insertProgress = "insert into runs values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
const updateProgress = `
  update runs set head = ?2, seq = ?3, input = ?4, wake = ?5, status = ?6, fence = ?7, worker = ?8, loads = ?9, steps = ?10, flags = ?11, keyed = ?12
  where run = ?1`;

/** How many runs that have not ended are kept in memory, so that a callback to one of them reads nothing: about half a kB each. */
const kept = 100_000;

/** What is kept of one run: in one place, as a callback to it asks for all of it at once. */
class Kept {
  origin: RunOrigin | null = null;
  progress: Progress | null = null;
  /** TB2: the state of the file that `progress` is good for. */
  version: SqlValue = null;
  readonly hooks: ByPosition<Recorded<HookCreated>> = new ByPosition();
}

/** A copy to work on. Written out, as spreads of many shapes take ten times as long. */
export function draftOf(p: Progress): Draft<Progress> {
  const { head, seq, input, wake, status, fence, worker, loads, steps, flags, keyed, endedAt, cancelRequestedAt, blocked } = p;
  return { head, seq, input, wake, status, fence, worker, loads, steps, flags, keyed, endedAt, cancelRequestedAt, blocked };
}

export class Tables {
  readonly #database: Database;
  readonly #sql: Map<string, Statement> = new Map();
  readonly #runs: Recent<number, Kept> = new Recent(kept);
  /** Runs that were asked for by their key. */
  readonly #byKey: Recent<string, number> = new Recent(kept);
  #version: SqlValue = null;
  readonly #workerIds: Map<number, string> = new Map();
  readonly #workerNumbers: Map<string, number> = new Map();

  /** The statements of every callback, found without a look-up. */
  readonly #usual: { readonly [name in keyof typeof usual]: Statement };

  constructor(database: Database) {
    this.#database = database;
    const { event, keyed, input, step, end } = usual;
    this.#usual = { event: this.sql(event), keyed: this.sql(keyed), input: this.sql(input), step: this.sql(step), end: this.sql(end) };
  }

  /** The statement for `sql`, prepared once. */
  sql(sql: string): Statement {
    const known = this.#sql.get(sql);
    if (known !== undefined) return known;
    const statement = prepare(this.#database, sql);
    this.#sql.set(sql, statement);
    return statement;
  }

  row(sql: string, ...values: SqlValue[]): SqlRow | undefined {
    return this.sql(sql).get(...values) as SqlRow | undefined;
  }

  rows(sql: string, ...values: SqlValue[]): SqlRow[] {
    return this.sql(sql).all(...values) as SqlRow[];
  }

  /** Runs a statement for what it does. `get` spares the object that `run` answers with, which costs as much as the update of a row. */
  write(sql: string, ...values: SqlValue[]): void {
    this.sql(sql).get(...values);
  }

  /** TB4 */
  forget(): void {
    this.#runs.clear();
    this.#byKey.clear();
    this.#workerIds.clear();
    this.#workerNumbers.clear();
  }

  /** Of a run that has ended hardly anything is asked again, and its room is wanted for those that have not. */
  forgetEnded({ run, key }: RunOrigin): void {
    this.#runs.delete(run);
    this.#byKey.delete(key);
  }

  /** Workers are numbers in the narrow run row. */
  workerNumber(id: string): number | null {
    const known = this.#workerNumbers.get(id);
    if (known !== undefined) return known;
    const row = this.row("select worker from workers where id = ?", id);
    if (row === undefined) return null;
    this.#nameWorker(row[0] as number, id);
    return row[0] as number;
  }

  workerId(number: number): string {
    const known = this.#workerIds.get(number);
    if (known !== undefined) return known;
    const id = this.row("select id from workers where worker = ?", number)![0] as string;
    this.#nameWorker(number, id);
    return id;
  }

  /** The worker's number, given to it now if it has none. */
  enrolWorker(id: string): number {
    const known = this.workerNumber(id);
    if (known !== null) return known;
    this.write("insert into workers(id) values (?)", id);
    return this.workerNumber(id)!;
  }

  #nameWorker(number: number, id: string): void {
    this.#workerIds.set(number, id);
    this.#workerNumbers.set(id, number);
  }

  /** TB2. To be called first in a transaction. */
  begin(): void {
    this.#version = this.row("pragma data_version")![0] as number;
  }

  #kept(run: number): Kept {
    let kept = this.#runs.get(run);
    if (kept === undefined) this.#runs.set(run, (kept = new Kept()));
    return kept;
  }

  #keepProgress(kept: Kept, progress: Progress): void {
    kept.progress = progress;
    kept.version = this.#version;
  }

  /** The row within a transaction: kept, or read and kept. */
  held(run: number): Progress | null {
    const kept = this.#runs.get(run);
    if (kept !== undefined && kept.progress !== null && kept.version === this.#version) return kept.progress;
    const progress = this.progress(run);
    if (progress !== null) this.#keepProgress(kept ?? this.#kept(run), progress);
    return progress;
  }

  /** The row as the file has it. */
  progress(run: number): Progress | null {
    const row = this.row(oneProgress, run);
    return row === undefined ? null : this.readProgress(row, 0);
  }

  readProgress(row: SqlRow, from: number): Progress {
    const status = statuses[row[from + 5] as number]!;
    const worker = row[from + 7] as number | null;
    const flags = row[from + 10] as number;
    const head = row[from + 1] as number;
    const details =
      flags & flag.details ? this.row("select cancel_requested_at, blocked from run_details where run = ?", row[from]!)! : null;
    const isOver = status !== "open" && status !== "blocked";
    return {
      head,
      seq: row[from + 2] as number,
      input: row[from + 3] as number,
      wake: row[from + 4] === 1,
      status,
      fence: row[from + 6] as number,
      worker: worker === null ? null : this.workerId(worker),
      loads: row[from + 8] as number,
      steps: row[from + 9] as number,
      flags,
      keyed: row[from + 11] as number,
      // Nothing follows a run's end, so it is the last event.
      endedAt: isOver ? (this.row("select at from journal where id = ?", head)![0] as number) : null,
      cancelRequestedAt: details === null ? null : (details[0] as number | null),
      blocked: details === null || details[1] === null ? null : JSON.parse(details[1] as string),
    };
  }

  insertProgress(run: number, progress: Progress): void {
    this.#writeProgress(insertProgress, run, progress);
  }

  writeProgress(run: number, progress: Progress): void {
    const before = this.held(run);
    if (before === null || !isUsual(before, progress)) return this.#writeProgress(updateProgress, run, progress);
    const { head, seq, input, wake, loads, steps } = progress;
    if (progress.endedAt === null) this.#usual.step.get(head, seq, input, wake ? 1 : 0, loads, steps, run);
    else this.#usual.end.get(head, seq, statusNumber(progress.status), run);
    this.#keepProgress(this.#kept(run), progress);
  }

  /** What a delivery changes. */
  writeInput(run: number, progress: Progress): void {
    const { head, seq, input, flags, keyed } = progress;
    this.#usual.input.get(head, seq, input, flags, keyed, run);
    this.#keepProgress(this.#kept(run), progress);
  }

  #writeProgress(sql: string, run: number, p: Progress): void {
    const worker = p.worker === null ? null : this.enrolWorker(p.worker);
    const hasDetails = p.cancelRequestedAt !== null || p.blocked !== null || (p.flags & flag.details) !== 0;
    const flags = hasDetails ? p.flags | flag.details : p.flags;
    this.write(sql, run, p.head, p.seq, p.input, p.wake ? 1 : 0, statusNumber(p.status), p.fence, worker, p.loads, p.steps, flags, p.keyed);
    this.#keepProgress(this.#kept(run), hasDetails ? { ...p, flags } : p);
    if (!hasDetails) return;
    const blocked = p.blocked === null ? null : JSON.stringify(p.blocked);
    this.write(
      "insert into run_details values (?1, ?2, ?3) on conflict do update set cancel_requested_at = ?2, blocked = ?3",
      run,
      p.cancelRequestedAt,
      blocked,
    );
  }

  insertEvent(number: number, run: number, prev: number | null, event: Recorded): void {
    const { kind, position, turn, head, body } = encodeEvent(event);
    this.#usual.event.get(number, run, event.seq, prev, kind, position, turn, event.at, head, body);
  }

  /** As `insertEvent`, under a key. False, and nothing written, where the key is taken in that scope; without one nothing is looked up. */
  insertKeyed(number: number, run: number, prev: number, event: Recorded, scope: string | null, digest: string | null): boolean {
    const { kind, position, key, head, body } = encodeEvent(event);
    return (
      Number(this.#usual.keyed.run(number, run, event.seq, prev, kind, position, event.at, head, body, scope, key, digest).changes) > 0
    );
  }

  origin(by: "run" | "id" | "key", value: string | number): RunOrigin | null {
    if (typeof value === "string" && !isKeyText(value)) return null;
    const known = typeof value === "number" ? this.#runs.get(value)?.origin : null;
    if (known != null) return known;
    const row = this.row(originBy[by], value);
    return row === undefined ? null : this.keepOrigin(readOrigin(row, 0));
  }

  keepOrigin(origin: RunOrigin): RunOrigin {
    this.#kept(origin.run).origin = origin;
    return origin;
  }

  event(number: number): Recorded | null {
    const row = this.row(oneEvent, number);
    return row === undefined ? null : readEvent(row, 0);
  }

  mark(run: number, position: number): HookMark | null {
    const row = this.row("select holder, closed_by, closed_at, expires_at from hooks where run = ? and position = ?", run, position);
    if (row === undefined) return null;
    const [holder, by, at, expiresAt] = row as [string | null, number | null, number, number | null];
    return { holder, closed: by === null ? null : { by: closings[by]!, at }, expiresAt };
  }

  /** The same without a look, where no hook of the run has a mark. */
  markOf({ origin, created }: HookFacts, progress: Progress): HookMark {
    if (progress.flags & flag.marks) return this.mark(origin.run, created.position)!;
    return { holder: null, closed: null, expiresAt: created.expiresAt ?? null };
  }

  writeMark(run: number, position: number, { closed }: HookMark): void {
    const by = closed === null ? null : closings.indexOf(closed.by);
    this.write("update hooks set closed_by = ?, closed_at = ? where run = ? and position = ?", by, closed?.at ?? null, run, position);
  }

  /** All of a hook that never changes. `run` is found fastest; together with it `runKey` is only compared. */
  facts({
    runKey,
    run,
    position,
  }: {
    readonly runKey?: string;
    readonly run?: number | undefined;
    readonly position: number;
  }): HookFacts | null {
    const number = run ?? (runKey === undefined ? undefined : this.#byKey.get(runKey));
    const kept = number === undefined ? undefined : this.#runs.get(number);
    const created = kept?.hooks.get(position);
    const origin = kept?.origin ?? null;
    if (created !== undefined && origin !== null && this.#isLast(origin.run, created) && (runKey === undefined || origin.key === runKey))
      return { origin, created };
    if (runKey === undefined) return this.#readFacts(this.row(factsByRun, run!, position));
    const facts = isKeyText(runKey) ? this.#readFacts(this.row(factsByKey, runKey, position)) : null;
    if (facts !== null) this.#byKey.set(runKey, facts.origin.run);
    return facts;
  }

  /** Whether no other opening stands at its place by now, of this process or of another. */
  #isLast(run: number, created: Recorded<HookCreated>): boolean {
    return !mayReopen(created) || this.row(lastOpening, run, created.position)?.[0] === created.seq;
  }

  #readFacts(row: SqlRow | undefined): HookFacts | null {
    if (row === undefined) return null;
    return this.keepFacts(this.keepOrigin(readOrigin(row, 0)), readEvent(row, 6) as Recorded<HookCreated>);
  }

  keepFacts(origin: RunOrigin, created: Recorded<HookCreated>): HookFacts {
    this.#kept(origin.run).hooks.set(created.position, created);
    return { origin, created };
  }

  /** The delivery that took `key` at the hook's address. */
  taken(facts: HookFacts, progress: Progress, key: string): number | null {
    return this.isFirst(facts, progress, key) ? progress.keyed : this.takenIn(scopeOf(facts), key);
  }

  /** The same by the address alone; also where the run is purged. */
  takenIn(scope: string, key: string): number | null {
    const row = this.row("select id from journal where scope = ? and key = ?", scope, key) ?? this.pastKey(scope, key);
    return (row?.[0] as number | undefined) ?? null;
  }

  /** A delivery of a purged run, and its digest. */
  pastKey(scope: string, key: string): SqlRow | undefined {
    return this.row("select delivery, digest from past_keys where scope = ? and key = ?", scope, key);
  }

  /** Whether it was the run's first delivery under a key that took this one. */
  isFirst({ created }: HookFacts, { flags, keyed }: Progress, key: string): boolean {
    if (!(flags & flag.keyed) || created.address.type !== "minted") return false;
    return this.row("select 1 from journal where id = ? and position = ? and key = ?", keyed, created.position, key) !== undefined;
  }

  /** Decided from the start, for whoever repeats the delivery. */
  writeAnswer(delivery: number, deadlineAt: number, { status, headers, body }: Answer): void {
    this.write(
      "insert into answers values (?, ?, 'deadline', ?, ?, ?) on conflict do nothing",
      delivery,
      deadlineAt,
      status,
      JSON.stringify(headers),
      body,
    );
  }

  attributes(run: number): Attributes {
    const rows = this.rows("select name, value from attributes where run = ?", run) as unknown as [string, string][];
    return Object.fromEntries(rows);
  }

  changeAttributes(run: number, changes: AttributeChanges): void {
    for (const [name, value] of Object.entries(changes)) {
      if (value === null) this.write("delete from attributes where run = ? and name = ?", run, name);
      else this.write("insert into attributes values (?1, ?2, ?3) on conflict do update set value = ?3", run, name, value);
    }
  }

  /** Of closed hooks hardly anything is asked again. */
  forgetHooks(run: number, positions: readonly number[]): void {
    for (const position of positions) this.#runs.get(run)?.hooks.delete(position);
  }

  answer(delivery: number): AnswerRow | null {
    const row = this.row("select delivery, deadline_at, decided_by, status, headers, body from answers where delivery = ?", delivery);
    if (row === undefined) return null;
    const [, deadlineAt, by, status, headers, body] = row;
    const answer: Answer | null =
      by === null
        ? null
        : { status: status as number, headers: JSON.parse(headers as string), body: (body as Uint8Array | null) ?? new Uint8Array(0) };
    return { delivery, deadlineAt: deadlineAt as number, answer, by: by as AnswerRow["by"] };
  }
}

/** Whether no more has changed than what code's every append changes; all of a row is written where more has. */
function isUsual(before: Progress, after: Progress): boolean {
  if (before.fence !== after.fence || before.flags !== after.flags || (after.flags & flag.details) !== 0) return false;
  if (after.cancelRequestedAt !== null || after.blocked !== null) return false;
  if (after.endedAt !== null) return before.endedAt === null && before.input === after.input;
  return before.status === after.status && before.worker === after.worker;
}

export function readOrigin(row: SqlRow, from: number): RunOrigin {
  const [run, id, key, workflow, codeId, createdAt] = row.slice(from, from + 6) as [number, string, string, string, string, number];
  return { run, id, key, workflow, codeId, createdAt };
}

export function readEvent(row: SqlRow, from: number): Recorded {
  const event = {
    kind: row[from] as number,
    position: row[from + 1] as number | null,
    turn: row[from + 2] as number | null,
    key: row[from + 3] as string | null,
    head: row[from + 4] as string | null,
    body: row[from + 5] as EventRow["body"],
  };
  return decodeEvent(event, { number: row[from + 6] as number, seq: row[from + 7] as number, at: row[from + 8] as number });
}

export function statusNumber(status: RunStatus): number {
  return statuses.indexOf(status);
}

/** Within which a delivery key is taken once. */
export function scopeOf({ origin, created }: HookFacts): string {
  return hookScope(created.address, origin.key, created.position);
}

export function hookRowOf(facts: HookFacts, progress: RunProgress, state: HookState): HookRow {
  const { run, id: runId, key: runKey, workflow } = facts.origin;
  return { run, runId, runKey, workflow, worker: progress.worker, created: facts.created, state };
}
