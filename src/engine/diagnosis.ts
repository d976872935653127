// What stands in the way of an engine: how its store is made and set, which keys are there, which runs do not move.
//
// It opens the store for itself, as ingress, and does not check keys: it is asked when the engine cannot be opened.

import { limits } from "../core/limits.ts";
import type { KeyRing } from "../ingress/key-ring.ts";
import type { RunRow, Store, StoreReport } from "../store/port.ts";
import { lastEvent, stuckMs, stuckSince } from "./stuck.ts";

/** A key of the ring, or one that is missing from it. */
export interface KeyState {
  /** Its name, as it stands in tokens. */
  readonly kid: string;
  /** New tokens are made with it. */
  readonly isCurrent: boolean;
  /** Hooks that are open have tokens made with it. */
  readonly isUsed: boolean;
  /**
   * `known`: the store has been used with this very key. `new`: a worker will make it known. `different`: the store knows another key by
   * this name. `missing`: the ring lacks it.
   */
  readonly state: "known" | "new" | "different" | "missing";
  /** Tells keys apart, and nothing else about them; null where the key is missing. */
  readonly fingerprint: string | null;
}

/** A run that does not move. */
export interface StandingRun {
  /** Its id. */
  readonly runId: string;
  /** What it is a run of. */
  readonly workflowName: string;
  /** Since when there has been something to do for it. */
  readonly since: Date;
}

/** What an engine finds when it looks at itself. */
export interface Diagnosis {
  /** The store's name, what it is made of, and how it is set. */
  readonly store: StoreReport & { readonly name: string };
  /** The store's clock, which decides. */
  readonly storeTime: Date;
  /** This process's own. */
  readonly processTime: Date;
  /** Those of the ring, then those that are missing. */
  readonly keys: readonly KeyState[];
  /** Open runs, counted up to 1,000. */
  readonly openCount: number;
  /** Blocked runs, up to 1,000, with what their code was set aside for. */
  readonly blocked: readonly (StandingRun & { readonly reason: string })[];
  /** Open runs that have had something to do for more than 30 s, or a timer that long overdue. */
  readonly stuck: readonly StandingRun[];
  /** Where webhooks of this engine lead, up to the token; null where it can make none. */
  readonly webhookRoot: string | null;
}

/** Looks at a store beside whoever uses it. */
export async function diagnose(store: Store, ring: KeyRing, urlOf: (token: string) => string, processNow: number): Promise<Diagnosis> {
  await store.open({ role: "ingress" });
  try {
    const [report, keys, open, blocked] = [
      await store.describe(),
      await store.keys(),
      await store.runs({ status: "open", limit: limits.rowsListed }),
      await store.runs({ status: "blocked", limit: limits.rowsListed }),
    ];
    const now = store.now();
    return {
      store: { name: store.name, ...report },
      storeTime: new Date(now),
      processTime: new Date(processNow),
      keys: keyStates(ring, keys.used, keys.fingerprints),
      openCount: open.length,
      blocked: await Promise.all(
        blocked.map(async (row) => {
          const since = (await lastEvent(store, row))?.at ?? row.createdAt;
          return { ...standing(row, since), reason: row.blocked?.reason ?? "unknown" };
        }),
      ),
      stuck: await stuckRuns(store, open, now),
      webhookRoot: rootOf(urlOf),
    };
  } finally {
    await store.close();
  }
}

function keyStates(ring: KeyRing, used: readonly string[], known: ReadonlyMap<string, string>): KeyState[] {
  const present = ring.kids.map((kid): KeyState => {
    const fingerprint = ring.fingerprint(kid);
    const remembered = known.get(kid);
    const state = remembered === undefined ? "new" : remembered === fingerprint ? "known" : "different";
    return { kid, isCurrent: kid === ring.current.kid, isUsed: used.includes(kid), state, fingerprint };
  });
  const missing = used.filter((kid) => ring.get(kid) === undefined);
  return [...present, ...missing.map((kid): KeyState => ({ kid, isCurrent: false, isUsed: true, state: "missing", fingerprint: null }))];
}

async function stuckRuns(store: Store, open: readonly RunRow[], now: number): Promise<StandingRun[]> {
  const stuck = new Map<number, StandingRun>();
  for (const row of open) {
    if (!row.wake) continue;
    const since = await stuckSince(store, row);
    if (since !== null) stuck.set(row.run, standing(row, since));
  }
  for (const { run, dueAt } of await store.due(now - stuckMs, limits.rowsListed)) {
    const row = stuck.has(run) ? null : await store.run({ run });
    if (row && row.endedAt === null && row.status === "open") stuck.set(run, standing(row, dueAt));
  }
  return [...stuck.values()];
}

function standing(row: RunRow, since: number): StandingRun {
  return { runId: row.id, workflowName: row.workflow, since: new Date(since) };
}

function rootOf(urlOf: (token: string) => string): string | null {
  try {
    return urlOf("");
  } catch {
    return null;
  }
}
