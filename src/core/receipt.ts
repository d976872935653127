// What the sender of a delivery is told, apart from how HTTP says it.

import type { SchemaIssue } from "./definition.ts";

/** What became of a delivery. */
export type Disposition = "accepted" | "buffered" | "duplicate" | "ignored" | "closed" | "invalid" | "unknown";

/** What the sender of a delivery is told. */
export interface Receipt {
  /** The delivery's id; a duplicate has the first one's. */
  readonly id?: string;
  readonly disposition: Disposition;
  /** Payloads that wait to be read, this one included, where it is known without asking the run. */
  readonly unread?: number;
  /** Without a key a repeat is another delivery. */
  readonly keyed: boolean;
  /** What closed the hook: `disposed`, `timeout`, `cancelled`, `ended`. */
  readonly by?: string;
  readonly at?: Date;
  readonly issues?: readonly SchemaIssue[];
}

export function deliveryId(delivery: number): string {
  return `dlv_${delivery.toString(36)}`;
}
