// Whether the key ring fits the store, asked when an engine opens.

import { RingbackError } from "../core/errors.ts";
import type { KeyRing } from "../ingress/key-ring.ts";
import type { Store } from "../store/port.ts";
import type { Committer } from "./commit.ts";

/** Refuses to go on without a key that an open hook's token needs: it would answer 404, and providers would give up. */
export async function checkKeys(store: Store, ring: KeyRing, role: "worker" | "ingress", committer: Committer): Promise<void> {
  const { used, fingerprints } = await store.keys();
  for (const kid of used) {
    if (ring.get(kid)) continue;
    const message = `Open hooks in ${store.name} have tokens minted with key "${kid}", and the key ring lacks it. Add it to RINGBACK_KEYS (old keys stay in the ring until their last hook closes).`;
    throw new RingbackError("missing_key", message, { details: { kid } });
  }
  for (const kid of ring.kids) {
    const fingerprint = ring.fingerprint(kid);
    if ((fingerprints.get(kid) ?? fingerprint) === fingerprint) {
      if (role === "ingress") continue;
      const outcome = await committer.commit({ op: "remember_key", kid, fingerprint });
      if (outcome.type === "done") continue;
    }
    const message = `Key "${kid}" differs from the one ${store.name} has been used with. Give a new key a new id; outstanding URLs need the old one.`;
    throw new RingbackError("key_mismatch", message, { details: { kid } });
  }
}
