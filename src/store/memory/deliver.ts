// Facts from outside: deliveries, deadlines and cancel requests (P2, P7, P8).

import { RingbackError } from "../../core/errors.ts";
import { assertKeyText, hasEnded, hookState, keyScope, timedOut } from "../../core/run-row.ts";
import type { Address, Cancel, CancelOutcome, Deliver, DeliverOutcome, Fire, FireOutcome } from "../port.ts";
import { type Change, hookRow, type MemoryState, type Place, runRow, storedHook } from "./state.ts";

/** The hook an address leads to: open, or the last one there. A hook that lost its token was never at it. */
export function locate(state: MemoryState, address: Address): Place | null {
  if ("token" in address) return state.tokens.get(address.token) ?? null;
  const run = state.runByKey.get(address.runKey);
  return run === undefined || storedHook(state, { run, position: address.position }) === null ? null : { run, position: address.position };
}

export function deliver(change: Change, command: Deliver): DeliverOutcome {
  const { state, now } = change;
  if (command.key !== null) assertKeyText("delivery key", command.key);
  const place = locate(state, command.address);
  const hook = place === null ? null : storedHook(state, place);
  if (place === null || hook === null || hook.mark.holder !== null) return { type: "unknown" };
  const entry = command.key === null ? null : keyEntry(state, place, command.key);
  const taken = entry === null ? undefined : state.keys.get(entry);
  if (taken !== undefined) {
    const { run, seq } = state.deliveries.get(taken.delivery)!;
    const event = state.journals.get(run)![seq - 1]!;
    const position = event.kind === "hook_received" ? event.position : 0;
    return {
      type: "duplicate",
      delivery: taken.delivery,
      hook: hookRow(state, { run, position }, now),
      isSameBody: taken.digest === command.digest,
    };
  }
  const verdict = hookState(hook.mark, change.progress(place.run), now);
  if (verdict.type === "closed") {
    if (verdict.by === "timeout" && hook.mark.closed === null) reachDeadline(change, place);
    return { type: "closed", hook: hookRow(state, place, now), by: verdict.by, at: verdict.at };
  }
  const { event, number } = change.inform(place.run, {
    kind: "hook_received",
    position: place.position,
    payload: command.payload,
    key: command.key,
  });
  change.set(state.deliveries, number, { run: place.run, seq: event.seq });
  if (entry !== null) change.set(state.keys, entry, { delivery: number, digest: command.digest });
  const { response } = hook.created;
  if (response.mode === "manual")
    change.set(state.answers, number, { delivery: number, deadlineAt: now + response.withinMs, answer: null, by: null });
  return { type: "accepted", delivery: number, hook: hookRow(state, place, now), worker: change.progress(place.run).worker, event };
}

/** Where a delivery key is kept. At a custom token it outlives every hook that held it. */
export function keyEntry(state: MemoryState, place: Place, key: string): string {
  return JSON.stringify([keyScope(storedHook(state, place)!.created.address, place.run, place.position), key]);
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
  const { run } = command;
  const stored = change.state.runs.get(run);
  if (stored === undefined)
    throw new RingbackError("run_not_found", `There is no run number ${run} to cancel.`, { details: { run: String(run) } });
  if (hasEnded(stored.progress)) return { type: "ended", row: runRow(stored) };
  const grace = { run, position: 0, isDeadline: false } as const;
  if (stored.progress.cancelRequestedAt !== null) {
    change.setTimer({ ...grace, dueAt: change.now });
    return { type: "again", row: runRow(stored) };
  }
  const { event } = change.inform(run, { kind: "cancel_requested" });
  for (const timer of change.state.timers.get(run)?.values() ?? []) {
    if (timer.isDeadline) change.delete(change.state.timers.get(run)!, timer.position);
  }
  change.setTimer({ ...grace, dueAt: change.now + command.graceMs });
  return { type: "requested", worker: change.progress(run).worker, event };
}
