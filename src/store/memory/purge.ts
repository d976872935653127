// What goes: runs that ended long ago, or that somebody deletes; keys that outlived them; held deliveries past their time (P10).

import { type Recorded, valueIn } from "../../core/event.ts";
import { deliveriesIn, streamOwnersIn } from "../../core/serialise.ts";
import { hasEnded, hookScope, isReserved } from "../../core/run-row.ts";
import type { Delete, DeleteOutcome, Purge, PurgeOutcome, RunNumber } from "../port.ts";
import { endHeld } from "./held.ts";
import { type Change, isOpenAt, keyEntry, openingOf, publishedEntry, runRow, type TakenKey } from "./state.ts";

export function deleteRun(change: Change, { run }: Delete): DeleteOutcome {
  const stored = change.state.runs.get(run);
  if (stored === undefined) return { type: "unknown" };
  if (!hasEnded(stored.progress)) return { type: "open", row: runRow(stored) };
  const by = neededBy(change, run);
  if (by !== null) return { type: "needed", by };
  removeRun(change, run);
  return { type: "deleted" };
}

/** Keys, held deliveries, then runs from `from` on, whose keys are for the next pass. */
export function purge(change: Change, { runsMs, keysMs, unclaimedMs, from, rows: limit }: Purge): PurgeOutcome {
  const { state, now } = change;
  let rows = 0;
  for (const [entry, key] of [...state.keys]) {
    if (rows >= limit) return { type: "purged", runs: 0, rows, next: from };
    if (key.purged === null || now - key.purged.at < keysMs) continue;
    rows++;
    if (livesOn(change, key)) {
      change.set(state.keys, entry, { ...key, purged: { at: now } });
      continue;
    }
    change.delete(state.keys, entry);
    change.delete(state.answers, key.delivery);
  }
  for (const row of [...state.held.values()]) {
    if (rows >= limit) return { type: "purged", runs: 0, rows, next: from };
    if (now < row.until) continue;
    endHeld(change, row, unclaimedMs);
    rows++;
  }
  if (runsMs === null) return { type: "purged", runs: 0, rows, next: null };
  let runs = 0;
  for (const [run, { origin, progress }] of [...state.runs].sort(([a], [b]) => a - b)) {
    if (now - origin.createdAt < runsMs && origin.createdAt <= now) break; // one from the future tells nothing of those behind it
    if (run < from || progress.endedAt === null || now - progress.endedAt < runsMs) continue;
    if (rows >= limit) return { type: "purged", runs, rows, next: run };
    if (neededBy(change, run) !== null || keepsToken(change, run)) continue;
    rows += state.journals.get(run)!.length;
    removeRun(change, run);
    runs++;
  }
  return { type: "purged", runs, rows, next: null };
}

function neededBy(change: Change, run: RunNumber): string | null {
  return requestUser(change, run) ?? streamUser(change, run);
}

/** An open run that may read a stream of this one. Of those that have ended two may have streams of each other. */
function streamUser({ state }: Change, run: RunNumber): string | null {
  if (!state.streams.has(run)) return null;
  const { id } = state.runs.get(run)!.origin;
  const refers = (event: Recorded): boolean => streamOwnersIn(valueIn(event) ?? "").includes(id);
  for (const [other, journal] of state.journals) {
    const { origin, progress } = state.runs.get(other)!;
    if (other !== run && !hasEnded(progress) && journal.some(refers)) return origin.id;
  }
  return null;
}

/** A run that this one has passed a request on to, which stands in this one's journal alone. */
function requestUser({ state }: Change, run: RunNumber): string | null {
  const isRequest = (event: Recorded): boolean => event.kind === "hook_received" && event.payload.type === "request";
  const own = new Set(state.journals.get(run)!.flatMap((event) => (isRequest(event) ? [(event as { delivery: number }).delivery] : [])));
  if (own.size === 0) return null;
  const refers = (event: Recorded): boolean => deliveriesIn(valueIn(event) ?? "").some((delivery) => own.has(delivery));
  for (const [other, journal] of state.journals) if (other !== run && journal.some(refers)) return state.runs.get(other)!.origin.id;
  return null;
}

/** P12 */
function keepsToken({ state, now }: Change, run: RunNumber): boolean {
  return [...(state.hooks.get(run)?.values() ?? [])].some(({ created, mark }) => isReserved(created, mark, now));
}

/** Everything of a run is found by its journal and its hooks. */
function removeRun(change: Change, run: RunNumber): void {
  const { state } = change;
  const { origin } = state.runs.get(run)!;
  for (const event of state.journals.get(run)!) {
    if (event.kind === "hook_received") keepKey(change, run, event);
    else if (event.kind === "hook_created" && event.address.type === "custom") dropToken(change, run, event.address.token);
    else if (event.kind === "run_started" && event.token !== undefined) dropToken(change, run, event.token);
    else if (event.kind === "child_awaited") dropWatchers(change, run, event.runId);
    else if (event.kind === "value_published") change.delete(state.published, publishedEntry(run, event.name));
    else if (event.kind === "run_blocked") change.delete(state.setAside, JSON.stringify([run, event.codeId]));
  }
  for (const table of [state.runs, state.journals, state.streams, state.hooks, state.timers, state.attributes])
    change.delete(table as Map<RunNumber, unknown>, run);
  change.delete(state.runById, origin.id);
  change.delete(state.runByKey, origin.key);
}

/** A repeat gets the first answer still: a hook's own is written down for it. The answer to what has no key goes. */
function keepKey(change: Change, run: RunNumber, event: Recorded & { readonly kind: "hook_received" }): void {
  const { state } = change;
  const { position, key, at } = event;
  const delivery = event.delivery!;
  change.delete(state.deliveries, delivery);
  if (key === null) return change.delete(state.answers, delivery);
  const { address, response } = openingOf(state, { run, position }, event.seq);
  const entry = keyEntry(hookScope(address, state.runs.get(run)!.origin.key, position), key);
  change.set(state.keys, entry, { ...state.keys.get(entry)!, purged: { at } });
  if (response.mode === "static" && !state.answers.has(delivery))
    change.set(state.answers, delivery, { delivery, deadlineAt: at, answer: response.answer, by: "deadline" });
}

/** A token leads to the place of its hook, which may have been used again since. */
function dropToken(change: Change, run: RunNumber, token: string): void {
  const { tokens } = change.state;
  if (tokens.get(token)?.run === run) change.delete(tokens, token);
}

function dropWatchers(change: Change, run: RunNumber, awaited: string): void {
  const { watchers } = change.state;
  const others = (watchers.get(awaited) ?? []).filter((watcher) => watcher.run !== run);
  if (others.length === 0) change.delete(watchers, awaited);
  else change.set(watchers, awaited, others);
}

/** A key lasts as long as any hook at its address lives: then it is good for another while. Of a minted token that hook has ended with its run. */
function livesOn({ state, now }: Change, { scope }: TakenKey): boolean {
  return scope.startsWith("=") && isOpenAt(state, scope.slice(1), now);
}
