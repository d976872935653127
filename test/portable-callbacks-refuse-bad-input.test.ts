// What is sent to the hooks of workflows without an engine is refused where it is no callback, and says nothing of what is inside.

import { expect, test } from "vitest";
import { z } from "zod";
import { createWorkflow, defineHook, ok, pendingHook, type ResumeState } from "../src/portable.ts";
import { memoryResumeStore, resumeHandler, type ResumeRunOptions } from "../src/resume.ts";
import { createManualClock } from "../src/testing/manual-clock.ts";
import { epoch } from "./harness.ts";
import { resuming, runOrder, tell } from "./resuming.ts";

const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);

test.each<[what: string, hookId: string, init: RequestInit, status: number, code: string | null]>([
  ["GET", "r:pay", { method: "GET" }, 405, null],
  ["DELETE", "r:pay", { method: "DELETE" }, 405, null],
  ["OPTIONS", "r:pay", { method: "OPTIONS" }, 204, null],
  ["PUT", "r:pay", { method: "PUT", body: "1" }, 202, null],
  ["PATCH", "r:pay", { method: "PATCH", body: "1" }, 202, null],
  ["no hook id", "", { method: "POST", body: "1" }, 404, null],
  ["a slash at the end", "r:pay/", { method: "POST", body: "1" }, 404, null],
  ["a hook id that is no text", "%ff", { method: "POST", body: "1" }, 404, null],
  ["a hook id of 256 characters", "x".repeat(256), { method: "POST", body: "1" }, 404, null],
  ["no body", "r:pay", { method: "POST" }, 422, "invalid_payload"],
  ["half of JSON", "r:pay", { method: "POST", body: '{"a":' }, 422, "invalid_payload"],
  ["a form", "r:pay", { method: "POST", body: new URLSearchParams({ a: "1" }) }, 422, "invalid_payload"],
  ["bytes that are no UTF-8", "r:pay", { method: "POST", body: new Uint8Array([34, 255, 34]) }, 422, "invalid_payload"],
  ["JSON nested 257 deep", "r:pay", { method: "POST", body: nested(257) }, 422, "invalid_payload"],
  ["JSON nested 100,000 deep", "r:pay", { method: "POST", body: nested(100_000) }, 422, "invalid_payload"],
  ["JSON nested 256 deep", "r:pay", { method: "POST", body: nested(256) }, 202, null],
  ["brackets in text", "r:pay", { method: "POST", body: JSON.stringify('\\"[{'.repeat(1_000)) }, 202, null],
  ["1 MiB and a byte", "r:pay", { method: "POST", body: `"${"x".repeat(1024 * 1024 - 1)}"` }, 413, "too_large"],
  ["1 MiB", "r:pay", { method: "POST", body: `"${"x".repeat(1024 * 1024 - 2)}"` }, 202, null],
  ["a delivery key of 300 characters", "r:pay", { method: "POST", body: "1", headers: { "svix-id": "k".repeat(300) } }, 413, "too_large"],
  ["1 MiB of text nested deep in quotes", "r:pay", { method: "POST", body: '"\\'.repeat(500_000) }, 422, "invalid_payload"],
])("%s", async (_what, hookId, init, status, code) => {
  const { handler, url } = await resuming();
  await handler.start({ runId: "r" });
  const told = await tell(await fetch(url + hookId, init));
  expect(told.status).toBe(status);
  expect(told.text === "" ? null : (JSON.parse(told.text) as { code: string }).code).toBe(code);
  if (status === 405) expect(told.headers.get("allow")).toBe("POST, PUT, PATCH");
  expect(told.text).not.toMatch(/r:pay|Error|\.ts|node_modules/);
  // The wait is as open as before.
  if (status !== 202 && status !== 204) expect(await handler.deliver("r:pay", 1)).toEqual({ disposition: "accepted", keyed: false });
});

test("more than 1 MiB that comes without its length is not read to its end", async () => {
  let pulled = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      pulled++;
      controller.enqueue(new Uint8Array(64 * 1024));
    },
  });
  const handler = resumeHandler({ ...memoryResumeStore(), run: runOrder([]) });
  const told = await handler(new Request("https://a/h", { method: "POST", body, duplex: "half" } as RequestInit));
  expect([told.status, pulled < 20]).toEqual([413, true]);
});

test("a body that the app has read before is our side's slip: come again", async () => {
  const handler = resumeHandler({ ...memoryResumeStore(), run: runOrder([]) });
  const request = new Request("https://a/h", { method: "POST", body: "1" });
  await request.text();
  const told = await tell(await handler(request));
  expect([told.status, told.headers.get("retry-after"), (JSON.parse(told.text) as { code: string }).code]).toEqual([
    503,
    "5",
    "body_consumed",
  ]);
});

test("a key called __proto__ sets nothing", async () => {
  const { handler, post } = await resuming({ answer: "result" });
  await handler.start({ runId: "r" });
  await post("r:pay", '{"a":1,"__proto__":{"isAdmin":true},"\\u005f_proto__":{"isAdmin":true}}');
  const { paid } = JSON.parse((await post("r:ship", "2")).text) as { paid: { a: number; isAdmin?: boolean } };
  expect([paid, paid.isAdmin]).toEqual([{ a: 1 }, undefined]);
});

test.each(["", " (asynchronous)"])("a payload that the hook's schema refuses is told why, and the wait stays open%s", async (how) => {
  const ref = z.object({ ref: z.string() });
  const schema = how === "" ? ref : ref.refine(async () => true);
  const paid = defineHook(`paid${how}`, { schema });
  const workflow = createWorkflow("judged", { wait: async () => paid.pending("h") });
  const { handler, post, clock } = await resuming({
    answer: "result",
    run: (options) => workflow.runWithState(({ step, deps }) => step("wait", () => deps.wait(), { key: "hook:h" }), options),
  });
  // What came early is judged when its hook is there: the first that fits is given.
  await post("h", { ref: 1 });
  await handler.start({ runId: "r" });
  const told = await post("h", { ref: 2 });
  expect(told).toMatchObject({ status: 422, disposition: "invalid" });
  expect(JSON.parse(told.text)).toMatchObject({ code: "invalid_payload", issues: [{ path: ["ref"] }] });
  expect(await handler.deliver("h", {})).toMatchObject({ disposition: "invalid", issues: [{ path: ["ref"] }] });
  clock.advance(1);
  expect(await post("h", { ref: "x", more: 1 })).toMatchObject({ status: 200, text: '{"ref":"x"}' });
  expect(await post("h", { ref: "x", more: 1 })).toMatchObject({ status: 200, disposition: "duplicate" });
});

test("a schema that throws at an early payload keeps no run from its rest; it is judged again, and another payload is taken", async () => {
  const json = z.string().transform((text) => JSON.parse(text) as unknown);
  const parsed = defineHook("parsed", { schema: json });
  const workflow = createWorkflow("parsing", { wait: async () => parsed.pending("h") });
  const errors: unknown[] = [];
  const { handler, clock } = await resuming({
    onError: (error, runId) => void errors.push([String(error).slice(0, 11), runId]),
    run: (options) => workflow.runWithState(({ step, deps }) => step("wait", () => deps.wait(), { key: "hook:h" }), options),
  });
  await handler.deliver("h", "{");
  expect((await handler.start({ runId: "r" })).result).toMatchObject({ error: { hookId: "h" } });
  expect(errors).toEqual([["SyntaxError", "r"]]);
  clock.advance(30_000);
  while (errors.length < 2) await new Promise((resolve) => setImmediate(resolve));
  expect(await handler.deliver("h", "[1]")).toMatchObject({ disposition: "accepted" });
  for (;;) {
    const { result } = await handler.resume("r");
    if (result?.ok) return expect(result).toEqual(ok([1]));
    await new Promise((resolve) => setImmediate(resolve));
  }
});

test("what was written by a later version, or by nobody of ours, is neither read nor overwritten", async () => {
  for (const text of ['{"kind":"ResumeHook","version":2,"early":[]}', "null", "nonsense", '{"kind":"ResumeRun","version":1}']) {
    const store = memoryResumeStore();
    const { post } = await resuming(store);
    const version = await store.save("ResumeHook/h", text, { expected: null });
    expect((await post("h", 1)).status).toBe(503);
    expect(await store.load("ResumeHook/h")).toEqual({ text, version });
  }
});

test("an id that two runs wait for is refused to the second, and free when the first is over", async () => {
  const clock = createManualClock(epoch);
  const workflow = createWorkflow("same", { wait: async () => pendingHook<number>("h") });
  const done: string[] = [];
  const handler = resumeHandler({
    ...memoryResumeStore({ clock }),
    clock,
    run: (options) =>
      workflow.runWithState(async ({ step, deps }) => {
        const value = await step("wait", () => deps.wait(), { key: "hook:h" });
        await step("then", () => ok(void done.push("then")));
        return value;
      }, options),
  });
  await handler.start({ runId: "one" });
  const refused = await handler.start({ runId: "two" });
  expect(refused.result).toMatchObject({
    ok: false,
    error: { _tag: "UnexpectedError", message: expect.stringContaining("Another run") as string },
  });
  await handler.deliver("h", 1);
  while (done.length === 0) await new Promise((resolve) => setImmediate(resolve));
  while ((await handler.resume("one")).result === null) await new Promise((resolve) => setImmediate(resolve));
  expect((await handler.start({ runId: "three" })).result).toMatchObject({ error: { hookId: "h" } });
  expect(await handler.deliver("h", 3)).toMatchObject({ disposition: "accepted" });
});

test("code that no longer asks for what was answered ends nothing: the run is kept for the code that does", async () => {
  const clock = createManualClock(epoch);
  const store = memoryResumeStore({ clock });
  const errors: unknown[] = [];
  await resumeHandler({ ...store, clock, run: runOrder([]) }).start({ runId: "r" });
  const other = createWorkflow("order", { wait: async () => pendingHook("else") });
  const changed = resumeHandler({
    ...store,
    clock: { now: () => clock.now(), alarm: () => () => {} }, // a process that does not live to look again
    onError: (error) => void errors.push(error),
    run: (options) => other.runWithState(({ step, deps }) => step("else", () => deps.wait(), { key: "hook:else" }), options),
  });
  expect(await changed.deliver("r:pay", 1)).toMatchObject({ disposition: "accepted" });
  while (errors.length === 0) await new Promise((resolve) => setImmediate(resolve));
  expect(errors[0]).toMatchObject({ _tag: "StateMismatch" });
  clock.advance(60_000);
  const done: string[] = [];
  const { result } = await resumeHandler({ ...store, clock, run: runOrder(done) }).resume("r");
  expect([result, done]).toMatchObject([{ error: { hookId: "r:ship" } }, ["pack"]]);
});

test.each<[what: string, hand: (options: ResumeRunOptions) => Partial<ResumeRunOptions>]>([
  ["nothing", () => ({})],
  ["no state", ({ checkpoint }) => ({ checkpoint })],
  ["no checkpoint", ({ resumeState }) => ({ resumeState })],
])("a run() that hands on %s is told of at its first wait, and nothing of it is kept", async (_what, hand) => {
  const store = memoryResumeStore();
  const workflow = createWorkflow("slip", { wait: async () => pendingHook("h") });
  const handler = resumeHandler({
    ...store,
    run: (options) => workflow.runWithState(({ step, deps }) => step("wait", () => deps.wait()), hand(options)),
  });
  await expect(handler.start({ runId: "r" })).rejects.toThrow("run: (options) => workflow.runWithState(body, options)");
  expect(JSON.parse((await store.load("ResumeRun/r"))?.text ?? "")).toMatchObject({ state: { events: [{ id: "r" }] } });
});

test("what goes on behind an answer is handed to the platform", async () => {
  const behind: Promise<unknown>[] = [];
  const { handler, post } = await resuming({ waitUntil: (promise) => void behind.push(promise) });
  await handler.start({ runId: "r" });
  await post("r:pay", 1);
  await Promise.all(behind);
  expect(await post("r:pay", 1)).toMatchObject({ disposition: "duplicate" });
  expect(behind.length).toBe(1);
});

test.each<[what: string, options: object, missing: string]>([
  ["no store", { run: runOrder([]) }, "load"],
  ["a store that was not spread", { store: memoryResumeStore(), run: runOrder([]) }, "load"],
  ["nothing to run", memoryResumeStore(), "run"],
])("a handler that is given %s says so when it is made", (_what, options, missing) => {
  expect(() => resumeHandler(options as never)).toThrow(`resumeHandler() was given no ${missing}(). Spread a store into its options`);
});

test("a run's id is text, and stands in an object", async () => {
  const handler = resumeHandler({ ...memoryResumeStore(), run: runOrder([]) });
  await expect(handler.start("order-1" as never)).rejects.toThrow("start() takes one object: start({ runId, input }).");
  await expect(handler.start({ runId: 7 as never })).rejects.toThrow("A run id is text of 1 to 255 characters");
});

test("what run() is given is handed on: a run whose hooks no callback would find does not rest", async () => {
  const waiting = createWorkflow("waiting", { wait: (id: string) => pendingHook(id) });
  const runs: ((options: { readonly resumeState: ResumeState }) => Promise<unknown>)[] = [
    () => waiting.runWithState(({ step, deps }) => step("wait", () => deps.wait("h"))),
    ({ resumeState }) => waiting.runWithState(({ step, deps }) => step("wait", () => deps.wait("h")), { resumeState }),
    (options) => waiting.run(({ step, deps }) => step("wait", () => deps.wait("h")), options),
    async () => {},
  ];
  for (const run of runs) {
    const handler = resumeHandler({ ...memoryResumeStore(), run: run as never, clock: createManualClock(epoch) });
    await expect(handler.start({ runId: "r" })).rejects.toThrow("run: (options) => workflow.runWithState(body, options)");
  }
});
