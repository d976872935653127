// What one branch has begun: the reads that sleep with it, and the timers that end when it has lost for good (H5).
//
// A scope travels with the code of its branch (`scopes`, T2), through whatever library it calls.

import type { Reading } from "./reader.ts";
import { scopes } from "./turn.ts";

/** Something that waits for itself inside a branch. */
export interface Member {
  /** Stop waiting for yourself, until `unpark`. */
  park(): void;
  unpark(): void;
  /** The branch was asked for again (H4). */
  touch(): void;
}

/** Something that is over once the code that began it has lost a `race({ … })`. `lost` may be called more than once. */
export interface Losable {
  lost(): void;
}

export class Scope {
  /** The run the branch belongs to: code in this scope is code of that run. */
  readonly run: Reading;
  isAsleep = true;
  readonly #outer: Scope | null;
  readonly #members: Set<Member> = new Set();
  #losables: Set<Losable> | null = null;
  #isLost = false;

  constructor(run: Reading) {
    const outer = scopes.get();
    this.run = run;
    this.#outer = outer instanceof Scope ? outer : null;
  }

  add(member: Member): void {
    this.#members.add(member);
  }

  remove(member: Member): void {
    this.#members.delete(member);
  }

  wake(): void {
    this.isAsleep = false;
    for (const member of this.#members) member.unpark();
  }

  sleep(): void {
    this.isAsleep = true;
    for (const member of this.#members) member.park();
  }

  touch(): void {
    for (const member of this.#members) member.touch();
  }

  join(losable: Losable): void {
    if (this.isLost) {
      losable.lost();
      return;
    }
    this.#losables ??= new Set();
    this.#losables.add(losable);
    this.#outer?.join(losable);
  }

  /** For a losable that is over by itself. */
  leave(losable: Losable): void {
    this.#losables?.delete(losable);
    this.#outer?.leave(losable);
  }

  get isLost(): boolean {
    return this.#isLost || (this.#outer?.isLost ?? false);
  }

  /** The branch has lost and nobody can ask for it again: its timers are over, and so is every one it still begins. */
  lose(): void {
    this.#isLost = true;
    const losables = this.#losables;
    this.#losables = null;
    for (const losable of losables ?? []) {
      this.#outer?.leave(losable);
      losable.lost();
    }
  }
}

/**
 * Ties a timer to the branch whose code begins it. The timer calls `leave(this)` on the scope when it fires or is cancelled. In a branch
 * that has lost already `lost` is called at once, so this is the last thing to do in making a timer.
 */
export function joinScope(losable: Losable): Scope | null {
  const scope = scopes.get();
  if (!(scope instanceof Scope)) return null;
  scope.join(losable);
  return scope;
}

/** What ends a promise that is itself a side of `race({ … })` and loses; null once it has. */
const endings: WeakMap<object, (() => void) | null> = new WeakMap();

/** Says what to do when `promise`, given as a side of a `race({ … })`, has lost it: a timer, for its promise. */
export function onLost(promise: object, lost: () => void): void {
  endings.set(promise, lost);
}

/** Ends a side that has lost. */
export function lose(side: object): void {
  const ending = endings.get(side);
  if (!ending) return;
  endings.set(side, null);
  ending();
}

/** Has this very promise lost a race, and been ended with it? */
export function hasLost(side: object): boolean {
  return endings.get(side) === null;
}
