// Facts from outside: deliveries, deadlines and cancel requests (P2, P7, P8).

import { RingbackError } from "../../core/errors.ts";
import { assertKeyText, hasEnded, hookState, isMisjudged, timedOut } from "../../core/run-row.ts";
import type { Cancel, CancelOutcome, Deliver, DeliverOutcome, Fire, FireOutcome, RunNumber } from "../port.ts";
import { earlyRepeat, holdEarly, noteDelivery } from "./held.ts";
import { type Change, holderOf, hookRow, keyEntry, locate, openingOf, type Place, runRow, scopeAt, storedHook } from "./state.ts";

export function deliver(change: Change, command: Deliver): DeliverOutcome {
  const { state } = change;
  if (command.key !== null) assertKeyText("delivery key", command.key);
  if (command.held !== undefined && !state.held.has(command.held)) return { type: "gone" };
  const place = locate(state, command.address);
  const hook = place === null ? null : storedHook(state, place);
  if (hook !== null && hook.mark.holder !== null) return { type: "unknown" };
  const repeat = taken(change, command);
  if (repeat !== null) return repeat;
  const holder = othersAt(change, command);
  if (holder !== null) return { type: "taken", holder: state.runs.get(holder)!.origin.id };
  if (place === null || hook === null) return holdEarly(change, command);
  const verdict = hookState(hook.mark, change.progress(place.run), change.now);
  if (verdict.type !== "closed") return isMisjudged(command, place.run, hook.created) ? { type: "moved" } : take(change, place, command);
  if (verdict.by === "timeout" && hook.mark.closed === null) reachDeadline(change, place);
  return { type: "closed", hook: hookRow(state, place, change.now), by: verdict.by, at: verdict.at };
}

/** A key that was taken answers first, whatever became of hook and run (P7). */
function taken(change: Change, command: Deliver): DeliverOutcome | null {
  const { state, now } = change;
  const known = command.key === null ? undefined : state.keys.get(keyEntry(scopeAt(state, command.address), command.key));
  if (known === undefined) return earlyRepeat(state, command);
  if (known.digest === command.digest) change.drop(command.held);
  const at = state.deliveries.get(known.delivery);
  const event = at === undefined ? undefined : state.journals.get(at.run)?.[at.seq - 1];
  const place = at === undefined || event?.kind !== "hook_received" ? null : { run: at.run, position: event.position };
  const hook = place === null ? null : { ...hookRow(state, place, now), created: openingOf(state, place, at!.seq) };
  return { type: "duplicate", delivery: known.delivery, hook, isSameBody: known.digest === command.digest };
}

/** The run that has the token, where the delivery is for another. */
function othersAt(change: Change, { only, address }: Deliver): RunNumber | null {
  if (only === undefined || !("token" in address)) return null;
  const holder = holderOf(change, address.token, only);
  return holder === only ? null : holder;
}

function take(change: Change, place: Place, command: Deliver): DeliverOutcome & { type: "accepted" } {
  const { state, now } = change;
  const { key, digest, payload, held } = command;
  const { created } = storedHook(state, place)!;
  const { event, number } = change.inform(place.run, { kind: "hook_received", position: place.position, payload, key }, held);
  change.drop(held);
  noteDelivery(change, place, { number, seq: event.seq, key, digest });
  if (created.response.mode === "manual")
    change.set(state.answers, number, { delivery: number, deadlineAt: now + created.response.withinMs, answer: null, by: null });
  return { type: "accepted", delivery: number, hook: hookRow(state, place, now), worker: change.progress(place.run).worker, event };
}

/** Closes the hook and tells its run. Called at most once per hook: the mark is closed afterwards. */
function reachDeadline(change: Change, place: Place): ReturnType<Change["inform"]>["event"] {
  const hook = storedHook(change.state, place)!;
  change.setIn(change.state.hooks, place, { ...hook, mark: timedOut(hook.mark, change.now) });
  change.delete(change.state.timers.get(place.run)!, place.position);
  return change.inform(place.run, { kind: "hook_failed", position: place.position, reason: "timeout" }).event;
}

/** Position 0 is a cancelled run's grace: a worker sees it among what is due, and ends the run; there is no event to fire. */
export function fire(change: Change, command: Fire): FireOutcome {
  const { run, position } = command;
  const timer = change.state.timers.get(run)?.get(position);
  if (timer === undefined || position === 0 || (change.now < timer.dueAt && command.early !== true)) return { type: "gone" };
  if (timer.isDeadline) return { type: "fired", worker: change.progress(run).worker, event: reachDeadline(change, { run, position }) };
  change.delete(change.state.timers.get(run)!, position);
  const { event } = change.inform(run, { kind: "timer_fired", position });
  return { type: "fired", worker: change.progress(run).worker, event };
}

/** From here on the run's hooks are closed by their run's state alone (RR3); only their deadlines are rows to remove. */
export function cancel(change: Change, command: Cancel): CancelOutcome {
  const { run, compensate } = command;
  const stored = change.state.runs.get(run);
  if (stored === undefined)
    throw new RingbackError("run_not_found", `There is no run number ${run} to cancel.`, { details: { run: String(run) } });
  if (hasEnded(stored.progress)) return { type: "ended", row: runRow(stored) };
  const grace = { run, position: 0, isDeadline: false } as const;
  if (stored.progress.cancelRequestedAt !== null) {
    if (!compensate) change.setTimer({ ...grace, dueAt: change.now });
    return { type: "again", row: runRow(stored) };
  }
  const { event } = change.inform(run, { kind: "cancel_requested", ...(compensate && { compensate }) });
  for (const timer of change.state.timers.get(run)?.values() ?? []) {
    if (timer.isDeadline) change.delete(change.state.timers.get(run)!, timer.position);
  }
  if (!compensate) change.setTimer({ ...grace, dueAt: change.now + command.graceMs });
  return { type: "requested", worker: change.progress(run).worker, event };
}
