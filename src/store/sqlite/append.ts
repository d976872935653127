// What a run's code decided: the fence, the events in order, and the inputs that the store itself adds to them (P9).
//
// SA1. Nothing is written that follows from something else: a run's end frees tokens by ending. So the usual end is two statements.
// SA2. The run's row is written once, after all events; until then `Author` alone knows it, and nothing else may read it.

import { lineageOf } from "../../core/attribute.ts";
import { kindNumber } from "../../core/event-codec.ts";
import type { EventKind, HookCreated, Recorded, RunContinued, RunEvent } from "../../core/event.ts";
import { accepted } from "../../core/receipt.ts";
import {
  assertKeyText,
  type Draft,
  disposed,
  hasEnded,
  hookState,
  isSameStart,
  keyScope,
  mayWrite,
  originOf,
  rowOf,
  settleIn,
  startedBy,
  takesUnjudged,
  unborn,
} from "../../core/run-row.ts";
import type { Append, AppendOutcome, RunNumber, StartOutcome, StartRun } from "../port.ts";
import type { SqlRow, SqlValue } from "./driver.ts";
import { claimant, claimOf, holderOf, unopened } from "./claim.ts";
import { dropHeld, earlyAt, holdFirst, refuseFirst, renewClaimed } from "./held.ts";
import { keepStream } from "./stream.ts";
import { draftOf, flag, type Progress } from "./table.ts";
import type { Work } from "./work.ts";

/** A named hook opens again where it was (CH3). */
const openedHook = `
  insert into hooks(run, position, event, kid, expires_at, holder) values (?, ?, ?, ?, ?, ?)
  on conflict do update set event = excluded.event, kid = excluded.kid, expires_at = excluded.expires_at, holder = excluded.holder,
    closed_by = null, closed_at = null`;

const tokenOf = "insert into tokens values (?1, ?2, ?3) on conflict do update set run = ?2, position = ?3";
const lastPublished = "insert into published values (?1, ?2, ?3) on conflict do update set event = ?3";
const timerOf = "insert into timers values (?1, ?2, ?3, ?4) on conflict do update set due_at = ?3, is_deadline = ?4";

export function append(work: Work, command: Append): AppendOutcome {
  const before = work.tables.held(command.run);
  if (before === null || !mayWrite(before, command.fence)) return { type: "fenced" };
  const author = new Author(work, command.run, before);
  for (const event of command.events) author.add(event);
  author.finish(command.seen);
  return { type: "appended", events: author.events };
}

/** One append under way (SA2). */
class Author {
  readonly events: Recorded[] = [];
  readonly #work: Work;
  readonly #run: RunNumber;
  readonly #progress: Draft<Progress>;

  constructor(work: Work, run: RunNumber, progress: Progress) {
    this.#work = work;
    this.#run = run;
    this.#progress = draftOf(progress);
  }

  add(event: RunEvent): void {
    const entry = this.#work.record(this.#run, this.#progress, event);
    this.events.push(entry);
    this.#follow(entry);
  }

  finish(seen: number): void {
    settleIn(this.#progress, seen);
    this.#work.tables.writeProgress(this.#run, this.#progress);
    if (hasEnded(this.#progress)) this.#tellEnd();
  }

  /** Does what an event asks of the store. */
  #follow(event: Recorded): void {
    const { tables } = this.#work;
    switch (event.kind) {
      case "hook_created":
        return this.#openHook(event);
      case "conflict_asked":
        if (tables.mark(this.#run, event.hook)?.holder === null) this.add({ kind: "hook_registered", position: event.hook });
        return;
      case "hook_disposed":
        return this.#dispose(event.hook);
      case "timer_set":
        return this.#setTimer(event.position, event.dueAt!, false);
      case "timer_cancelled":
        return this.#dropTimer(event.timer);
      case "child_scheduled": {
        const { position, start } = event;
        const begun = startRun(this.#work, { run: start, worker: null }, this.#run);
        if (begun.type === "conflict") return this.add({ kind: "child_refused", position, runId: start.id, reason: "run_conflict" });
        if (begun.type === "taken")
          return this.add({
            kind: "child_refused",
            position,
            runId: start.id,
            reason: "hook_conflict",
            token: start.token!,
            holder: begun.holder,
          });
        return this.add({ kind: "child_started", position, runId: start.id });
      }
      case "child_awaited":
        return this.#awaitRun(event.position, event.runId);
      case "attributes_set":
      case "step_attributes_set":
        tables.changeAttributes(this.#run, event.changes);
        return this.#flag(flag.attributes);
      case "value_published":
        return tables.write(lastPublished, this.#run, event.name, this.#progress.head);
      case "run_blocked":
        if (event.reason !== "missing_key")
          tables.write("insert into set_aside values (?, ?) on conflict do nothing", this.#run, event.codeId);
        return;
      case "run_continued":
        return this.#continue(event);
      case "run_ended":
        if (this.#progress.flags & flag.timers) tables.write("delete from timers where run = ?", this.#run);
        if (this.#progress.flags & flag.token) this.#leaveClaim();
        return;
      default:
        return;
    }
  }

  #openHook(created: Recorded<HookCreated>): void {
    const { tables, now } = this.#work;
    const { position, address } = created;
    const expiresAt = created.expiresAt ?? null;
    const holder = address.type === "custom" ? this.#claimToken(address.token, position) : null;
    const kid = address.type === "minted" ? address.kid : null;
    tables.write(openedHook, this.#run, position, this.#progress.head, kid, expiresAt, holder);
    tables.keepFacts(tables.origin("run", this.#run)!, created);
    if (created.reservedUntil !== undefined) this.#flag(flag.reserved);
    if (holder !== null) {
      this.#flag(flag.marks);
      return this.add({ kind: "hook_conflicted", position, holder });
    }
    // A cancelled run's hook is closed from the start: it has no deadline to reach.
    if (expiresAt !== null && hookState({ closed: null, holder, expiresAt: null }, this.#progress, now).type === "open")
      this.#setTimer(position, expiresAt, true);
    if (address.type === "custom" && hookState({ closed: null, holder, expiresAt }, this.#progress, now).type === "open")
      this.#takeEarly(created, address.token);
  }

  /** What is held at the token. What must be judged stays, with all that came behind it, and somebody is told. */
  #takeEarly(created: Recorded<HookCreated>, token: string): void {
    const { tables, notices, now } = this.#work;
    for (const { delivery, at, until, key, digest, payload } of earlyAt(tables, token)) {
      if (until <= now) continue;
      if (!takesUnjudged(created, payload)) {
        notices.push({ type: "claimed" });
        return;
      }
      const received = { kind: "hook_received", position: created.position, payload, key } as const;
      const scope = keyScope({ token });
      dropHeld(tables, delivery);
      const entry =
        key === null
          ? this.#work.record(this.#run, this.#progress, received, delivery)
          : this.#work.recordKeyed(this.#run, this.#progress, received, { scope, digest }, delivery);
      if (entry !== null) this.events.push(entry);
      if (created.response.mode !== "accepted") tables.writeAnswer(delivery, at, accepted);
    }
  }

  /** Gives the token to the hook at `position`, or answers with the id of the run that holds it (P4). */
  #claimToken(token: string, position: number): string | null {
    assertKeyText("token", token);
    const { tables, now } = this.#work;
    const holder = holderOf(tables, token, this.#run, now);
    if (holder !== null) return tables.origin("run", holder)!.id;
    if (this.#progress.flags & flag.token && claimant(tables, token) === this.#run) renewClaimed(tables, now, token);
    tables.write(tokenOf, token, this.#run, position);
    return null;
  }

  /** What is held for a run that ends without having opened its token is nobody's (P13). */
  #leaveClaim(): void {
    const { tables, now } = this.#work;
    const token = claimOf(tables, this.#run);
    if (token !== null) tables.write("update held set until = ? where scope = ? and reason = 'early'", now, keyScope({ token }));
  }

  /** What closed the hook before stands; a hook that lost its token has nothing to close. */
  #dispose(position: number): void {
    const { tables, now } = this.#work;
    const mark = tables.mark(this.#run, position);
    if (mark === null) return;
    tables.writeMark(this.#run, position, disposed(mark, now));
    this.#flag(flag.marks);
    this.#dropTimer(position);
  }

  /** P11 */
  #continue({ closed, carried, awaited }: RunContinued): void {
    const { tables } = this.#work;
    for (const position of closed) this.#dispose(position);
    tables.forgetHooks(this.#run, closed);
    if (this.#progress.flags & flag.timers) {
      const kept = JSON.stringify([0, ...carried.map(({ created }) => created.position)]);
      tables.write("delete from timers where run = ? and position not in (select value from json_each(?))", this.#run, kept);
    }
    for (const id of awaited) tables.write("delete from watchers where awaited = ? and run = ?", id, this.#run);
    const asked = this.#progress.cancelRequestedAt === null ? null : this.#latest("cancel_requested");
    if (asked !== null) this.add({ kind: asked.kind, ...(asked.compensate && { compensate: true }) });
  }

  #setTimer(position: number, dueAt: number, isDeadline: boolean): void {
    this.#work.tables.write(timerOf, this.#run, position, dueAt, isDeadline ? 1 : 0);
    this.#flag(flag.timers);
    this.#work.notices.push({ type: "due", at: dueAt });
  }

  /** Says in the row that there is something of the run in another table. */
  #flag(bit: number): void {
    this.#progress.flags |= bit;
  }

  #dropTimer(position: number): void {
    if (this.#progress.flags & flag.timers)
      this.#work.tables.write("delete from timers where run = ? and position = ?", this.#run, position);
  }

  /** An end that is there is told at once; else the run is noted under the awaited id, which need not be a run's yet. */
  #awaitRun(position: number, id: string): void {
    assertKeyText("run id", id);
    const { tables } = this.#work;
    const run = tables.origin("id", id)?.run;
    const progress = run === undefined ? null : tables.held(run);
    const end = progress !== null && hasEnded(progress) ? tables.event(progress.head) : null;
    if (end?.kind === "run_ended") return this.add({ kind: "child_ended", position, outcome: end.outcome });
    // It was there, and is removed: nobody will tell of its end.
    const isGone = run === undefined && this.#latest("child_started", ({ runId }) => runId === id) !== null;
    if (isGone) return this.add({ kind: "child_refused", position, runId: id, reason: "run_not_found" });
    tables.write("insert into watchers values (?, ?, ?)", id, this.#run, position);
    if (run !== undefined && progress !== null && run !== this.#run)
      tables.writeProgress(run, { ...progress, flags: progress.flags | flag.watchers });
  }

  /** The run's last event of this kind that fits. */
  #latest<K extends EventKind>(kind: K, fits: (event: Recorded & { kind: K }) => boolean = () => true): (Recorded & { kind: K }) | null {
    const number = kindNumber(kind);
    for (let next: SqlValue = this.#progress.head; next !== null; ) {
      const [found, prev]: SqlRow = this.#work.tables.row("select kind, prev from journal where id = ?", next)!;
      const event = found === number ? (this.#work.tables.event(next as number) as Recorded & { kind: K }) : null;
      if (event !== null && fits(event)) return event;
      next = prev!;
    }
    return null;
  }

  /** Tells those who await this run, in a fixed order. The row is written by now: a run that awaits itself has ended. */
  #tellEnd(): void {
    const { tables, notices } = this.#work;
    const end = this.events.at(-1)!;
    const origin = tables.origin("run", this.#run)!;
    const { id } = origin;
    tables.forgetEnded(origin);
    notices.push({ type: "ended", run: this.#run, id });
    if (end.kind !== "run_ended" || !(this.#progress.flags & flag.watchers)) return;
    const watchers = tables.rows("select run, position from watchers where awaited = ? order by run, position", id) as unknown as [
      number,
      number,
    ][];
    tables.write("delete from watchers where awaited = ?", id);
    for (const [run, position] of watchers) {
      const progress = tables.held(run); // null: it is being purged
      if (progress !== null && !hasEnded(progress))
        this.#work.inform(run, progress, { kind: "child_ended", position, outcome: end.outcome });
    }
  }
}

/** Begins a run, or finds the one that has the id. Used by callers and, for children, by `append`. `parent`: whose code begins it. */
export function startRun(
  work: Work,
  { run: start, worker, streams = [], first }: Omit<StartRun, "op" | "parent">,
  parent?: RunNumber,
): StartOutcome {
  const { tables, now } = work;
  const used = tables.origin("id", start.id);
  if (used !== null) {
    const [number] = tables.row("select first from origins where run = ?", used.run) as [number];
    const begun = tables.event(number)!;
    return {
      type: begun.kind === "run_started" && isSameStart(begun, start) ? "existing" : "conflict",
      row: rowOf(used, tables.held(used.run)!),
    };
  }
  assertKeyText("run id", start.id);
  assertKeyText("run key", start.key);
  const { token } = start;
  if (token !== undefined) {
    assertKeyText("token", token);
    const holder = holderOf(tables, token, null, now);
    if (holder !== null) return { type: "taken", holder: tables.origin("run", holder)!.id };
  }
  const refused = first === undefined ? null : refuseFirst(tables, token, first);
  if (refused !== null) return refused;
  const run = work.nextRun();
  const origin = tables.keepOrigin(originOf(run, start, now));
  const { id, key, workflow, codeId } = start;
  const isAwaited = tables.row("select 1 from watchers where awaited = ? limit 1", id) !== undefined;
  const from = parent === undefined ? {} : lineageOf({ id: tables.origin("run", parent)!.id, attributes: tables.attributes(parent) });
  const attributes = { ...start.attributes, ...from };
  const hasAttributes = Object.keys(attributes).length > 0;
  if (hasAttributes) tables.changeAttributes(run, attributes);
  const flags = (isAwaited ? flag.watchers : 0) | (token === undefined ? 0 : flag.token) | (hasAttributes ? flag.attributes : 0);
  const progress = draftOf({ ...unborn(worker), head: 0, flags, keyed: 0 });
  const event = work.record(run, progress, startedBy(start, attributes));
  if (token !== undefined) tables.write(tokenOf, token, run, unopened);
  progress.keyed = progress.head;
  tables.write("insert into origins values (?, ?, ?, ?, ?, ?, ?)", run, progress.head, id, key, workflow, codeId, now);
  tables.insertProgress(run, progress);
  for (const passed of streams) keepStream(tables, run, passed);
  // Whoever begins a run for a worker is that worker, and has the outcome.
  if (worker === null) work.notices.push({ type: "woken", run, worker, seq: event.seq });
  return { type: "created", row: rowOf(origin, progress), event, ...(first && { first: holdFirst(work, token!, first) }) };
}
