// What a run's code decided: the fence, the events in order, and the inputs that the store itself adds to them (P9).
//
// MA1. All refusals come first: after the fence has been judged, everything is appended or, if something breaks, nothing.
// MA2. Nothing is written that follows from something else: a run's end frees tokens by ending, not by touching them.

import { changedBy, lineageOf } from "../../core/attribute.ts";
import type { HookCreated, Recorded, RunContinued, RunEvent } from "../../core/event.ts";
import {
  assertKeyText,
  disposed,
  hasEnded,
  hookState,
  isSameStart,
  mayWrite,
  originOf,
  settle,
  startedBy,
  unborn,
} from "../../core/run-row.ts";
import type { Append, AppendOutcome, RunNumber, StartOutcome, StartRun } from "../port.ts";
import { holdFirst, leaveClaim, refuseFirst, renewClaimed, takeEarly } from "./held.ts";
import { type Change, claimant, holderOf, type Place, publishedEntry, runRow, storedHook, unopened } from "./state.ts";

export function append(change: Change, command: Append): AppendOutcome {
  const { run } = command;
  const stored = change.state.runs.get(run);
  if (stored === undefined || !mayWrite(stored.progress, command.fence)) return { type: "fenced" };
  const events: Recorded[] = [];
  for (const event of command.events) {
    const { event: entry } = change.record(run, event);
    events.push(entry);
    for (const answer of follow(change, run, entry)) events.push(change.record(run, answer).event);
    if (entry.kind === "hook_created") events.push(...arrivedEarly(change, run, entry));
  }
  change.setProgress(run, settle(change.progress(run), command.seen));

  return { type: "appended", events };
}

/** Does what an event asks of the store. Returns the inputs that come of it at once. */
function follow(change: Change, run: RunNumber, event: Recorded): RunEvent[] {
  const { state } = change;
  switch (event.kind) {
    case "hook_created":
      return openHook(change, run, event);
    case "conflict_asked": {
      const hook = storedHook(state, { run, position: event.hook });
      return hook === null || hook.mark.holder !== null ? [] : [{ kind: "hook_registered", position: event.hook }];
    }
    case "hook_disposed": {
      dispose(change, { run, position: event.hook });
      return [];
    }
    case "timer_set":
      change.setTimer({ run, position: event.position, dueAt: event.dueAt!, isDeadline: false });
      return [];
    case "timer_cancelled":
      return dropTimer(change, run, event.timer);
    case "child_scheduled": {
      const begun = startRun(change, { run: event.start, worker: null }, run);
      const { position, start } = event;
      if (begun.type === "conflict") return [{ kind: "child_refused", position, runId: start.id, reason: "run_conflict" }];
      if (begun.type === "taken")
        return [{ kind: "child_refused", position, runId: start.id, reason: "hook_conflict", token: start.token!, holder: begun.holder }];
      return [{ kind: "child_started", position, runId: start.id }];
    }
    case "child_awaited":
      return awaitRun(change, run, event.position, event.runId);
    case "attributes_set":
    case "step_attributes_set":
      change.set(state.attributes, run, changedBy(state.attributes.get(run) ?? {}, event.changes));
      return [];
    case "value_published":
      change.set(state.published, publishedEntry(run, event.name), event);
      return [];
    case "run_blocked":
      if (event.reason !== "missing_key") change.set(state.setAside, JSON.stringify([run, event.codeId]), true);
      return [];
    case "run_continued":
      return continueRun(change, run, event);
    case "run_ended":
      change.delete(state.timers, run);
      leaveClaim(change, run);
      endRun(change, run, event);
      return [];
    default:
      return [];
  }
}

function dispose(change: Change, place: Place): void {
  const hook = storedHook(change.state, place);
  if (hook === null) return;
  change.setIn(change.state.hooks, place, { ...hook, mark: disposed(hook.mark, change.now) });
  dropTimer(change, place.run, place.position);
}

/** P11 */
function continueRun(change: Change, run: RunNumber, { closed, carried, awaited }: RunContinued): RunEvent[] {
  const { state } = change;
  for (const position of closed) dispose(change, { run, position });
  const kept = new Set([0, ...carried.map(({ created }) => created.position)]);
  for (const position of [...(state.timers.get(run)?.keys() ?? [])]) if (!kept.has(position)) dropTimer(change, run, position);
  for (const id of awaited) {
    const left = (state.watchers.get(id) ?? []).filter((watcher) => watcher.run !== run);
    if (left.length === 0) change.delete(state.watchers, id);
    else change.set(state.watchers, id, left);
  }
  const asked = state.journals.get(run)!.find((event) => event.kind === "cancel_requested");
  return asked === undefined ? [] : [{ kind: asked.kind, ...(asked.compensate && { compensate: true }) }];
}

/** A timer or a deadline that is not there is none to drop: it may have fired. */
function dropTimer(change: Change, run: RunNumber, position: number): [] {
  const timers = change.state.timers.get(run);
  if (timers !== undefined) change.delete(timers, position);
  return [];
}

function openHook(change: Change, run: RunNumber, created: Recorded<HookCreated>): RunEvent[] {
  const { state, now } = change;
  const place = { run, position: created.position };
  const expiresAt = created.expiresAt ?? null;
  const holder = created.address.type === "custom" ? claimToken(change, created.address.token, place) : null;
  change.setIn(state.hooks, place, { created, mark: { closed: null, holder, expiresAt } });
  if (holder !== null) return [{ kind: "hook_conflicted", position: created.position, holder }];
  // A cancelled run's hook is closed from the start: it has no deadline to reach.
  if (expiresAt !== null && hookState({ closed: null, holder, expiresAt: null }, change.progress(run), now).type === "open") {
    change.setTimer({ ...place, dueAt: expiresAt, isDeadline: true });
  }
  return [];
}

/** What is held at the token of a hook that has won it, and is open. */
function arrivedEarly(change: Change, run: RunNumber, created: Recorded<HookCreated>): Recorded[] {
  const place = { run, position: created.position };
  if (created.address.type !== "custom") return [];
  if (hookState(storedHook(change.state, place)!.mark, change.progress(run), change.now).type !== "open") return [];
  return takeEarly(change, place, created, created.address.token);
}

/** Gives the token to the hook at `place`, or answers with the id of the run that holds it (P4). */
function claimToken(change: Change, token: string, place: Place): string | null {
  assertKeyText("token", token);
  const holder = holderOf(change, token, place.run);
  if (holder !== null) return change.state.runs.get(holder)!.origin.id;
  if (claimant(change.state, token) === place.run) renewClaimed(change, token);
  change.set(change.state.tokens, token, place);
  return null;
}

/** An end that is there is told at once; else the run is noted under the awaited id, which need not be a run's yet. */
function awaitRun(change: Change, run: RunNumber, position: number, id: string): RunEvent[] {
  assertKeyText("run id", id);
  const { state } = change;
  const child = state.runById.get(id);
  const end = child === undefined ? undefined : state.journals.get(child)!.at(-1)!;
  if (end?.kind === "run_ended") return [{ kind: "child_ended", position, outcome: end.outcome }];
  // It was there, and is removed: nobody will tell of its end.
  const hasStarted = (event: Recorded): boolean => event.kind === "child_started" && event.runId === id;
  if (child === undefined && state.journals.get(run)!.some(hasStarted))
    return [{ kind: "child_refused", position, runId: id, reason: "run_not_found" }];
  change.set(state.watchers, id, [...(state.watchers.get(id) ?? []), { run, position }]);
  return [];
}

/** Tells the end to those who await it, in a fixed order; who has ended meanwhile is past telling. */
function endRun(change: Change, run: RunNumber, end: Recorded & { kind: "run_ended" }): void {
  const { state } = change;
  const { id } = state.runs.get(run)!.origin;
  change.notices.push({ type: "ended", run, id });
  const watchers = [...(state.watchers.get(id) ?? [])].sort((a, b) => a.run - b.run || a.position - b.position);
  change.delete(state.watchers, id);
  for (const watcher of watchers) {
    if (!hasEnded(change.progress(watcher.run)))
      change.inform(watcher.run, { kind: "child_ended", position: watcher.position, outcome: end.outcome });
  }
}

/** Begins a run, or finds the one that has the id. Used by callers and, for children, by `append`. `parent`: whose code begins it. */
export function startRun(
  change: Change,
  { run: start, worker, streams = [], first }: Omit<StartRun, "op" | "parent">,
  parent?: RunNumber,
): StartOutcome {
  const { state, now } = change;
  const used = state.runById.get(start.id);
  if (used !== undefined) {
    const row = runRow(state.runs.get(used)!);
    const begun = state.journals.get(used)![0]!;
    return { type: begun.kind === "run_started" && isSameStart(begun, start) ? "existing" : "conflict", row };
  }
  assertKeyText("run id", start.id);
  assertKeyText("run key", start.key);
  const { token } = start;
  if (token !== undefined) {
    assertKeyText("token", token);
    const holder = holderOf(change, token, null);
    if (holder !== null) return { type: "taken", holder: state.runs.get(holder)!.origin.id };
  }
  const refused = first === undefined ? null : refuseFirst(change, token, first);
  if (refused !== null) return refused;
  if (state.runByKey.has(start.key)) throw new TypeError("The run key is in use; keys must be random.");
  const run = change.next("run");
  change.set(state.runById, start.id, run);
  change.set(state.runByKey, start.key, run);
  change.set(state.runs, run, { origin: originOf(run, start, now), progress: unborn(worker) });
  if (streams.length > 0)
    change.set(state.streams, run, new Map(streams.map(({ stream, chunks }) => [stream, { chunks: [...chunks], isClosed: true }])));
  if (token !== undefined) change.set(state.tokens, token, { run, position: unopened });
  const from =
    parent === undefined ? {} : lineageOf({ id: state.runs.get(parent)!.origin.id, attributes: state.attributes.get(parent) ?? {} });
  const attributes = { ...start.attributes, ...from };
  if (Object.keys(attributes).length > 0) change.set(state.attributes, run, attributes);
  const { event } = change.record(run, startedBy(start, attributes));
  // Whoever begins a run for a worker is that worker, and has the outcome.
  if (worker === null) change.notices.push({ type: "woken", run, worker, seq: event.seq });
  const row = runRow(state.runs.get(run)!);
  return { type: "created", row, event, ...(first && { first: holdFirst(change, token!, first) }) };
}
