// A set that is nearly always empty or holds one thing: the thing itself then, a real `Set` only from two on. A parked run keeps several.

export type Few<T extends object> = T | Set<T> | null;

/** `few` with `item` in it, last. */
export function added<T extends object>(few: Few<T>, item: T): Few<T> {
  if (few === null) return item;
  return few instanceof Set ? few.add(item) : new Set([few, item]);
}

/** `few` without `item`. */
export function removed<T extends object>(few: Few<T>, item: T): Few<T> {
  if (few instanceof Set) few.delete(item);
  return few === item ? null : few;
}

/** What is in it now, in order of arrival; later changes do not show. */
export function listed<T extends object>(few: Few<T>): readonly T[] {
  if (few === null) return [];
  return few instanceof Set ? [...few] : [few];
}

/** The same as an object of its own. */
export class FewSet<T extends object> implements Iterable<T> {
  #few: Few<T> = null;

  get size(): number {
    return this.#few instanceof Set ? this.#few.size : this.#few === null ? 0 : 1;
  }

  add(item: T): void {
    if (this.#few !== item) this.#few = added(this.#few, item);
  }

  delete(item: T): void {
    this.#few = removed(this.#few, item);
  }

  [Symbol.iterator](): Iterator<T> {
    return listed(this.#few)[Symbol.iterator]();
  }
}
