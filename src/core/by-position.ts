// A map by position that is nearly always empty or holds one thing: in place then, in a real `Map` only from two on. A parked run keeps
// several, and an empty `Map` takes 200 bytes.

export class ByPosition<T extends object> {
  #position = 0;
  #only: T | null = null;
  #more: Map<number, T> | null = null;

  get size(): number {
    return this.#more?.size ?? (this.#only === null ? 0 : 1);
  }

  get(position: number): T | undefined {
    if (this.#more !== null) return this.#more.get(position);
    return this.#only !== null && this.#position === position ? this.#only : undefined;
  }

  set(position: number, value: T): void {
    if (this.#more !== null) {
      this.#more.set(position, value);
      return;
    }
    if (this.#only === null || this.#position === position) {
      this.#position = position;
      this.#only = value;
      return;
    }
    this.#more = new Map([
      [this.#position, this.#only],
      [position, value],
    ]);
    this.#only = null;
  }

  /** False when there was nothing. */
  delete(position: number): boolean {
    if (this.#more !== null) return this.#more.delete(position);
    if (this.#only === null || this.#position !== position) return false;
    this.#only = null;
    return true;
  }

  clear(): void {
    this.#only = this.#more = null;
  }

  has(position: number): boolean {
    return this.get(position) !== undefined;
  }

  /** In order of arrival; later changes do not show. */
  entries(): [position: number, value: T][] {
    if (this.#more !== null) return [...this.#more];
    return this.#only === null ? [] : [[this.#position, this.#only]];
  }

  /** As `entries`. */
  values(): T[] {
    if (this.#more !== null) return [...this.#more.values()];
    return this.#only === null ? [] : [this.#only];
  }
}
