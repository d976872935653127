// A delivery that comes before its hook is kept where that is wanted, and given to the hook that claims its token: once, in order, judged.

import { readFileSync } from "node:fs";
import { describe, expect, onTestFinished, test } from "vitest";
import * as z from "zod";
import { createHook, createWebhook, defineHook, sleep, workflow } from "../src/index.ts";
import type { StandardSchema } from "../src/core/definition.ts";
import { sqliteStore } from "../src/store/sqlite/store.ts";
import { createEngine } from "../src/wiring.ts";
import { coldModes, createWorld, testKeys, type World } from "./harness.ts";
import { leaks } from "./leak.ts";

const hour = 3_600_000;

describe.each(coldModes)("%s", (mode) => {
  const world = (workflows: Parameters<typeof createWorld>[0], early?: string | string[]): Promise<World> =>
    createWorld(workflows, { mode, ...(early === undefined ? {} : { early }) });

  test("by call: it is buffered, and read when the hook is there; a repeat of its key is one, before and after", async () => {
    const wf = workflow("early reader", async () => {
      const hook = createHook<string>({ token: "chat:1" });
      return [await hook, await hook];
    });
    const { engine, start } = await world([wf]);
    const first = await engine.resumeHook("chat:1", "one", { key: "k1", early: true });
    expect(first).toEqual({ runId: undefined, hookId: undefined, token: "chat:1", metadata: undefined, delivery: first.delivery });
    expect(first.delivery).toMatchObject({ disposition: "buffered", keyed: true, id: expect.stringMatching(/^dlv_/) });
    const again = { disposition: "duplicate", keyed: true, id: first.delivery.id };
    expect(await engine.signal("chat:1", "one", { key: "k1", early: true })).toEqual(again);
    expect(await engine.signal("chat:1", "two", { early: true })).toMatchObject({ disposition: "buffered", keyed: false });
    const run = await start(wf);
    expect(await run.returnValue).toEqual(["one", "two"]);
    expect(await engine.signal("chat:1", "one", { key: "k1" })).toEqual(again);
    expect((await run.timeline).filter(({ event }) => event === "hook_received")).toHaveLength(2);
  });

  test("by pattern, and not where the call or no pattern says so", async () => {
    const { engine } = await world([], ["slack:*", "a*b*c"]);
    const told = async (token: string, early?: boolean): Promise<string> =>
      (await engine.signal(token, 1, early === undefined ? {} : { early })).disposition;
    expect(await told("slack:")).toBe("buffered");
    expect(await told("slack:C1")).toBe("buffered");
    expect(await told("slack:C1", false)).toBe("unknown");
    expect(await told("teams:C1")).toBe("unknown");
    expect(await told("teams:C1", true)).toBe("buffered");
    expect([await told("abc"), await told("a-b-c"), await told("ac"), await told("ab-cd")]).toEqual([
      "buffered",
      "buffered",
      "unknown",
      "unknown",
    ]);
    expect(await told("wh:no:such.thing:1.1:x", true)).toBe("unknown");
  });

  test("the schema of the hook that claims the token judges it then: what fits is read, what does not is refused, and kept", async () => {
    const amount = defineHook({ schema: z.object({ amount: z.coerce.number() }) });
    const wf = workflow("judged early", async () => {
      const hook = amount.create({ token: "order:1" });
      return [await hook, await hook];
    });
    const { engine, start, settled } = await world([wf]);
    await engine.signal("order:1", { amount: "5" }, { early: true, key: "a" });
    await engine.signal("order:1", { amount: "no number" }, { early: true });
    await engine.signal("order:1", { amount: 7 }, { early: true });
    const run = await start(wf);
    expect(await run.returnValue).toEqual([{ amount: 5 }, { amount: 7 }]);
    await settled();
    expect(await engine.listRefused()).toMatchObject([{ reason: "invalid", token: "order:1", detail: expect.stringMatching(/number/i) }]);
  });

  test("over a restart, and where the claim came while nobody could judge", async () => {
    const amount = defineHook({ schema: z.number() });
    const wf = workflow("early over a restart", async () => amount.create({ token: "order:2" }));
    const w = await world([wf]);
    await w.engine.signal("order:2", 1, { early: true });
    await w.restart();
    expect(await (await w.start(wf)).returnValue).toBe(1);
  });

  test("a request is kept too: 202 now, and the hook's own answer is nobody's; a repeat is told 202 again", async () => {
    const wf = workflow("early request", async () => {
      const hook = createWebhook({ token: "bot:1", respondWith: new Response("hi", { status: 200 }) });
      const request = await hook;
      return [request.method, await request.json()];
    });
    const { engine, start } = await world([wf], "bot:*");
    const send = (method = "POST"): Promise<Response> =>
      engine.resumeWebhook("bot:1", new Request("https://x.example/bot", { method, headers: { "idempotency-key": "k" }, body: '{"a":1}' }));
    const first = await send();
    expect([first.status, first.headers.get("ringback-disposition")]).toEqual([202, "buffered"]);
    const repeat = await send();
    expect([repeat.status, repeat.headers.get("ringback-disposition")]).toEqual([202, "duplicate"]);
    expect(repeat.headers.get("ringback-delivery")).toBe(first.headers.get("ringback-delivery"));
    const run = await start(wf);
    expect(await run.returnValue).toEqual(["POST", { a: 1 }]);
    const late = await send();
    expect([late.status, await late.text(), late.headers.get("ringback-disposition")]).toEqual([202, "", "duplicate"]);
  });

  test("a value at a webhook, and a request at a hook, take the form the hook has", async () => {
    const asRequest = workflow("value as request", async () => (await createWebhook({ token: "v" })).json());
    const asValue = workflow("request as value", async () => createHook({ token: "r" }));
    const { engine, start } = await world([asRequest, asValue], "*");
    await engine.signal("v", { n: 1 });
    await engine.resumeWebhook("r", new Request("https://x.example/", { method: "POST", body: '{"n":2}' }));
    expect(await (await start(asRequest)).returnValue).toEqual({ n: 1 });
    expect(await (await start(asValue)).returnValue).toEqual({ n: 2 });
  });

  test("after an hour nobody claimed it: it is kept as unclaimed, and delivered on demand", async () => {
    const wf = workflow("too late", async () => createHook({ token: "late" }));
    const { engine, start, advance } = await world([wf]);
    const { id } = await engine.signal("late", "hello", { early: true });
    await advance(hour + 60_000);
    expect(await engine.listRefused()).toMatchObject([{ deliveryId: id, reason: "unclaimed", token: "late", runId: null, method: null }]);
    const run = await start(wf);
    expect(await run.state).toBe("waiting");
    expect(await engine.redeliver(id as string)).toMatchObject({ disposition: "accepted", id });
    expect(await run.returnValue).toBe("hello");
    await expect(engine.redeliver(id as string)).rejects.toMatchObject({ code: "delivery_not_found" });
  });

  test("the 33rd at one token is refused: 503 over HTTP, early_full elsewhere", async () => {
    const { engine } = await world([], "*");
    for (let n = 0; n < 32; n++) await engine.signal("full", n);
    await expect(engine.signal("full", 32)).rejects.toMatchObject({ code: "early_full" });
    const answer = await engine.resumeWebhook("full", new Request("https://x.example/", { method: "POST" }));
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "5"]);
  });

  test("at what no hook can have as its token nothing is kept: a minted one in it, no text, too long", async () => {
    let url = "";
    const wf = workflow("minted", async () => {
      const hook = createWebhook();
      url = hook.url;
      await hook;
    });
    const w = await world([wf], "*");
    await w.start(wf);
    const tokens = [`order:${url}`, `x ${encodeURIComponent(url)}`, "", "y".repeat(256), "a\0b", "\ud800"];
    for (const token of tokens) {
      for (const options of [{}, { early: true }, { key: "k", early: true }])
        expect(await w.engine.signal(token, 1, options)).toMatchObject({ disposition: "unknown" });
      expect((await w.engine.resumeWebhook(token, new Request("https://x.example/", { method: "POST" }))).status).toBe(404);
    }
    expect(await w.engine.signal("y".repeat(255), 1)).toMatchObject({ disposition: "buffered" });
    const files = (w.path === null ? [] : [w.path, `${w.path}-wal`]).map((name) => ({ name, bytes: readFileSync(name) }));
    expect(leaks([url], files)).toEqual([]);
  });

  test("one that does not fit is not judged again and again where nothing refused is kept", async () => {
    let asked = 0;
    const schema = z.any().refine(() => ++asked === 0);
    const wf = workflow("asked once", async () => defineHook({ schema }).create({ token: "t" }));
    const { engine, start, advance } = await createWorld([wf], { mode, retention: { refused: 0 } });
    await engine.signal("t", 2, { early: true });
    await start(wf);
    const before = asked;
    for (let look = 0; look < 5; look++) await advance(5_001);
    expect([before > 0, asked]).toEqual([true, before]);
  });

  test("what a run did not read of it is unread at its end, as any other", async () => {
    const wf = workflow("reads one", async () => {
      const hook = createHook<number>({ token: "n" });
      const first = await hook;
      await sleep("1s");
      return first;
    });
    const { engine, start, advance } = await world([wf]);
    await engine.signal("n", 1, { early: true });
    await engine.signal("n", 2, { early: true });
    const run = await start(wf);
    await advance(1_000);
    expect(await run.returnValue).toBe(1);
    expect((await run.ending)?.unread).toHaveLength(1);
  });
});

test("a schema that never answers holds up its own token, no other one and no run", async () => {
  const hangs = { "~standard": { version: 1, vendor: "test", validate: () => new Promise<never>(() => {}) } } as const;
  const waits = (token: string, schema: StandardSchema) =>
    workflow(`waits at ${token}`, async () => defineHook({ schema }).create({ token }));
  const [stuck, free] = [waits("stuck", hangs), waits("free", z.number())];
  const other = workflow("begun beside", async () => "done");
  const world = await createWorld([stuck, free, other], { mode: "hot", early: "*" });
  const door = createEngine({
    store: sqliteStore({ path: world.path as string, clock: world.clock }),
    ...{ role: "ingress", baseUrl: null, keys: testKeys, clock: world.clock, workflows: [stuck, free, other] },
  });
  onTestFinished(() => door.close());
  for (let n = 0; n < 10; n++) await world.engine.signal("stuck", n);
  await world.engine.signal("free", 1);
  await door.start(stuck, []);
  const judged = await door.start(free, []);
  await world.restart({}, false);
  const run = await door.start(other, []);
  const ends = Promise.all([run.returnValue, judged.returnValue]);
  const states = async (): Promise<string[]> => [await run.state, await judged.state];
  for (let at = 0; at < 100 && (await states()).some((state) => state !== "completed"); at++) {
    world.clock.advance(100);
    for (let pass = 0; pass < 10; pass++) await new Promise((resolve) => setImmediate(resolve));
  }
  expect(await states()).toEqual(["completed", "completed"]);
  world.clock.advance(100);
  expect(await ends).toEqual(["done", 1]);
});

test("patterns are text", () => {
  for (const early of [42, [""], ["a", 1], {}] as never[])
    expect(() => createEngine({ store: "memory:", keys: testKeys, baseUrl: null, early })).toThrow(
      expect.objectContaining({ code: "bad_argument" }),
    );
});
