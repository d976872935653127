// Facts from outside: deliveries, deadlines and cancel requests (P2, P7, P8).
//
// SD1. An accepted delivery is two statements where run and hook are kept in memory: event (with its key) and run row. A refusal dirties
//     no page. Where the hook is open the insert itself asks for the key (P7), so that the usual delivery does not look twice.

import { RingbackError } from "../../core/errors.ts";
import type { InputEvent, Recorded } from "../../core/event.ts";
import type { HookState } from "../../core/run-row.ts";
import { assertKeyText, hasEnded, hookState, isKeyText, isMisjudged, keyScope, rowOf, timedOut } from "../../core/run-row.ts";
import type { Address, Cancel, CancelOutcome, Deliver, DeliverOutcome, Fire, FireOutcome, HookRow, RunNumber } from "../port.ts";
import { holderOf } from "./claim.ts";
import { dropHeld, earlyRepeat, holdEarly, isHeld } from "./held.ts";
import { openedFor } from "./opening.ts";
import { draftOf, flag, type HookFacts, hookRowOf, type Progress, scopeOf, type Tables } from "./table.ts";
import type { HookReceived, Work } from "./work.ts";

/** The hook an address leads to: open, or the last one there. */
export function locate(tables: Tables, address: Address): HookFacts | null {
  if (!("token" in address)) return tables.facts(address);
  if (!isKeyText(address.token)) return null;
  const owner = tables.row("select run, position from tokens where token = ?", address.token) as [number, number] | undefined;
  return owner === undefined ? null : tables.facts({ run: owner[0], position: owner[1] });
}

export function deliver(work: Work, command: Deliver): DeliverOutcome {
  const { tables, now } = work;
  const { key, held } = command;
  if (key !== null) assertKeyText("delivery key", key);
  if (held !== undefined && !isHeld(tables, held)) return { type: "gone" };
  const elsewhere = command.only === undefined ? null : notFor(work, command, command.only);
  if (elsewhere !== null) return elsewhere;
  const facts = locate(tables, command.address);
  const progress = facts === null ? null : tables.held(facts.origin.run);
  if (facts === null || progress === null) return unclaimed(work, command);
  const { run } = facts.origin;
  const state = hookState(tables.markOf(facts, progress), progress, now);
  if (state.type !== "open") return refuse(work, command, facts, progress);
  const { position, response, address } = facts.created;
  if (command.judgedFor !== undefined && isMisjudged(command, run, facts.created)) {
    const taken = key === null ? null : tables.taken(facts, progress, key);
    return taken === null ? (earlyRepeat(tables, command) ?? { type: "moved" }) : duplicate(work, command, taken, scopeOf(facts));
  }
  const received = { kind: "hook_received", position, payload: command.payload, key } as const;
  const after = draftOf(progress);
  let event: Recorded<HookReceived> | null;
  if (key === null) event = work.record(run, after, received, held);
  else if (address.type === "minted" && !(progress.flags & flag.keyed)) {
    event = work.recordKeyed(run, after, received, { scope: null, digest: command.digest }, held);
    after.flags |= flag.keyed;
    after.keyed = after.head;
  } else {
    const repeat = repeated(work, command, facts, progress);
    if (repeat !== null) return repeat;
    event = work.recordKeyed(run, after, received, { scope: scopeOf(facts), digest: command.digest }, held);
  }
  if (event === null) return duplicate(work, command, tables.taken(facts, progress, key!)!);
  tables.writeInput(run, after);
  if (held !== undefined) dropHeld(tables, held);
  if (response.mode === "manual")
    tables.write("insert into answers(delivery, deadline_at) values (?, ?)", after.head, now + response.withinMs);
  work.notices.push({ type: "woken", run, worker: progress.worker, seq: event.seq });
  return { type: "accepted", delivery: after.head, hook: hookRowOf(facts, after, state), worker: progress.worker, event };
}

/** What becomes of a delivery that is for `run`, where its token is another's; a key answers first (P7). */
function notFor(work: Work, command: Deliver, run: RunNumber): DeliverOutcome | null {
  const { tables, now } = work;
  const { address, key } = command;
  const holder = "token" in address && isKeyText(address.token) ? holderOf(tables, address.token, run, now) : null;
  if (holder === null || holder === run) return null;
  const taken = key === null ? null : tables.takenIn(keyScope(address), key);
  if (taken !== null) return duplicate(work, command, taken);
  return earlyRepeat(tables, command) ?? { type: "taken", holder: tables.origin("run", holder)!.id };
}

/** Where the insert itself does not see that a key is taken: the run's first one, and those of purged runs and held deliveries. */
function repeated(work: Work, command: Deliver, facts: HookFacts, progress: Progress): DeliverOutcome | null {
  const { tables } = work;
  const { address } = facts.created;
  const key = command.key!;
  if (address.type === "minted") return tables.isFirst(facts, progress, key) ? duplicate(work, command, progress.keyed) : null;
  const past = tables.pastKey(scopeOf(facts), key);
  return past === undefined ? earlyRepeat(tables, command) : duplicate(work, command, past[0] as number, scopeOf(facts));
}

/** No hook is there: none yet, or none any more (P10). */
function unclaimed(work: Work, command: Deliver): DeliverOutcome {
  const { tables } = work;
  const scope = keyScope(command.address);
  if (!isKeyText(scope)) return { type: "unknown" };
  const delivery = command.key === null ? null : tables.takenIn(scope, command.key);
  if (delivery !== null) return duplicate(work, command, delivery);
  return earlyRepeat(tables, command) ?? holdEarly(work, command);
}

/** A key that was taken answers before the state of hook and run does. */
function refuse(work: Work, command: Deliver, facts: HookFacts, progress: Progress): DeliverOutcome {
  const { tables, now } = work;
  const { run } = facts.origin;
  const { position } = facts.created;
  const mark = tables.markOf(facts, progress);
  if (mark.holder !== null) return { type: "unknown" };
  const taken = command.key === null ? null : tables.taken(facts, progress, command.key);
  if (taken !== null) return duplicate(work, command, taken, scopeOf(facts));
  const early = earlyRepeat(tables, command);
  if (early !== null) return early;
  const state = hookState(mark, progress, now) as HookState & { type: "closed" };
  if (state.by === "timeout" && mark.closed === null) reachDeadline(work, run, position, progress);
  return { type: "closed", hook: hookRow(tables, now, facts), by: state.by, at: state.at };
}

/** Names the hook that took the key, which need not be the one that was found; null once its run is purged. */
function duplicate(work: Work, command: Deliver, delivery: number, scope: string = keyScope(command.address)): DeliverOutcome {
  const { tables, now } = work;
  const [run, position, digest] = (tables.row("select run, position, digest from journal where id = ?", delivery) ??
    tables.row("select null, null, digest from past_keys where scope = ? and key = ?", scope, command.key!)) as [
    number | null,
    number,
    string | null,
  ];
  if (command.held !== undefined && digest === command.digest) dropHeld(tables, command.held);
  const facts = run === null ? null : tables.facts({ run, position });
  const isThere = facts !== null && tables.held(facts.origin.run) !== null;
  const hook = isThere ? { ...hookRow(tables, now, facts), created: openedFor(tables, facts, delivery).created } : null;
  return { type: "duplicate", delivery, hook, isSameBody: digest === command.digest };
}

/** The delivery that took `key` at this address. */
export function deliveryOf(tables: Tables, address: Address, key: string): number | null {
  const scope = keyScope(address);
  if (!isKeyText(key) || !isKeyText(scope)) return null;
  const facts = locate(tables, address);
  const progress = facts === null ? null : tables.progress(facts.origin.run);
  return facts === null || progress === null ? tables.takenIn(scope, key) : tables.taken(facts, progress, key);
}

/** The hook as it stands at `now`. */
export function hookRow(tables: Tables, now: number, facts: HookFacts): HookRow {
  const progress = tables.progress(facts.origin.run)!;
  return hookRowOf(facts, progress, hookState(tables.markOf(facts, progress), progress, now));
}

/** Closes the hook and tells its run. Called at most once per hook: the mark is closed afterwards. */
function reachDeadline(work: Work, run: number, position: number, progress: Progress): Recorded<InputEvent> {
  const { tables, now } = work;
  tables.writeMark(run, position, timedOut(tables.mark(run, position)!, now));
  tables.write("delete from timers where run = ? and position = ?", run, position);
  const marked = { ...progress, flags: progress.flags | flag.marks };
  return work.inform(run, marked, { kind: "hook_failed", position, reason: "timeout" });
}

/** Position 0 is a cancelled run's grace: a worker sees it among what is due, and ends the run; there is no event to fire. */
export function fire(work: Work, command: Fire): FireOutcome {
  const { tables, now } = work;
  const { run, position } = command;
  const timer = tables.row("select due_at, is_deadline from timers where run = ? and position = ?", run, position) as
    | [number, number]
    | undefined;
  if (timer === undefined || position === 0 || (now < timer[0] && command.early !== true)) return { type: "gone" };
  const progress = tables.held(run)!;
  const { worker } = progress;
  if (timer[1] === 1) return { type: "fired", worker, event: reachDeadline(work, run, position, progress) };
  tables.write("delete from timers where run = ? and position = ?", run, position);
  return { type: "fired", worker, event: work.inform(run, progress, { kind: "timer_fired", position }) };
}

/** From here on the run's hooks are closed by their run's state alone (RR3); only their deadlines are rows to remove. */
export function cancel(work: Work, command: Cancel): CancelOutcome {
  const { tables, now } = work;
  const { run, compensate } = command;
  const origin = tables.origin("run", run);
  const progress = tables.held(run);
  if (origin === null || progress === null)
    throw new RingbackError("run_not_found", `There is no run number ${run} to cancel.`, { details: { run: String(run) } });
  if (hasEnded(progress)) return { type: "ended", row: rowOf(origin, progress) };
  if (progress.cancelRequestedAt !== null) {
    if (!compensate) setGrace(work, run, now);
    return { type: "again", row: rowOf(origin, progress) };
  }
  const event = work.inform(
    run,
    { ...progress, flags: progress.flags | flag.timers },
    {
      kind: "cancel_requested",
      ...(compensate && { compensate }),
    },
  );
  tables.write("delete from timers where run = ? and is_deadline = 1", run);
  if (!compensate) setGrace(work, run, now + command.graceMs);
  return { type: "requested", worker: progress.worker, event };
}

function setGrace({ tables, notices }: Work, run: RunNumber, until: number): void {
  tables.write("insert into timers values (?1, 0, ?2, 0) on conflict do update set due_at = ?2", run, until);
  notices.push({ type: "due", at: until });
}
