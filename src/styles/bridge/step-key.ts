// What the steps of a portable run are told apart by, where their author gives them no key that stays.

/** Counts, in the order in which the code comes to them. */
export class StepKeys {
  readonly #counts = new Map<string, number>();
  readonly #places = new Map<string, number>();

  /** The id, and how often it came before. */
  next(id: string): string {
    const count = this.#count(id);
    return count === 1 ? id : `${id}#${count}`;
  }

  /** The place of a key that may be made anew in each process among those of its step's id, from 1: the same key again has the same place. */
  place(id: string, key: string): number {
    const known = `${id} ${key}`;
    const place = this.#places.get(known) ?? this.#count(` ${id}`);
    this.#places.set(known, place);
    return place;
  }

  #count(id: string): number {
    const count = (this.#counts.get(id) ?? 0) + 1;
    this.#counts.set(id, count);
    return count;
  }
}
