// Code as a promise that can be seen into: `branch(fn)`, and `race({ … })` on top of it.
//
// H5. While nobody waits for a branch, what it has begun to read sleeps; its steps go on. When its code returns, what it left reading
//     sleeps for good.
// B1. Losing a `race({ … })` is for good: timers begun in the losing code, or given as a side themselves, are over.

import { badArgument } from "./argument.ts";
import { Combined, sourceOf } from "./combinator.ts";
import { RingbackError } from "./errors.ts";
import { Interest, type Outcome, type Reading, type Source, thrown, whenSettled } from "./reader.ts";
import { hasLost, lose, Scope } from "./scope.ts";
import { current, scopes } from "./turn.ts";

class Branch extends Interest {
  readonly inside: Scope;

  constructor(run: Reading) {
    super(run);
    this.inside = new Scope(run);
  }

  start(code: () => unknown): void {
    const result = scopes.run(this.inside, async () => code());
    whenSettled(
      result,
      (value) => this.settle({ ok: true, value }),
      (value) => this.settle(thrown(value)),
    );
  }

  override get hasBegun(): boolean {
    return false;
  }
  protected override wake(): void {
    this.inside.wake();
  }
  protected override sleep(): void {
    this.inside.sleep();
  }
  protected override refresh(): void {
    this.inside.touch();
  }
  protected override link(): void {}
  protected override drop(): void {}
}

/**
 * Runs `code` at once, as a promise that can be seen into: once it has lost a race, nothing inside it takes a payload, through whatever
 * library it reads; awaiting or racing it again wakes it. Steps inside go on. For the sides of a `Promise.race` that are more than a
 * hook: an `async` function there keeps reading after it has lost.
 */
export function branch<T>(code: () => PromiseLike<T> | T): Promise<T> {
  return begin(inTurn("branch"), code).promise as Promise<T>;
}

function begin(run: Reading, code: () => unknown): Branch {
  const branch = new Branch(run).float();
  branch.start(code);
  return branch;
}

/**
 * A side of a `race({ … })`: something to await, or code to run as a branch. (Not `PromiseLike<unknown>`: for a `promise.then(…)` written
 * in place the compiler would then infer `unknown`.)
 */
export type Side = { readonly then: unknown } | (() => unknown);

/** Which side won, and with what: `key` tells the type of `value`. */
export type Won<S extends Record<string, Side>> = {
  [K in keyof S & string]: { readonly key: K; readonly value: Awaited<S[K] extends () => infer R ? R : S[K]> };
}[keyof S & string];

/**
 * The first of several sides: `race({ paid: hook, late: sleep("1h") })`. A side is a promise, or a function to run as a `branch`. The
 * losers' reads sleep and their timers are cancelled; their running steps go on. It rejects when the first side to end rejects.
 */
export function race<const S extends Record<string, Side>>(sides: S): Promise<Won<S>> {
  const run = inTurn("race");
  const entries = Object.entries(sides);
  if (entries.length === 0) throw badArgument("sides", sides, "race({}) has no sides, so it would wait for ever. Give it at least one.");
  return new KeyedRace(
    run,
    entries.map(([key, side]) => begun(run, key, side)),
  ).float().promise as Promise<Won<S>>;
}

interface Begun {
  readonly key: string;
  readonly source: Source;
  /** Another side has won. */
  lose(): void;
}

function begun(run: Reading, key: string, side: Side): Begun {
  if (typeof side === "function") {
    const branch = begin(run, side);
    return { key, source: branch, lose: () => branch.inside.lose() };
  }
  if (hasLost(side)) {
    const message = `race(): side "${key}" is a timer that has lost an earlier race() and was cancelled then. Begin a new one for each race. To keep one deadline over several, give branch(() => sleep(…)), or use Promise.race.`;
    throw badArgument(key, side, message);
  }
  return { key, source: sourceOf(side), lose: () => lose(side) };
}

class KeyedRace extends Combined {
  #sides: readonly Begun[];

  constructor(run: Reading, sides: readonly Begun[]) {
    super(
      run,
      "race",
      sides.map(({ source }) => source),
    );
    this.#sides = sides;
  }

  override arrive(outcome: Outcome, index: number): void {
    const sides = this.#sides;
    const winner = sides[index];
    if (!winner) return;
    this.#sides = [];
    try {
      for (const side of sides) if (side !== winner) side.lose();
    } catch (value) {
      this.settle(thrown(value));
      return;
    }
    this.settle(outcome.ok ? { ok: true, value: { key: winner.key, value: outcome.value } } : outcome);
  }
}

function inTurn(call: string): Reading {
  if (current) return current;
  const message = `${call}() was called outside a turn of a run: the code has awaited something that is not the engine's (a timer, a fetch, a file). Move that into a step.`;
  throw new RingbackError("outside_turn", message, { details: { call } });
}
