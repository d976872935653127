// Deliveries that no run has: early ones, which wait for a hook to claim their token, and refused ones, which somebody may deliver again.

import { type HookCreated, type Payload, payloadSize, withoutSecrets, type Recorded } from "../../core/event.ts";
import { limits } from "../../core/limits.ts";
import { accepted } from "../../core/receipt.ts";
import { assertKeyText, hookScope, keyScope, takesUnjudged } from "../../core/run-row.ts";
import type {
  Deliver,
  DeliverOutcome,
  DeliveryNumber,
  FirstDelivery,
  HeldFilter,
  HeldRow,
  Hold,
  HoldOutcome,
  RunNumber,
  StartOutcome,
} from "../port.ts";
import { type Change, claimant, isOpenAt, keyEntry, type MemoryState, type Place, type Room, storedHook, unopened } from "./state.ts";

/** The same key at the same token, while the first one is held there. */
export function earlyRepeat(state: MemoryState, { address, key, digest, held }: Deliver): DeliverOutcome | null {
  if (key === null || !("token" in address)) return null;
  const first = earlyAt(state, address.token).find((row) => row.key === key && row.delivery !== held);
  if (first === undefined) return null;
  const claimedBy = idOf(state, claimant(state, address.token));
  return { type: "duplicate", delivery: first.delivery, hook: null, isSameBody: first.digest === digest, claimedBy };
}

/** Where no hook has had the token. */
export function holdEarly(change: Change, command: Deliver): DeliverOutcome {
  const { state, now } = change;
  const { address, key, digest, payload, held } = command;
  const owner = "token" in address ? claimant(state, address.token) : null;
  const earlyMs = command.earlyMs ?? (owner === null ? undefined : limits.earlyMs);
  if (earlyMs === undefined || held !== undefined || !("token" in address)) return { type: "unknown" };
  assertKeyText("token", address.token);
  if (isFull(change, address.token, payload)) return { type: "early_full" };
  const delivery = change.next("event");
  change.hold({
    delivery,
    at: now,
    until: now + earlyMs,
    reason: "early",
    address,
    key,
    digest,
    payload,
    detail: null,
  });
  return { type: "buffered", delivery, claimedBy: idOf(state, owner) };
}

function isFull(change: Change, token: string, payload: Payload): boolean {
  const { rows, bytes } = change.room("early");
  if (rows >= limits.earlyRows || bytes + payloadSize(payload) > limits.earlyBytes) return true;
  return earlyAt(change.state, token).length >= limits.earlyPerToken;
}

/** Why nothing is begun for the sake of this delivery (P16). */
export function refuseFirst(change: Change, token: string | undefined, { key, payload }: FirstDelivery): StartOutcome | null {
  const { state } = change;
  if (token === undefined) throw new TypeError("A run that is started with a delivery needs a token.");
  if (key !== null) assertKeyText("delivery key", key);
  const taken = key === null ? undefined : state.keys.get(keyEntry(keyScope({ token }), key));
  if (taken !== undefined) return { type: "repeated", delivery: taken.delivery };
  return !heldUnder(state, token, key) && isFull(change, token, payload) ? { type: "early_full" } : null;
}

/** To be called once the run has the token. One that is held under the key is the run's, whatever its time was. */
export function holdFirst(change: Change, token: string, first: FirstDelivery): { delivery: DeliveryNumber; isRepeat: boolean } {
  const until = change.now + limits.earlyMs;
  const known = heldUnder(change.state, token, first.key);
  if (known !== undefined) change.hold({ ...known, until });
  const delivery = known?.delivery ?? change.next("event");
  if (known === undefined) change.hold({ ...first, delivery, at: change.now, until, reason: "early", address: { token }, detail: null });
  return { delivery, isRepeat: known !== undefined };
}

function heldUnder(state: MemoryState, token: string, key: string | null): HeldRow | undefined {
  return key === null ? undefined : earlyAt(state, token).find((row) => row.key === key);
}

function idOf(state: MemoryState, run: RunNumber | null): string | null {
  return run === null ? null : state.runs.get(run)!.origin.id;
}

/** What a hook that has claimed its token finds there. What must be judged stays, with all that came behind it, and somebody is told. */
export function takeEarly(change: Change, place: Place, created: Recorded<HookCreated>, token: string): Recorded[] {
  const { state, now } = change;
  const events: Recorded[] = [];
  for (const row of earlyAt(state, token)) {
    if (row.until <= now) continue;
    if (!takesUnjudged(created, row.payload)) {
      change.notices.push({ type: "claimed" });
      break;
    }
    const { delivery, payload, key, digest } = row;
    const { event } = change.record(place.run, { kind: "hook_received", position: place.position, payload, key }, delivery);
    change.drop(delivery);
    noteDelivery(change, place, { number: delivery, seq: event.seq, key, digest });
    if (created.response.mode !== "accepted")
      change.set(state.answers, delivery, { delivery, deadlineAt: row.at, answer: accepted, by: "deadline" });
    events.push(event);
  }
  return events;
}

/** The run opens the hook for which this was held: whatever its time was, it did not grow old till now (P13). */
export function renewClaimed(change: Change, token: string): void {
  for (const row of earlyAt(change.state, token))
    if (isWaitedFor(change.state, row)) change.hold({ ...row, until: change.now + limits.earlyMs });
}

/** Whether a run has the token, and had it before the delivery's time was over. */
function isWaitedFor(state: MemoryState, { reason, address, until }: HeldRow): boolean {
  const run = reason === "early" && "token" in address ? claimant(state, address.token) : null;
  return run !== null && until > state.runs.get(run)!.origin.createdAt;
}

/** What is held for a run that ends without having opened its token is nobody's (P13). */
export function leaveClaim(change: Change, run: RunNumber): void {
  const { state, now } = change;
  const [started] = state.journals.get(run)!;
  const token = started?.kind === "run_started" ? started.token : undefined;
  const place = token === undefined ? undefined : state.tokens.get(token);
  if (place?.run !== run || place.position !== unopened) return;
  for (const row of earlyAt(state, token!)) change.hold({ ...row, until: now });
}

/** A journal has it now: where, and under which key. */
export function noteDelivery(
  change: Change,
  place: Place,
  entry: { readonly number: DeliveryNumber; readonly seq: number; readonly key: string | null; readonly digest: string | null },
): void {
  const { state } = change;
  const { number, seq, key, digest } = entry;
  change.set(state.deliveries, number, { run: place.run, seq });
  if (key === null) return;
  const scope = hookScope(storedHook(state, place)!.created.address, state.runs.get(place.run)!.origin.key, place.position);
  change.set(state.keys, keyEntry(scope, key), { delivery: number, digest, scope, purged: null });
}

export function hold(change: Change, { delivery: refused, keepMs, held }: Hold): HoldOutcome {
  const { state, now } = change;
  const before = held === undefined ? undefined : state.held.get(held);
  if (held !== undefined && before === undefined) return { type: "gone" };
  const delivery = held ?? change.next("event");
  change.hold({ ...refused, delivery, at: before?.at ?? now, until: now + keepMs });
  const isOver = ({ rows, bytes }: Room): boolean => rows > limits.refusedRows || bytes > limits.refusedBytes;
  for (const row of isOver(change.room("refused")) ? oldestFirst(state.held.values()) : []) {
    if (!isOver(change.room("refused"))) break;
    if (row.reason !== "early") change.drop(row.delivery);
  }
  return { type: "held", delivery };
}

export function findHeld(state: MemoryState, filter: HeldFilter, now: number): HeldRow[] {
  if ("delivery" in filter) return [...state.held.values()].filter((row) => row.delivery === filter.delivery);
  const rows = oldestFirst(state.held.values());
  if (filter.of === "claimed") return rows.filter((row) => row.reason === "early" && isClaimed(state, row, now)).slice(0, filter.limit);
  const { before = Number.POSITIVE_INFINITY } = filter;
  return rows
    .filter((row) => row.reason !== "early" && row.delivery < before)
    .reverse()
    .slice(0, filter.limit);
}

/** Past its time an early one is `unclaimed`, and held on, or early still where a run has the token; another one goes. */
export function endHeld(change: Change, row: HeldRow, unclaimedMs: number): void {
  const { state, now } = change;
  if (isWaitedFor(state, row)) change.hold({ ...row, until: now + limits.earlyMs });
  else if (row.reason === "early")
    change.hold({ ...row, payload: withoutSecrets(row.payload), reason: "unclaimed", until: now + unclaimedMs });
  else change.drop(row.delivery);
}

function isClaimed(state: MemoryState, { address, until }: HeldRow, now: number): boolean {
  return until > now && isOpenAt(state, keyScope(address).slice(1), now);
}

function earlyAt(state: MemoryState, token: string): HeldRow[] {
  const isHere = ({ reason, address }: HeldRow): boolean => reason === "early" && "token" in address && address.token === token;
  return oldestFirst([...state.held.values()].filter(isHere));
}

function oldestFirst(rows: Iterable<HeldRow>): HeldRow[] {
  return [...rows].sort((a, b) => a.delivery - b.delivery);
}
