// A hook as code reads it: thenable and async iterable. Each `await`, and each pass of an iterator, is a read of its own (H3).
//
// Subclasses add what the hook is (token, URL, dispose), and say where to read; that is also the place to check who reads.

import { RingbackError } from "./errors.ts";
import { added, type Few, listed, removed } from "./few.ts";
import { type Mailbox, Read } from "./mailbox.ts";
import { followed, Readable } from "./reader.ts";
import { caller } from "./turn.ts";

export abstract class HookBase<T> extends Readable<T> implements PromiseLike<T>, AsyncIterable<T> {
  /** Where to read. Asked once for each read. */
  protected abstract mailbox(): Mailbox<T>;

  override read(): Read<T> {
    return new Read(this.mailbox());
  }

  // biome-ignore lint/suspicious/noThenProperty: to be awaited is what a hook is for
  then<A = T, B = never>(
    onValue?: ((value: T) => A | PromiseLike<A>) | null,
    onError?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    let read: Read<T>;
    try {
      read = this.read();
    } catch (error) {
      if (caller()) throw error;
      return Promise.reject(error).then(onValue, onError); // thrown into a timer's or a listener's callback it would end the process
    }
    return followed(read, onValue, onError);
  }

  catch<B = never>(onError?: ((error: unknown) => B | PromiseLike<B>) | null): Promise<T | B> {
    return this.then(null, onError);
  }

  finally(onEnd?: (() => void) | null): Promise<T> {
    return this.then().finally(onEnd);
  }

  /**
   * Reads until the hook is disposed (then it is done) or left. A timeout and a cancel throw. `return()`,
   * which leaving a `for await` calls, ends this iterator's pending reads.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<T> {
    return new HookIterator(() => this.mailbox());
  }
}

/** What a read of an iterator gets when the iterator was left. */
const left: unique symbol = Symbol("left");

class HookIterator<T> implements AsyncIterableIterator<T> {
  isOver = false;
  /** Its awake reads. */
  waiting: Few<IteratorRead<T>> = null;
  readonly #mailbox: () => Mailbox<T>;

  constructor(mailbox: () => Mailbox<T>) {
    this.#mailbox = mailbox;
  }

  next(): Promise<IteratorResult<T>> {
    if (this.isOver) return Promise.resolve(done());
    return followed(new IteratorRead(this.#mailbox(), this), asResult, doneIfDisposed);
  }

  async return(value?: unknown): Promise<IteratorResult<T>> {
    this.isOver = true;
    for (const read of listed(this.waiting)) read.leave();
    return { value, done: true };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

class IteratorRead<T> extends Read<T | typeof left> {
  readonly #iterator: HookIterator<T>;

  constructor(mailbox: Mailbox<T>, iterator: HookIterator<T>) {
    super(mailbox as Mailbox<T | typeof left>);
    this.#iterator = iterator;
  }

  leave(): void {
    this.settle({ ok: true, value: left });
  }

  protected override wake(): void {
    if (this.#iterator.isOver) {
      this.leave();
      return;
    }
    this.#iterator.waiting = added(this.#iterator.waiting, this);
    super.wake();
  }

  protected override sleep(): void {
    this.#iterator.waiting = removed(this.#iterator.waiting, this);
    super.sleep();
  }
}

function done(): IteratorReturnResult<undefined> {
  return { value: undefined, done: true };
}

function asResult<T>(value: T | typeof left): IteratorResult<T> {
  return value === left ? done() : { value: value as T, done: false };
}

function doneIfDisposed(error: unknown): IteratorReturnResult<undefined> {
  if (RingbackError.is(error, "hook_disposed")) return done();
  throw error;
}
