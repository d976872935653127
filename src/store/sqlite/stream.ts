// Streams of runs, in rows of their own (P15): written by steps, read by anybody, removed in portions.

import { limits } from "../../core/limits.ts";
import { assertKeyText, hasEnded, mayWrite } from "../../core/run-row.ts";
import type { PassedStream, RunNumber, StreamPart, StreamPlace, Write, WriteOutcome } from "../port.ts";
import type { Tables } from "./table.ts";
import type { Work } from "./work.ts";

const known = "select stream, chunks, is_closed from streams where run = ? and name = ?";
const made = "insert into streams(run, name, chunks, bytes, is_closed) values (?, ?, 0, 0, 0)";
const grown = "update streams set chunks = ?, bytes = bytes + ?, is_closed = ? where stream = ?";
/** What a portion of a purge counts as one row. */
const bytesPerRow = 16 * 1024;

export function write(work: Work, { run, fence, owner = run, stream, chunks, isLast }: Write): WriteOutcome {
  const { tables, notices } = work;
  const writer = tables.held(run);
  if (writer === null || !mayWrite(writer, fence)) return { type: "fenced" };
  const owned = tables.held(owner);
  if (owned === null || hasEnded(owned)) return { type: "closed" };
  assertKeyText("stream", stream);
  const [number = null, before = 0, isClosed = 0] = (tables.row(known, owner, stream) ?? []) as readonly number[];
  if (isClosed === 1) return { type: "closed" };
  if (before + chunks.length > limits.streamChunks) return { type: "full" };
  grow(tables, number ?? make(tables, owner, stream), { before, chunks, isLast });
  notices.push({ type: "streamed", run: owner, id: tables.origin("run", owner)!.id });
  return { type: "written", length: before + chunks.length };
}

/** A whole stream of a run that begins. */
export function keepStream(tables: Tables, run: RunNumber, { stream, chunks }: PassedStream): void {
  grow(tables, make(tables, run, stream), { before: 0, chunks, isLast: true });
}

function make(tables: Tables, run: RunNumber, stream: string): number {
  tables.write(made, run, stream);
  return tables.row(known, run, stream)![0] as number;
}

interface Growth {
  /** How many chunks there are. */
  readonly before: number;
  readonly chunks: readonly string[];
  readonly isLast: boolean;
}

function grow(tables: Tables, stream: number, { before, chunks, isLast }: Growth): void {
  let bytes = 0;
  for (const [index, chunk] of chunks.entries()) {
    tables.write("insert into chunks values (?, ?, ?)", stream, before + index, chunk);
    bytes += chunk.length;
  }
  tables.write(grown, before + chunks.length, bytes, isLast ? 1 : 0, stream);
}

/** Chunk by chunk: none is read that is not given. */
export function readStream(tables: Tables, { run, stream, from, bytes }: StreamPlace): StreamPart | null {
  const owner = tables.progress(run);
  if (owner === null) return null;
  const [number = 0, length = 0, isClosed = 0] = (tables.row(known, run, stream) ?? []) as readonly number[];
  const first = from < 0 ? Math.max(0, length + from) : from;
  const chunks: string[] = [];
  for (let size = 0; first + chunks.length < length && size < bytes; ) {
    const [body] = tables.row("select body from chunks where stream = ? and number = ?", number, first + chunks.length)!;
    chunks.push(body as string);
    size += (body as string).length;
  }
  return { from: first, chunks, length, isOver: isClosed === 1 || hasEnded(owner) };
}

/** Takes chunks of a removed run's streams out, the last first: at most so many rows, where a large chunk counts as several. Returns how many. */
export function removeStreams(tables: Tables, run: RunNumber, limit: number): number {
  let rows = 0;
  for (const [stream, chunks, bytes] of tables.rows("select stream, chunks, bytes from streams where run = ?", run) as number[][]) {
    if (rows >= limit) return rows;
    const cost = 1 + Math.floor(bytes! / bytesPerRow / Math.max(1, chunks!));
    const left = chunks! - Math.max(1, Math.floor((limit - rows) / cost));
    rows += cost * (chunks! - Math.max(0, left));
    tables.write("delete from chunks where stream = ? and number >= ?", stream!, Math.max(0, left));
    if (left <= 0) tables.write("delete from streams where stream = ?", stream!);
    else {
      tables.write("update streams set chunks = ?2, bytes = bytes * ?2 / chunks where stream = ?1", stream!, left);
      return Math.max(rows, limit); // nothing else of the run goes before its streams have
    }
  }
  return rows;
}
