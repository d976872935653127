// Streams of runs, in memory (P15).

import { limits } from "../../core/limits.ts";
import { assertKeyText, hasEnded, mayWrite } from "../../core/run-row.ts";
import type { StreamPart, StreamPlace, Write, WriteOutcome } from "../port.ts";
import type { Change, MemoryState, StoredStream } from "./state.ts";

export function write(change: Change, { run, fence, owner = run, stream, chunks, isLast }: Write): WriteOutcome {
  const { runs, streams } = change.state;
  const writer = runs.get(run);
  if (writer === undefined || !mayWrite(writer.progress, fence)) return { type: "fenced" };
  const owned = runs.get(owner);
  if (owned === undefined || hasEnded(owned.progress)) return { type: "closed" };
  assertKeyText("stream", stream);
  const known = streams.get(owner)?.get(stream) ?? { chunks: [], isClosed: false };
  if (known.isClosed) return { type: "closed" };
  if (known.chunks.length + chunks.length > limits.streamChunks) return { type: "full" };
  if (!streams.has(owner)) change.set(streams, owner, new Map<string, StoredStream>());
  change.set(streams.get(owner)!, stream, { chunks: known.chunks, isClosed: isLast });
  change.extend(known.chunks, chunks);
  change.notices.push({ type: "streamed", run: owner, id: owned.origin.id });
  return { type: "written", length: known.chunks.length };
}

export function readStream(state: MemoryState, { run, stream, from, bytes }: StreamPlace): StreamPart | null {
  const owner = state.runs.get(run);
  if (owner === undefined) return null;
  const { chunks, isClosed } = state.streams.get(run)?.get(stream) ?? { chunks: [], isClosed: false };
  const first = from < 0 ? Math.max(0, chunks.length + from) : from;
  let end = first;
  for (let size = 0; end < chunks.length && size < bytes; end++) size += chunks[end]!.length;
  return { from: first, chunks: chunks.slice(first, end), length: chunks.length, isOver: isClosed || hasEnded(owner.progress) };
}
