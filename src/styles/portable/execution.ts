// One run of a workflow outside the engine: what its code asks for, matched with what the state holds, and what is new, done once.
//
// PX1. Outcomes are applied one at a time, in the order of the state, and the next one not before the code has come to rest: the code sees
//      the same order whenever it runs.
// PX2. A step is known by its key, else by its id and how often that came before. What the state holds of it is not done again.
// PX3. A step that waits settles nothing: no `catch`, retry, fallback, race or compensation takes it for an error.
// PX4. The run rests when a step waits, no step's body runs and nothing is left to apply. Code that goes on after that has no part in it.

import type { Clock } from "../../core/clock.ts";
import { HOOK_STEP_KEY_PREFIX, isPendingApproval, isPendingHook, type PendingApproval, type PendingHook } from "./hook.ts";
import { isResult } from "./result.ts";
import type { ResumeState, StateEvent } from "./state.ts";
import { TaggedError, type TaggedErrorClass } from "./tagged-error.ts";
import { read, write } from "./value.ts";

const Suspended: TaggedErrorClass<"RunSuspended"> = TaggedError("RunSuspended");

/** What code of a run gets that has gone on after the run came to rest. */
export class RunSuspended extends Suspended {}

/** Thrown by a step whose operation returned an error: it ends the workflow with it, unless the code catches it. */
export class StepExit {
  readonly error: unknown;
  readonly cause: unknown;
  constructor(error: unknown, cause?: unknown) {
    this.error = error;
    this.cause = cause;
  }
}

/** What a state holds of a step, and who waits for it. */
interface Entry {
  readonly key: string;
  outcome: StateEvent | null;
  wait: (StateEvent & { readonly kind: "hook_created" }) | null;
  timer: (StateEvent & { readonly kind: "timer_set" }) | null;
  promise: Promise<unknown> | null;
  settle: ((event: StateEvent) => void) | null;
}

export interface ExecutionOptions {
  readonly state: ResumeState;
  /** Resolves when the code has come to rest: all that was queued before has run. */
  readonly drain: () => Promise<void>;
  readonly clock: Clock;
  /** Told of each new fact, in order. */
  readonly onFact: (event: StateEvent) => void;
}

/** How a step's operation is run. */
export type Operation = () => unknown;

export class Execution {
  readonly #options: ExecutionOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #counts = new Map<string, number>();
  /** The steps that the code of this run has come to, in order. */
  readonly #asked: Entry[] = [];
  /** The keys of the hooks in the state that was given, by their step's id. */
  readonly #hooks = new Map<string, string[]>();
  readonly #events: StateEvent[];
  /** Outcomes to apply, in order. */
  readonly #queue: StateEvent[];
  #running = 0;
  #isPumping = false;
  #isWanted = false;
  #isOver = false;
  #suspend: ((pending: PendingHook | PendingApproval) => void) | null = null;
  /** Resolves with what is waited for when the run comes to rest. */
  readonly suspended: Promise<PendingHook | PendingApproval>;

  constructor(options: ExecutionOptions) {
    this.#options = options;
    this.#events = [...options.state.events];
    this.#queue = this.#events.filter(isOutcome);
    for (const event of this.#events) {
      this.#fold(event);
      if (event.kind === "hook_created" && event.token !== null)
        this.#hooks.set(event.step, [...(this.#hooks.get(event.step) ?? []), event.name]);
    }
    this.suspended = new Promise((resolve) => (this.#suspend = resolve));
  }

  /** What the run has done so far. */
  get state(): ResumeState {
    return { ...this.#options.state, events: [...this.#events] };
  }

  /** The code has ended: nothing more is applied. */
  end(): void {
    this.#isOver = true;
  }

  /** The key of the next step with this id; `key` where the author gave one. */
  keyFor(id: string, key: string | undefined): string {
    if (key?.startsWith(HOOK_STEP_KEY_PREFIX)) return this.#hookKey(id, key);
    if (key !== undefined) return key;
    const count = this.#count(id);
    return count === 1 ? id : `${id}#${count}`;
  }

  /** A hook whose id is made anew in each process stands for the one that the state has at its place among those of the step. */
  #hookKey(id: string, key: string): string {
    const count = this.#count(`${HOOK_STEP_KEY_PREFIX}${id}`);
    if (this.#entries.has(key)) return key;
    return this.#hooks.get(id)?.[count - 1] ?? key;
  }

  #count(id: string): number {
    const count = (this.#counts.get(id) ?? 0) + 1;
    this.#counts.set(id, count);
    return count;
  }

  /** Does a step, or finds it done. The same key again is the same step. */
  step(id: string, key: string, operation: Operation): Promise<unknown> {
    if (this.#isOver) return refused(id);
    const entry = this.#entry(key);
    if (entry.promise) return entry.promise;
    const promise = this.#await(entry);
    if (entry.outcome === null && entry.wait === null) void this.#run(id, entry, operation);
    this.#pump();
    return promise;
  }

  /** Waits until an instant that the state remembers. */
  sleep(id: string, key: string, ms: number): Promise<unknown> {
    if (this.#isOver) return refused(id);
    const entry = this.#entry(key);
    if (entry.promise) return entry.promise;
    const promise = this.#await(entry);
    if (entry.outcome === null) {
      if (entry.timer === null) this.#add({ kind: "timer_set", name: key, dueAt: this.#options.clock.now() + ms });
      const { dueAt } = entry.timer as unknown as { readonly dueAt: number };
      this.#options.clock.alarm(dueAt, () => this.#done({ kind: "timer_fired", name: key }));
    }
    this.#pump();
    return promise;
  }

  #await(entry: Entry): Promise<unknown> {
    this.#asked.push(entry);
    entry.promise = new Promise((resolve, reject) => {
      entry.settle = (event) => settle(event, resolve, reject);
    });
    entry.promise.catch(() => {}); // whoever begins a step may await it later
    return entry.promise;
  }

  async #run(id: string, entry: Entry, operation: Operation): Promise<void> {
    this.#running++;
    const event = await outcomeOf(id, entry.key, operation);
    this.#running--;
    this.#done(event);
  }

  /** A new fact. What comes after the end, or after the run came to rest, is of no run any more. */
  #done(event: StateEvent): void {
    if (this.#isOver) return;
    this.#add(event);
    if (isOutcome(event)) this.#queue.push(event);
    this.#pump();
  }

  #add(event: StateEvent): void {
    this.#events.push(event);
    this.#fold(event);
    this.#options.onFact(event);
  }

  #fold(event: StateEvent): void {
    const entry = this.#entry(event.name);
    if (event.kind === "hook_created") entry.wait = event;
    else if (event.kind === "timer_set") entry.timer = event;
    else entry.outcome ??= event;
  }

  #entry(key: string): Entry {
    let entry = this.#entries.get(key);
    if (!entry) this.#entries.set(key, (entry = { key, outcome: null, wait: null, timer: null, promise: null, settle: null }));
    return entry;
  }

  #pump(): void {
    this.#isWanted = true;
    if (!this.#isPumping) void this.#pumpOn();
  }

  async #pumpOn(): Promise<void> {
    this.#isPumping = true;
    while (this.#isWanted) {
      this.#isWanted = false;
      await this.#apply();
    }
    this.#isPumping = false;
  }

  /** PX1. An outcome that no code waits for yet is left for later: the code may still be on its way to it. */
  async #apply(): Promise<void> {
    for (;;) {
      await this.#options.drain();
      if (this.#isOver) return;
      const at = this.#queue.findIndex(({ name }) => this.#entries.get(name)?.settle != null);
      const [event] = at < 0 ? [] : this.#queue.splice(at, 1);
      if (event === undefined) break;
      this.#entries.get(event.name)?.settle?.(event);
    }
    // One that has lost a race waits on, too: the code stands at the last that it came to.
    const waiting = this.#asked.findLast(({ wait, outcome }) => wait !== null && outcome === null);
    if (waiting === undefined || this.#running > 0) return;
    this.#isOver = true;
    this.#suspend?.(pendingOf(waiting.wait as Entry["wait"] & object));
  }
}

function settle(event: StateEvent, resolve: (value: unknown) => void, reject: (error: unknown) => void): void {
  switch (event.kind) {
    case "step_completed":
      return resolve(read(event.result));
    case "hook_received":
      return resolve(read(event.payload));
    case "step_failed": {
      const error = read(event.error);
      return reject(event.isThrown ? error : new StepExit(error));
    }
    default:
      return resolve(undefined);
  }
}

async function outcomeOf(id: string, name: string, operation: Operation): Promise<StateEvent> {
  try {
    const result = await operation();
    if (!isResult(result)) return { kind: "step_completed", name, result: write(result, `The value of step "${id}"`) };
    if (result.ok) return { kind: "step_completed", name, result: write(result.value, `The value of step "${id}"`) };
    const { error } = result;
    if (isPendingHook(error) || isPendingApproval(error)) return waitOf(id, name, error);
    return { kind: "step_failed", name, error: write(error, `The error of step "${id}"`) };
  } catch (thrown) {
    if (!(thrown instanceof StepExit)) return { kind: "step_failed", name, error: writeThrown(thrown), isThrown: true };
    return { kind: "step_failed", name, error: write(thrown.error, `The error of step "${id}"`) };
  }
}

/** What was thrown may hold anything; then its message is kept alone. */
function writeThrown(thrown: unknown): string {
  try {
    return write(thrown, "What was thrown");
  } catch {
    return write(new Error(thrown instanceof Error ? thrown.message : "Something was thrown that cannot be kept."), "What was thrown");
  }
}

function waitOf(step: string, name: string, error: PendingHook | PendingApproval): StateEvent {
  const metadata = error.metadata === undefined ? {} : { metadata: write(error.metadata, `The metadata of step "${step}"`) };
  return { kind: "hook_created", name, step, token: error.type === "PENDING_HOOK" ? error.hookId : null, ...metadata };
}

function pendingOf({ name, token, metadata }: StateEvent & { readonly kind: "hook_created" }): PendingHook | PendingApproval {
  const more = metadata === undefined ? {} : { metadata: read(metadata) as { readonly [name: string]: unknown } };
  return token === null
    ? { type: "PENDING_APPROVAL", stepKey: name, ...more }
    : { type: "PENDING_HOOK", hookId: token, stepKey: name, ...more };
}

function isOutcome({ kind }: StateEvent): boolean {
  return kind !== "hook_created" && kind !== "timer_set";
}

function refused(id: string): Promise<never> {
  const promise = Promise.reject(new RunSuspended(undefined, { message: `Step "${id}" was asked for after its run had come to rest.` }));
  promise.catch(() => {});
  return promise;
}
