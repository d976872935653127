// What the sender of a delivery is told, apart from how HTTP says it.

import type { Issue } from "./errors.ts";
import type { Answer } from "./event.ts";

/** Where senders put the key of a delivery, in small letters; the first that is there counts. */
export const keyHeaders: readonly string[] = ["idempotency-key", "webhook-id", "svix-id", "x-github-delivery"];

/** What a sender gets over HTTP where nothing else was decided. */
export const accepted: Answer = { status: 202, headers: [], body: new Uint8Array() };

/** What became of a delivery: taken (`accepted`), kept for a hook to come (`buffered`), a repeat, refused, or at no hook. `ignored` does not occur yet. */
export type Disposition = "accepted" | "buffered" | "duplicate" | "ignored" | "closed" | "invalid" | "unknown";

export type ClosedBy = "disposed" | "timeout" | "cancelled" | "ended";

/** What the sender of a delivery is told. */
export interface Receipt {
  /** The delivery's id; a duplicate has the first one's. */
  readonly id?: string;
  /** What became of it. */
  readonly disposition: Disposition;
  /** Payloads that wait to be read, this one included, where it is known without asking the run. */
  readonly unread?: number;
  /** Without a key a repeat is another delivery. */
  readonly keyed: boolean;
  /** What closed the hook: its code, its deadline, the cancel or the end of its run. */
  readonly by?: ClosedBy;
  /** When it closed, by the store's clock. */
  readonly at?: Date;
  /** Why the schema refused the payload. */
  readonly issues?: readonly Issue[];
}

export function deliveryId(delivery: number): string {
  return `dlv_${delivery.toString(36)}`;
}

/** The number in a delivery's id; null where it is none. */
export function deliveryNumber(id: string): number | null {
  const number = /^dlv_[0-9a-z]{1,10}$/.test(id) ? Number.parseInt(id.slice(4), 36) : 0;
  return number > 0 && Number.isSafeInteger(number) ? number : null;
}
