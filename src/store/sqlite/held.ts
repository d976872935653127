// Deliveries that no run has: early ones, which wait for a hook to claim their token, and refused ones, which somebody may deliver again.

import { decodePayload, encodePayload } from "../../core/event-codec.ts";
import { type Payload, payloadSize, withoutSecrets } from "../../core/event.ts";
import { limits } from "../../core/limits.ts";
import { assertKeyText, hookState, keyScope, scopeAddress } from "../../core/run-row.ts";
import type {
  Deliver,
  DeliverOutcome,
  DeliveryNumber,
  FirstDelivery,
  HeldFilter,
  HeldReason,
  HeldRow,
  Hold,
  HoldOutcome,
  RunNumber,
  StartOutcome,
} from "../port.ts";
import { claimant } from "./claim.ts";
import type { SqlRow } from "./driver.ts";
import type { Tables } from "./table.ts";
import type { Work } from "./work.ts";

const heldColumns = "delivery, at, until, reason, scope, key, digest, head, body, detail";
const heldUnder = "select delivery, digest from held where scope = ? and reason = 'early' and key = ? and delivery is not ?";
const earlyTokens = "select distinct scope from held where reason = 'early'";

export function isHeld(tables: Tables, delivery: DeliveryNumber): boolean {
  return tables.row("select 1 from held where delivery = ?", delivery) !== undefined;
}

export function dropHeld(tables: Tables, delivery: DeliveryNumber): void {
  tables.write("delete from held where delivery = ?", delivery);
}

/** The same key at the same token, while the first one is held there. */
export function earlyRepeat(tables: Tables, { address, key, digest, held }: Deliver): DeliverOutcome | null {
  if (key === null || !("token" in address)) return null;
  const first = tables.row(heldUnder, keyScope(address), key, held ?? null);
  if (first === undefined) return null;
  const claimedBy = idOf(tables, claimant(tables, address.token));
  return { type: "duplicate", delivery: first[0] as number, hook: null, isSameBody: first[1] === digest, claimedBy };
}

/** Where no hook has had the token. */
export function holdEarly(work: Work, command: Deliver): DeliverOutcome {
  const { tables, now } = work;
  const { address, held, payload } = command;
  const owner = "token" in address ? claimant(tables, address.token) : null;
  const earlyMs = command.earlyMs ?? (owner === null ? undefined : limits.earlyMs);
  if (earlyMs === undefined || held !== undefined || !("token" in address)) return { type: "unknown" };
  assertKeyText("token", address.token);
  if (isFull(tables, address.token, payload)) return { type: "early_full" };
  const delivery = work.nextDelivery();
  insertHeld(tables, { ...command, delivery, at: now, until: now + earlyMs, reason: "early", detail: null });
  return { type: "buffered", delivery, claimedBy: idOf(tables, owner) };
}

function isFull(tables: Tables, token: string, payload: Payload): boolean {
  const [here] = tables.row("select count(*) from held where scope = ? and reason = 'early'", keyScope({ token })) as [number];
  const [rows, bytes] = tables.row("select rows, bytes from held_room where is_early = 1") as [number, number];
  return here >= limits.earlyPerToken || rows >= limits.earlyRows || bytes + payloadSize(payload) > limits.earlyBytes;
}

/** Why nothing is begun for the sake of this delivery (P16). */
export function refuseFirst(tables: Tables, token: string | undefined, { key, payload }: FirstDelivery): StartOutcome | null {
  if (token === undefined) throw new TypeError("A run that is started with a delivery needs a token.");
  if (key !== null) assertKeyText("delivery key", key);
  const taken = key === null ? null : tables.takenIn(keyScope({ token }), key);
  if (taken !== null) return { type: "repeated", delivery: taken };
  const isThere = key !== null && tables.row(heldUnder, keyScope({ token }), key, null) !== undefined;
  return !isThere && isFull(tables, token, payload) ? { type: "early_full" } : null;
}

/** To be called once the run has the token. One that is held under the key is the run's, whatever its time was. */
export function holdFirst(work: Work, token: string, first: FirstDelivery): { delivery: DeliveryNumber; isRepeat: boolean } {
  const { tables, now } = work;
  const until = now + limits.earlyMs;
  const known = first.key === null ? undefined : tables.row(heldUnder, keyScope({ token }), first.key, null);
  if (known !== undefined) {
    tables.write("update held set until = ? where delivery = ?", until, known[0]!);
    return { delivery: known[0] as number, isRepeat: true };
  }
  const delivery = work.nextDelivery();
  insertHeld(tables, { ...first, delivery, at: now, until, reason: "early", address: { token }, detail: null });
  return { delivery, isRepeat: false };
}

function idOf(tables: Tables, run: RunNumber | null): string | null {
  return run === null ? null : tables.origin("run", run)!.id;
}

export function hold(work: Work, { delivery: refused, keepMs, held }: Hold): HoldOutcome {
  const { tables, now } = work;
  const [at] = (held === undefined ? [now] : (tables.row("select at from held where delivery = ?", held) ?? [])) as [number?];
  if (at === undefined) return { type: "gone" };
  const delivery = held ?? work.nextDelivery();
  if (held !== undefined) dropHeld(tables, held);
  insertHeld(tables, { ...refused, delivery, at, until: now + keepMs });
  for (;;) {
    const [rows, bytes] = tables.row("select rows, bytes from held_room where is_early = 0") as [number, number];
    if (rows <= limits.refusedRows && bytes <= limits.refusedBytes) break;
    tables.write("delete from held where delivery = (select min(delivery) from held where reason <> 'early')");
  }
  return { type: "held", delivery };
}

function insertHeld(tables: Tables, row: HeldRow): void {
  const { delivery, at, until, reason, address, key, digest, payload, detail } = row;
  const { head, body } = encodePayload(payload);
  tables.write(
    "insert into held values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    ...[delivery, at, until, reason, keyScope(address), key, digest, head, body, payloadSize(payload), detail],
  );
}

/** What is held for the hook that will have this token, in the order it came. */
export function earlyAt(tables: Tables, token: string): HeldRow[] {
  const sql = `select ${heldColumns} from held where scope = ? and reason = 'early' order by delivery`;
  return tables.rows(sql, keyScope({ token })).map(readHeld);
}

export function readHeldRows(tables: Tables, now: number, filter: HeldFilter): HeldRow[] {
  if ("delivery" in filter) return tables.rows(`select ${heldColumns} from held where delivery = ?`, filter.delivery).map(readHeld);
  if (filter.of === "claimed") {
    const scopes = tables.rows(earlyTokens).map(([scope]) => (scope as string).slice(1));
    const rows = scopes.filter((token) => isOpenAt(tables, token, now)).flatMap((token) => earlyAt(tables, token));
    return rows
      .filter(({ until }) => until > now)
      .sort((a, b) => a.delivery - b.delivery)
      .slice(0, filter.limit);
  }
  const sql = `select ${heldColumns} from held where reason <> 'early' and delivery < ? order by delivery desc limit ?`;
  return tables.rows(sql, filter.before ?? Number.MAX_SAFE_INTEGER, filter.limit).map(readHeld);
}

/** The run opens the hook for which this was held: whatever its time was, it did not grow old till now (P13). */
export function renewClaimed(tables: Tables, now: number, token: string): void {
  const since = claimedSince(tables, token);
  if (since === null) return;
  const renew = "update held set until = ? where scope = ? and reason = 'early' and until > ?";
  tables.write(renew, now + limits.earlyMs, keyScope({ token }), since);
}

/** When the run began that has the token, and may still open it; what was over by then is not for it. */
function claimedSince(tables: Tables, token: string): number | null {
  const run = claimant(tables, token);
  return run === null ? null : tables.origin("run", run)!.createdAt;
}

/** Past its time an early one is `unclaimed`, and held on, or early still where a run has the token; another one goes. Returns how many. */
export function endHeld(tables: Tables, now: number, unclaimedMs: number, limit: number): number {
  const over = tables.rows(`select ${heldColumns} from held where until <= ? order by until limit ?`, now, limit).map(readHeld);
  for (const { delivery, until, reason, payload, address } of over) {
    if (reason !== "early") {
      dropHeld(tables, delivery);
      continue;
    }
    if ("token" in address && until > (claimedSince(tables, address.token) ?? until)) {
      tables.write("update held set until = ? where delivery = ?", now + limits.earlyMs, delivery);
      continue;
    }
    const { head } = encodePayload(withoutSecrets(payload));
    tables.write("update held set reason = 'unclaimed', until = ?, head = ? where delivery = ?", now + unclaimedMs, head, delivery);
  }
  return over.length;
}

/** Whether the hook that took a custom token last is open. */
export function isOpenAt(tables: Tables, token: string, now: number): boolean {
  const owner = tables.row("select run, position from tokens where token = ?", token) as [number, number] | undefined;
  const progress = owner === undefined ? null : tables.progress(owner[0]);
  const mark = owner === undefined ? null : tables.mark(...owner);
  return progress !== null && mark !== null && hookState(mark, progress, now).type === "open";
}

function readHeld(row: SqlRow): HeldRow {
  const [delivery, at, until, reason, scope, key, digest, head, body, detail] = row as unknown as [
    ...[number, number, number, HeldReason, string, string | null, string | null],
    ...[string | null, string | Uint8Array | null, string | null],
  ];
  return { delivery, at, until, reason, address: scopeAddress(scope), key, digest, payload: decodePayload({ head, body }), detail };
}
