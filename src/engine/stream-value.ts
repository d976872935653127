// Streams of runs as code holds them. In a step, and in host code, they are streams; in workflow code, handles that can be passed on.

import { RingbackError } from "../core/errors.ts";
import { refer, streamLabel, type StreamReference } from "../core/stream.ts";
import { callingRun, callingStep } from "./realm.ts";
import { forbiddenInWorkflow } from "./refusal.ts";
import { ChunkSource, type Streams } from "./streams.ts";

/** A stream of a run. */
// oxlint-disable-next-line typescript/no-explicit-any -- as in Workflow DevKit: what is written for it type-checks
export type WorkflowReadableStream<R = any> = ReadableStream<R> & {
  /** The number of the last chunk there is now, counted from 0; -1 while there is none. */
  getTailIndex(): Promise<number>;
};

const readingMethods = ["getReader", "cancel", "tee", "pipeTo", "pipeThrough", "values", Symbol.asyncIterator] as const;
const writingMethods = ["getWriter", "close", "abort"] as const;

/** Reads nothing until somebody reads it. */
export function readableOf(reference: StreamReference, streams: () => Streams | Promise<Streams>): WorkflowReadableStream {
  const stream = new ReadableStream(new ChunkSource(reference, streams), { highWaterMark: 0 });
  refer(stream, reference);
  const getTailIndex = async (): Promise<number> => {
    const found = await streams();
    const { length } = await found.part(reference, await found.runNumber(reference.run), 0, 0);
    return length - 1;
  };
  const own = Object.defineProperty(stream, "getTailIndex", { value: getTailIndex, configurable: true }) as WorkflowReadableStream;
  if (callingRun() === null) return own;
  // A step's body may take a handle from the code around it. Each attempt, and each use, reads from the start.
  return asHandle(own, [...readingMethods, "getTailIndex"], (method) => {
    if (callingRun() !== null)
      throw forbiddenInWorkflow(`${method}() of ${streamLabel(reference)}`, "Pass the stream to a step, and read it there.");
    return readableOf(reference, streams);
  });
}

/** Writes what the step does in whose body it is used. */
export function writableOf(reference: StreamReference): WritableStream<unknown> {
  const step = callingStep();
  if (step !== null) return step.streams.writable(reference);
  const write = (): never => {
    throw forbiddenInWorkflow(`A write to ${streamLabel(reference)}`, "Call getWritable() in the body of the step that writes.");
  };
  const handle = new WritableStream({ write });
  refer(handle, reference);
  return asHandle(handle, writingMethods, (method) => {
    const within = callingStep();
    const call = `${method}() of ${streamLabel(reference)}`;
    if (within !== null) return within.streams.writable(reference);
    if (callingRun() !== null) throw forbiddenInWorkflow(call, "Pass it to a step, or call getWritable() in a step.");
    const message = `${call} belongs in the body of a step. Host code reads a run's stream: getRun(runId).readable.`;
    throw new RingbackError("outside_turn", message, { details: { call } });
  });
}

/** Puts in the place of each method one that asks `bound` for the stream it is to be called on. */
function asHandle<S extends object>(stream: S, methods: readonly PropertyKey[], bound: (method: string) => object): S {
  for (const method of methods) {
    const value = (...args: unknown[]): unknown => {
      const own = bound(String(typeof method === "symbol" ? method.description : method)) as Record<
        PropertyKey,
        (...args: unknown[]) => unknown
      >;
      return own[method]?.(...args);
    };
    Object.defineProperty(stream, method, { value });
  }
  return stream;
}
