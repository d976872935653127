// The engine's server: the built package through its public entries, on SQLite with the settings it has out of the box.

import { join } from "node:path";
import { createEngine, createWebhook, workflow } from "ringback";
import { serve } from "ringback/node";
import { answer, mark, settings } from "./child.mjs";
import { toggleProfile } from "./profile.mjs";

/** How many starts are asked for at a time. */
const batch = 500;

/** By the index of the run: written by the code itself, as it would hand its URL to a third party. */
let urls = [];

const parked = workflow("parked", async (index) => {
  const callback = createWebhook();
  urls[index] = callback.url;
  const request = await callback;
  const { number } = await request.json();
  return { number };
});

const engine = createEngine({ store: `sqlite:${join(settings.folder, "bench.db")}`, baseUrl: "http://127.0.0.1", workflows: [parked] });

answer({
  listen,
  park,
  mark: async () => {
    await toggleProfile("engine");
    return mark();
  },
});

async function listen() {
  const { port } = await serve(engine, { port: 0, host: "127.0.0.1" });
  return { port };
}

/** Starts runs and waits until each has shown its URL. Without `id` they are named by their index. */
async function park({ count }) {
  const before = heapUsed();
  const isFirst = urls.length === 0;
  urls = Array.from({ length: count }, () => null);
  for (let from = 0; from < count; from += batch) {
    const starts = Array.from({ length: Math.min(batch, count - from) }, (_, offset) => {
      const index = from + offset;
      return engine.start(parked, [index], { id: `${isFirst ? "warm" : "parked"}-${index}` });
    });
    await Promise.all(starts);
  }
  await quiet();
  return { paths: urls.map((url) => new URL(url).pathname), heapBytes: (heapUsed() - before) / count };
}

/** Until every run has come to its wait and the last of that is committed. */
async function quiet() {
  while (urls.includes(null)) await new Promise((resolve) => setTimeout(resolve, 10));
  await new Promise((resolve) => setTimeout(resolve, 200));
}

/** What is alive; the URLs kept here for the client are taken off. */
function heapUsed() {
  globalThis.gc();
  const own = urls.reduce((sum, url) => sum + (url?.length ?? 0) + 24, 0);
  return process.memoryUsage().heapUsed - own;
}
