// Which runs stand still though they have something to do.

import type { Recorded } from "../core/event.ts";
import type { RunRow, Store } from "../store/port.ts";

/** G5: whatever can go on does so within this. */
export const stuckMs = 30_000;

/** Since when a run that has something to do has stood still; null where that is not long, or it has moved since its row was read. */
export async function stuckSince(store: Store, row: RunRow): Promise<number | null> {
  const last = await lastEvent(store, row);
  return last?.seq === row.seq && store.now() - last.at > stuckMs ? last.at : null;
}

export async function lastEvent(store: Store, row: RunRow): Promise<Recorded | null> {
  return (await store.journal(row.run, row.seq - 1)).at(-1) ?? null;
}
