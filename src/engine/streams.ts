// Reading streams of runs: whoever reads has what is committed, and is told when there is more.
//
// SR1. A stream is read in order from the chunk that was asked for, each chunk once; its number is all it takes to go on elsewhere.
// SR2. Who waits for a chunk is woken by the commit that brings it, here or elsewhere, never by polling: waits first, then looks.

import { RingbackError } from "../core/errors.ts";
import type { Serialised } from "../core/event.ts";
import type { StreamReference } from "../core/stream.ts";
import type { RunNumber, Store, StreamPart } from "../store/port.ts";
import { KeepAlive } from "./keep-alive.ts";
import type { RevivingHost } from "./revive.ts";
import { runNotFound } from "./refusal.ts";

/** What is read from the store at once; whoever reads slowly keeps no more in memory. */
const partBytes = 256 * 1024;

interface Wait {
  readonly promise: Promise<void>;
  /** Ends it, whatever it waited for. */
  end(): void;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class Streams {
  readonly alive: KeepAlive = new KeepAlive();
  readonly host: RevivingHost;
  readonly #store: Store;
  /** By the run's id. */
  readonly #waiting = new Map<string, Set<Waiter>>();
  #closed: Error | null = null;

  constructor(store: Store, host: RevivingHost) {
    this.#store = store;
    this.host = host;
  }

  /** The number of the run with this id. Rejects `run_not_found`. */
  async runNumber(id: string): Promise<RunNumber> {
    const row = await this.#store.run({ id });
    if (row === null) throw runNotFound(this.host.sealText(id));
    return row.run;
  }

  /** Rejects `run_not_found`, also where the run was there and is purged. */
  async part({ run: id, name }: StreamReference, run: RunNumber, from: number, bytes: number = partBytes): Promise<StreamPart> {
    const part = await this.#store.stream({ run, stream: name, from, bytes });
    if (part === null) throw runNotFound(this.host.sealText(id));
    return part;
  }

  /** Begins to wait for what comes to any stream of this run (SR2). */
  wait(runId: string): Wait {
    if (this.#closed !== null) throw this.#closed;
    const waiting = this.#waiting.get(runId) ?? new Set();
    this.#waiting.set(runId, waiting);
    let end = (): void => {};
    const promise = new Promise<void>((resolve, reject) => {
      const waiter = { resolve, reject };
      waiting.add(waiter);
      end = () => {
        waiting.delete(waiter);
        if (waiting.size === 0 && this.#waiting.get(runId) === waiting) this.#waiting.delete(runId);
        resolve();
      };
    });
    promise.catch(() => {});
    return { promise, end };
  }

  /** Something came to a stream of this run, or the run has ended. */
  came(runId: string): void {
    for (const { resolve } of this.#waiting.get(runId) ?? []) resolve();
  }

  /** Something changed in the store that brought no notice of its own. */
  look(): void {
    for (const runId of this.#waiting.keys()) this.came(runId);
  }

  close(error: Error): void {
    this.#closed = error;
    for (const waiting of this.#waiting.values()) for (const { reject } of waiting) reject(error);
    this.#waiting.clear();
  }
}

/** How a stream of a run is read; `streams` is asked for when it first is. */
export class ChunkSource {
  readonly #reference: StreamReference;
  readonly #streams: () => Streams | Promise<Streams>;
  #run: RunNumber | null = null;
  #next: number;
  #read: Serialised[] = [];
  #wait: Wait | null = null;
  #isCancelled = false;

  constructor(reference: StreamReference, streams: () => Streams | Promise<Streams>) {
    this.#reference = reference;
    this.#streams = streams;
    this.#next = reference.from;
  }

  async pull(controller: ReadableStreamDefaultController<unknown>): Promise<void> {
    const streams = await this.#streams();
    await streams.alive.during(this.#give(streams, controller));
  }

  cancel(): void {
    this.#isCancelled = true;
    this.#wait?.end();
  }

  async #give(streams: Streams, controller: ReadableStreamDefaultController<unknown>): Promise<void> {
    if (this.#read.length === 0) await this.#look(streams);
    if (this.#isCancelled) return;
    const [chunk] = this.#read;
    if (chunk === undefined) return controller.close();
    await streams.host.prepare(chunk);
    const value = streams.host.parse(chunk);
    this.#read.shift();
    this.#next++;
    if (!this.#isCancelled) controller.enqueue(value);
  }

  /** Until there is a chunk, or none will come. */
  async #look(streams: Streams): Promise<void> {
    this.#run ??= await streams.runNumber(this.#reference.run);
    let hasLooked = false;
    while (!this.#isCancelled) {
      const wait = (this.#wait = streams.wait(this.#reference.run));
      try {
        const part = await this.#part(streams, this.#run, hasLooked);
        hasLooked = true;
        if (part !== null) {
          this.#next = part.from;
          this.#read = [...part.chunks];
          if (part.chunks.length > 0 || part.isOver) return;
        }
        await wait.promise;
      } finally {
        wait.end();
      }
    }
  }

  /** Null where the store is away that was there before: it is asked again when something changes. */
  async #part(streams: Streams, run: RunNumber, hasLooked: boolean): Promise<StreamPart | null> {
    try {
      return await streams.part(this.#reference, run, this.#next);
    } catch (error) {
      if (hasLooked && RingbackError.is(error, "store_unavailable")) return null;
      throw error;
    }
  }
}
