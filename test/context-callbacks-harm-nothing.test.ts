// What whoever has a callback's URL, and whoever has none, can do to runs of the context style: deliver to that one webhook, each key
// once, whenever it is. Nothing of it waits for the run's code.

import { createHmac } from "node:crypto";
import { expect, onTestFinished, test, vi } from "vitest";
import { z } from "zod";
import { createWebhook } from "../src/index.ts";
import { defineWorkflow, FatalError, type FunctionWorkflow, WorkflowEngine } from "../src/context.ts";
import { sqliteStore } from "../src/store/sqlite/store.ts";
import type { Store } from "../src/store/port.ts";
import { createEngine, type Engine } from "../src/wiring.ts";
import { json, request, route, waiting } from "./context/callback.ts";
import { type ContextWorld, createContextWorld, publicUrl } from "./context/world.ts";
import { testKeys } from "./harness.ts";
import { served } from "./http.ts";

const isLong = process.env["RINGBACK_LONG"] === "1";
const forgeries = isLong ? 10_000 : 1_000;
const nothing = undefined as never;

/** A provider that calls the engine over HTTP. */
async function provider(world: ContextWorld): Promise<(token: string, init?: RequestInit) => Promise<{ status: number; text: string }>> {
  const { port } = await served(world.world.engines[0] as Engine);
  return async (token, init = {}) => {
    const response = await fetch(`http://127.0.0.1:${port}${route}${token}`, { method: "POST", headers: json, body: "{}", ...init });
    return { status: response.status, text: await response.text() };
  };
}

/** Names each call of the store from now on. */
function spied(store: Store): string[] {
  const calls: string[] = [];
  const names = new Set([...Object.keys(store), ...Object.getOwnPropertyNames(Object.getPrototypeOf(store))]);
  for (const name of names) {
    const method = (store as unknown as Record<string, unknown>)[name];
    if (typeof method !== "function" || ["constructor", "now", "subscribe", "close"].includes(name)) continue;
    Object.assign(store, {
      [name]: (...args: unknown[]) => (calls.push(name), (method as (...a: unknown[]) => unknown).apply(store, args)),
    });
  }
  return calls;
}

/** Another connection to the world's file, as of a process that only takes callbacks; without the workflows' code unless it is given. */
function doorBeside({ path, clock }: ContextWorld, workflows: readonly FunctionWorkflow[] = []): WorkflowEngine {
  const store = sqliteStore({ path: path as string, clock });
  const door = createEngine({
    store,
    role: "ingress",
    baseUrl: null,
    webhookUrl: publicUrl,
    keys: testKeys,
    clock,
    workflows: [],
    logger: false,
  });
  onTestFinished(() => door.close());
  return new WorkflowEngine(door, { workflows });
}

test("a callback that comes while its URL is still being handed out, or long before the wait, is taken and there at once", async () => {
  const log: unknown[] = [];
  let call: (body: string) => Promise<number>;
  const early = defineWorkflow({ name: "early" }, async (ctx) => {
    const hook = ctx.webhook<{ n: number }>();
    call = async (body) => (await send(hook.token, { body })).status;
    log.push(await ctx.step("start payment", () => call(`{"n":1}`)));
    log.push(await hook.wait({ timeout: "1s" }));
    await ctx.step("once more", () => call(`{"n":2}`));
    await ctx.sleep("1h");
    return hook.wait();
  });
  const world = await createContextWorld({ workflows: [early] });
  const send = await provider(world);
  const run = await world.engine.start(early, nothing);
  await world.settled();
  expect(log.slice(-2)).toEqual([202, { n: 1 }]);
  await world.advance(3_600_000);
  expect(await run.returnValue).toEqual({ n: 2 });
});

test(`tokens cannot be guessed: ${forgeries} of the right shape, for runs and places that are there, never reach the store`, async () => {
  const { waits, tokens } = waiting();
  const world = await createContextWorld({ workflows: [waits] }, { rateLimit: false });
  const runs = [];
  for (const id of ["order-1", "order-2"]) runs.push(await world.engine.start(waits, nothing, id));
  await world.settled();
  const [own, other] = [tokens.get("order-1") as string, tokens.get("order-2") as string];
  expect(own).not.toContain("order");
  const [, kid, runKey, place, mac] = own.split(":") as [string, string, string, string, string];
  const forged = Array.from({ length: forgeries }, (_, n) => {
    const guess = createHmac("sha512", `${n}`).digest("base64url").slice(0, mac.length);
    return `wh:${kid}:${runKey}:${n % 2 === 0 ? place : `${n % 50}.0`}:${guess}`;
  });
  forged.push(`wh:${kid}:${other.split(":")[2]}:${place}:${mac}`); // the proof of one run for another
  const calls = spied(world.store);
  const { ingress } = world.world.engine;
  for (const token of forged) expect((await ingress(request(token))).status).toBe(404);
  for (const token of forged.slice(-100)) expect(await world.engine.signal(token, 1)).toMatchObject({ disposition: "unknown" });
  expect(calls).toEqual([]);
  await world.restart();
  expect(await Promise.all(runs.map(({ runId }) => world.engine.getRun(runId).state))).toEqual(["waiting", "waiting"]);
  expect((await world.post(publicUrl(own), { mine: true })).status).toBe(202);
  expect(await world.engine.getRun("order-1").returnValue).toEqual({ mine: true });
});

test("50 repeats of one key at once, through two connections to one file: one is taken, and all are told the same", async () => {
  const tokens: string[] = [];
  const collects = defineWorkflow({ name: "collects" }, async (ctx) => {
    const hook = ctx.webhook<number>();
    await ctx.step("hand out", () => void tokens.push(hook.token));
    const got: number[] = [];
    for await (const n of hook) {
      if (n < 0) return got;
      got.push(n);
    }
    return got;
  });
  const world = await createContextWorld({ workflows: [collects] }, { mode: "hot" });
  const door = doorBeside(world).engine as Engine;
  const run = await world.engine.start(collects, nothing);
  await world.settled();
  const [token = ""] = tokens;
  const engines = [world.world.engine, door];
  const send = async (n: number, key: string, value: number): Promise<[number, string | null, string | null]> => {
    const { status, headers } = await (engines[n % 2] as Engine).ingress(request(token, { "idempotency-key": key }, String(value)));
    return [status, headers.get("ringback-disposition"), headers.get("ringback-delivery")];
  };
  const told = await Promise.all(Array.from({ length: 50 }, (_, n) => send(n, "evt_1", 7)));
  expect(told.filter(([, disposition]) => disposition === "accepted")).toHaveLength(1);
  expect(told.filter(([, disposition]) => disposition === "duplicate")).toHaveLength(49);
  expect(new Set(told.map(([status, , id]) => `${status} ${id}`)).size).toBe(1);
  const others = await Promise.all(Array.from({ length: 50 }, (_, n) => send(n, `other_${n}`, n)));
  expect(others.every(([status, disposition]) => status === 202 && disposition === "accepted")).toBe(true);
  await world.world.engine.ingress(request(token, {}, "-1"));
  await world.advance(200); // the worker hears of what the other connection wrote
  const got = (await run.returnValue) as number[];
  expect([got[0], got.slice(1).sort((a, b) => a - b)]).toEqual([7, Array.from({ length: 50 }, (_, n) => n)]);
});

test("the public route reaches webhooks alone: no signal, update, breakpoint or child, however its address is written", async () => {
  const guarded = defineWorkflow({ name: "guarded" }, async (ctx) => {
    const update = ctx.onUpdate<number>("limit", { validate: (n) => (n > 0 ? undefined : "must be above 0") });
    const signal = ctx.waitForSignal<string>("approve:1");
    await ctx.breakpoint("look");
    return [await update, await signal];
  });
  const world = await createContextWorld({ workflows: [guarded] });
  const send = await provider(world);
  await world.engine.start(guarded, nothing, "g-1");
  await world.settled();
  const before = await world.journal({ runId: "g-1" });
  const addresses = ["approve:1", "$update:g-1:limit", "$breakpoint:g-1", "child:g-1", "g-1", "wh:g-1:0"];
  for (const address of addresses)
    for (const token of [address, encodeURIComponent(address), `../webhook/${encodeURIComponent(address)}`])
      for (const method of ["POST", "PUT", "PATCH"])
        expect([token, await send(token, { method })]).toEqual([token, { status: 404, text: "" }]);
  // Nor does server code that hands a request over by mistake.
  for (const address of addresses) expect((await world.world.engine.resumeWebhook(address, request("x"))).status).toBe(404);
  // A route of the app's that passes the token of its URL on to `engine.signal` reaches what waits for signals, and nothing else.
  for (const address of addresses.filter((each) => each.startsWith("$")))
    expect(await world.engine.signal(address, 0, { early: true })).toEqual({ disposition: "unknown", keyed: false });
  await world.settled();
  expect(await world.journal({ runId: "g-1" })).toEqual(before);
  expect(await world.engine.update("g-1", "limit", 0)).toMatchObject({ disposition: "invalid" });
  await world.engine.update("g-1", "limit", 1);
  await world.engine.signal("approve:1", "yes");
  await world.engine.continue("g-1");
  expect(await world.engine.getRun("g-1").returnValue).toEqual([1, "yes"]);
});

test("an update reaches the run and the name it is for, however ids and names are written", async () => {
  const limited = defineWorkflow({ name: "limited" }, async (ctx, name: string) => ctx.onUpdate<string>(name));
  const world = await createContextWorld({ workflows: [limited] });
  const runs = { "a:b": "c", a: "b:c", b: "b%3Ac", [`${"x".repeat(250)}:y`]: "c:d" };
  for (const [id, name] of Object.entries(runs)) await world.engine.start(limited, name, id);
  await world.settled();
  // Run "b" may ask for that name, too: it is kept, and is not what the run asks for now.
  expect(await world.engine.update("b", "b:c", "another name's")).toMatchObject({ disposition: "buffered" });
  await expect(world.engine.update("b", undefined as never, 1)).rejects.toMatchObject({ code: "bad_argument" });
  for (const [id, name] of Object.entries(runs)) await world.engine.update(id, name, `for ${id}`);
  for (const id of Object.keys(runs)) expect(await world.engine.getRun(id).returnValue).toBe(`for ${id}`);
});

test("a provider needs no credentials where operators do, and what lets providers in lets nobody operate", async () => {
  const { waits, tokens } = waiting();
  const asked = vi.fn<(request: Request) => boolean>(() => false);
  const world = await createContextWorld({ workflows: [waits] }, { admin: { authorize: asked } });
  const run = await world.engine.start(waits, nothing, "o-1");
  await world.settled();
  const send = await provider(world);
  const { admin, ingress } = world.world.engines[0] as Engine;
  const at = `https://api.example/.well-known/workflow/v1/admin`;
  for (const path of ["runs", "runs/o-1/cancel", "purge"]) {
    const method = path === "runs" ? "GET" : "POST";
    expect((await admin(new Request(`${at}/${path}`, { method }))).status).toBe(403);
    expect((await ingress(new Request(`${at}/${path}`, { method }))).status).toBe(404);
  }
  expect((await admin(request(tokens.get("o-1") as string))).status).toBe(403);
  const seen = asked.mock.calls.length;
  expect((await send(tokens.get("o-1") as string, { body: `"in"` })).status).toBe(202);
  expect([await run.returnValue, asked.mock.calls.length]).toEqual(["in", seen]);
});

test("a sender is answered when its delivery is stored: not by the code that goes on, and with nothing of what that does", async () => {
  let release = (): void => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  const tokens: string[] = [];
  const secretive = defineWorkflow({ name: "secretive" }, async (ctx) => {
    const hook = ctx.webhook();
    await ctx.step("hand out", () => void tokens.push(hook.token));
    await hook.wait();
    await ctx.step("settle", () => held);
    throw new FatalError("the ledger at 10.0.0.7 is out of balance", "ledger");
  });
  const world = await createContextWorld({ workflows: [secretive] }, { logger: false });
  const send = await provider(world);
  const run = await world.engine.start(secretive, nothing);
  await world.settled();
  const [token = ""] = tokens;
  expect(await send(token)).toEqual({ status: 202, text: "" }); // while the step is held
  expect(await world.engine.signal(token, {}, { key: "k" })).toMatchObject({ disposition: "accepted" });
  expect(["running", "waiting"]).toContain(await run.state);
  release();
  await expect(run.returnValue).rejects.toMatchObject({ cause: { code: "ledger" } });
  const late = await send(token);
  expect(late.status).toBe(410);
  expect(late.text).not.toMatch(/ledger|10\.0\.0\.7|at /);
});

test("a webhook takes JSON by any JSON type and forms, and nothing else; who must see the bytes has the request itself", async () => {
  const urls: string[] = [];
  const secret = "whsec";
  const verifies = defineWorkflow({ name: "verifies" }, async (ctx) => {
    const hook = ctx.webhook();
    const raw = createWebhook({ respondWith: "manual", methods: ["GET", "POST"] });
    await ctx.step("hand out", () => void urls.push(hook.token, raw.token));
    const got: unknown[] = [];
    for await (const value of hook) if (got.push(value) === 3) break;
    const challenge = await raw;
    await ctx.step("confirm", async () => challenge.respondWith(new Response(new URL(challenge.url).searchParams.get("hub.challenge"))));
    const signed = await raw;
    const bytes = await signed.text();
    await ctx.step("answer", () => signed.respondWith(new Response("EVENT_RECEIVED", { status: 200 })));
    const isGenuine = createHmac("sha256", secret).update(bytes).digest("hex") === signed.headers.get("x-signature");
    return [got, isGenuine, bytes];
  });
  const world = await createContextWorld({ workflows: [verifies] });
  const send = await provider(world);
  const run = await world.engine.start(verifies, nothing);
  await world.settled();
  const [token = "", raw = ""] = urls;
  const typed = (type: string, body: string) => send(token, { headers: { "content-type": type }, body });
  for (const type of ["text/xml", "text/plain", "multipart/form-data; boundary=x", "application/octet-stream"])
    expect([type, (await typed(type, "<a/>")).status]).toEqual([type, 422]);
  expect((await typed("application/json", "")).status).toBe(422);
  for (const method of ["GET", "DELETE"]) expect((await send(token, { method, body: null })).status).toBe(405);
  expect((await typed("application/json; charset=utf-8", `{"a":1}`)).status).toBe(202);
  expect((await typed("application/vnd.api+json", `{"a":2}`)).status).toBe(202);
  expect((await typed("application/x-www-form-urlencoded", "a=3")).status).toBe(202);
  expect(await send(`${raw}?hub.challenge=42`, { method: "GET", body: null })).toEqual({ status: 200, text: "42" });
  const body = `{ "b" : 1,  "a":2 }\n`;
  const headers = { "x-signature": createHmac("sha256", secret).update(body).digest("hex") };
  expect(await send(raw, { headers, body })).toEqual({ status: 200, text: "EVENT_RECEIVED" });
  expect(await run.returnValue).toEqual([[{ a: 1 }, { a: 2 }, { a: "3" }], true, body]);
});

test("a form with one name a quarter of a million times is read in a moment", async () => {
  const counts = defineWorkflow({ name: "counts" }, async (ctx) => {
    const hook = ctx.webhook<{ a: string[] }>();
    await ctx.setEvent("token", hook.token);
    return (await hook.wait()).a.length;
  });
  const world = await createContextWorld({ workflows: [counts] });
  const send = await provider(world);
  const run = await world.engine.start(counts, nothing);
  await world.settled();
  const headers = { "content-type": "application/x-www-form-urlencoded" };
  expect((await send((await world.engine.getEvent(run.runId, "token"))!, { headers, body: "a&".repeat(250_000) })).status).toBe(202);
  expect(await run.returnValue).toBe(250_000);
});

test("a webhook takes one callback after another until it is closed, and is found in lists by its run", async () => {
  const tokens: string[] = [];
  const many = defineWorkflow({ name: "many" }, async (ctx) => {
    const hook = ctx.webhook<number>({ metadata: { order: "o-1" }, timeout: "1d" });
    await ctx.step("hand out", () => void tokens.push(hook.token));
    let sum = 0;
    for await (const n of hook) {
      sum += n;
      if (n === 3) hook.close();
    }
    await ctx.waitForSignal("go");
    return sum;
  });
  const world = await createContextWorld({ workflows: [many] });
  const send = await provider(world);
  const run = await world.engine.start(many, nothing);
  await world.settled();
  const engine = world.engine.engine as Engine;
  const open = await engine.listHooks({ runId: run.runId });
  expect(open).toMatchObject([{ runId: run.runId, isWebhook: true, metadata: { order: "o-1" } }]);
  for (const n of [1, 2]) expect((await send(tokens[0] as string, { body: `${n}` })).status).toBe(202);
  await world.settled();
  await world.restart();
  expect((await world.post(publicUrl(tokens[0] as string), 3)).status).toBe(202);
  expect((await world.post(publicUrl(tokens[0] as string), 4)).status).toBe(410);
  const now = world.engine.engine as Engine;
  expect((await now.listHooks({ runId: run.runId })).map(({ isWebhook }) => isWebhook)).toEqual([false]);
  await world.engine.signal("go", null);
  expect(await world.engine.getRun(run.runId).returnValue).toBe(6);
});

test("a process that only takes callbacks, and has none of the code, serves the worker beside it", async () => {
  const { waits, tokens } = waiting();
  const asks = defineWorkflow({ name: "asks" }, async (ctx) => {
    await ctx.setEvent("state", "asked");
    return [await ctx.waitForSignal("thin"), await ctx.onUpdate("limit")];
  });
  const world = await createContextWorld({ workflows: [waits, asks] }, { mode: "hot" });
  const thin = doorBeside(world);
  const { port } = await served(thin.engine as Engine);
  await world.engine.start(waits, nothing, "w");
  await world.engine.start(asks, nothing, "a");
  await world.settled();
  const called = await fetch(`http://127.0.0.1:${port}${route}${tokens.get("w")}`, { method: "POST", headers: json, body: `"thin"` });
  expect(called.status).toBe(202);
  expect(await thin.signal("thin", 1)).toMatchObject({ disposition: "accepted" });
  expect(await thin.getEvent("a", "state")).toBe("asked");
  for (let at = 0; at < 3; at++) await world.advance(100); // the worker hears of it
  expect(await thin.update("a", "limit", 2)).toMatchObject({ disposition: "accepted" });
  for (let at = 0; at < 3; at++) await world.advance(100);
  expect(await Promise.all(["w", "a"].map((id) => thin.getRun(id).returnValue))).toEqual(["thin", [1, 2]]);
});

test("what a schema must judge is judged by such a process that has the code; one that has not asks its sender to come again", async () => {
  const tokens: string[] = [];
  const judged = defineWorkflow({ name: "judged" }, async (ctx) => {
    const hook = ctx.webhook({ schema: z.object({ n: z.number() }) });
    await ctx.step("hand out", () => void tokens.push(hook.token));
    const limit = ctx.onUpdate<number>("limit", { validate: (n) => (n > 0 ? undefined : "must be above 0") });
    return [await hook.wait(), await limit];
  });
  const world = await createContextWorld({ workflows: [judged] }, { mode: "hot" });
  await world.engine.start(judged, nothing, "j");
  await world.settled();
  const [without, having] = [doorBeside(world), doorBeside(world, [judged])];
  const send = async (door: WorkflowEngine, n: unknown): Promise<number> =>
    (await (door.engine as Engine).ingress(request(tokens[0] as string, {}, JSON.stringify({ n })))).status;
  expect([await send(without, 1), await send(having, "one"), await send(having, 1)]).toEqual([503, 422, 202]);
  await expect(without.update("j", "limit", 1)).rejects.toMatchObject({ code: "schema_unavailable" });
  expect(await having.update("j", "limit", 0)).toMatchObject({ disposition: "invalid", issues: [{ message: "must be above 0" }] });
  expect(await having.update("j", "limit", 1)).toMatchObject({ disposition: "accepted" });
  for (let at = 0; at < 3; at++) await world.advance(100); // the worker hears of it
  expect(await world.engine.getRun("j").returnValue).toEqual([{ n: 1 }, 1]);
});

test("one signal is for one run, by its token: all of many that wait are reached, and no sender waits for any of them", async () => {
  let release = (): void => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  const listens = defineWorkflow({ name: "listens" }, async (ctx, n: number) => {
    const got = await ctx.waitForSignal<{ a: number; b: number }>(`order:${n}:shipped`);
    await ctx.step("long", () => held);
    return [n, got];
  });
  const world = await createContextWorld({ workflows: [listens] }, { concurrency: 2 });
  const runs = await Promise.all(Array.from({ length: isLong ? 500 : 60 }, (_, n) => world.engine.start(listens, n)));
  await world.settled();
  for (const n of runs.keys()) {
    expect(await world.engine.signal(`order:${n}:shipped`, { a: n, b: 0 }, { key: "k" })).toMatchObject({ disposition: "accepted" });
    // What makes two deliveries one is their key, not how they are written.
    expect(await world.engine.signal(`order:${n}:shipped`, { b: 0, a: n }, { key: "k" })).toMatchObject({ disposition: "duplicate" });
  }
  for (const run of runs) expect(["pending", "running", "waiting"]).toContain(await run.state);
  release();
  for (const [n, run] of runs.entries()) expect(await run.returnValue).toEqual([n, { a: n, b: 0 }]);
});
