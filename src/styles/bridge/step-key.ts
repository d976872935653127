// What the steps of a portable run are told apart by, where their author gives them no key that stays.

/** Counts, in the order in which the code comes to them. */
export class StepKeys {
  readonly #counts = new Map<string, number>();
  /** The counts of hooks by their steps' ids, and what each was named. */
  readonly #hookCounts = new Map<string, number>();
  readonly #hooks = new Map<string, string>();
  readonly #named = new Set<string>();

  /** The id, and how often it came before. */
  next(id: string): string {
    return numbered(id, count(this.#counts, id));
  }

  /**
   * The name of a hook whose key may be made anew in each process: its step's id, and its place among the hooks of that. The same key again
   * has the same name, and no two have one.
   */
  hook(id: string, key: string): string {
    const known = JSON.stringify([id, key]);
    let name = this.#hooks.get(known);
    if (name !== undefined) return name;
    do name = numbered(id, count(this.#hookCounts, id));
    while (this.#named.has(name));
    this.#named.add(name);
    this.#hooks.set(known, name);
    return name;
  }
}

function count(counts: Map<string, number>, id: string): number {
  const found = (counts.get(id) ?? 0) + 1;
  counts.set(id, found);
  return found;
}

function numbered(id: string, place: number): string {
  return place === 1 ? id : `${id}#${place}`;
}
