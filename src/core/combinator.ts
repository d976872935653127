// `Promise.race`, `any`, `all` and `allSettled` in a turn, with sight of the readers, at any depth (H3).
//
// CO1. A combinator listens to each input once and stops when it is decided or nobody waits for it. (A native `race` leaves a listener on
//     its inputs for ever: 435 bytes a pass in a loop with a standing promise, hook or no hook.)
// CO2. Decided while something not made from a hook is still pending, it begins a new epoch (H4).
// CO3. Outside turns the functions are the language's own.

import {
  asPromise,
  type Executor,
  Interest,
  interestOf,
  type Listener,
  type Outcome,
  type Reading,
  Source,
  thrown,
  whenSettled,
} from "./reader.ts";
import { caller } from "./turn.ts";

export type Kind = "race" | "any" | "all" | "allSettled";
type Combining = Pick<PromiseConstructor, Kind>;

/** A promise that is not made from a hook, listened to once, however many combinators it is in. Nobody's waiting makes it sleep. */
class Foreign extends Source {
  static readonly #known: WeakMap<Promise<unknown>, Foreign> = new WeakMap();
  #promise: Promise<unknown> | null;

  static of(value: unknown): Foreign {
    const promise = asPromise(value);
    const known = Foreign.#known.get(promise);
    if (known) return known;
    const foreign = new Foreign(promise);
    Foreign.#known.set(promise, foreign);
    return foreign;
  }

  constructor(promise: Promise<unknown>) {
    super();
    this.#promise = promise;
  }

  /** The first listener makes it listen: so inputs that are settled already arrive in the order they are listened to. */
  override listen(listener: Listener): void {
    super.listen(listener);
    const promise = this.#promise;
    this.#promise = null;
    if (promise)
      whenSettled(
        promise,
        (value) => this.#settle({ ok: true, value }),
        (value) => this.#settle(thrown(value)),
      );
  }

  override get hasBegun(): boolean {
    return false;
  }
  override hold(): void {}
  override release(): void {}
  override touch(): void {}

  #settle(outcome: Outcome): void {
    this.outcome = outcome;
    // At once, as this is a microtask already.
    for (const listener of this.takeListeners()) listener.arrive(outcome);
  }
}

/** Where a value comes from: the hook it was made from, or elsewhere. */
export function sourceOf(value: unknown): Source {
  return interestOf(value) ?? Foreign.of(value);
}

/** One input of a combinator. */
class Leg implements Listener {
  readonly #combined: Combined;
  readonly #index: number;

  constructor(combined: Combined, index: number) {
    this.#combined = combined;
    this.#index = index;
  }

  arrive(outcome: Outcome): void {
    this.#combined.arrive(outcome, this.#index);
  }
}

export class Combined extends Interest {
  readonly #kind: Kind;
  /** Is there a hook behind any input? Without one the promise is a native one, which is cheaper to await. */
  readonly #seesReaders: boolean;
  /** Empty once decided. */
  #sources: readonly Source[];
  /** While it listens: one for each source. */
  #legs: readonly Leg[] | null = null;
  /** Values, errors or descriptions by input; a race needs none. */
  readonly #results: unknown[];
  #missing: number;

  constructor(run: Reading, kind: Kind, sources: readonly Source[]) {
    super(run);
    this.#kind = kind;
    this.#sources = sources;
    this.#seesReaders = sources.some((source) => source instanceof Interest);
    this.#results = kind === "race" ? [] : sources.map(() => undefined);
    this.#missing = sources.length;
  }

  override get hasBegun(): boolean {
    return this.#sources.some((source) => source.outcome !== null || source.hasBegun);
  }

  protected override wake(): void {
    for (const source of this.#sources) source.hold();
    this.link();
  }

  protected override sleep(): void {
    for (const source of this.#sources) source.release();
    if (!this.hasBegun) this.#unlink();
  }

  protected override refresh(): void {
    for (const source of this.#sources) source.touch();
  }

  protected override link(): void {
    this.#legs ??= this.#sources.map((source, index) => {
      const leg = new Leg(this, index);
      source.listen(leg);
      return leg;
    });
  }

  protected override drop(): void {
    this.#unlink();
    this.#sources = [];
  }

  protected override makePromise(executor: Executor): Promise<unknown> {
    return this.#seesReaders ? super.makePromise(executor) : new Promise(executor);
  }

  /** CO2 looks at the sources, so before they are dropped. */
  override settle(outcome: Outcome): void {
    if (this.outcome) return;
    if (this.#sources.some((source) => !(source instanceof Interest) && source.outcome === null)) this.run.newEpoch();
    super.settle(outcome);
  }

  arrive(outcome: Outcome, index: number): void {
    const kind = this.#kind;
    if (kind === "race" || (kind === "any" && outcome.ok) || (kind === "all" && !outcome.ok)) {
      this.settle(outcome);
      return;
    }
    this.#results[index] = kind === "allSettled" ? described(outcome) : outcome.value;
    if (--this.#missing > 0) return;
    if (kind === "any") this.settle({ ok: false, value: new AggregateError(this.#results, "All promises were rejected") });
    else this.settle({ ok: true, value: this.#results });
  }

  #unlink(): void {
    const legs = this.#legs;
    this.#legs = null;
    legs?.forEach((leg, index) => this.#sources[index]?.unlisten(leg));
  }
}

function described(outcome: Outcome): PromiseSettledResult<unknown> {
  return outcome.ok ? { status: "fulfilled", value: outcome.value } : { status: "rejected", reason: outcome.value };
}

/**
 * What to put over `Promise.race`, `any`, `all`, `allSettled` and `resolve`: the same names, lengths and `this`. A subclass of `Promise`
 * gets its own class back, and loses sight of the readers.
 */
export function patchedPromise(native: PromiseConstructor): Combining & Pick<PromiseConstructor, "resolve"> {
  const combining = (kind: Kind): unknown => {
    const original = native[kind] as (inputs: Iterable<unknown>) => Promise<unknown>;
    const patched = {
      [kind](this: PromiseConstructor, iterable: Iterable<unknown>): Promise<unknown> {
        const run = caller();
        if (run === null || typeof this !== "function") return original.call(this, iterable);
        let sources: Source[];
        try {
          sources = [...iterable].map(sourceOf);
        } catch (error) {
          return this.reject(error);
        }
        if (sources.length === 0) return original.call(this, []);
        const { promise } = new Combined(run, kind, sources).float();
        return this === native ? promise : this.resolve(promise);
      },
    };
    return patched[kind];
  };
  const resolve = native.resolve as (value: unknown) => Promise<unknown>;
  const patchedResolve = {
    resolve(this: PromiseConstructor, value: unknown): Promise<unknown> {
      const interest = this === native && caller() !== null ? interestOf(value) : null;
      return interest ? interest.promise : resolve.call(this, value);
    },
  };
  const [race, any, all, allSettled] = [combining("race"), combining("any"), combining("all"), combining("allSettled")];
  return { race, any, all, allSettled, resolve: patchedResolve.resolve } as Combining & Pick<PromiseConstructor, "resolve">;
}
