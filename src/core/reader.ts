// Interest: who waits, through however many promises, for what a hook will give. A promise made from a hook stands on an `Interest`,
// which knows what it was made from. (`mailbox.ts` holds the reads at the root.)
//
// H3. An interest is awake exactly while it is held and undecided. It is held by the awake interests made from it, and by itself
//     while it floats: a callback that nobody waits for yet waits for itself, until its first waiter takes that over.
// N1. Awake, it holds its sources and listens to them. Asleep, it lets go of them, and stops listening unless it has begun: what a
//     payload has gone into runs on, as in plain JavaScript.
// N2. Being asked for again moves the reads at the root into the current epoch (H4).
// N3. What is asleep stands in no list of anybody: only its own promise keeps it in memory.
// N4. A rejection that the engine brings (a hook's end) counts as handled. One that code threw is code's to
//     handle, as in plain JavaScript: whatever was made from the promise has that duty from then on.

import { added, type Few, listed, removed } from "./few.ts";
import type { Mailbox } from "./mailbox.ts";
import { type Member, Scope } from "./scope.ts";
import { isCaller, scopes } from "./turn.ts";

/** What readers need of their run. */
export interface Reading {
  /** H4: rises when a timer fires, and when a race is decided while something not made from a hook is still pending. */
  epoch: number;
  newEpoch(): void;
  /** The mailboxes with something to hand over (a payload, the end mark) and an awake read for it; they add and remove themselves. */
  readonly ready: { readonly size: number; add(mailbox: Mailbox<unknown>): void; delete(mailbox: Mailbox<unknown>): void };
}

export type Outcome<T = unknown> =
  | { readonly ok: true; readonly value: T }
  /** `isThrown`: by code, or by a promise that is not made from a hook (N4). */
  | { readonly ok: false; readonly value: unknown; readonly isThrown?: true };

export function thrown(value: unknown): Outcome<never> {
  return { ok: false, value, isThrown: true };
}

/** What is told when a source is decided: once, and never in the tick that decides it. */
export interface Listener {
  arrive(outcome: Outcome): void;
}

// Taken before anybody, the engine included, can have replaced them.
const NativePromise: PromiseConstructor = Promise;
const nativeThen = NativePromise.prototype.then;
const later = queueMicrotask;
const ignore = (): void => {};

/** `promise.then(…)` as the language made it: no interest, no tracking. */
export function whenSettled<T>(promise: Promise<T>, onValue: (value: T) => void, onError: (error: unknown) => void): void {
  void nativeThen.call(promise, onValue as (value: unknown) => void, onError);
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    ((typeof value === "object" && value !== null) || typeof value === "function") &&
    typeof (value as { then?: unknown }).then === "function"
  );
}

/** Anything that will be decided: an interest, or a promise from elsewhere. */
export abstract class Source<T = unknown> {
  outcome: Outcome<T> | null = null;
  #listeners: Few<Listener> = null;

  abstract hold(): void;
  abstract release(): void;
  abstract touch(): void;
  /** Has a payload gone in, here or further up? */
  abstract get hasBegun(): boolean;

  listen(listener: Listener): void {
    if (this.outcome) tell(listener, this.outcome);
    else this.#listeners = added(this.#listeners, listener);
  }

  unlisten(listener: Listener): void {
    this.#listeners = removed(this.#listeners, listener);
  }

  /** All who listen; from now on nobody does. */
  protected takeListeners(): readonly Listener[] {
    const listeners = listed(this.#listeners);
    this.#listeners = null;
    return listeners;
  }
}

function tell(listener: Listener, outcome: Outcome): void {
  later(() => listener.arrive(outcome));
}

/** How an interest keeps itself awake: not at all, by floating, or not now because its branch sleeps. */
type Own = "none" | "floating" | "parked";

export abstract class Interest<T = unknown> extends Source<T> implements Member {
  readonly run: Reading;
  isAwake = false;
  /** What `scopes` held where it began to float: a `Scope` in a branch. */
  protected scope: unknown = undefined;
  #holds = 0;
  #own: Own = "none";
  #epoch = -1;
  #isFollowed = false;
  #promise: Promise<T> | null = null;
  #resolve: Settler | null = null;
  #reject: Settler | null = null;

  constructor(run: Reading) {
    super();
    this.run = run;
  }

  /** Somebody waits now: hold what you wait for, and listen. */
  protected abstract wake(): void;
  /** Nobody waits any more. Also called once decided. */
  protected abstract sleep(): void;
  /** Listen to the sources; when that is done already, nothing. */
  protected abstract link(): void;
  /** Decided: stop listening, forget the sources. */
  protected abstract drop(): void;
  /** Pass `touch` on to the sources. */
  protected abstract refresh(): void;

  override listen(listener: Listener): void {
    if (!this.#isFollowed) {
      this.#isFollowed = true;
      if (this.outcome?.ok === false) this.#markHandled();
    }
    super.listen(listener);
  }

  hold(): void {
    if (this.#own === "floating") this.#holds--;
    if (this.#own !== "none") this.#disown();
    this.#holds++;
    this.#update();
    this.touch();
  }

  release(): void {
    this.#holds--;
    this.#update();
  }

  touch(): void {
    if (!this.isAwake || this.#epoch === this.run.epoch) return;
    this.#epoch = this.run.epoch;
    this.refresh();
  }

  /** Begins to wait for itself; in a branch that sleeps, once that wakes. */
  float(): this {
    const scope = scopes.get();
    this.scope = scope;
    if (scope instanceof Scope) {
      scope.add(this);
      if (scope.isAsleep) {
        this.#own = "parked";
        if (this.hasBegun) this.link();
        return this;
      }
    }
    this.#float();
    return this;
  }

  park(): void {
    if (this.#own !== "floating") return;
    this.#own = "parked";
    this.release();
  }

  unpark(): void {
    if (this.#own === "parked") this.#float();
  }

  settle(outcome: Outcome<T>): void {
    if (this.outcome) return;
    this.outcome = outcome;
    this.#update();
    this.drop();
    this.#disown();
    if (this.#promise) this.#settlePromise(outcome);
    for (const listener of this.takeListeners()) tell(listener, outcome);
  }

  /** The promise that stands on this interest, made when first asked for. */
  get promise(): Promise<T> {
    return this.#promise ?? this.#expose();
  }

  /** A tracked promise, or a native one where there is no hook to see. */
  protected makePromise(executor: Executor): Promise<T> {
    return Tracked.of(this, executor);
  }

  #float(): void {
    this.#own = "floating";
    this.#holds++;
    this.#update();
    this.touch();
  }

  #disown(): void {
    if (this.#own !== "none" && this.scope instanceof Scope) this.scope.remove(this);
    this.#own = "none";
  }

  #update(): void {
    const isAwake = this.#holds > 0 && this.outcome === null;
    if (isAwake === this.isAwake) return;
    this.isAwake = isAwake;
    if (isAwake) {
      this.#epoch = this.run.epoch;
      this.wake();
    } else this.sleep();
  }

  #expose(): Promise<T> {
    this.#promise = this.makePromise(capture);
    this.#resolve = captured.resolve;
    this.#reject = captured.reject;
    if (this.outcome) this.#settlePromise(this.outcome);
    return this.#promise;
  }

  #settlePromise(outcome: Outcome<T>): void {
    if (outcome.ok) this.#resolve?.(outcome.value);
    else {
      if (this.#isFollowed || !outcome.isThrown) this.#markHandled();
      this.#reject?.(outcome.value);
    }
  }

  /** N4. Only when it rejects, as the mark costs a promise. */
  #markHandled(): void {
    if (this.#promise instanceof Tracked) void nativeThen.call(this.#promise, ignore, ignore);
  }
}

type Settler = (value: unknown) => void;
export type Executor = (resolve: Settler, reject: Settler) => void;

// One executor for all promises: a closure per promise would be kept by each parked run.
const captured: { resolve: Settler; reject: Settler } = { resolve: ignore, reject: ignore };
const capture: Executor = (resolve, reject) => {
  captured.resolve = resolve;
  captured.reject = reject;
};

/**
 * A promise made from a hook. Its `constructor` is not `Promise`, on purpose: for one whose is, `await` skips `then`, and who waits would
 * not be seen. Made without an interest (`new promise.constructor(…)`), it is an ordinary promise.
 */
export class Tracked<T> extends NativePromise<T> {
  static override get [Symbol.species](): PromiseConstructor {
    return NativePromise;
  }
  #interest: Interest<T> | null = null;

  static of<T>(interest: Interest<T>, executor: Executor): Tracked<T> {
    const promise = new Tracked(executor) as Tracked<T>;
    promise.#interest = interest;
    return promise;
  }

  static interestOf(promise: Tracked<unknown>): Interest | null {
    return promise.#interest;
  }

  override then<A = T, B = never>(
    onValue?: ((value: T) => A | PromiseLike<A>) | null,
    onError?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    // To all but its run's own code it is an ordinary promise: to watch it is not to wait for a payload.
    if (!this.#interest || !isCaller(this.#interest.run)) return super.then(onValue, onError);
    return followed<A | B>(this.#interest, onValue, onError);
  }

  override finally(onEnd?: (() => void) | null): Promise<T> {
    if (typeof onEnd !== "function") return this.then();
    const fail = (error: unknown): never => {
      throw error;
    };
    return this.then(
      (value) => after(onEnd(), () => value),
      (error) => after(onEnd(), () => fail(error)),
    );
  }
}

/** `next` once `first` has come true: through the hook, if it is one. */
function after<T>(first: unknown, next: () => T): T | Promise<T> {
  const interest = interestOf(first);
  if (interest) return followed(interest, next);
  return isThenable(first) ? (nativeThen.call(asPromise(first), next) as Promise<T>) : next();
}

/** Something that can be read: each use of it as a promise is a read of its own. */
export abstract class Readable<T = unknown> {
  abstract read(): Interest<T>;
}

/** What a value made from a hook stands on; a hook itself is read. Null for everything else. */
export function interestOf(value: unknown): Interest | null {
  if (value instanceof Tracked) return Tracked.interestOf(value);
  return value instanceof Readable ? value.read() : null;
}

const nativeResolve = NativePromise.resolve;

/** `Promise.resolve(value)` as the language made it. */
export function asPromise(value: unknown): Promise<unknown> {
  return nativeResolve.call(NativePromise, value) as Promise<unknown>;
}

type Callback = ((value: never) => unknown) | null | undefined;

/** `source.then(onValue, onError)`, with sight of the reader. */
export function followed<T>(source: Source, onValue?: Callback, onError?: Callback): Promise<T> {
  return new Derived(source as Interest, onValue, onError).float().promise as Promise<T>;
}

/** `idle` and `linked`: nothing has arrived. `taken`: the callback has run, and what it returned is still to come. */
type Progress = "idle" | "linked" | "taken";

class Derived extends Interest implements Listener {
  #source: Interest | null;
  #onValue: Callback;
  #onError: Callback;
  #progress: Progress = "idle";

  constructor(source: Interest, onValue: Callback, onError: Callback) {
    super(source.run);
    this.#source = source;
    this.#onValue = onValue;
    this.#onError = onError;
  }

  override get hasBegun(): boolean {
    return this.#progress === "taken" || (this.#source !== null && (this.#source.outcome !== null || this.#source.hasBegun));
  }

  protected override wake(): void {
    this.#source?.hold();
    this.link();
  }

  protected override sleep(): void {
    const source = this.#source;
    source?.release();
    if (this.#progress !== "linked" || this.hasBegun) return;
    source?.unlisten(this);
    this.#progress = "idle";
  }

  protected override refresh(): void {
    this.#source?.touch();
  }

  protected override link(): void {
    if (this.#progress !== "idle") return;
    this.#progress = "linked";
    this.#source?.listen(this);
  }

  protected override drop(): void {
    this.#source?.unlisten(this);
    this.#source = null;
    this.#onValue = this.#onError = null;
  }

  /** First from the source, to the callback; then, where the callback returned a read, from that. */
  arrive(outcome: Outcome): void {
    const callback = (outcome.ok ? this.#onValue : this.#onError) as ((value: unknown) => unknown) | null;
    if (this.#progress === "taken" || typeof callback !== "function") {
      this.settle(outcome);
      return;
    }
    this.#progress = "taken";
    this.#source = this.#onValue = this.#onError = null;
    try {
      this.#goOn(this.#call(callback, outcome.value));
    } catch (value) {
      this.settle(!outcome.ok && value === outcome.value ? outcome : thrown(value)); // thrown again, it is what it was
    }
  }

  /** In the scope where the callback was given: the microtask is of whoever settled the source. */
  #call(callback: (value: unknown) => unknown, value: unknown): unknown {
    return scopes.get() === this.scope ? callback(value) : scopes.run(this.scope, () => callback(value));
  }

  #goOn(result: unknown): void {
    const next = interestOf(result);
    if (next === this) throw new TypeError("A callback returned the promise that its own then() made: it would wait for itself.");
    if (next) this.#follow(next);
    else if (isThenable(result)) {
      whenSettled(
        asPromise(result),
        (value) => this.settle({ ok: true, value }),
        (value) => this.settle(thrown(value)),
      );
    } else this.settle({ ok: true, value: result });
  }

  /** From now on it waits for another read, whose floating it takes over even where it sleeps itself: then that sleeps too. */
  #follow(next: Interest): void {
    this.#source = next;
    next.hold();
    if (!this.isAwake) next.release();
    next.listen(this);
  }
}
