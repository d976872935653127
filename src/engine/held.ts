// What is held for people: refused deliveries, kept by policy, listed, and delivered again on demand; early ones that must be judged.
//
// KE1. A refusal is told whether or not it could be kept: nobody waits for this, and nothing fails by it.
// KE2. What is kept has no credentials of its sender: their values are struck out before it is stored; of an early one, which its hook
//      may need them for, when nobody has claimed it in time (`endHeld` in the stores).

import { RingbackError } from "../core/errors.ts";
import { withoutSecrets } from "../core/event.ts";
import { limits } from "../core/limits.ts";
import { deliveryId } from "../core/receipt.ts";
import type { DeliveryNumber, HeldReason, HeldRow, Store } from "../store/port.ts";
import type { Committer } from "./commit.ts";

export type RefusedFor = Exclude<HeldReason, "early" | "unclaimed">;

export class HeldDeliveries {
  readonly #store: Store;
  readonly #committer: Committer;
  readonly #keepMs: number;

  /** `keepMs` 0: refused deliveries are not kept. */
  constructor(store: Store, committer: Committer, keepMs: number) {
    this.#store = store;
    this.#committer = committer;
    this.#keepMs = keepMs;
  }

  /** KE1. `held`: it is kept already, and now refused for another reason. */
  keep(delivery: Pick<HeldRow, "address" | "key" | "digest" | "payload">, reason: RefusedFor, detail: string, held?: DeliveryNumber): void {
    if (this.#keepMs === 0 && held === undefined) return;
    const { address, key, digest, payload } = delivery;
    const words = detail.slice(0, limits.warningCharacters);
    const kept = { address: bare(address), key, digest, payload: withoutSecrets(payload), reason, detail: words };
    const command = { op: "hold", delivery: kept, keepMs: this.#keepMs } as const;
    this.#committer.put(held === undefined ? command : { ...command, held }, () => {}, true);
  }

  claimed(): Promise<readonly HeldRow[]> {
    return this.#store.held({ of: "claimed", limit: limits.rowsListed });
  }

  /** Newest first. */
  refused(before: DeliveryNumber | null, limit: number): Promise<readonly HeldRow[]> {
    return this.#store.held({ of: "refused", limit, ...(before === null ? {} : { before }) });
  }

  async row(delivery: DeliveryNumber): Promise<HeldRow> {
    const [row] = await this.#store.held({ delivery });
    if (row === undefined) throw deliveryNotFound(delivery);
    return row;
  }
}

export function deliveryNotFound(delivery: DeliveryNumber): RingbackError {
  const id = deliveryId(delivery);
  const message = `No delivery "${id}" is kept. It was delivered, its time is over, or it never was; listRefused() tells those there are.`;
  return new RingbackError("delivery_not_found", message, { details: { delivery: id } });
}

/** Without the number of a run, which helps only while that is hot. */
function bare(address: HeldRow["address"]): HeldRow["address"] {
  return "token" in address ? address : { runKey: address.runKey, position: address.position };
}
