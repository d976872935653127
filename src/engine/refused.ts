// Refused deliveries as people see them.

import type { Payload } from "../core/event.ts";
import { deliveryId } from "../core/receipt.ts";
import type { HeldReason, HeldRow, Store } from "../store/port.ts";

/** A delivery that was refused, or that no hook claimed in time. It can be delivered again, by its id, while it is kept. */
export interface RefusedDelivery {
  /** For `redeliver()`; accepted, it keeps it. */
  readonly deliveryId: string;
  /** `closed`, `invalid`, `key_reused`, or `unclaimed`: it came early, and no hook did. */
  readonly reason: Exclude<HeldReason, "early">;
  /** Why, in words. */
  readonly detail: string | null;
  /** By the store's clock. */
  readonly receivedAt: Date;
  /** Then it is removed. */
  readonly keptUntil: Date;
  /** The run whose minted token it came to; null for a custom token. */
  readonly runId: string | null;
  /** The custom token it came to; null for a minted one, which is a secret. */
  readonly token: string | null;
  /** The method of a request; null where it was a value. */
  readonly method: string | null;
  /** The size of its body, in bytes, or of its text, in characters. */
  readonly size: number;
}

export async function refusedOf(store: Store, row: HeldRow): Promise<RefusedDelivery> {
  const { delivery, reason, detail, at, until, address, payload } = row;
  const runId = "token" in address ? null : ((await store.run({ key: address.runKey }))?.id ?? null);
  return {
    deliveryId: deliveryId(delivery),
    reason: reason as RefusedDelivery["reason"],
    detail,
    receivedAt: new Date(at),
    keptUntil: new Date(until),
    runId,
    token: "token" in address ? address.token : null,
    ...shapeOf(payload),
  };
}

function shapeOf(payload: Payload): Pick<RefusedDelivery, "method" | "size"> {
  return payload.type === "value"
    ? { method: null, size: payload.value.length }
    : { method: payload.head.method, size: payload.body.length };
}
