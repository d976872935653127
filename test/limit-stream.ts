// Cases of the limits on what steps write to streams.

import { type Limit, limits } from "../src/core/limits.ts";
import { getWritable, step, workflow } from "../src/index.ts";
import type { World } from "./harness.ts";
import type { Row } from "./limit-door.ts";

/** Writes chunks of this size, serialised. */
const write = step("write", async (count: number, size: number) => {
  const writer = getWritable().getWriter();
  for (let n = 0; n < count; n++) await writer.write("x".repeat(size - 3));
});
/** Writes them all before the first is committed. */
const pour = step("pour", async (count: number, size: number) => {
  const writer = getWritable().getWriter();
  for (let n = 0; n < count; n++) void writer.write("x".repeat(size - 3));
});
const writes = workflow("writes at length", async (isPoured: boolean, count: number, size: number) => {
  return (isPoured ? pour : write)(count, size).then(
    () => "ok",
    (error: { code: string }) => error.code,
  );
});

async function written(world: World, isPoured: boolean, count: number, size: number): Promise<string> {
  await world.restart({ workflows: [writes] });
  return (await world.start(writes, isPoured, count, size)).returnValue;
}

type StreamLimit = Extract<Limit, `stream${string}`>;

export const streamRows: { readonly [name in StreamLimit]: Row } = {
  streamChunkBytes: { refused: "too_large", cases: { "a chunk": (world) => (size) => written(world, false, 1, size) } },
  streamChunks: { refused: "too_large", to: 5, cases: { "chunks of a stream": (world) => (size) => written(world, false, size, 10) } },
  streamBufferedBytes: {
    refused: "too_large",
    to: 1_001,
    cases: {
      "chunks that nobody awaited": (world) => (size) =>
        size === limits.streamBufferedBytes ? written(world, true, 91, 11) : written(world, true, 1, size),
      "streams among the arguments": (world) => async (size) => {
        await world.restart({ workflows: [writes] });
        const streams = [4, size - 4].map((bytes) => ReadableStream.from(["x".repeat(bytes - 3)]));
        return world.engine.start(writes, streams as never).then(
          () => "ok",
          (error: { code: string }) => error.code,
        );
      },
    },
  },
};
