// A run that goes on for ever: one URL through all its chapters, over real HTTP, and the thousandth costs what the tenth did (CH1, CH3).

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, onTestFinished, test } from "vitest";
import { continueAsNew, createHook, createWebhook, step, workflow } from "../src/index.ts";
import { serve } from "../src/node.ts";
import { systemClock } from "../src/engine/clock.ts";
import type { Command, Store } from "../src/store/port.ts";
import { sqliteStore } from "../src/store/sqlite/store.ts";
import { createEngine, type Engine, type EngineOptions } from "../src/wiring.ts";
import { defaultMode, testKeys } from "./harness.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
const isLong = process.env["RINGBACK_LONG"] === "1" && defaultMode === "hot";
const hotRuns = defaultMode === "evict" ? 0 : 1_000;

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "ringback-test-"));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

function openEngine(
  store: EngineOptions["store"] & {},
  workflows: EngineOptions["workflows"] & {},
  baseUrl = "https://app.example",
): Engine {
  const engine = createEngine({ store, workflows, baseUrl, keys: testKeys, hotRuns, logger: false });
  onTestFinished(() => engine.close({ graceMs: 0 }));
  return engine;
}

test("one webhook URL works across ten continueAsNews and a restart, over HTTP", async () => {
  const chapters = 11;
  let tell: (url: string) => void = () => {};
  const handOut = step("hand out", async (url: string) => tell(url));
  const relay = workflow("relay", async (chapter: number, taken: readonly string[]): Promise<readonly string[]> => {
    const inbox = createWebhook({ name: "inbox", respondWith: "manual" });
    if (chapter === 1) await handOut(inbox.url);
    const request = await inbox;
    const text = await request.text();
    await request.respondWith(new Response(`chapter ${chapter} took ${text}`));
    const next = [...taken, text];
    return chapter === chapters ? next : continueAsNew([chapter + 1, next], { carry: [inbox] });
  });
  const store = `sqlite:${join(folder(), "test.db")}`;
  let engine = openEngine(store, [relay]);
  let served = await serve(engine, { port: 0, host: "127.0.0.1" });
  const url = new Promise<string>((resolve) => (tell = resolve));
  const run = await engine.start(relay, [1, []], { id: "relay" });
  const path = new URL(await url).pathname;
  const send = (text: string): Promise<Response> =>
    fetch(`http://127.0.0.1:${served.port}${path}`, { method: "POST", body: text, headers: { "idempotency-key": text } });
  const answers: string[] = [];
  for (let chapter = 1; chapter <= chapters; chapter++) {
    const response = await send(`payload-${chapter}`);
    answers.push(`${response.status} ${await response.text()}`);
    if (chapter !== 5) continue;
    await served.close();
    await engine.close();
    engine = openEngine(store, [relay]);
    served = await serve(engine, { port: 0, host: "127.0.0.1" });
  }
  const numbers = Array.from({ length: chapters }, (_, index) => index + 1);
  expect(answers).toEqual(numbers.map((chapter) => `200 chapter ${chapter} took payload-${chapter}`));
  expect(await engine.getRun(run.runId).returnValue).toEqual(numbers.map((chapter) => `payload-${chapter}`));
  // The last chapter is over, and so is the hook; what the first one took is still known.
  expect([(await send("payload-1")).status, (await send("late")).status]).toEqual([200, 410]);
  await served.close();
});

/** What one chapter asked of the store, and how much it read. */
interface Cost {
  readonly commands: number;
  readonly read: number;
  readonly heap: number;
}

test(
  "a chapter costs the same however many were before it, in work and in memory",
  async () => {
    const chapters = isLong ? 10_000 : 400;
    const sampleEvery = chapters / 10;
    const costs: Cost[] = [];
    let [commands, read] = [0, 0];
    const store = sqliteStore({ path: join(folder(), "test.db"), clock: systemClock });
    const { commit, chapter, journal } = store;
    store.commit = (group: readonly Command[]) => {
      commands += group.length;
      return commit.call(store, group);
    };
    store.chapter = async (run) => {
      const found = await chapter.call(store, run);
      read += found.events.length + found.inherited.length;
      return found;
    };
    store.journal = async (run, after): ReturnType<Store["journal"]> => {
      const events = await journal.call(store, run, after);
      read += events.length;
      return events;
    };
    const deliver = step("deliver", async (token: string, n: number) => void (await engine.signal(token, n, { key: `key-${n}` })));
    const measure = step("measure", async () => {
      collect();
      costs.push({ commands, read, heap: process.memoryUsage().heapUsed });
      [commands, read] = [0, 0];
    });
    const count = workflow("count", async (n: number, sum: number): Promise<number> => {
      const inbox = createHook<number>({ name: "inbox" });
      createHook({ metadata: n });
      await deliver(inbox.token, n);
      const next = sum + (await inbox);
      if (n % sampleEvery === 0) await measure();
      return n === chapters ? next : continueAsNew([n + 1, next], { carry: [inbox] });
    });
    const engine = openEngine(store, [count]);
    const run = await engine.start(count, [1, 0]);
    expect(await run.returnValue).toBe((chapters * (chapters + 1)) / 2);
    // The first sample has begun the run, and memory has its size only after some.
    const [early, late] = [costs[3] as Cost, costs.at(-1) as Cost];
    expect(late.read).toBe(early.read);
    expect(Math.abs(late.commands - early.commands)).toBeLessThanOrEqual(sampleEvery / 10);
    expect(late.heap - early.heap).toBeLessThan(1_500_000);
    expect(await engine.listRuns()).toMatchObject([{ state: "completed" }]);
  },
  isLong ? 600_000 : 20_000,
);
