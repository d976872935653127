// One (address, delivery key) takes effect once, and every repeat gets the answer the first one got (G2, D1); a payload and a deadline in
// the same instant have one winner (P8); what arrives as the run ends is kept as unread.

import { setImmediate } from "node:timers";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Recorded } from "../src/core/event.ts";
import { HookClosedError, HookTimeoutError, InvalidPayloadError, RingbackError } from "../src/errors.ts";
import { createHook, createWebhook, defineHook, type RequestWithResponse, sleep, step, workflow } from "../src/index.ts";
import { serve } from "../src/node.ts";
import type { Command, Outcome } from "../src/store/port.ts";
import { sqliteStore } from "../src/store/sqlite/store.ts";
import { createManualClock } from "../src/testing/manual-clock.ts";
import { createEngine } from "../src/wiring.ts";
import { createWorld, epoch, modes, modesOfLength, testKeys, type World } from "./harness.ts";

const passes = async (count: number): Promise<void> => {
  for (let n = 0; n < count; n++) await new Promise<void>((resolve) => setImmediate(resolve));
};
const received = (journal: readonly Recorded[]): (Recorded & { kind: "hook_received" })[] =>
  journal.filter((event) => event.kind === "hook_received");

interface Told {
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly disposition: string | null;
}

async function told(response: Response): Promise<Told> {
  const {
    "ringback-disposition": disposition = null,
    date: _,
    connection: __,
    "keep-alive": ___,
    ...headers
  } = Object.fromEntries(response.headers);
  return { status: response.status, body: await response.text(), headers, disposition };
}

/** A callback handed to the engines in turn. */
async function call(world: World, url: string, headers: Record<string, string>, body = "b", method = "POST"): Promise<Told> {
  return told(await world.engine.ingress(new Request(url, { method, headers, ...(method === "GET" ? {} : { body }) })));
}

/** Serves the world's engines over HTTP; a URL of theirs becomes one that leads to the next of them. */
async function served(world: World): Promise<(url: string) => string> {
  const servers = await Promise.all(world.engines.map((engine) => serve(engine, { port: 0, host: "127.0.0.1" })));
  onTestFinished(async () => {
    for (const { server } of servers) server.closeAllConnections();
    await Promise.all(servers.map((one) => one.close()));
  });
  let next = 0;
  return (url) => `http://127.0.0.1:${servers[next++ % servers.length]?.port}${new URL(url).pathname}`;
}

const keyHeaders = ["Idempotency-Key", "webhook-id", "svix-id", "X-GitHub-Delivery"];

/** A run with a webhook of each kind, which reads one request at each and answers the manual one from a step. */
function threeWebhooks(): {
  readonly workflow: ReturnType<typeof workflow<[], string[]>>;
  readonly urls: Record<"plain" | "fixed" | "manual", string>;
} {
  const urls = { plain: "", fixed: "", manual: "" };
  const answer = step("answer", async (request: RequestWithResponse) => {
    await request.respondWith(Response.json({ got: await request.text() }, { status: 203, headers: { "x-own": "1" } }));
  });
  const wf = workflow("three webhooks", async () => {
    const plain = createWebhook();
    const fixed = createWebhook({ respondWith: new Response("static", { status: 201, headers: { "x-own": "2" } }) });
    const manual = createWebhook({ respondWith: "manual" });
    await step.run("hand out", () => void Object.assign(urls, { plain: plain.url, fixed: fixed.url, manual: manual.url }));
    const [first, second, third] = await Promise.all([plain, fixed, manual]);
    await answer(third);
    await sleep("1h");
    return Promise.all([first.text(), second.text(), third.text()]);
  });
  return { workflow: wf, urls };
}

describe.each(modes)("a delivery with a key (%s)", (mode) => {
  test.runIf(modesOfLength.includes(mode)).each(["Idempotency-Key", "webhook-id"])("64 at once over HTTP are one: %s", async (header) => {
    const { workflow: wf, urls } = threeWebhooks();
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    const at = await served(world);
    for (const kind of ["plain", "fixed", "manual"] as const) {
      const one = async (): Promise<Told> => told(await fetch(at(urls[kind]), { method: "POST", headers: { [header]: "k" }, body: kind }));
      const all = await Promise.all(Array.from({ length: 64 }, one));
      expect(all.filter((each) => each.disposition === "accepted").length).toBe(1);
      expect(all.filter((each) => each.disposition === "duplicate").length).toBe(63);
      for (const each of all) expect({ ...each, disposition: null }).toEqual({ ...all[0], disposition: null });
      expect(all[0]).toMatchObject(
        {
          plain: { status: 202, body: "" },
          fixed: { status: 201, body: "static", headers: { "x-own": "2" } },
          manual: { status: 203, body: '{"got":"manual"}', headers: { "x-own": "1", "content-type": "application/json" } },
        }[kind],
      );
    }
    await world.settled();
    expect(received(await world.journal(run)).length).toBe(3);
    await world.advance(3_600_000);
    expect(await run.returnValue).toEqual(["plain", "fixed", "manual"]);
  });

  test("64 calls of resumeHook with one key are one", async () => {
    const wf = workflow("resumed", async () => {
      const hook = createHook<number>({ token: "t" });
      return [await hook, await Promise.race([hook, sleep("1m")])];
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    const all = await Promise.all(Array.from({ length: 64 }, () => world.engine.resumeHook("t", 7, { key: "k" })));
    expect(new Set(all.map((each) => each.delivery.id)).size).toBe(1);
    expect(all.filter((each) => each.delivery.disposition === "accepted").length).toBe(1);
    expect(all.every((each) => each.delivery.keyed && each.runId === run.runId)).toBe(true);
    await world.settled();
    await world.advance(60_000);
    expect(await run.returnValue).toEqual([7, undefined]);
  });

  test("a repeat gets the first answer after dispose, timeout, cancel, run end and restart; anything else gets 410", async () => {
    const urls: Record<string, string> = {};
    const ends = ["dispose", "timeout", "cancel", "end"];
    const wf = workflow("closes", async (how: string) => {
      const hook = createWebhook({
        respondWith: new Response(`static ${how}`, { status: 201 }),
        ...(how === "timeout" ? { timeout: "1m" } : {}),
      });
      await step.run("hand out", () => void (urls[how] = hook.url));
      await hook;
      if (how === "dispose") hook.dispose();
      if (how !== "end") await sleep("1d");
    });
    const world = await createWorld([wf], { mode });
    const first = new Map<string, Told>();
    for (const how of ends) {
      const run = await world.start(wf, how);
      first.set(how, await call(world, urls[how] as string, { "idempotency-key": "k" }));
      await world.settled();
      if (how === "cancel") await run.cancel();
    }
    await world.advance(60_000);
    for (const again of ["now", "after a restart"]) {
      for (const how of ends) {
        expect(await call(world, urls[how] as string, { "idempotency-key": "k" }), again).toEqual({
          ...first.get(how),
          disposition: "duplicate",
        });
        expect(await call(world, urls[how] as string, { "idempotency-key": "other" }), again).toMatchObject({
          status: 410,
          disposition: "closed",
        });
      }
      await world.restart();
    }
  });

  test("Idempotency-Key with another body is 422; with any other key header the first answer comes again", async () => {
    let url = "";
    const wf = workflow("bodies", async () => {
      const hook = createWebhook({ respondWith: new Response("static") });
      await step.run("hand out", () => void (url = hook.url));
      const bodies: string[] = [];
      for (const _ of keyHeaders) bodies.push(await (await hook).text());
      return bodies;
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    for (const header of keyHeaders) {
      const first = await call(world, url, { [header]: "k" }, `first ${header}`);
      expect(first).toMatchObject({ status: 200, disposition: "accepted" });
      const other = await call(world, url, { [header]: "k" }, "another");
      if (header === "Idempotency-Key") {
        expect(other.status).toBe(422);
        expect(JSON.parse(other.body)).toMatchObject({ code: "key_reused" });
      } else expect(other).toEqual({ ...first, disposition: "duplicate" });
      expect(await call(world, url, { [header]: "k" }, `first ${header}`)).toEqual({ ...first, disposition: "duplicate" });
    }
    expect(await run.returnValue).toEqual(keyHeaders.map((header) => `first ${header}`));
  });

  test("a key counts at its address: two hooks take the same one, two hooks in turn at one custom token do not", async () => {
    const urls: string[] = [];
    const pair = workflow("pair", async () => {
      const hooks = [createWebhook(), createWebhook()];
      await step.run("hand out", () => void urls.push(...hooks.map((hook) => hook.url)));
      return Promise.all(hooks.map(async (hook) => (await hook).text()));
    });
    const custom = workflow("custom", async () => createHook<string>({ token: "order:1" }));
    const world = await createWorld([pair, custom], { mode });
    const run = await world.start(pair);
    for (const [n, url] of urls.entries())
      expect(await call(world, url, { "idempotency-key": "k" }, `${n}`)).toMatchObject({ disposition: "accepted" });
    expect(await run.returnValue).toEqual(["0", "1"]);
    const first = await world.start(custom);
    const { id } = (await world.engine.resumeHook("order:1", "a", { key: "k" })).delivery;
    expect(await first.returnValue).toBe("a");
    const second = await world.start(custom);
    expect(await world.engine.signal("order:1", "a", { key: "k" })).toMatchObject({ id, disposition: "duplicate" });
    expect(await world.engine.signal("order:1", "b", { key: "k2" })).toMatchObject({ disposition: "accepted" });
    expect(await second.returnValue).toBe("b");
  });

  test("what was refused records no key, and may be corrected and sent again", async () => {
    let url = "";
    const isNumber = {
      "~standard": {
        version: 1 as const,
        vendor: "test",
        validate: (value: unknown) => (typeof value === "number" ? { value } : { issues: [{ message: "not a number" }] }),
      },
    };
    const numbers = defineHook<number>("numbers of delivered-once", { schema: isNumber });
    const judged = workflow("judged", async () => numbers.create({ token: "n" }));
    const web = workflow("web", async () => {
      const hook = createWebhook();
      await step.run("hand out", () => void (url = hook.url));
      return (await hook).text();
    });
    const closing = workflow("closing", async (isOpen: boolean) => {
      const hook = createHook<string>({ token: "c" });
      if (isOpen) return hook;
      hook.dispose();
      await sleep("1h");
      return null;
    });
    const world = await createWorld([judged, web, closing], { mode, bodyBytes: 10 });
    const [first, second] = [await world.start(judged), await world.start(web)];
    await expect(world.engine.resumeHook("n", "one", { key: "k" })).rejects.toBeInstanceOf(InvalidPayloadError);
    await world.engine.resumeHook("n", 1, { key: "k" });
    expect(await first.returnValue).toBe(1);
    expect(await call(world, url, { "idempotency-key": "k" }, "", "GET")).toMatchObject({ status: 405 });
    expect(await call(world, url, { "idempotency-key": "k" }, "x".repeat(11))).toMatchObject({ status: 413 });
    expect(await call(world, url, { "idempotency-key": "k" }, "fits")).toMatchObject({ status: 202, disposition: "accepted" });
    expect(await second.returnValue).toBe("fits");
    await world.start(closing, false);
    await expect(world.engine.resumeHook("c", "x", { key: "k" })).rejects.toBeInstanceOf(HookClosedError);
    const third = await world.start(closing, true);
    await world.engine.resumeHook("c", "y", { key: "k" });
    expect(await third.returnValue).toBe("y");
  });
});

/** What decided the run, each time its code came that far. */
type Decisions = (readonly ["payload" | "timeout", unknown])[];

function raced(): { readonly workflow: ReturnType<typeof workflow<[], Decisions[number]>>; readonly decisions: Decisions } {
  const decisions: Decisions = [];
  const wf = workflow("payload or timeout", async () => {
    const hook = createHook<string>({ token: "t", timeout: "1m" });
    let decision: Decisions[number];
    try {
      decision = ["payload", await hook];
    } catch (error) {
      decision = ["timeout", error instanceof HookTimeoutError];
    }
    decisions.push(decision);
    await sleep("1h");
    return decision;
  });
  return { workflow: wf, decisions };
}

describe.each(modes)("a payload and the deadline in one instant (%s)", (mode) => {
  const cases = [0, 1, 2, 3, 4, 5, 6, 8, 12].flatMap((gap) =>
    (["payload first", "deadline first"] as const).map((order) => ({ gap, order })),
  );

  test.each(cases)("$order, $gap passes apart: one winner, and the sender is told", async ({ gap, order }) => {
    const { workflow: wf, decisions } = raced();
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    world.clock.set(epoch + 59_999);
    const { engine } = world;
    let receipt: ReturnType<typeof engine.signal>;
    if (order === "payload first") {
      receipt = engine.signal("t", "p", { key: "k" });
      await passes(gap);
      world.clock.set(epoch + 60_000);
    } else {
      world.clock.set(epoch + 60_000);
      await passes(gap);
      receipt = engine.signal("t", "p", { key: "k" });
    }
    const { disposition, by } = await receipt;
    await world.settled();
    if (disposition === "accepted") expect(decisions[0]).toEqual(["payload", "p"]);
    else expect([disposition, by, ...(decisions[0] ?? [])]).toEqual(["closed", "timeout", "timeout", true]);
    if (order === "deadline first") expect(disposition).toBe("closed");
    expect(received(await world.journal(run)).length).toBe(disposition === "accepted" ? 1 : 0);
    expect((await world.journal(run)).filter((event) => event.kind === "hook_failed").length).toBe(1);
    await world.restart();
    expect(await world.engine.signal("t", "p", { key: "k" })).toMatchObject({
      disposition: disposition === "accepted" ? "duplicate" : "closed",
    });
    await world.advance(3_600_000);
    expect(await world.engine.getRun(run.runId).returnValue).toEqual(decisions[0]);
    expect(new Set(decisions.map(String)).size).toBe(1);
  });

  test("in one transaction the first of the two wins", async () => {
    for (const payloadFirst of [true, false]) {
      const { workflow: wf, decisions } = raced();
      const world = await createWorld([wf], { mode });
      const run = await world.start(wf);
      const { run: number = 0 } = (await world.store.run({ id: run.runId })) ?? {};
      const deliver: Command = {
        op: "deliver",
        address: { token: "t" },
        key: null,
        digest: null,
        payload: { type: "value", value: '="p"' },
      };
      const fire: Command = { op: "fire", run: number, position: 1, early: true };
      const outcomes = await world.store.commit(payloadFirst ? [deliver, fire] : [fire, deliver]);
      await world.settled();
      expect(outcomes.map((outcome) => outcome.type)).toEqual(payloadFirst ? ["accepted", "fired"] : ["fired", "closed"]);
      await world.advance(3_600_000);
      expect(decisions[0]).toEqual(payloadFirst ? ["payload", "p"] : ["timeout", true]);
    }
  });
});

test("a payload after the deadline is late even where no timer has fired", async () => {
  const storeClock = createManualClock(epoch);
  const { workflow: wf, decisions } = raced();
  const { path } = await createWorld([], { mode: "hot" });
  const store = sqliteStore({ path: `${path}-late`, clock: storeClock });
  const engine = createEngine({ store, clock: createManualClock(epoch), keys: testKeys, baseUrl: null, workflows: [wf], logger: false });
  onTestFinished(() => engine.close({ graceMs: 0 }));
  const run = await engine.start(wf, []);
  while (!engine.core.isIdle) await passes(1);
  storeClock.set(epoch + 60_000);
  expect(await engine.signal("t", "p")).toMatchObject({ disposition: "closed", by: "timeout", at: new Date(epoch + 60_000) });
  while (decisions.length === 0 || !engine.core.isIdle) await passes(1);
  expect(decisions).toEqual([["timeout", true]]);
  expect(await run.state).toBe("waiting");
});

/** By the rule in `core/event.ts`: behind what the code has seen, or seen and taken by no reader. */
function unread(journal: readonly Recorded[]): number[] {
  const end = journal.at(-1);
  if (end?.kind !== "run_ended")
    throw new RingbackError("bad_argument", "The run has not ended.", { details: { argument: "journal", value: "" } });
  return received(journal)
    .map((event) => event.seq)
    .filter((seq) => seq > end.seen || end.unread.includes(seq));
}

describe.each(modes)("a payload in the instant of completion (%s)", (mode) => {
  const one = workflow("reads one", async () => createHook<string>({ token: "t" }));

  test("committed in the same group as the run's end, before it: accepted, and recorded as unread", async () => {
    const world = await createWorld([one], { mode });
    const run = await world.start(one);
    const { store } = world;
    const commit = store.commit.bind(store);
    const outcomes: (Outcome | undefined)[] = [];
    store.commit = async (group) => {
      const isEnd = group.some((command) => command.op === "append" && command.events.at(-1)?.kind === "run_ended");
      if (!isEnd || outcomes.length > 0) return commit(group);
      const late: Command = {
        op: "deliver",
        address: { token: "t" },
        key: "key:2",
        digest: null,
        payload: { type: "value", value: '="second"' },
      };
      const [outcome, ...others] = await commit([late, ...group]);
      outcomes.push(outcome);
      return others;
    };
    await world.engine.resumeHook("t", "first", { key: "1" });
    expect(await run.returnValue).toBe("first");
    expect(outcomes).toMatchObject([{ type: "accepted" }]);
    const journal = await world.journal(run);
    expect(unread(journal)).toEqual([received(journal)[1]?.seq]);
    await world.settled();
    await world.restart();
    expect(await world.engine.signal("t", "second", { key: "2" })).toMatchObject({ disposition: "duplicate" });
    expect(await world.engine.signal("t", "third", { key: "3" })).toMatchObject({ disposition: "closed", by: "ended" });
  });

  test.each([0, 1, 2, 3, 4, 5, 6, 8, 12])("%i passes after the one that ends the run: unread, or refused", async (gap) => {
    const world = await createWorld([one], { mode });
    const run = await world.start(one);
    const first = world.engine.signal("t", "first");
    await passes(gap);
    const second = await world.engine.signal("t", "second");
    expect(await first).toMatchObject({ disposition: "accepted" });
    expect(await run.returnValue).toBe("first");
    const journal = await world.journal(run);
    if (second.disposition === "accepted") expect(unread(journal)).toEqual([received(journal)[1]?.seq]);
    else expect([second.disposition, second.by, received(journal).length]).toEqual(["closed", "ended", 1]);
  });
});
