// The engine's server: the built package through its public entries, on SQLite with the settings it has out of the box.

import { join } from "node:path";
import { createEngine, createWebhook, workflow } from "ringback";
import { serve } from "ringback/node";
import { answer, mark, settings } from "./child.mjs";
import { toggleProfile } from "./profile.mjs";

/** How many starts are asked for at a time. */
const batch = 500;

/** By the index of the run: written by the code itself, as it would hand its URL to a third party. */
const urls = [];

const parked = workflow("parked", async (index) => {
  const callback = createWebhook();
  urls[index] = callback.url;
  const request = await callback;
  const { number } = await request.json();
  return { number };
});

const engine = createEngine({
  store: `sqlite:${join(settings.folder, "bench.db")}`,
  baseUrl: "http://127.0.0.1",
  workflows: [parked],
  hotRuns: settings.runs,
});

answer({
  listen,
  park,
  heap,
  mark: async () => {
    await toggleProfile("engine");
    return mark();
  },
});

async function listen() {
  const { port } = await serve(engine, { port: 0, host: "127.0.0.1" });
  return { port };
}

/** Starts runs, named by their index, and waits until each has come to its wait and the last of that is committed. */
async function park({ count }) {
  const first = urls.length;
  const end = first + count;
  urls.length = end;
  urls.fill(null, first);
  for (let from = first; from < end; from += batch) {
    const starts = Array.from({ length: Math.min(batch, end - from) }, (_, offset) => {
      const index = from + offset;
      return engine.start(parked, [index], { id: `run-${index}` });
    });
    await Promise.all(starts);
  }
  while (urls.includes(null)) await new Promise((resolve) => setTimeout(resolve, 10));
  await new Promise((resolve) => setTimeout(resolve, 200));
  return { paths: urls.slice(first).map((url) => new URL(url).pathname) };
}

/** What is alive of the heap; the URLs kept here for the client are taken off. */
function heap() {
  globalThis.gc();
  const own = urls.reduce((sum, url) => sum + url.length + 24, 0);
  return { bytes: process.memoryUsage().heapUsed - own };
}
