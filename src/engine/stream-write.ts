// What one attempt of a step writes to streams of runs.
//
// SW1. A write that resolves is committed, and so is all that was written before it to that writable.
// SW2. An attempt writes only while it is the current one, and its run's fence holds: what comes later is refused.
// SW3. A stream closes in the transaction that completes the step. An attempt that fails closes nothing, so the next one can write on.
// SW4. An attempt completes only when all it wrote is committed; if some of it cannot be, it fails.

import { setTimeout } from "node:timers";
import { RingbackError } from "../core/errors.ts";
import type { Serialised } from "../core/event.ts";
import { limits, tooLarge } from "../core/limits.ts";
import type { RunHost } from "../core/run.ts";
import { refer, streamLabel, type StreamReference } from "../core/stream.ts";
import type { RunNumber, Store, Write } from "../store/port.ts";
import type { Committer } from "./commit.ts";

/** Below this `writer.ready` is resolved: what a writer may be ahead of the store. */
const readyBytes = 64 * 1024;
/** What each chunk counts for besides its bytes: it is a commit. */
const chunkBytes = 1024;
/** How often a pipe that the body left behind is looked at. */
const pipeMs = 10;

/** Whose attempt it is, and what it needs. */
export interface AttemptOptions {
  readonly store: Store;
  readonly committer: Committer;
  readonly host: RunHost;
  readonly run: RunNumber;
  readonly runId: string;
  readonly fence: number;
  readonly position: number;
  readonly attempt: number;
  readonly signal: AbortSignal;
  /** SW2 */
  readonly isCurrent: () => boolean;
}

export class AttemptStreams {
  readonly #options: AttemptOptions;
  #writings: Writing[] | null = null;
  #closing: Map<string, Write> | null = null;
  #taken: { readonly stream: ReadableStream; readonly reference: StreamReference }[] | null = null;
  #isOver = false;

  constructor(options: AttemptOptions) {
    this.#options = options;
  }

  /** A stream of its own, whatever others the attempt has to the same place. */
  writable(reference: StreamReference): WritableStream<unknown> {
    const writing = new Writing(this, reference);
    (this.#writings ??= []).push(writing);
    return writing.stream;
  }

  /** Takes a stream that the step returns: it becomes one of the run's. */
  readonly take = (stream: ReadableStream): StreamReference => {
    const { runId, position, attempt } = this.#options;
    const taken = (this.#taken ??= []);
    const reference = { kind: "readable", run: runId, name: `$${position}.${attempt}.${taken.length}`, from: 0 } as const;
    taken.push({ stream, reference });
    return reference;
  };

  /** SW4. Resolves when nothing is left to commit; the streams that were taken are read to their ends. */
  async flush(): Promise<void> {
    await Promise.all((this.#taken ?? []).map(({ stream, reference }) => this.#pour(stream, reference)));
    for (const writing of this.#writings ?? []) await writing.written();
  }

  /** Not `pipeTo`: on Node 20 an abort does not reach the source of one whose target has failed. */
  async #pour(stream: ReadableStream, reference: StreamReference): Promise<void> {
    const { signal } = this.#options;
    const reader = stream.getReader();
    const writer = this.writable(reference).getWriter();
    const stop = (): void => void reader.cancel(signal.reason).catch(() => {});
    signal.addEventListener("abort", stop);
    try {
      for (;;) {
        const { done, value } = await reader.read();
        signal.throwIfAborted(); // one that was stopped looks like one that has ended
        if (done) break;
        await writer.write(value);
      }
      await writer.close();
    } catch (error) {
      reader.cancel(error).catch(() => {});
      throw error;
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  /** After a failure: what was written before it is committed, as far as it can be. */
  async settled(): Promise<void> {
    await Promise.allSettled((this.#writings ?? []).map((writing) => writing.committed()));
  }

  /** The body is over: whatever of it still runs writes nothing more. Returns what closes streams, to be committed with the outcome. */
  end(): readonly Write[] {
    this.#isOver = true;
    return [...(this.#closing?.values() ?? [])];
  }

  /** Serialised at the call, so that what code does to the chunk later changes nothing. */
  serialise(reference: StreamReference, chunk: unknown): Serialised {
    this.#assertOpen(reference);
    return this.#options.host.serialise(chunk, `a chunk of ${streamLabel(reference)}`, limits.streamChunkBytes);
  }

  async commit(reference: StreamReference, chunk: Serialised): Promise<void> {
    const write = await this.#write(reference, [chunk], false);
    this.#assertCurrent(reference);
    const outcome = await this.#options.committer.commit(write);
    switch (outcome.type) {
      case "written":
        return;
      case "fenced":
        throw closedError(reference, "attempt");
      case "closed":
        throw closedError(reference, "closed");
      case "full":
        throw full(reference);
    }
  }

  /** SW3 */
  async close(reference: StreamReference): Promise<void> {
    const write = await this.#write(reference, [], true);
    (this.#closing ??= new Map()).set(JSON.stringify([reference.run, reference.name]), write);
  }

  async #write(reference: StreamReference, chunks: readonly Serialised[], isLast: boolean): Promise<Write> {
    const { store, run, runId, fence } = this.#options;
    const write = { op: "write", run, fence, stream: reference.name, chunks, isLast } as const;
    if (reference.run === runId) return write;
    const owner = await store.run({ id: reference.run });
    if (owner === null) throw closedError(reference, "ended");
    return { ...write, owner: owner.run };
  }

  #assertCurrent(reference: StreamReference): void {
    if (this.#isOver || !this.#options.isCurrent()) throw closedError(reference, "attempt");
  }

  /** What another writable of the attempt took before the close is committed still. */
  #assertOpen(reference: StreamReference): void {
    this.#assertCurrent(reference);
    if (this.#closing?.has(JSON.stringify([reference.run, reference.name]))) throw closedError(reference, "closed");
  }
}

/** One writable: chunks in order, each committed before its write resolves. */
class Writing {
  readonly stream: WritableStream<unknown>;
  readonly #attempt: AttemptStreams;
  readonly #reference: StreamReference;
  /** Written and not committed, the first of them under way. */
  readonly #queue: Serialised[] = [];
  #bytes = 0;
  #failure: { readonly error: unknown } | null = null;
  #isDone = false;
  #isClosing = false;
  #hasWriter = false;
  #waiting: (() => void)[] = [];

  constructor(attempt: AttemptStreams, reference: StreamReference) {
    this.#attempt = attempt;
    this.#reference = reference;
    const sink = { write: () => this.#write(), close: () => this.#close(), abort: () => this.#end() };
    // A stream asks for a chunk's size at the call that writes it, before the chunk waits for its turn.
    this.stream = new WritableStream(sink, { highWaterMark: readyBytes, size: (chunk) => this.#enter(chunk) });
    refer(this.stream, reference);
    Object.defineProperty(this.stream, "getWriter", { value: () => this.#writer() });
  }

  /** Resolves when all that was written is committed; rejects where some of it cannot be. */
  async committed(): Promise<void> {
    while (this.#isOpen && this.#queue.length > 0) await this.#change();
    if (this.#failure !== null) throw this.#failure.error;
  }

  /** The same, when also a close that was asked for, and a pipe that leads here, are over. */
  async written(): Promise<void> {
    while (this.#isOpen && (this.#queue.length > 0 || this.#isClosing || this.#isPiped)) await this.#change();
    if (this.#failure !== null) throw this.#failure.error;
  }

  get #isOpen(): boolean {
    return !this.#isDone && this.#failure === null;
  }

  /** Locked, and by no writer of ours. */
  get #isPiped(): boolean {
    return this.stream.locked && !this.#hasWriter;
  }

  /** Nobody tells when a pipe lets go. */
  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (this.#isPiped) setTimeout(resolve, pipeMs);
    });
  }

  /** A writer whose promises nobody has to await: what cannot be written fails the step (SW4), not the process. */
  #writer(): WritableStreamDefaultWriter<unknown> {
    const writer = WritableStream.prototype.getWriter.call(this.stream) as WritableStreamDefaultWriter<unknown>;
    const [write, close, releaseLock] = [writer.write.bind(writer), writer.close.bind(writer), writer.releaseLock.bind(writer)];
    const handled = (promise: Promise<void>): Promise<void> => {
      promise.catch(() => {});
      return promise;
    };
    this.#hasWriter = true;
    return Object.assign(writer, {
      write: (chunk: unknown) => handled(write(chunk)),
      close: () => {
        this.#isClosing = true;
        return handled(close());
      },
      releaseLock: () => {
        this.#hasWriter = false;
        releaseLock();
      },
    });
  }

  #enter(chunk: unknown): number {
    if (this.#isDone) return 1; // the stream refuses it
    try {
      const text = this.#attempt.serialise(this.#reference, chunk);
      const bytes = this.#bytes + text.length;
      if (bytes > limits.streamBufferedBytes) throw tooFast(this.#reference, bytes);
      this.#queue.push(text);
      this.#bytes = bytes;
      return text.length + chunkBytes;
    } catch (error) {
      throw this.#fail(error);
    }
  }

  async #write(): Promise<void> {
    const [text] = this.#queue as [Serialised];
    try {
      await this.#attempt.commit(this.#reference, text);
    } catch (error) {
      throw this.#fail(error);
    }
    this.#queue.shift();
    this.#bytes -= text.length;
    this.#tell();
  }

  async #close(): Promise<void> {
    try {
      await this.#attempt.close(this.#reference);
    } catch (error) {
      throw this.#fail(error);
    }
    this.#end();
  }

  /** What is left in the queue was written after the stream was closed, or is given up by who aborted it. */
  #end(): void {
    this.#isDone = true;
    this.#queue.length = 0;
    this.#tell();
  }

  #fail(error: unknown): unknown {
    this.#failure ??= { error };
    this.#tell();
    return error;
  }

  #tell(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

function closedError(reference: StreamReference, by: "closed" | "ended" | "attempt"): RingbackError<"stream_closed"> {
  const { run, name } = reference;
  const why = {
    closed: "it is closed, or its run has ended",
    ended: "its run is gone",
    attempt: "the attempt of the step that writes is over, and another may have begun",
  }[by];
  const message = `What was written to ${streamLabel(reference)} is not stored: ${why}.`;
  return new RingbackError("stream_closed", message, { details: { run, namespace: name.slice(1), by } });
}

function full(reference: StreamReference): RingbackError<"too_large"> {
  const limit = limits.streamChunks;
  const message = `${streamLabel(reference)} has ${limit} chunks, and takes no more. Write larger chunks, or go on under another namespace.`;
  return new RingbackError("too_large", message, { details: { what: "stream", limit, actual: limit + 1 } });
}

function tooFast(reference: StreamReference, actual: number): RingbackError<"too_large"> {
  const limit = limits.streamBufferedBytes;
  const { message, details } = tooLarge(`What waits to be written to ${streamLabel(reference)}`, limit, actual);
  return new RingbackError("too_large", message.replace(/Make it .*$/, "Await each write, or `writer.ready`."), { details });
}
