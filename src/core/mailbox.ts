// The waiting half of a hook inside a run: payloads nobody has read, reads nobody has served, and the mark at the end.
//
// H1. A payload goes to exactly one read, once: only `handOver` takes one, and it takes it off first.
// H2. Reading never takes at once. A mailbox that could hand over stands in `run.ready`; the engine does it, as a turn of its own.
// H6. The end is a mark after the payloads received until then. Every awake read that comes to it gets it, now or later; the first mark
//     stands. What is received behind it is kept, unread.

import { Interest, type Reading } from "./reader.ts";
import { type Queued, ReadQueue } from "./read-queue.ts";

interface Letter<T> {
  readonly seq: number;
  readonly delivery: number;
  readonly open: () => T;
  next: Letter<T> | null;
}

export class Mailbox<T = unknown> {
  readonly run: Reading;
  readonly #reads: ReadQueue;
  #oldest: Letter<T> | null = null;
  #newest: Letter<T> | null = null;
  #unreadCount = 0;
  #end: { readonly seq: number; readonly error: Error } | null = null;

  constructor(run: Reading, reads: ReadQueue = new ReadQueue()) {
    this.run = run;
    this.#reads = reads;
  }

  /**
   * Keeps a payload for its reader. `open` parses it, once, when it is handed over; what it throws, the run is set aside for. `delivery` is the store's
   * number of it.
   */
  receive(seq: number, open: () => T, delivery = 0): void {
    const letter: Letter<T> = { seq, delivery, open, next: null };
    if (this.#newest) this.#newest.next = letter;
    else this.#oldest = letter;
    this.#newest = letter;
    this.#unreadCount++;
    this.#update();
  }

  /** Puts the end mark behind what was received up to `seq`: the input event that ended the hook, or that code ended it in. */
  close(seq: number, error: Error): void {
    this.#end ??= { seq, error };
    this.#update();
  }

  get isClosed(): boolean {
    return this.#end !== null;
  }

  /** Is there an awake read? */
  get isAwaited(): boolean {
    return !this.#reads.isEmpty;
  }

  /** `seq` of each payload that nobody has read. */
  get unread(): readonly number[] {
    const list: number[] = [];
    for (let letter = this.#oldest; letter; letter = letter.next) list.push(letter.seq);
    return list;
  }

  /** The store's number of each. */
  get unreadDeliveries(): readonly number[] {
    const list: number[] = [];
    for (let letter = this.#oldest; letter; letter = letter.next) list.push(letter.delivery);
    return list;
  }

  get unreadCount(): number {
    return this.#unreadCount;
  }

  /** `seq` of what would be handed over next: the oldest payload, else the mark; infinite when there is neither. */
  oldest(): number {
    return this.#letter()?.seq ?? this.#end?.seq ?? Number.POSITIVE_INFINITY;
  }

  /** Gives the oldest payload, or the mark, to the read whose turn it is (H4). Does nothing unless it stands in `run.ready`. */
  handOver(): void {
    const read = this.#reads.first() as Read<T> | null;
    const letter = this.#letter();
    if (!read) return;
    if (letter) {
      this.#oldest = letter.next;
      if (!letter.next) this.#newest = null;
      this.#unreadCount--;
      read.settle({ ok: true, value: letter.open() });
    } else if (this.#end) read.settle({ ok: false, value: this.#end.error });
    this.#update();
  }

  /** A read of the next payload. It waits for nothing until somebody waits for it. */
  read(): Read<T> {
    return new Read(this);
  }

  join(read: Read<T>): void {
    this.#reads.add(read, this.run.epoch);
    this.#update();
  }

  leave(read: Read<T>): void {
    this.#reads.delete(read);
    this.#update();
  }

  /** The oldest payload before the mark. */
  #letter(): Letter<T> | null {
    const letter = this.#oldest;
    return letter && this.#end && letter.seq > this.#end.seq ? null : letter;
  }

  #update(): void {
    const isReady = !this.#reads.isEmpty && (this.#oldest !== null || this.#end !== null);
    if (isReady) this.run.ready.add(this);
    else this.run.ready.delete(this);
  }
}

/** One read of a hook: the root of every interest in it. Awake means: in its mailbox's queue. */
export class Read<T = unknown> extends Interest<T> implements Queued {
  group: Queued["group"] = null;
  before: Queued | null = null;
  after: Queued | null = null;
  readonly mailbox: Mailbox<T>;

  constructor(mailbox: Mailbox<T>) {
    super(mailbox.run);
    this.mailbox = mailbox;
  }

  override get hasBegun(): boolean {
    return false;
  }

  protected override wake(): void {
    this.mailbox.join(this);
  }

  protected override sleep(): void {
    this.mailbox.leave(this);
  }

  protected override refresh(): void {
    this.mailbox.leave(this);
    this.mailbox.join(this);
  }

  protected override link(): void {}
  protected override drop(): void {}
}
