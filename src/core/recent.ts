// A bounded memory: what has not been asked for longest goes first, roughly.

/** Two generations: when the young one is full it becomes the old one, and what was in the old one and not asked for since is gone. */
export class Recent<K, V> {
  readonly #half: number;
  #young: Map<K, V> = new Map();
  #old: Map<K, V> = new Map();

  /** Keeps `limit` entries at most, and half of that at least. */
  constructor(limit: number) {
    this.#half = Math.max(1, limit >> 1);
  }

  get(key: K): V | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  set(key: K, value: V): void {
    // Dropping the first key of one `Map` instead would walk over all that were dropped before.
    if (this.#young.size >= this.#half && !this.#young.has(key)) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
  }

  delete(key: K): void {
    this.#young.delete(key);
    this.#old.delete(key);
  }

  clear(): void {
    this.#young = new Map();
    this.#old = new Map();
  }
}
