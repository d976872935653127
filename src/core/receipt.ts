// What the sender of a delivery is told, apart from how HTTP says it.

import type { SchemaIssue } from "./definition.ts";

/** What became of a delivery: taken (`accepted`), a repeat, refused, or at no hook. `buffered` and `ignored` do not occur yet. */
export type Disposition = "accepted" | "buffered" | "duplicate" | "ignored" | "closed" | "invalid" | "unknown";

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
  /** What closed the hook: `disposed`, `timeout`, `cancelled`, `ended`. */
  readonly by?: string;
  /** When it closed, by the store's clock. */
  readonly at?: Date;
  /** Why the schema refused the payload. */
  readonly issues?: readonly SchemaIssue[];
}

export function deliveryId(delivery: number): string {
  return `dlv_${delivery.toString(36)}`;
}
