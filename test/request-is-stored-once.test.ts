// A webhook's request stands once in the database, however often code writes it again, whoever reads it: everything else is a reference
// to its delivery.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, onTestFinished, test } from "vitest";
import { resumeHook, start } from "../src/api.ts";
import { createHook, createWebhook, sleep, step, workflow } from "../src/index.ts";
import { CapturedRequest } from "../src/core/request.ts";
import { memoryStore } from "../src/store/memory/store.ts";
import { createEngine } from "../src/wiring.ts";
import { createWorld, epoch, testKeys, type World } from "./harness.ts";
import { createManualClock } from "../src/testing/manual-clock.ts";

const body = `the one body: ${"0123456789".repeat(20)}`;

/** Places in the file, and in its write-ahead log, that hold the body; what was written over does not count. */
async function copies(world: World): Promise<number> {
  for (const engine of world.engines) await engine.close({ graceMs: 0 });
  const bytes = readFileSync(world.path as string);
  let count = 0;
  for (const form of [body, Buffer.from(body).toString("base64").slice(0, -4)])
    for (let at = bytes.indexOf(form); at >= 0; at = bytes.indexOf(form, at + 1)) count++;
  return count;
}

let url = "";
const opened = (): ReturnType<typeof createWebhook> => createWebhook();
const give = step("give", async (given: string) => void (url = given));
const digest = (text: string): string => createHash("sha256").update(text).digest("hex");
/** What tells that the body was read, without writing it a second time. */
const expected = digest(body);
const read = step("read", async (request: Request) => digest(await request.text()));
const same = step("same", async (request: Request) => request);
const child = workflow("child", async (request: Request) => {
  await sleep("1s");
  return { request, text: await read(request) };
});

/** What code does with the request, and what it comes to. */
const uses: { readonly [name: string]: (request: Request) => Promise<unknown> } = {
  "read and no more": async (request) => digest(await request.text()),
  "passed to a step": read,
  "passed through steps": async (request) => read(await same(await same(request))),
  "returned by the workflow": async (request) => request,
  "in an object, a Map, an array and an error": async (request) => {
    const held = await step.run("hold", () => ({
      list: [request],
      map: new Map([["r", request]]),
      error: new Error("x", { cause: request }),
    }));
    expect(held.list[0]).toBe(held.map.get("r"));
    await sleep("1s");
    return read(held.error.cause as Request);
  },
  "cloned, and read before": async (request) => {
    const clone = request.clone() as Request;
    await request.text();
    await sleep("1s");
    return [await read(clone), await read(request)];
  },
  "read in part, as a stream": async (request) => {
    const reader = (request.body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    await sleep("1s");
    return read(request);
  },
  "passed to a child, which gives it back": async (request) => {
    const { returnValue } = await start(child, [request]);
    const back = await returnValue;
    await sleep("2s");
    return [back.text, await read(back.request)];
  },
  "thrown in a step, and caught": async (request) => {
    const thrown = await step
      .run("throw", () => Promise.reject(Object.assign(new Error("no"), { request })), { maxRetries: 0 })
      .catch((error: unknown) => error);
    await sleep("1s");
    return read((thrown as { request: Request }).request);
  },
};

describe("its bytes are in the file once", () => {
  test.each(Object.entries(uses))("%s", async (_name, use) => {
    const wf = workflow("uses", async () => {
      const hook = opened();
      await give(hook.url);
      return use(await hook);
    });
    const world = await createWorld([wf, child], { mode: "hot" });
    const run = await world.start(wf);
    await world.engine.ingress(new Request(url, { method: "POST", body, headers: { "x-test": "kept" } }));
    await world.settled();
    await world.restart();
    for (let second = 0; second < 6; second++) await world.advance(1_000);
    const result = await world.engine.getRun(run.runId).returnValue;
    for (const part of [result].flat()) {
      if (!(part instanceof Request)) expect(part).toBe(expected);
      else expect([await part.text(), part.headers.get("x-test"), part.url]).toEqual([body, "kept", url]);
    }
    expect(await copies(world)).toBe(1);
  });
});

test("one that belongs to another run is found by whoever is given it: a run's result, a hook's payload", async () => {
  const first = workflow("first", async () => {
    const hook = opened();
    await give(hook.url);
    const request = await hook;
    await step.run("pass on", async () => void (await resumeHook("second", { request })));
    return request;
  });
  const second = workflow("second", async () => {
    const { request } = await createHook<{ request: Request }>({ token: "second" });
    await sleep("1s");
    return read(request);
  });
  const world = await createWorld([first, second], { mode: "hot" });
  const [a, b] = [await world.start(second), await world.start(first)];
  await world.engine.ingress(new Request(url, { method: "POST", body }));
  await world.settled();
  await world.restart();
  await world.advance(1_000);
  expect(await world.engine.getRun<string>(a.runId).returnValue).toBe(expected);
  const result = await world.engine.getRun<Request>(b.runId).returnValue;
  expect(CapturedRequest.isCaptured(result)).toBe(true);
  // Handed on by a host, as any value.
  const again = await world.start(second);
  await world.engine.resumeHook("second", { request: result });
  await world.settled();
  await world.advance(1_000);
  expect(await again.returnValue).toBe(expected);
  expect(await copies(world)).toBe(1);
});

test("in another store its delivery is unknown, or another's: there it is written whole", async () => {
  const returns = workflow("returns", async () => {
    const hook = opened();
    await give(hook.url);
    return hook;
  });
  const world = await createWorld([returns]);
  const run = await world.start(returns);
  await world.engine.ingress(new Request(url, { method: "POST", body }));
  const request = (await run.returnValue) as Request;
  const clock = createManualClock(epoch);
  const reads = workflow("reads elsewhere", async (given: Request) => [given.url, await read(given)]);
  const other = createEngine({
    store: memoryStore({ clock }),
    clock,
    keys: testKeys,
    baseUrl: "https://b.example",
    logger: false,
    workflows: [reads, returns],
  });
  onTestFinished(() => other.close({ graceMs: 0 }));
  const there = await other.start(returns, []);
  expect(there.runId).not.toBe(run.runId);
  expect(await (await other.start(reads, [request])).returnValue).toEqual([request.url, expected]);
});

test("a copy that code makes is a request of its own, and the reference stays one", async () => {
  const wf = workflow("copies", async () => {
    const hook = opened();
    await give(hook.url);
    const request = await hook;
    const changed = new Request("https://other.example/", { method: "POST", body: (await request.clone().text()).toUpperCase() });
    return [await read(changed), await read(request)];
  });
  const world = await createWorld([wf], { mode: "hot" });
  const run = await world.start(wf);
  await world.engine.ingress(new Request(url, { method: "POST", body }));
  expect(await run.returnValue).toEqual([digest(body.toUpperCase()), expected]);
});
