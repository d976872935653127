// The chunks of streams on their way into an encrypted store, and out of it.

import { chunkPlace, type ValueMap } from "../core/value-map.ts";
import type { PassedStream, StreamPart, Write } from "../store/port.ts";
import type { RunPlace } from "./place.ts";

/** A map of its own for each value: each remembers what it was given. */
type MakeMap = () => ValueMap;

function mapChunks(chunks: readonly string[], runKey: string, stream: string, map: MakeMap): string[] {
  return chunks.map((chunk) => map().value(chunk, chunkPlace(runKey, stream)));
}

export function sealStreams(streams: readonly PassedStream[], runKey: string, map: MakeMap): PassedStream[] {
  return streams.map(({ stream, chunks }) => ({ stream, chunks: mapChunks(chunks, runKey, stream, map) }));
}

/** To a run that is gone nothing is written, whatever it is given. */
export function sealWrite(write: Write, owner: RunPlace | null, map: MakeMap): Write {
  return { ...write, chunks: owner === null ? [] : mapChunks(write.chunks, owner.key, write.stream, map) };
}

export function openPart(part: StreamPart, owner: RunPlace, stream: string, map: ValueMap): StreamPart {
  return { ...part, chunks: mapChunks(part.chunks, owner.key, stream, () => map) };
}
