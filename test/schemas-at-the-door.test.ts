// Schemas judge at every door, once, in their place (token, key, state, schema, store), and within bounds (J1–J3).

import { describe, expect, onTestFinished, test } from "vitest";
import type { StandardSchema } from "../src/core/definition.ts";
import { limits } from "../src/core/limits.ts";
import { continueAsNew, createHook, createWebhook, defineHook, sleep, workflow } from "../src/index.ts";
import { sqliteStore } from "../src/store/sqlite/store.ts";
import { createEngine, type Engine, type EngineOptions } from "../src/wiring.ts";
import { coldModes, createWorld, testKeys, type World } from "./harness.ts";

type Validate = StandardSchema["~standard"]["validate"];
const schemaOf = (validate: Validate): StandardSchema => ({ "~standard": { version: 1, vendor: "test", validate } });
const asked: unknown[] = [];
/** Takes `{ paid: true }` and gives back something else; looks at nothing but what it is asked about. */
const paid = schemaOf(async (value) => {
  asked.push(value);
  const isPaid = (value as { paid?: unknown } | null)?.paid === true;
  return isPaid ? { value: "transformed" } : { issues: [{ message: "not paid", path: ["paid", { key: Symbol("at") }, 0] }] };
});
const notPaid = { code: "invalid_payload", issues: [{ message: "not paid", path: ["paid", "Symbol(at)", 0] }] };

/** A process beside the world's: it delivers, and runs nothing. */
async function ingressBeside(world: World, options: Partial<EngineOptions>): Promise<Engine> {
  const { clock, path, store } = world;
  const beside = path ? sqliteStore({ path, clock }) : store;
  const door = createEngine({ store: beside, role: "ingress", clock, keys: testKeys, baseUrl: null, logger: false, ...options });
  onTestFinished(() => door.close());
  await door.open();
  return door;
}

const post = (engine: Engine, url: string, body: string, key?: string): Promise<Response> =>
  engine.ingress(new Request(url, { method: "POST", body, ...(key ? { headers: { "Idempotency-Key": key } } : {}) }));
const answered = async (response: Response): Promise<unknown[]> => [response.status, await response.json().catch(() => null)];

describe.each(coldModes)("a webhook with a schema (%s)", (mode) => {
  let url = "";
  const pays = workflow("pays", async () => {
    const webhook = createWebhook({ schema: paid });
    url = webhook.url;
    const request = await webhook;
    return [request.headers.get("X-Order"), await request.text()];
  });

  test("judges the JSON of the body; what it refuses is 422 with its issues, and the wait stays open for the request itself", async () => {
    const world = await createWorld([pays], { mode });
    const run = await world.start(pays);
    const refused = await post(world.engine, url, '{"paid":1}', "k");
    expect([refused.status, refused.headers.get("Ringback-Disposition"), await refused.json()]).toEqual([422, "invalid", notPaid]);
    await world.restart();
    expect(await answered(await post(world.engine, url, '{"paid":1}'))).toEqual([422, notPaid]);
    expect(await answered(await post(world.engine, url, "paid=1"))).toEqual([
      422,
      { code: "invalid_payload", issues: [{ message: "The body is not JSON in UTF-8." }] },
    ]);
    expect(await answered(await post(world.engine, url, "[".repeat(300)))).toEqual([422, expect.objectContaining({ code: "too_deep" })]);
    expect((await world.journal(run)).some(({ kind }) => kind === "hook_received")).toBe(false);
    const headers = { "X-Order": "7", "Idempotency-Key": "k" };
    expect((await world.engine.ingress(new Request(url, { method: "POST", body: '{ "paid": true }', headers }))).status).toBe(202);
    await world.settled();
    expect(await world.engine.getRun(run.runId).returnValue).toEqual(["7", '{ "paid": true }']);
  });

  test("judges at resumeWebhook, resumeHook and signal alike; the request is what was given", async () => {
    const world = await createWorld([pays], { mode });
    const run = await world.start(pays);
    const token = new URL(url).pathname.split("/").at(-1) as string;
    const { engine } = world;
    expect(await answered(await engine.resumeWebhook(token, new Request(url, { method: "POST", body: "{}" })))).toEqual([422, notPaid]);
    expect(await engine.signal(token, {})).toMatchObject({ disposition: "invalid", issues: notPaid.issues });
    await expect(engine.resumeHook(token, null)).rejects.toMatchObject({ code: "invalid_payload", details: { issues: notPaid.issues } });
    await engine.resumeHook(token, { paid: true });
    await world.settled();
    expect(await run.returnValue).toEqual([null, '{"paid":true}']);
  });

  test("is asked after key and state: a repeat and a closed hook have their answers, whatever the body", async () => {
    const world = await createWorld([pays], { mode });
    const run = await world.start(pays);
    expect((await post(world.engine, url, '{"paid":true}', "k")).status).toBe(202);
    await world.settled();
    expect(await run.status).toBe("completed");
    asked.length = 0;
    expect((await post(world.engine, url, '{"paid":true}', "k")).headers.get("Ringback-Disposition")).toBe("duplicate");
    expect((await post(world.engine, url, '{"paid":1}', "k")).status).toBe(422);
    expect((await post(world.engine, url, '{"paid":1}', "other")).status).toBe(410);
    expect((await post(world.engine, url, "no JSON")).status).toBe(410);
    expect(asked).toEqual([]);
  });

  test("answers 503 with Retry-After where its code is not at hand, or set aside, and goes on when it is", async () => {
    const world = await createWorld([pays], { mode });
    const run = await world.start(pays);
    const elsewhere = await ingressBeside(world, { workflows: [] });
    const refused = await post(elsewhere, url, '{"paid":true}');
    expect([refused.status, refused.headers.get("Retry-After"), await refused.json()]).toEqual([
      503,
      "5",
      expect.objectContaining({ code: "schema_unavailable" }),
    ]);
    const row = await world.store.run({ id: run.runId });
    await world.store.commit([
      {
        op: "append",
        run: row?.run ?? 0,
        fence: row?.fence ?? 0,
        events: [{ kind: "run_blocked", reason: "changed_code", codeId: "other", message: "", diff: null }],
        seen: row?.seq ?? 0,
      },
    ]);
    const beside = await ingressBeside(world, { workflows: [pays] });
    expect((await post(beside, url, '{"paid":true}')).status).toBe(503);
    await world.restart();
    expect((await post(beside, url, '{"paid":true}')).status).toBe(202);
  });
});

describe.each(coldModes)("a door without the run (%s)", (mode) => {
  let ran = 0;
  let atRun: () => unknown = () => {};
  const unnamed = defineHook({ schema: schemaOf((value) => (value === 7 ? { value } : { issues: [{ message: "7, please" }] })) });
  const waits = workflow("waits", async () => {
    ran++;
    atRun();
    const hook = unnamed.create({ token: "cold" });
    await Promise.all([hook, createHook({ token: "beside" }), sleep("1h")]);
  });
  const start = async (): Promise<[World, Engine, run: number]> => {
    atRun = () => {};
    const world = await createWorld([waits], { mode: mode === "evict" ? "hot" : mode });
    const run = await world.start(waits);
    const door = await ingressBeside(world, { workflows: [waits] });
    ran = 0;
    return [world, door, (await world.store.run({ id: run.runId }))?.run as number];
  };
  const bound = (name: "lookEvents", value: number): void => {
    const before = limits[name];
    Object.assign(limits, { [name]: value });
    onTestFinished(() => void Object.assign(limits, { [name]: before }));
  };

  test("looks into it once for all deliveries, and leaves no trace in it", async () => {
    const [world, door, run] = await start();
    const before = await world.store.run({ run });
    const order: string[] = [];
    const { store } = door.core.parts;
    const commit = store.commit.bind(store);
    store.commit = (group) => {
      for (const command of group) if (command.op === "look") order.push(command.isOver ? "over" : "look");
      return commit(group);
    };
    atRun = () => order.push("code");
    const receipts = await Promise.all([door.signal("cold", 1), door.signal("cold", 2), door.signal("cold", "7")]);
    expect(receipts.map((receipt) => receipt.issues)).toEqual(receipts.map(() => [{ message: "7, please" }]));
    expect(await door.signal("cold", 3)).toMatchObject({ disposition: "invalid" });
    const listed = await world.engine.listHooks();
    expect(listed.map(({ token, hasSchema }) => [token, hasSchema])).toEqual([
      ["cold", true],
      ["beside", false],
    ]);
    expect([order, await world.store.run({ run })]).toEqual([["look", "code", "over"], before]);
    expect(await door.signal("cold", 7)).toMatchObject({ disposition: "accepted" });
  });

  test("replays the last chapter of a run alone, however long its journal is", async () => {
    const relay = workflow("relay", async (chapter: number): Promise<string> => {
      ran++;
      const hook = unnamed.create({ token: "cold" });
      await createHook({ token: "next" });
      return chapter === 9 ? "over" : continueAsNew([chapter + 1], { carry: [hook] });
    });
    const world = await createWorld([relay], { mode: mode === "evict" ? "hot" : mode });
    const run = await world.start(relay, 1);
    for (let chapter = 1; chapter < 5; chapter++) {
      await world.engine.signal("next", chapter);
      await world.settled();
    }
    const row = await world.store.run({ id: run.runId });
    const door = await ingressBeside(world, { workflows: [relay] });
    bound("lookEvents", (await world.store.chapter(row?.run as number)).events.length);
    ran = 0;
    expect(await door.signal("cold", 3)).toMatchObject({ disposition: "invalid" });
    expect(await door.signal("cold", 7)).toMatchObject({ disposition: "accepted" });
    expect(ran).toBe(1);
  });

  test("does not replay a journal that is too long, nor for too long", async () => {
    const [world, door, run] = await start();
    const length = (await world.store.run({ run }))?.seq as number;
    bound("lookEvents", length - 1);
    await expect(door.signal("cold", 7)).rejects.toMatchObject({
      code: "schema_unavailable",
      message: expect.stringContaining(`${length} events`),
    });
    expect(ran).toBe(0);
    bound("lookEvents", length);
    atRun = () => world.clock.advance(limits.lookMs);
    await expect(door.signal("cold", 7)).rejects.toMatchObject({
      code: "schema_unavailable",
      message: expect.stringContaining("within 2 s"),
    });
    atRun = () => {};
    expect(await door.signal("cold", 7)).toMatchObject({ disposition: "accepted" });
  });

  test("is not ended by it with every delivery: looks that killed their process count, until the run gets on (J3)", async () => {
    const [world, door, run] = await start();
    for (let death = 0; death < limits.loadsWithoutProgress; death++) await world.store.commit([{ op: "look", run, isOver: false }]);
    await expect(door.signal("cold", 7)).rejects.toMatchObject({ code: "schema_unavailable", details: { run: expect.any(String) } });
    expect(ran).toBe(0);
    await door.signal("beside", "the worker's code gets on");
    await world.advance(200);
    expect(await door.signal("cold", 7)).toMatchObject({ disposition: "accepted" });
  });
});

const broken: [string, Validate, RegExp][] = [
  ["throws", () => Promise.reject(new RangeError("my mistake")), /cannot judge: it threw RangeError: my mistake\./],
  [
    "throws at once",
    () => {
      throw "odd";
    },
    /it threw odd/,
  ],
  ["gives nothing back", () => undefined as never, /neither issues nor a value/],
  ["gives back text", () => "fine" as never, /neither issues nor a value/],
  ["gives back an empty object", () => ({}) as never, /neither issues nor a value/],
  ["gives back issues that are no list", () => ({ issues: "bad" }) as never, /neither issues nor a value/],
];

test.each(broken)("a schema that %s judges nothing: schema_unavailable, 503, and nothing is stored", async (_name, validate, message) => {
  let url = "";
  const wf = workflow("broken", async () => {
    const webhook = createWebhook({ schema: schemaOf(validate) });
    url = webhook.url;
    await Promise.all([webhook, defineHook({ schema: schemaOf(validate) }).create({ token: "b" })]);
  });
  const world = await createWorld([wf], { mode: "hot" });
  const run = await world.start(wf);
  await expect(world.engine.resumeHook("b", 1)).rejects.toMatchObject({
    code: "schema_unavailable",
    message: expect.stringMatching(message),
  });
  expect(await answered(await post(world.engine, url, "{}"))).toEqual([503, expect.objectContaining({ code: "schema_unavailable" })]);
  expect((await world.journal(run)).map(({ kind }) => kind)).toEqual(["run_started", "hook_created", "hook_created"]);
});

test("a schema that never answers is waited for 5 s, and what it says later changes nothing", async () => {
  let late = (): void => {};
  const hangs = schemaOf((value) => new Promise((resolve) => (late = () => resolve({ value }))));
  const wf = workflow("hangs", async () => defineHook({ schema: hangs }).create({ token: "h" }));
  const world = await createWorld([wf], { mode: "hot" });
  const run = await world.start(wf);
  let refused: unknown = null;
  const delivery = world.engine.resumeHook("h", 1).catch((error: unknown) => (refused = error));
  await world.settled();
  await world.advance(4_999);
  expect(refused).toBe(null);
  await world.advance(1);
  await delivery;
  expect(refused).toMatchObject({ code: "schema_unavailable", message: expect.stringContaining("within 5 s") });
  late();
  await world.settled();
  expect((await world.journal(run)).length).toBe(2);
});

test("issues are plain and few, whatever the schema makes of them", async () => {
  const odd = schemaOf(
    () => ({ issues: [null, "text", { message: 5 }, { path: [{ key: "a" }] }, ...Array(100).fill({ message: "m" })] }) as never,
  );
  const wf = workflow("odd", async () => defineHook({ schema: odd }).create({ token: "o" }));
  const world = await createWorld([wf], { mode: "hot" });
  await world.start(wf);
  const { issues } = await world.engine.signal("o", 1);
  expect(issues?.length).toBe(limits.issuesTold);
  expect(issues?.slice(0, 5)).toEqual([
    { message: "It does not fit." },
    { message: "text" },
    { message: "5" },
    { message: "It does not fit.", path: ["a"] },
    { message: "m" },
  ]);
});

test("a definition with a name is found without the run, and told of where it is not loaded", async () => {
  const named = defineHook("door approval", { schema: schemaOf((value) => (value === 1 ? { value: 2 } : { issues: [{ message: "1" }] })) });
  const wf = workflow("named", async () => named.create({ token: "n" }));
  const world = await createWorld([wf], { mode: "hot" });
  const run = await world.start(wf);
  const door = await ingressBeside(world, { workflows: [] });
  expect(await door.signal("n", 0)).toMatchObject({ disposition: "invalid" });
  expect(await door.signal("n", 1)).toMatchObject({ disposition: "accepted" });
  await world.advance(200);
  expect(await run.returnValue).toBe(2);
});

describe.each(coldModes)("a name, whose hooks come one after another (%s)", (mode) => {
  const is = (wanted: unknown): StandardSchema =>
    schemaOf((value) => (value === wanted ? { value } : { issues: [{ message: `not ${String(wanted)}` }] }));

  test("what was judged for the hook before is judged again for the one that has opened meanwhile, at each door", async () => {
    const verdicts: (() => void)[] = [];
    const slow = schemaOf((value) => new Promise((resolve) => verdicts.push(() => resolve({ value }))));
    const addresses: string[] = [];
    const wf = workflow("reopened", async () => {
      const go = createHook({ token: "go" });
      const hook = defineHook({ schema: slow }).create({ name: "hook" });
      const webhook = createWebhook({ name: "webhook", schema: slow });
      addresses.splice(0, 2, hook.token, webhook.url);
      await go;
      hook.dispose();
      webhook.dispose();
      const [next, request] = [defineHook({ schema: is(2) }).create({ name: "hook" }), createWebhook({ name: "webhook", schema: is(2) })];
      return [await next, await (await request).text()];
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    const [token, url] = addresses as [string, string];
    const given = new URL(url).pathname.split("/").at(-1) as string;
    const sent = [
      world.engine.signal(token, 1).then(({ disposition }) => disposition),
      post(world.engine, url, "1").then(({ status }) => status),
      world.engine.resumeWebhook(given, new Request(url, { method: "POST", body: "1" })).then(({ status }) => status),
    ];
    for (let pass = 0; verdicts.length < 3 && pass < 1_000; pass++) await new Promise((resolve) => setImmediate(resolve));
    await world.engine.resumeHook("go", null);
    await world.settled();
    for (const say of verdicts) say();
    expect(await Promise.all(sent)).toEqual(["invalid", 422, 422]);
    expect([(await world.engine.signal(token, 2)).disposition, (await post(world.engine, url, "2")).status]).toEqual(["accepted", 202]);
    expect(await run.returnValue).toEqual([2, "2"]);
  });

  test("each chapter's schema is its own, also where it is made of the chapter's arguments, and the hook was carried over", async () => {
    let token = "";
    const wf = workflow("chapter's schema", async (chapter: number, isCarried: boolean): Promise<number> => {
      const hook = defineHook({ schema: is(chapter) }).create({ name: "n" });
      token = hook.token;
      await hook;
      return chapter === 3 ? chapter : continueAsNew([chapter + 1, isCarried], { carry: isCarried ? [hook] : [] });
    });
    for (const isCarried of [false, true]) {
      const world = await createWorld([wf], { mode });
      const door = await ingressBeside(world, { workflows: [wf] });
      const run = await world.start(wf, 1, isCarried);
      for (const chapter of [1, 2, 3]) {
        for (const wrong of [chapter - 1, chapter + 1])
          for (const engine of [...world.engines, door])
            expect(await engine.signal(token, wrong)).toMatchObject({ disposition: "invalid" });
        expect(await world.engine.signal(token, chapter)).toMatchObject({ disposition: "accepted" });
        await world.settled();
      }
      expect(await run.returnValue).toBe(3);
    }
  });
});

test("a webhook's schema that is none is told at the call", async () => {
  const wf = workflow("slip", async () => createWebhook({ schema: {} as never }).url);
  const world = await createWorld([wf], { mode: "hot" });
  const run = await world.start(wf);
  await expect(run.returnValue).rejects.toMatchObject({
    cause: { code: "bad_argument", message: expect.stringContaining("createWebhook({ schema }) takes a Standard Schema") },
  });
});
