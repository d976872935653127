// One run of a workflow outside the engine: what its code asks for, matched with what the state holds, and what is new, done once.
//
// PX1. Outcomes are applied one at a time, in the order of the state, and the next one not before the code has come to rest: the code sees
//      the same order whenever it runs.
// PX2. A step is known by its key, else by its id and how often that came before. What the state holds of it is not done again.
// PX3. A step that waits settles nothing: no `catch`, retry, fallback, race or compensation takes it for an error.
// PX4. The run rests when a step waits, no step's body runs and nothing is left to apply. Code that goes on after that has no part in it.
// PX5. Nothing is applied before it is kept: a step is done when its record is.
// PX6. What is due ends in the order in which it fell due, also where several timers have run out while nobody ran the code.

import type { Clock } from "../../core/clock.ts";
import type { StepHost, StepOutcome, StepSettled } from "../../core/portable.ts";
import { HOOK_STEP_KEY_PREFIX, type PendingApproval, type PendingHook, pendingOf } from "./hook.ts";
import { isOutcome, type Outcome, type ResumeState, type StateEvent } from "./state.ts";
import { type ErrorClass, TaggedError, type TaggedErrorBase } from "./tagged-error.ts";
import { read } from "./value.ts";

/** What code of a run gets that has gone on after the run came to rest, or after its code had ended with an error. */
export interface RunSuspended extends TaggedErrorBase {
  readonly _tag: "RunSuspended";
}
export const RunSuspended: ErrorClass<RunSuspended> = TaggedError("RunSuspended") as never;

export function suspended(id: string): RunSuspended {
  return new RunSuspended(undefined, {
    message: `Step "${id}" comes after its run has stopped. Await steps alone.`,
  });
}

/** A state has what this code does not ask for: the keys of its steps were changed, or it is another workflow's. */
export interface StateMismatch extends TaggedErrorBase {
  readonly _tag: "StateMismatch";
  readonly left: readonly string[];
  readonly asked: readonly string[];
}
export const StateMismatch: ErrorClass<StateMismatch> = TaggedError("StateMismatch") as never;

type Created = StateEvent & { readonly kind: "hook_created" };

/** What is known of a step, and who waits for it. */
interface Entry {
  readonly key: string;
  /** What it waits for, where it does. */
  created: Created | null;
  /** When it rings, or its time is up. */
  dueAt: number | null;
  outcome: Outcome | null;
  promise: Promise<StepSettled> | null;
  settle: ((settled: StepSettled | Promise<StepSettled>) => void) | null;
  /** Told where its body has come to a wait, its own or another's. */
  waits?: () => void;
}

type Due = Entry & { readonly dueAt: number };

/** How a run stops before its code has ended. */
export type Stopped =
  | { readonly type: "waits"; readonly pending: PendingHook | PendingApproval }
  | { readonly type: "fails"; readonly cause: unknown };

export interface ExecutionOptions {
  readonly state: ResumeState;
  /** Resolves when the code has come to rest: all that was queued before has run. */
  readonly drain: () => Promise<void>;
  readonly clock: Clock;
  /** Told of each new fact, in order. */
  readonly onFact: (event: StateEvent) => void;
  /** Keeps the state; until it resolves, the code is told of nothing that is new in it. */
  readonly checkpoint?: ((state: ResumeState) => unknown) | undefined;
}

export class Execution implements StepHost {
  declare readonly clock: Clock;
  readonly #options: ExecutionOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #counts = new Map<string, number>();
  /** The steps that the code of this run has come to, in order. */
  readonly #asked: Entry[] = [];
  /** The steps that wait, by what they wait for. */
  readonly #waits = new Map<string, Entry>();
  readonly #events: StateEvent[];
  /** How many of the events are kept, and how many of them have been looked at for what is to be applied. */
  #kept: number;
  #seen = 0;
  /** Outcomes to apply, in order. */
  readonly #queue: Outcome[] = [];
  readonly #alarms = new Set<() => void>();
  #running = 0;
  /** A step's body is being called: what it begins is a part of it, and is not found again once it is done. */
  #isWithin = false;
  #isPumping = false;
  #isWanted = false;
  #isOver = false;
  #stop!: (stopped: Stopped) => void;
  /** Resolves when the run rests, or cannot be kept. */
  declare readonly stopped: Promise<Stopped>;

  constructor(options: ExecutionOptions) {
    this.#options = options;
    this.clock = options.clock;
    this.#events = [...options.state.events];
    this.#kept = this.#events.length;
    for (const event of this.#events) this.#fold(event);
    this.stopped = new Promise((resolve) => (this.#stop = resolve));
  }

  /** What the run has done so far. */
  get state(): ResumeState {
    return { ...this.#options.state, events: [...this.#events] };
  }

  /** When the next timer is due, or the time of a wait is up, in milliseconds since 1970; null where nothing is. */
  get wakeAt(): number | null {
    return this.#next()?.dueAt ?? null;
  }

  #next(): Due | undefined {
    const due = this.#asked.filter((entry): entry is Due => entry.outcome === null && entry.dueAt !== null);
    return due.sort((a, b) => a.dueAt - b.dueAt)[0];
  }

  /** PX6. */
  #ring(): void {
    const { key: name, dueAt = Infinity, created } = this.#next() ?? {};
    if (name === undefined || dueAt > this.clock.now()) return;
    this.#done(created ? { kind: "hook_failed", name, reason: "timeout" } : { kind: "timer_fired", name });
  }

  /** The code has ended, or stopped: nothing more is applied. */
  end(): void {
    this.#isOver = true;
    for (const cancel of this.#alarms) cancel();
  }

  keyFor(id: string, key?: string): string {
    if (this.#isWithin) return key ?? id;
    if (key !== undefined) return key.startsWith(HOOK_STEP_KEY_PREFIX) ? this.#hookKey(id, key) : key;
    for (;;) {
      const count = this.#count(id);
      const name = count === 1 ? id : `${id}#${count}`;
      if (!this.#entries.get(name)?.promise) return name;
    }
  }

  /** A hook whose id is made anew in each process stands for the one that the state has at its place among those of the step. */
  #hookKey(id: string, key: string): string {
    const known = key + id;
    const place = this.#counts.get(known) ?? this.#count(`\0${id}`);
    this.#counts.set(known, place);
    if (this.#entries.has(key)) return key;
    const hooks = this.#options.state.events.filter((event) => event.kind === "hook_created" && event.token && event.step === id);
    return (hooks[place - 1] as Created | undefined)?.name ?? key;
  }

  #count(id: string): number {
    const count = (this.#counts.get(id) ?? 0) + 1;
    this.#counts.set(id, count);
    return count;
  }

  step(id: string, key: string, operation: () => Promise<StepOutcome>): Promise<StepSettled> {
    if (this.#isWithin) return within(id, operation);
    return this.#begin(id, key, (entry) => {
      // Somebody's word may have been given elsewhere meanwhile: its step asks again.
      if (!entry.created?.token) void this.#run(id, entry, operation);
    });
  }

  /** Waits until an instant that the state remembers. */
  sleep(id: string, key: string, ms: number): Promise<unknown> {
    return this.#begin(id, key, ({ dueAt }) => {
      if (dueAt === null) this.add({ kind: "timer_set", name: key, dueAt: this.clock.now() + ms });
    });
  }

  #begin(id: string, key: string, begin: (entry: Entry) => void): Promise<StepSettled> {
    const entry = this.#entry(key);
    if (entry.promise) return entry.promise;
    const promise = this.#await(id, entry);
    if (!this.#isOver && entry.outcome === null) begin(entry);
    this.#ringFor(entry);
    this.#pump();
    return promise;
  }

  async ended(key: string): Promise<StepSettled | null> {
    const entry = this.#entry(key);
    const waits = new Promise<null>((resolve) => (entry.waits = () => resolve(null)));
    // Not by the outcome: run again, the state has what came later.
    if (entry.created && entry.settle) return null;
    return Promise.race([entry.promise, waits]);
  }

  #await(id: string, entry: Entry): Promise<StepSettled> {
    this.#asked.push(entry);
    entry.promise = this.#isOver ? Promise.reject(suspended(id)) : new Promise((resolve) => (entry.settle = resolve));
    entry.promise.catch(() => {}); // whoever begins a step may await it later
    return entry.promise;
  }

  async #run(id: string, entry: Entry, operation: () => Promise<StepOutcome>): Promise<void> {
    this.#running++;
    this.#isWithin = true;
    const running = operation();
    this.#isWithin = false;
    const outcome = await running;
    this.#running--;
    if (outcome.kind !== "hook_created") return this.#done({ ...outcome, name: entry.key });
    const { timeoutMs, ...wait } = outcome;
    const holder = this.#waits.get(wait.token as string);
    if (entry.created === null && holder) {
      // A hook is known by its id: who waits for one that another step has come to waits with it, whatever its key.
      entry.settle?.(holder.promise ?? this.#await(holder.key, holder));
      this.#entries.set(entry.key, holder);
    } else if (entry.created === null) {
      const expiresAt = timeoutMs === undefined ? timeoutMs : this.clock.now() + timeoutMs;
      this.#done({ ...wait, name: entry.key, step: id, expiresAt });
    }
    entry.waits?.();
    this.#ringFor(holder ?? entry);
    this.#pump();
  }

  #ringFor({ dueAt, outcome }: Entry): void {
    if (!this.#isOver && outcome === null && dueAt !== null) this.#alarms.add(this.clock.alarm(dueAt, () => this.#ring()));
  }

  /** A new fact, but for a second outcome. What comes after the end, or after the run came to rest, is of no run any more. */
  #done(event: Outcome | Created): void {
    if (this.#isOver || this.#entry(event.name).outcome) return;
    this.add(event);
    this.#pump();
  }

  add(event: StateEvent): void {
    this.#events.push(event);
    this.#fold(event);
    this.#options.onFact(event);
  }

  #fold(event: StateEvent): void {
    if (event.kind === "run_started") return;
    const entry = this.#entry(event.name);
    if (event.kind === "timer_set") entry.dueAt = event.dueAt;
    else if (event.kind !== "hook_created") entry.outcome ??= event;
    else {
      entry.created = event;
      entry.dueAt = event.expiresAt ?? null;
      if (event.token !== null) this.#waits.set(event.token, entry);
    }
  }

  #entry(key: string): Entry {
    let entry = this.#entries.get(key);
    if (!entry) this.#entries.set(key, (entry = { key, created: null, dueAt: null, outcome: null, promise: null, settle: null }));
    return entry;
  }

  #pump(): void {
    this.#isWanted = true;
    if (!this.#isPumping) void this.#pumpOn();
  }

  async #pumpOn(): Promise<void> {
    this.#isPumping = true;
    try {
      while (this.#isWanted && !this.#isOver) {
        this.#isWanted = false;
        await this.#keep();
        await this.#apply();
        if (!this.#isWanted) this.#ring();
        if (!this.#isWanted && !this.#isOver) this.#rest();
      }
    } catch (cause) {
      this.#end({ type: "fails", cause });
    }
    this.#isPumping = false;
  }

  /** PX5. */
  async #keep(): Promise<void> {
    const { checkpoint } = this.#options;
    const { length } = this.#events;
    if (checkpoint && this.#kept < length) await checkpoint(this.state);
    this.#kept = length;
    for (; this.#seen < length; this.#seen++) {
      const event = this.#events[this.#seen] as StateEvent;
      if (isOutcome(event)) this.#queue.push(event);
    }
  }

  /** PX1. An outcome that no code waits for yet is left for later: the code may still be on its way to it. */
  async #apply(): Promise<void> {
    for (;;) {
      await this.#options.drain();
      if (this.#isOver) return;
      const at = this.#queue.findIndex(({ name }) => this.#entries.get(name)?.settle != null);
      const [event] = at < 0 ? [] : this.#queue.splice(at, 1);
      if (event === undefined) return;
      const entry = this.#entry(event.name);
      entry.settle?.(event as StepSettled);
      entry.settle = null;
    }
  }

  /** PX4. One that has lost a race waits on, too: the code stands at the last that it came to. */
  #rest(): void {
    const waiting = this.#asked.findLast(({ created, outcome }) => created !== null && outcome === null);
    if (waiting === undefined || this.#running > 0) return;
    const left = this.#queue.filter(({ kind }) => kind === "hook_received").map(({ name }) => name);
    if (left.length === 0) return this.#end({ type: "waits", pending: pendingOf(waiting.created as Created, read) });
    const asked = this.#asked.map(({ key }) => key);
    const message = `The state has a payload for "${left.join('", "')}" that no step asked for: give its step the key it had.`;
    this.#end({ type: "fails", cause: new StateMismatch({ left, asked }, { message }) });
  }

  #end(stopped: Stopped): void {
    this.end();
    this.#stop(stopped);
  }
}

async function within(id: string, operation: () => Promise<StepOutcome>): Promise<StepSettled> {
  const outcome = await operation();
  if (outcome.kind !== "hook_created") return outcome;
  throw new TypeError(`Step "${id}" waits within the body of another step.`);
}
