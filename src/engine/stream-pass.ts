// Streams that host code passes to a run with its arguments: read to their ends first, so that what is accepted is kept, and kept whole.

import type { Serialised } from "../core/event.ts";
import { limits, tooLarge } from "../core/limits.ts";
import type { RunHost } from "../core/run.ts";
import type { StreamReference } from "../core/stream.ts";
import type { PassedStream } from "../store/port.ts";

export class PassedStreams {
  readonly #host: RunHost;
  readonly #runId: string;
  readonly #taken: ReadableStream[] = [];
  #bytes = 0;

  constructor(host: RunHost, runId: string) {
    this.#host = host;
    this.#runId = runId;
  }

  get isEmpty(): boolean {
    return this.#taken.length === 0;
  }

  /** Named after its place among the others: starting a run once more, with streams in the same places, is the same start. */
  readonly take = (stream: ReadableStream): StreamReference => {
    return { kind: "readable", run: this.#runId, name: nameOf(this.#taken.push(stream) - 1), from: 0 };
  };

  /** Rejects where one cannot be read to its end, or all together are `too_large`; then none is read on. */
  async read(): Promise<PassedStream[]> {
    try {
      return await Promise.all(this.#taken.map(async (stream, at) => ({ stream: nameOf(at), chunks: await this.#chunksOf(stream) })));
    } catch (error) {
      for (const stream of this.#taken) if (!stream.locked) stream.cancel(error).catch(() => {});
      throw error;
    }
  }

  async #chunksOf(stream: ReadableStream): Promise<Serialised[]> {
    const chunks: Serialised[] = [];
    for await (const chunk of stream) {
      const text = this.#host.serialise(chunk, "a chunk of a stream that is passed on", limits.streamChunkBytes);
      this.#bytes += text.length;
      if (this.#bytes > limits.streamBufferedBytes)
        throw tooLarge("What the streams among the arguments bring", limits.streamBufferedBytes, this.#bytes);
      chunks.push(text);
    }
    return chunks;
  }
}

function nameOf(place: number): string {
  return `$start.${place}`;
}
