// The memory store: `apply` behind the port. Several engines may share one; leases decide between them.

import type { Clock } from "../../core/clock.ts";
import { RingbackError } from "../../core/errors.ts";
import { hasEnded, isRunnable, urgency } from "../../core/run-row.ts";
import { Listeners } from "../listener.ts";
import type {
  Address,
  AnswerRow,
  Command,
  DeliveryNumber,
  DueRow,
  HeldFilter,
  HeldRow,
  HookRow,
  Notice,
  OpenOptions,
  Outcome,
  RunFilter,
  RunNumber,
  RunRow,
  Store,
  StoreReport,
  StreamPart,
  StreamPlace,
} from "../port.ts";
import { apply } from "./apply.ts";
import { readChapter } from "./chapter.ts";
import { findHeld } from "./held.ts";
import {
  emptyState,
  hookRow,
  isDead,
  keyEntry,
  locate,
  openingOf,
  type MemoryState,
  publishedEntry,
  runRow,
  scopeAt,
  type StoredRun,
  storedHook,
  type StoredTimer,
} from "./state.ts";
import { readStream } from "./stream.ts";

export interface MemoryStoreOptions {
  readonly clock: Clock;
  /** One worker, as on SQLite: every other counts as dead. */
  readonly isExclusive?: boolean;
}

/** Keeps everything in this process and forgets it at its end. For tests, and for code that need not survive. */
export function memoryStore(options: MemoryStoreOptions): Store {
  return new MemoryStore(options);
}

class MemoryStore implements Store {
  readonly name = "memory";
  readonly isExclusive: boolean;
  readonly #clock: Clock;
  readonly #state: MemoryState;
  readonly #listeners = new Listeners();
  #users = 0;

  constructor({ clock, isExclusive = false }: MemoryStoreOptions) {
    this.isExclusive = isExclusive;
    this.#clock = clock;
    this.#state = emptyState(isExclusive);
  }

  async open(_options: OpenOptions): Promise<void> {
    this.#users += 1;
  }

  async close(): Promise<void> {
    this.#users = Math.max(0, this.#users - 1);
  }

  now(): number {
    return this.#clock.now();
  }

  /** A member that throws has undone its own changes (MS1), so the others stand. */
  async commit(group: readonly Command[]): Promise<readonly Outcome[]> {
    this.#assertOpen();
    const now = this.#clock.now();
    const notices: Notice[] = [];
    const outcomes = group.map((command): Outcome => {
      try {
        const done = apply(this.#state, now, command);
        notices.push(...done.notices);
        return done.outcome;
      } catch (error) {
        return { type: "broken", error };
      }
    });
    this.#listeners.tell(notices);
    return outcomes;
  }

  async run(by: { readonly id: string } | { readonly run: RunNumber } | { readonly key: string }): Promise<RunRow | null> {
    const { runs, runById, runByKey } = this.#state;
    const run = "run" in by ? by.run : "id" in by ? runById.get(by.id) : runByKey.get(by.key);
    const stored = run === undefined ? undefined : runs.get(run);
    return stored === undefined ? null : runRow(stored);
  }

  async journal(run: RunNumber, after: number): ReturnType<Store["journal"]> {
    return (this.#state.journals.get(run) ?? []).slice(Math.max(0, after));
  }

  async chapter(run: RunNumber): ReturnType<Store["chapter"]> {
    return readChapter(this.#state, run);
  }

  async outcome(run: RunNumber): ReturnType<Store["outcome"]> {
    const last = this.#state.journals.get(run)?.at(-1);
    return last?.kind === "run_ended" ? last.outcome : null;
  }

  async stream(place: StreamPlace): Promise<StreamPart | null> {
    return readStream(this.#state, place);
  }

  async hook(address: Address): Promise<HookRow | null> {
    const place = locate(this.#state, address);
    return place === null || storedHook(this.#state, place) === null ? null : hookRow(this.#state, place, this.#clock.now());
  }

  async deliveryOf(address: Address, key: string): Promise<DeliveryNumber | null> {
    return this.#state.keys.get(keyEntry(scopeAt(this.#state, address), key))?.delivery ?? null;
  }

  async delivery(delivery: number): ReturnType<Store["delivery"]> {
    const at = this.#state.deliveries.get(delivery);
    const event = at === undefined ? undefined : this.#state.journals.get(at.run)![at.seq - 1];
    if (at === undefined || event?.kind !== "hook_received") return null;
    const place = { run: at.run, position: event.position };
    const hook = { ...hookRow(this.#state, place, this.#clock.now()), created: openingOf(this.#state, place, at.seq) };
    return { hook, event, answer: this.#state.answers.get(delivery) ?? null };
  }

  async answer(delivery: DeliveryNumber): Promise<AnswerRow | null> {
    return this.#state.answers.get(delivery) ?? null;
  }

  async held(filter: HeldFilter): Promise<readonly HeldRow[]> {
    return findHeld(this.#state, filter, this.#clock.now());
  }

  async runnable(worker: string, workflows: readonly string[], limit: number): Promise<readonly RunRow[]> {
    const found = this.#forWorker(worker).filter(({ origin }) => workflows.includes(origin.workflow));
    found.sort((a, b) => urgency(a.progress, worker) - urgency(b.progress, worker) || a.origin.run - b.origin.run);
    return found.slice(0, limit).map(runRow);
  }

  async orphans(worker: string, workflows: readonly string[], limit: number): Promise<readonly string[]> {
    const names = new Set(this.#forWorker(worker).map(({ origin }) => origin.workflow));
    return [...names]
      .filter((name) => !workflows.includes(name))
      .sort()
      .slice(0, limit);
  }

  /** Runs that have something to do and that the worker may claim or holds. */
  #forWorker(worker: string): StoredRun[] {
    const now = this.#clock.now();
    const mayTake = ({ progress }: StoredRun): boolean =>
      progress.worker === null || progress.worker === worker || isDead(this.#state, progress.worker, worker, now);
    return [...this.#state.runs.values()].filter((stored) => isRunnable(stored.progress) && mayTake(stored));
  }

  async blocked(workflow: string, codeId: string, limit: number): Promise<readonly RunRow[]> {
    const isOpenToTry = ({ origin, progress }: StoredRun): boolean =>
      progress.status === "blocked" && origin.workflow === workflow && !this.#state.setAside.has(JSON.stringify([origin.run, codeId]));
    return [...this.#state.runs.values()].filter(isOpenToTry).slice(0, limit).map(runRow);
  }

  async due(until: number, limit: number): ReturnType<Store["due"]> {
    return dueRows(this.#timers().filter((timer) => timer.dueAt <= until)).slice(0, limit);
  }

  async timers(run: RunNumber): ReturnType<Store["timers"]> {
    return dueRows([...(this.#state.timers.get(run)?.values() ?? [])].filter((timer) => !timer.isDeadline && timer.position !== 0));
  }

  async nextDue(): Promise<number | null> {
    return this.#timers().reduce<number | null>((least, { dueAt }) => (least === null || dueAt < least ? dueAt : least), null);
  }

  async runs(filter: RunFilter): Promise<readonly RunRow[]> {
    const { workflow, status, attributes = {}, before = Number.POSITIVE_INFINITY, limit } = filter;
    const isWanted = ({ origin, progress }: StoredRun): boolean =>
      origin.run < before &&
      Object.entries(attributes).every(([name, value]) => this.#state.attributes.get(origin.run)?.[name] === value) &&
      (workflow === undefined || origin.workflow === workflow) &&
      (status === undefined || progress.status === status);
    return [...this.#state.runs.values()].filter(isWanted).reverse().slice(0, limit).map(runRow);
  }

  async published(run: RunNumber, key: string): ReturnType<Store["published"]> {
    return this.#state.published.get(publishedEntry(run, key)) ?? null;
  }

  async attributes(run: RunNumber): ReturnType<Store["attributes"]> {
    return this.#state.attributes.get(run) ?? {};
  }

  async hooks(filter: { readonly run?: RunNumber; readonly open?: boolean; readonly limit: number }): Promise<readonly HookRow[]> {
    const now = this.#clock.now();
    const runs = filter.run === undefined ? [...this.#state.hooks.keys()].sort((a, b) => b - a) : [filter.run];
    const rows = runs.flatMap((run) => {
      const positions = [...(this.#state.hooks.get(run)?.keys() ?? [])].sort((a, b) => a - b);
      return positions.map((position) => hookRow(this.#state, { run, position }, now));
    });
    return rows.filter((row) => filter.open === undefined || (row.state.type === "open") === filter.open).slice(0, filter.limit);
  }

  async keys(): ReturnType<Store["keys"]> {
    const used = new Set<string>();
    for (const [run, hooks] of this.#state.hooks) {
      if (hasEnded(this.#state.runs.get(run)!.progress)) continue;
      for (const { created, mark } of hooks.values()) {
        if (created.address.type === "minted" && mark.closed === null) used.add(created.address.kid);
      }
    }
    return { used: [...used].sort(), fingerprints: new Map(this.#state.fingerprints) };
  }

  async describe(): Promise<StoreReport> {
    return { driver: "memory", versions: {}, settings: [], bytes: null, owner: null };
  }

  subscribe(listener: (notice: Notice) => void): () => void {
    return this.#listeners.add(listener);
  }

  #timers(): StoredTimer[] {
    return [...this.#state.timers.values()].flatMap((timers) => [...timers.values()]);
  }

  #assertOpen(): void {
    if (this.#users === 0)
      throw new RingbackError("store_unavailable", "The memory store is not open. Call `open()` before you use it.", {
        details: { store: this.name },
      });
  }
}

function dueRows(timers: readonly StoredTimer[]): DueRow[] {
  const sorted = [...timers].sort((a, b) => a.dueAt - b.dueAt || a.run - b.run || a.position - b.position);
  return sorted.map(({ run, position, dueAt }) => ({ run, position, dueAt }));
}
