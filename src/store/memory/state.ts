// What the memory store holds, and the one way to change it.
//
// MS1. Values in the tables are never mutated, only replaced, through a `Change`; `undo` puts everything back, so a member that breaks
//     half-way leaves nothing behind (P1).

import type { Attributes } from "../../core/attribute.ts";
import {
  type HookCreated,
  type InputEvent,
  payloadSize,
  type Recorded,
  type RunEvent,
  type Serialised,
  type ValuePublished,
} from "../../core/event.ts";
import type { HookMark, RunOrigin, RunProgress } from "../../core/run-row.ts";
import { advance, hookScope, hookState, isReserved, keyScope, recorded, rowOf } from "../../core/run-row.ts";
import type { Address, AnswerRow, DeliveryNumber, DueRow, HeldRow, HookRow, Notice, RunNumber, RunRow } from "../port.ts";

export interface StoredRun {
  readonly origin: RunOrigin;
  readonly progress: RunProgress;
}

export interface StoredHook {
  readonly created: Recorded<HookCreated>;
  readonly mark: HookMark;
}

export interface StoredTimer extends DueRow {
  readonly isDeadline: boolean;
}

export interface StoredStream {
  /** Only ever appended to, by `Change`. */
  readonly chunks: Serialised[];
  readonly isClosed: boolean;
}

/** The place of an operation. */
export interface Place {
  readonly run: RunNumber;
  readonly position: number;
}

export interface TakenKey {
  readonly delivery: DeliveryNumber;
  readonly digest: string | null;
  readonly scope: string;
  readonly purged: { readonly at: number } | null;
}

export interface Room {
  readonly rows: number;
  readonly bytes: number;
}

export interface MemoryState {
  readonly isExclusive: boolean;
  readonly last: Map<"run" | "event", number>;
  readonly runs: Map<RunNumber, StoredRun>;
  readonly runById: Map<string, RunNumber>;
  readonly runByKey: Map<string, RunNumber>;
  readonly journals: Map<RunNumber, Recorded[]>;
  /** By run and name. */
  readonly streams: Map<RunNumber, Map<string, StoredStream>>;
  readonly hooks: Map<RunNumber, Map<number, StoredHook>>;
  /** The hook that took a custom token last, or the run that was started with it. It is free unless that hook is open, or keeps it. */
  readonly tokens: Map<string, Place>;
  /** By scope and key. `at` is of keys whose run is purged. */
  readonly keys: Map<string, TakenKey>;
  readonly held: Map<DeliveryNumber, HeldRow>;
  /** What is held, counted. */
  readonly room: Map<"early" | "refused", Room>;
  readonly deliveries: Map<DeliveryNumber, { readonly run: RunNumber; readonly seq: number }>;
  readonly answers: Map<DeliveryNumber, AnswerRow>;
  readonly timers: Map<RunNumber, Map<number, StoredTimer>>;
  /** Of runs that have any. */
  readonly attributes: Map<RunNumber, Attributes>;
  /** The last one by run and key: see `publishedEntry`. */
  readonly published: Map<string, Recorded<ValuePublished>>;
  /** By the id of the run whose end is awaited; it need not exist yet. */
  readonly watchers: Map<string, readonly Place[]>;
  /** `[run, codeId]` of every attempt that set a run aside. */
  readonly setAside: Map<string, true>;
  readonly leases: Map<string, number>;
  readonly fingerprints: Map<string, string>;
}

export function emptyState(isExclusive: boolean): MemoryState {
  return {
    isExclusive,
    last: new Map(),
    runs: new Map(),
    runById: new Map(),
    runByKey: new Map(),
    journals: new Map(),
    streams: new Map(),
    hooks: new Map(),
    tokens: new Map(),
    keys: new Map(),
    held: new Map(),
    room: new Map(),
    deliveries: new Map(),
    answers: new Map(),
    timers: new Map(),
    attributes: new Map(),
    published: new Map(),
    watchers: new Map(),
    setAside: new Map(),
    leases: new Map(),
    fingerprints: new Map(),
  };
}

interface NumberedEvent<E extends RunEvent> {
  readonly event: Recorded<E>;
  readonly number: number;
}

/** One command's changes, and what to tell about them. */
export class Change {
  readonly state: MemoryState;
  readonly now: number;
  readonly notices: Notice[] = [];
  readonly #undo: (() => void)[] = [];

  constructor(state: MemoryState, now: number) {
    this.state = state;
    this.now = now;
  }

  set<K, V>(table: Map<K, V>, key: K, value: V): void {
    const had = table.has(key);
    const old = table.get(key);
    this.#undo.push(() => (had ? table.set(key, old as V) : table.delete(key)));
    table.set(key, value);
  }

  delete<K, V>(table: Map<K, V>, key: K): void {
    const old = table.get(key);
    if (old === undefined) return;
    this.#undo.push(() => table.set(key, old));
    table.delete(key);
  }

  /** As `set`, one level down. */
  setIn<V>(table: Map<RunNumber, Map<number, V>>, place: Place, value: V): void {
    if (!table.has(place.run)) this.set(table, place.run, new Map());
    this.set(table.get(place.run)!, place.position, value);
  }

  setTimer(timer: StoredTimer): void {
    this.setIn(this.state.timers, timer, timer);
    this.notices.push({ type: "due", at: timer.dueAt });
  }

  hold(row: HeldRow): void {
    this.drop(row.delivery);
    this.set(this.state.held, row.delivery, row);
    this.#count(row, 1);
  }

  /** Takes a held delivery out, if it is there. */
  drop(delivery: DeliveryNumber | undefined): void {
    const row = delivery === undefined ? undefined : this.state.held.get(delivery);
    if (row === undefined) return;
    this.delete(this.state.held, row.delivery);
    this.#count(row, -1);
  }

  room(of: "early" | "refused"): Room {
    return this.state.room.get(of) ?? { rows: 0, bytes: 0 };
  }

  #count({ reason, payload }: HeldRow, by: 1 | -1): void {
    const of = reason === "early" ? "early" : "refused";
    const { rows, bytes } = this.room(of);
    this.set(this.state.room, of, { rows: rows + by, bytes: bytes + by * payloadSize(payload) });
  }

  next(counter: "run" | "event"): number {
    const number = (this.state.last.get(counter) ?? 0) + 1;
    this.set(this.state.last, counter, number);
    return number;
  }

  progress(run: RunNumber): RunProgress {
    return this.state.runs.get(run)!.progress;
  }

  setProgress(run: RunNumber, progress: RunProgress): void {
    this.set(this.state.runs, run, { origin: this.state.runs.get(run)!.origin, progress });
  }

  /** Appends one event to the run's journal and advances its row. Every event has a number in the store, which is a delivery's. */
  record<E extends RunEvent>(run: RunNumber, event: E, number: number = this.next("event")): NumberedEvent<E> {
    const progress = this.progress(run);
    const entry = recorded(event, { number, seq: progress.seq + 1, at: this.now });
    this.setProgress(run, advance(progress, entry));
    const journal = this.state.journals.get(run) ?? [];
    this.set(this.state.journals, run, journal);
    this.extend(journal, [entry]);
    return { event: entry, number };
  }

  /** Appends to a list that is only ever appended to. */
  extend<T>(list: T[], items: readonly T[]): void {
    const { length } = list;
    this.#undo.push(() => void (list.length = length));
    for (const item of items) list.push(item);
  }

  /** A fact from outside: as `record`, and the run's worker is told. */
  inform<E extends InputEvent>(run: RunNumber, event: E, number?: number): NumberedEvent<E> {
    const entry = this.record(run, event, number);
    this.notices.push({ type: "woken", run, worker: this.progress(run).worker, seq: entry.event.seq });
    return entry;
  }

  undo(): void {
    for (const step of this.#undo.reverse()) step();
  }
}

export function runRow(run: StoredRun): RunRow {
  return rowOf(run.origin, run.progress);
}

/** In place of a hook's position: the run has the token, and has not opened it yet. */
export const unopened = 0;

/** The run that was started with the token, while it may still open it (P13). */
export function claimant({ tokens, runs }: MemoryState, token: string): RunNumber | null {
  const { run, position } = tokens.get(token) ?? {};
  if (run === undefined || position !== unopened) return null;
  const { endedAt, cancelRequestedAt } = runs.get(run)!.progress;
  return endedAt === null && cancelRequestedAt === null ? run : null;
}

/** The run whose token it is, so that `run` cannot have it: by an open hook, which may be its own, or by a reservation of another's (P12). */
export function holderOf({ state, now }: Change, token: string, run: RunNumber | null): RunNumber | null {
  const held = state.tokens.get(token);
  if (held === undefined) return null;
  if (held.position === unopened) return held.run !== run ? claimant(state, token) : null;
  const { created, mark } = storedHook(state, held)!;
  if (hookState(mark, state.runs.get(held.run)!.progress, now).type === "open") return held.run;
  return held.run !== run && isReserved(created, mark, now) ? held.run : null;
}

/** Whether the hook that took a custom token last is open. */
export function isOpenAt(state: MemoryState, token: string, now: number): boolean {
  const place = state.tokens.get(token);
  const hook = place === undefined ? null : storedHook(state, place);
  return hook !== null && hookState(hook.mark, state.runs.get(place!.run)!.progress, now).type === "open";
}

export function storedHook(state: MemoryState, place: Place): StoredHook | null {
  return state.hooks.get(place.run)?.get(place.position) ?? null;
}

export function hookRow(state: MemoryState, place: Place, now: number): HookRow {
  const { origin, progress } = state.runs.get(place.run)!;
  const { created, mark } = storedHook(state, place)!;
  const { run, id: runId, key: runKey, workflow } = origin;
  return { run, runId, runKey, workflow, worker: progress.worker, created, state: hookState(mark, progress, now) };
}

/** The hook that took the delivery at this place and `seq`: the hook of a name opens again where it was. */
export function openingOf(state: MemoryState, { run, position }: Place, seq: number): Recorded<HookCreated> {
  const isOpening = (event: Recorded): event is Recorded<HookCreated> => event.kind === "hook_created" && event.position === position;
  return state.journals.get(run)!.slice(0, seq).filter(isOpening).at(-1)!;
}

/** Whether `worker` has lost its runs to `claimer`. */
export function isDead(state: MemoryState, worker: string, claimer: string, now: number): boolean {
  if (state.isExclusive) return worker !== claimer;
  return now >= (state.leases.get(worker) ?? now);
}

/** The hook an address leads to: open, or the last one there. A hook that lost its token was never at it. */
export function locate(state: MemoryState, address: Address): Place | null {
  if ("token" in address) return state.tokens.get(address.token) ?? null;
  const run = state.runByKey.get(address.runKey);
  return run === undefined || storedHook(state, { run, position: address.position }) === null ? null : { run, position: address.position };
}

/** The address as keys know it: a hook's custom token stands for it, however it was found. */
export function scopeAt(state: MemoryState, address: Address): string {
  const place = locate(state, address);
  const hook = place === null ? null : storedHook(state, place);
  if (place === null || hook === null) return keyScope(address);
  return hookScope(hook.created.address, state.runs.get(place.run)!.origin.key, place.position);
}

/** Where a delivery key is kept. At a custom token it outlives every hook that held it. */
export function keyEntry(scope: string, key: string): string {
  return JSON.stringify([scope, key]);
}

/** Where the last value that a run published under a key is kept (P17). */
export function publishedEntry(run: RunNumber, key: string): string {
  return JSON.stringify([run, key]);
}
