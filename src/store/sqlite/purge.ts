// What goes: runs that ended long ago, or that somebody deletes; keys that outlived them; held deliveries past their time (P10).
//
// SP1. A run is gone for everyone when its row is; its streams and its events, which may be many, go behind that in portions, the events
//     from the last on.
// SP2. A portion costs a commit a few milliseconds: callbacks go on between two of them.

import type { Answer, HookCreated } from "../../core/event.ts";
import { claimOf, isKept } from "./claim.ts";
import { hasEnded, mayReopen, type RunOrigin, rowOf } from "../../core/run-row.ts";
import type { AnswerRow, Delete, DeleteOutcome, DeliveryNumber, Purge, PurgeOutcome, RunNumber } from "../port.ts";
import type { SqlValue } from "./driver.ts";
import { endHeld, isOpenAt } from "./held.ts";
import { leadBack, openingAt, openingBefore } from "./opening.ts";
import { removeStreams } from "./stream.ts";
import { eventColumns, flag, readEvent, type Tables } from "./table.ts";
import type { Work } from "./work.ts";

/** Runs that are looked at together, by number: most of them may be open, or gone. */
const window = 1_000;
const windowsAtMost = 10;
/** Free pages below which a file is left alone: they are used again. */
const freePagesKept = 1_000;
const pagesAtOnce = 250;
/** Events that go at once when somebody deletes a run. */
const portion = 1_000;
const endedBefore = `
  select r.run from runs r join journal j on j.id = r.head
  where r.run >= ? and r.run < ? and r.status >= 4 and j.at <= ? order by r.run`;
const requestUser = "select o.id from passed_on p join origins o on o.run = p.run where p.owner = ? limit 1";
/** Of those that have ended two may have streams of each other. */
const streamUser = `
  select o.id from streamed_on p join runs r on r.run = p.run join origins o on o.run = p.run
  where p.owner = ? and r.status < 4 limit 1`;
const oneLink = `select ${eventColumns}, j.prev, j.scope, j.digest from journal j where j.id = ?`;
const purgedDelivery =
  "select j.run, j.position, j.at from journal j join purging p on p.run = j.run where j.id = ? and j.scope is not null";

export function deleteRun(work: Work, { run }: Delete): DeleteOutcome {
  const { tables } = work;
  const progress = tables.held(run);
  const origin = tables.origin("run", run);
  if (progress === null || origin === null) return { type: "unknown" };
  if (!hasEnded(progress)) return { type: "open", row: rowOf(origin, progress) };
  const by = neededBy(tables, run);
  if (by !== null) return { type: "needed", by };
  removeRun(work, origin);
  removeEvents(tables, portion);
  return { type: "deleted" };
}

/** What was begun, keys, held deliveries, then runs from `from` on, whose keys are for the next pass. */
export function purge(work: Work, command: Purge): PurgeOutcome {
  const { tables, now } = work;
  const { runsMs, from, rows: limit } = command;
  let rows = removeEvents(tables, limit);
  rows += endKeys(tables, now, now - command.keysMs, limit - rows);
  rows += endHeld(tables, now, command.unclaimedMs, limit - rows);
  let runs = 0;
  if (runsMs === null) return { type: "purged", runs, rows, next: rows >= limit || shrink(tables) ? from : null };
  let next: RunNumber = from;
  for (let windows = 0; windows < windowsAtMost && rows < limit; windows++) {
    const first = tables.row("select run, created_at from origins where run >= ? order by run limit 1", next) as
      | [number, number]
      | undefined;
    // From here on all are young. One from the future tells that the clock went back, and nothing of those behind it.
    if (first === undefined || (first[1] > now - runsMs && first[1] <= now))
      return { type: "purged", runs, rows, next: shrink(tables) ? next : null };
    next = first[0] + window;
    for (const [run] of tables.rows(endedBefore, first[0], next, now - runsMs)) {
      if (rows >= limit) {
        next = run as number;
        break;
      }
      if (neededBy(tables, run as number) !== null || keepsToken(tables, run as number, now)) continue;
      removeRun(work, tables.origin("run", run as number)!);
      rows += removeEvents(tables, limit - rows);
      runs++;
    }
  }
  return { type: "purged", runs, rows, next };
}

/** Gives room that nobody will want soon back to the file system, a little at a time. True while there is more. */
function shrink(tables: Tables): boolean {
  const free = (): number => tables.row("pragma freelist_count")![0] as number;
  const before = free();
  const [pages] = tables.row("pragma page_count") as [number];
  if (before < Math.max(freePagesKept, pages / 10)) return false;
  tables.rows(`pragma incremental_vacuum(${pagesAtOnce})`);
  return free() < before; // a file that was made without it stays as it is
}

/** A run that this one has passed a request on to, which stands in this one's journal alone, or an open one that may read a stream of it. */
function neededBy(tables: Tables, run: RunNumber): string | null {
  const [id] = tables.row(requestUser, run) ?? tables.row(streamUser, run) ?? [];
  return (id as string | undefined) ?? null;
}

/** P12 */
function keepsToken(tables: Tables, run: RunNumber, now: number): boolean {
  if (!(tables.held(run)!.flags & flag.reserved)) return false;
  const places = tables.rows("select run, position from hooks where run = ?", run) as unknown as [number, number][];
  return places.some((place) => isKept(tables, place, now));
}

/** SP1: hides it. A key that the run's row led to enters the index, under an address that needs no run. */
function removeRun(work: Work, origin: RunOrigin): void {
  const { tables } = work;
  const { run, key } = origin;
  work.keepNumbers();
  const progress = tables.held(run)!;
  if (progress.flags & flag.keyed)
    tables.write("update journal set scope = ? || ':' || position where id = ? and scope is null", key, progress.keyed);
  for (const [position] of tables.rows("select position from hooks where run = ? and kid is null", run)) {
    const { address } = tables.facts({ run, position: position as number })!.created;
    if (address.type === "custom") tables.write("delete from tokens where token = ? and run = ?", address.token, run);
  }
  const claimed = progress.flags & flag.token ? claimOf(tables, run) : null;
  if (claimed !== null) tables.write("delete from tokens where token = ?", claimed);
  if (progress.flags & flag.attributes) tables.write("delete from attributes where run = ?", run);
  tables.write("delete from passed_on where run = ?", run);
  tables.write("delete from passed_on where owner = ?", run);
  tables.write("delete from streamed_on where run = ?", run);
  tables.write("delete from streamed_on where owner = ?", run);
  for (const table of ["runs", "origins", "run_details", "set_aside", "timers"]) tables.write(`delete from ${table} where run = ?`, run);
  tables.write("insert into purging values (?, ?)", run, progress.head);
  tables.forgetEnded(origin);
}

/** Takes events of removed runs out of the journal, at most so many; their keys and answers are kept. Returns how many. */
function removeEvents(tables: Tables, limit: number): number {
  let rows = 0;
  while (rows < limit) {
    const [run, head] = (tables.row("select run, head from purging order by run limit 1") as [number, number] | undefined) ?? [];
    if (run === undefined) break;
    rows += removeStreams(tables, run, limit - rows);
    let next: SqlValue = head!;
    for (; next !== null && rows < limit; rows++) next = removeEvent(tables, run, next as number);
    if (next !== null) tables.write("update purging set head = ? where run = ?", next, run);
    else for (const table of ["hooks", "purging"]) tables.write(`delete from ${table} where run = ?`, run);
  }
  return rows;
}

/** Returns the one before it. */
function removeEvent(tables: Tables, run: RunNumber, number: number): SqlValue {
  const row = tables.row(oneLink, number)!;
  const [prev, scope, digest] = row.slice(9) as [SqlValue, string | null, string | null];
  const event = readEvent(row, 0);
  if (event.kind === "hook_created" && mayReopen(event)) leadBack(tables, run, event, prev);
  if (event.kind === "child_awaited") tables.write("delete from watchers where awaited = ? and run = ?", event.runId, run);
  else if (event.kind === "value_published") tables.write("delete from published where run = ? and key = ?", run, event.name);
  else if (event.kind === "hook_created" && event.address.type === "custom")
    // Where its place was used again since, its hook does not lead to it.
    tables.write("delete from tokens where token = ? and run = ?", event.address.token, run);
  else if (event.kind === "hook_received") {
    if (scope === null) tables.write("delete from answers where delivery = ?", number);
    else {
      tables.write("insert into past_keys values (?, ?, ?, ?, ?) on conflict do nothing", scope, event.key, number, digest, event.at);
      const answer = ownAnswer(openingAt(tables, run, event.position));
      if (answer !== null) tables.writeAnswer(number, event.at, answer);
    }
  }
  tables.write("delete from journal where id = ?", number);
  return prev;
}

/** The answer to a delivery, also while its run is being purged. */
export function readAnswer(tables: Tables, delivery: DeliveryNumber): AnswerRow | null {
  const known = tables.answer(delivery);
  if (known !== null) return known;
  const [run, position, at] = (tables.row(purgedDelivery, delivery) ?? []) as [number?, number?, number?];
  const answer = run === undefined ? null : ownAnswer(openingBefore(tables, delivery, position!));
  return answer === null ? null : { delivery, deadlineAt: at!, answer, by: "deadline" };
}

/** What the hook that took it answers by itself: a repeat gets it still. */
function ownAnswer(opened: HookCreated | null): Answer | null {
  return opened?.response.mode === "static" ? opened.response.answer : null;
}

/** A key lasts as long as any hook at its address lives: then it is good for another while. */
function endKeys(tables: Tables, now: number, before: number, limit: number): number {
  const old = tables.rows("select scope, key, delivery from past_keys where at <= ? order by at limit ?", before, limit);
  for (const [scope, key, delivery] of old as unknown as [string, string, number][]) {
    if (scope.startsWith("=") && isOpenAt(tables, scope.slice(1), now))
      tables.write("update past_keys set at = ? where scope = ? and key = ?", now, scope, key);
    else {
      tables.write("delete from past_keys where scope = ? and key = ?", scope, key);
      tables.write("delete from answers where delivery = ?", delivery);
    }
  }
  return old.length;
}
