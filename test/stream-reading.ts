// Steps that write to streams, gates that hold steps, and ways to read: for the tests of streams.

import { afterEach } from "vitest";
import { getWritable, type Step, step } from "../src/index.ts";

/** Reads to the end. */
export async function all<T = unknown>(stream: ReadableStream<T>): Promise<T[]> {
  const chunks: T[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

export async function take<T>(stream: ReadableStream<T>, count: number): Promise<T[]> {
  const reader = stream.getReader();
  const chunks: T[] = [];
  while (chunks.length < count) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
  }
  await reader.cancel();
  return chunks;
}

export interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}
const gates = new Map<string, Gate>();
/** Holds a step until the test lets it go. */
export function gate(name: string): Gate {
  let made = gates.get(name);
  if (made) return made;
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  gates.set(name, (made = { opened, open }));
  return made;
}
afterEach(() => gates.clear());

export const write: Step<[readonly unknown[], string?], void> = step("write", async (chunks: readonly unknown[], namespace?: string) => {
  const writer = getWritable(namespace === undefined ? {} : { namespace }).getWriter();
  for (const chunk of chunks) await writer.write(chunk);
  writer.releaseLock();
});
export const close: Step<[string?], void> = step("close", async (namespace?: string) =>
  getWritable(namespace === undefined ? {} : { namespace }).close(),
);
export const hold: Step<[string], void> = step("hold", async (name: string) => gate(name).opened);
