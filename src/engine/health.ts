// How an engine is doing, for a probe, a dashboard or a person. It writes nothing, takes few milliseconds, and is always answered.
//
// HE1. Bounded: no look reads more rows than `limits.healthRows`, and none is waited for longer than `limits.healthMs`.

import { readFileSync } from "node:fs";
import { limits } from "../core/limits.ts";
import { textOf } from "../core/thrown.ts";
import type { HookRow, RunRow } from "../store/port.ts";
import type { EngineCore } from "./engine.ts";
import { stuckMs, stuckSince } from "./stuck.ts";

/** How an engine is doing. */
export interface Health {
  /** Whether there are no problems. */
  readonly ok: boolean;
  /** What keeps this engine from its work, a sentence each. Blocked runs are not among them: it is their code that needs a person. */
  readonly problems: readonly string[];
  /** By the engine's clock. */
  readonly at: Date;
  readonly isOpen: boolean;
  readonly role: "worker" | "ingress";
  /** The id that this engine has as a worker, in the store. */
  readonly worker: string;
  readonly store: {
    readonly name: string;
    /** Whether it answered within 5 s. What is asked of the store below is null or 0 where it did not. */
    readonly isReachable: boolean;
    readonly latencyMs: number | null;
    /** The store's clock less the engine's. */
    readonly clockSkewMs: number | null;
    /** Since when commits fail; null while they do not. */
    readonly failedAt: Date | null;
  };
  /** `lock`: the store has one worker at a time, and this is it. `lease`: ours for so long unless renewed. Null: not a worker, or not open. */
  readonly lease: { readonly kind: "lock" | "lease"; readonly leftMs: number | null } | null;
  readonly runs: {
    /** In memory. */
    readonly hot: number;
    /** Of the newest 200: neither ended nor blocked. */
    readonly open: number;
    /** Set aside; 200 may be more. */
    readonly blocked: number;
    /** Ids of runs that had something to do and have not moved for 30 s; not all where they are many. */
    readonly stuck: readonly string[];
  };
  /** For how long the earliest timer or deadline has been due. */
  readonly timers: { readonly overdueMs: number };
  /** What waits to be committed. */
  readonly commits: { readonly queued: number };
  readonly keys: {
    /** The kid that new tokens are minted with. */
    readonly current: string;
    readonly kids: readonly string[];
    /** Kids that the ring lacks and open hooks need, of the newest 200. */
    readonly missing: readonly string[];
  };
  readonly versions: { readonly ringback: string | null; readonly node: string };
}

/** What the store says. */
interface Seen {
  readonly latencyMs: number;
  readonly clockSkewMs: number;
  readonly open: number;
  readonly blocked: number;
  readonly stuck: readonly string[];
  readonly overdueMs: number;
  readonly missing: readonly string[];
}

const skewMs = 5_000;

/** Never rejects for a store that is away: that is one of the things it tells. */
export async function healthOf(core: EngineCore): Promise<Health> {
  const { store, clock, role, ring } = core.parts;
  const failure = { why: "" };
  const seen = core.isOpen ? await inTime(core, failure) : null;
  const { failedAt } = core.report;
  const lease = core.isOpen && role === "worker" ? leaseOf(core) : null;
  const problems = [...engineProblems(core, failure.why, failedAt, lease), ...(seen === null ? [] : storeProblems(seen))];
  return {
    ok: problems.length === 0,
    problems,
    at: new Date(clock.now()),
    isOpen: core.isOpen,
    role,
    worker: core.id,
    store: {
      name: store.name,
      isReachable: seen !== null,
      latencyMs: seen?.latencyMs ?? null,
      clockSkewMs: seen?.clockSkewMs ?? null,
      failedAt,
    },
    lease,
    runs: { hot: core.worker.hotCount, open: seen?.open ?? 0, blocked: seen?.blocked ?? 0, stuck: seen?.stuck ?? [] },
    timers: { overdueMs: seen?.overdueMs ?? 0 },
    commits: { queued: core.committer.queueLength },
    keys: { current: ring.current.kid, kids: ring.kids, missing: seen?.missing ?? [] },
    versions: { ringback: ownVersion(), node: process.versions.node },
  };
}

function leaseOf(core: EngineCore): NonNullable<Health["lease"]> {
  return core.parts.store.isExclusive ? { kind: "lock", leftMs: null } : { kind: "lease", leftMs: core.leaseLeftMs };
}

function engineProblems(core: EngineCore, why: string, failedAt: Date | null, lease: Health["lease"]): string[] {
  const { store, encryption } = core.parts;
  const problems: string[] = [];
  const missing = encryption?.ring.missing ?? [];
  if (missing.length > 0)
    problems.push(`Values are encrypted with keys that are not there: ${missing.join(", ")}. Runs that need them wait.`);
  if (!core.isOpen) problems.push("The engine is not open.");
  if (why !== "") problems.push(`Store ${store.name} does not answer: ${core.host.sealText(why).replace(/\.$/, "")}.`);
  if (failedAt !== null) problems.push(`Store ${store.name} has been failing since ${failedAt.toISOString()}.`);
  if (lease?.kind === "lease" && (lease.leftMs ?? 0) <= 0) problems.push("This worker's lease is over: other workers may take its runs.");
  return problems;
}

function storeProblems({ clockSkewMs, stuck, overdueMs, missing }: Seen): string[] {
  const problems: string[] = [];
  if (Math.abs(clockSkewMs) > skewMs) problems.push(`The store's clock and this process's differ by ${Math.abs(clockSkewMs)} ms.`);
  if (missing.length > 0) problems.push(`Open hooks need keys that the ring lacks: ${missing.join(", ")}. Their callbacks get 404 here.`);
  if (stuck.length > 0) problems.push(`Runs have had something to do for more than 30 s and have not moved: ${stuck.join(", ")}.`);
  if (overdueMs > stuckMs) problems.push(`A timer has been due for ${overdueMs} ms: is a worker running?`);
  return problems;
}

/** HE1 */
async function inTime(core: EngineCore, failure: { why: string }): Promise<Seen | null> {
  const { clock } = core.parts;
  let takeBack = (): void => {};
  const late = new Promise<null>((resolve) => {
    takeBack = clock.alarm(clock.now() + limits.healthMs, () => {
      failure.why = `not within ${limits.healthMs / 1_000} s`;
      resolve(null);
    });
  });
  const seen = look(core).catch((error: unknown) => {
    failure.why ||= textOf(error);
    return null;
  });
  return Promise.race([seen, late]).finally(takeBack);
}

async function look(core: EngineCore): Promise<Seen> {
  const { store, clock, ring } = core.parts;
  const asked = clock.now();
  const nextDue = await store.nextDue();
  const answered = clock.now();
  const limit = limits.healthRows;
  const newest = await store.runs({ limit });
  const hooks = await store.hooks({ limit });
  return {
    latencyMs: answered - asked,
    clockSkewMs: store.now() - clock.now(),
    open: newest.filter((row) => row.status === "open").length,
    blocked: (await store.runs({ status: "blocked", limit })).length,
    stuck: await stuckRuns(core, newest),
    overdueMs: nextDue === null ? 0 : Math.max(0, store.now() - nextDue),
    missing: [...new Set(hooks.map(kidOf))].filter((kid) => kid !== null && ring.get(kid) === undefined) as string[],
  };
}

function kidOf({ created, state }: HookRow): string | null {
  return state.type === "open" && created.address.type === "minted" ? created.address.kid : null;
}

/** Runs that this process may run, and those among the newest: of workflows that are registered nowhere, too. */
async function stuckRuns(core: EngineCore, newest: readonly RunRow[]): Promise<string[]> {
  const { store, registry, role } = core.parts;
  const mine = await store.runnable(core.id, registry.workflows, limits.healthRows);
  const isIdle = (row: RunRow): boolean =>
    row.status === "open" && (row.wake || (role === "worker" && row.steps > 0 && row.worker === null));
  const suspects = new Map([...mine, ...newest].filter(isIdle).map((row) => [row.run, row]));
  const stuck: string[] = [];
  for (const row of [...suspects.values()].slice(0, limits.healthRows)) if ((await stuckSince(store, row)) !== null) stuck.push(row.id);
  return stuck;
}

/** Null where the package was bundled into something else. */
function ownVersion(): string | null {
  try {
    const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
    const { name, version } = JSON.parse(text) as { readonly name: string; readonly version: string };
    return name === "ringback" ? version : null;
  } catch {
    return null;
  }
}
