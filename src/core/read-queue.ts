// The awake reads of one mailbox, in the order they are served.
//
// H4. The latest epoch before older ones; within an epoch first come, first served.
//
// Epochs only rise, and a read joins in the current one, so a read is appended to the newest group or begins a new one. Linked lists:
// every operation is O(1) whatever else waits, and a lone reader costs one small group.

/** Something that can stand in one queue at a time. The queue alone writes these. */
export interface Queued {
  group: Group | null;
  before: Queued | null;
  after: Queued | null;
}

interface Group {
  readonly epoch: number;
  first: Queued;
  last: Queued;
  older: Group | null;
  newer: Group | null;
}

export class ReadQueue {
  #newest: Group | null = null;

  get isEmpty(): boolean {
    return this.#newest === null;
  }

  /** Who is served next. */
  first(): Queued | null {
    return this.#newest?.first ?? null;
  }

  /** `epoch` is not below that of any read in the queue. */
  add(read: Queued, epoch: number): void {
    const newest = this.#newest;
    if (newest?.epoch === epoch) {
      read.group = newest;
      read.before = newest.last;
      newest.last.after = read;
      newest.last = read;
      return;
    }
    const group: Group = { epoch, first: read, last: read, older: newest, newer: null };
    if (newest) newest.newer = group;
    this.#newest = group;
    read.group = group;
  }

  /** Nothing when it is not in the queue. */
  delete(read: Queued): void {
    const { group, before, after } = read;
    if (!group) return;
    if (before) before.after = after;
    else if (after) group.first = after;
    if (after) after.before = before;
    else if (before) group.last = before;
    if (!before && !after) this.#remove(group);
    read.group = read.before = read.after = null;
  }

  #remove(group: Group): void {
    if (group.older) group.older.newer = group.newer;
    if (group.newer) group.newer.older = group.older;
    else this.#newest = group.older;
  }
}
