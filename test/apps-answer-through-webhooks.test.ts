// A stranger calls a webhook's URL and gets the answer the workflow wants it to get: the same for all, or one by what it sent; from one
// request or from many, against a deadline, by the public route or by a route of the app's own.

import { describe, expect, test } from "vitest";
import { resumeHook, resumeWebhook } from "../src/api.ts";
import { FatalError } from "../src/errors.ts";
import { createHook, createWebhook, race, type RequestWithResponse, sleep, step, type Webhook, workflow } from "../src/index.ts";
import { asDefault, defaultWorld } from "./default-engine.ts";
import { createWorld, modesOfLength, type World } from "./harness.ts";

const stores = [...modesOfLength, "evict on memory"] as const;

async function worldOf(mode: (typeof stores)[number], ...workflows: Parameters<typeof createWorld>[0]): Promise<World> {
  return asDefault(await createWorld(workflows, mode === "evict on memory" ? { mode: "two-workers", hotRuns: 0 } : { mode }));
}

/** What a sender sees. */
async function sent(answer: Promise<Response>): Promise<[status: number, body: string]> {
  const response = await answer;
  return [response.status, await response.text()];
}

const json = (body: unknown): RequestInit => ({
  method: "POST",
  body: JSON.stringify(body),
  headers: { "content-type": "application/json" },
});

describe.each(stores)("a webhook and its senders (%s)", (mode) => {
  /** A partner that is told the URL in a step, and calls it. */
  function partner(): {
    tell: (url: string) => Promise<void>;
    call: (init: RequestInit, more?: string) => Promise<Response>;
    readonly url: string;
  } {
    let url = "";
    return {
      tell: step("tell", async (told: string) => void (url = told)),
      call: (init, more = "") => defaultWorld().engine.ingress(new Request(url + more, init)),
      get url() {
        return url;
      },
    };
  }

  test("the URL is there without a route of one's own; the request is read like any; the sender gets 202", async () => {
    const sensor = partner();
    const wf = workflow("sensor", async () => {
      using webhook = createWebhook();
      await sensor.tell(webhook.url);
      const request = await webhook;
      return [request.method, new URL(request.url).search, request.headers.get("content-type"), await request.json()];
    });
    const world = await worldOf(mode, wf);
    const run = await world.start(wf);
    expect(new URL(sensor.url).pathname).toMatch(/^\/\.well-known\/workflow\/v1\/webhook\/[\w:.-]+$/);
    await world.restart();
    expect(await sent(sensor.call(json({ celsius: 4 }), "?probe=2"))).toEqual([202, ""]);
    expect(await world.engine.getRun(run.runId).returnValue).toEqual(["POST", "?probe=2", "application/json", { celsius: 4 }]);
  });

  test("one answer for all is sent at once; a step works on what came, and its body is read where it is needed", async () => {
    const scales = partner();
    const weigh = step("weigh", async (request: Request) => ((await request.json()) as { kg: number }).kg);
    const wf = workflow("scales", async () => {
      using webhook = createWebhook({ respondWith: Response.json({ taken: true, text: "thank you" }, { status: 201 }) });
      await scales.tell(webhook.url);
      const request = await webhook;
      await sleep("1h"); // the answer does not wait for this
      return [await weigh(request), await weigh(request)];
    });
    const world = await worldOf(mode, wf);
    const run = await world.start(wf);
    expect(await sent(scales.call(json({ kg: 80 })))).toEqual([201, '{"taken":true,"text":"thank you"}']);
    await world.settled();
    await world.restart();
    await world.advance(3_600_000);
    expect(await world.engine.getRun(run.runId).returnValue).toEqual([80, 80]);
  });

  describe("an answer by what was sent", () => {
    test.each([
      ["fire", "we are on the way"],
      ["cat in a tree", "we call back"],
    ])("%s: %s", async (about, text) => {
      const caller = partner();
      const reply = step("reply", async (request: RequestWithResponse, says: string) =>
        request.respondWith(new Response(JSON.stringify({ says }), { status: 200, headers: { "content-type": "application/json" } })),
      );
      const wf = workflow("emergency desk", async () => {
        using webhook = createWebhook({ respondWith: "manual" });
        await caller.tell(webhook.url);
        const request = await webhook;
        const call = (await request.json()) as { about: string };
        if (call.about === "fire") await reply(request, "we are on the way");
        else await reply(request, "we call back");
        await sleep("1d");
        return call.about;
      });
      const world = await worldOf(mode, wf);
      const run = await world.start(wf);
      const answer = await caller.call(json({ about }));
      expect([answer.status, answer.headers.get("content-type"), await answer.json()]).toEqual([200, "application/json", { says: text }]);
      await world.settled();
      await world.advance(86_400_000);
      expect(await run.returnValue).toBe(about);
    });
  });

  test("an auction: each bid has its answer and its step, until the hammer falls", async () => {
    const bidder = partner();
    const book: number[] = [];
    const reply = step("reply", async (request: RequestWithResponse, says: string) =>
      request.respondWith(Response.json({ ok: true, says })),
    );
    const enter = step("enter", async (bid: number) => void book.push(bid));
    const wf = workflow("auction", async () => {
      using webhook = createWebhook({ respondWith: "manual" });
      await bidder.tell(webhook.url);
      let best = 0;
      for await (const request of webhook) {
        const { bid, isHammer } = (await request.json()) as { bid: number; isHammer?: boolean };
        if (isHammer === true) {
          await reply(request, `sold at ${best}`);
          break;
        }
        await reply(request, bid > best ? "you lead" : "too low");
        best = Math.max(best, bid);
        await enter(bid);
      }
      return best;
    });
    const world = await worldOf(mode, wf);
    const run = await world.start(wf);
    const says = async (init: RequestInit): Promise<unknown> => ((await (await bidder.call(init)).json()) as { says: string }).says;
    expect(await says(json({ bid: 10 }))).toBe("you lead");
    expect(await says(json({ bid: 8 }))).toBe("too low");
    await world.settled();
    await world.restart();
    expect(await says(json({ bid: 12 }))).toBe("you lead");
    expect(await says(json({ bid: 0, isHammer: true }))).toBe("sold at 12");
    expect(await world.engine.getRun(run.runId).returnValue).toBe(12);
    expect(book).toEqual([10, 8, 12]);
    expect((await bidder.call(json({ bid: 99 }))).status).toBe(410);
  });

  test("a ledger of requests: read, judged and answered in one step each; what cannot be parsed is an entry, too", async () => {
    const ferry = partner();
    const handle = step("handle", async (request: RequestWithResponse) => {
      const body = (await request.json().catch(() => ({}))) as { kind?: string };
      const kind = body.kind ?? "unreadable";
      const action = kind === "boarded" ? "count" : kind === "cancelled" ? "refund" : "skip";
      await request.respondWith(Response.json({ action }));
      return { kind };
    });
    const wf = workflow("ferry", async (id: string) => {
      const webhook = createWebhook({ respondWith: "manual" });
      await ferry.tell(webhook.url);
      const ledger: { kind: string }[] = [];
      for await (const request of webhook) {
        const entry = await handle(request);
        ledger.push(entry);
        if (entry.kind === "boarded" || entry.kind === "sunk") break;
      }
      return { id, url: webhook.url, ledger };
    });
    const world = await worldOf(mode, wf);
    const run = await world.start(wf, "F1");
    expect(await sent(ferry.call({ method: "POST", body: "{no json" }))).toEqual([200, '{"action":"skip"}']);
    expect(await sent(ferry.call({ method: "POST" }))).toEqual([200, '{"action":"skip"}']);
    expect(await sent(ferry.call(json({ kind: "cancelled" })))).toEqual([200, '{"action":"refund"}']);
    await world.settled();
    await world.restart();
    expect(await sent(ferry.call(json({ kind: "boarded" })))).toEqual([200, '{"action":"count"}']);
    expect(await world.engine.getRun(run.runId).returnValue).toEqual({
      id: "F1",
      url: ferry.url,
      ledger: [{ kind: "unreadable" }, { kind: "unreadable" }, { kind: "cancelled" }, { kind: "boarded" }],
    });
  });

  describe("a callback against a deadline", () => {
    type Result = { verdict: string; why?: string };
    function laboratory() {
      const asked: string[] = [];
      let url = "";
      const submit = step("submit", async (sample: string, callback: string) => {
        asked.push(sample);
        url = callback;
      });
      const judge = step("judge", async (request: RequestWithResponse): Promise<Result> => {
        const { isClean, why, reason } = (await request.json()) as { isClean: boolean; why?: string; reason?: string };
        await request.respondWith(Response.json({ noted: true }));
        return { verdict: isClean ? "clean" : "spoilt", why: why ?? reason ?? "" };
      });
      const wf = workflow(`laboratory ${mode}`, async (sample: string) => {
        const webhook = createWebhook({ respondWith: "manual" });
        await submit(sample, webhook.url);
        const result: Result = await Promise.race([
          (async () => {
            for await (const request of webhook) return await judge(request);
            throw new FatalError("closed before anybody called");
          })(),
          sleep("30s").then(() => ({ verdict: "none in time" })),
        ]);
        return { sample, ...result };
      });
      return { wf, asked, call: (init: RequestInit) => defaultWorld().engine.ingress(new Request(url, init)) };
    }

    test.each([
      [
        { isClean: true, why: "clear" },
        { verdict: "clean", why: "clear" },
      ],
      [
        { isClean: false, reason: "cloudy" },
        { verdict: "spoilt", why: "cloudy" },
      ],
      [{ isClean: false }, { verdict: "spoilt", why: "" }],
    ])("comes in time: %j", async (body, expected) => {
      const { wf, asked, call } = laboratory();
      const world = await worldOf(mode, wf);
      const run = await world.start(wf, "S1");
      await world.advance(29_999);
      await world.restart();
      expect(await sent(call(json(body)))).toEqual([200, '{"noted":true}']);
      expect(await world.engine.getRun(run.runId).returnValue).toEqual({ sample: "S1", ...expected });
      expect(asked).toEqual(["S1"]);
      await world.advance(60_000);
      expect(await world.engine.getRun(run.runId).status).toBe("completed");
    });

    test("does not come: the run goes on without it, and who calls late is told", async () => {
      const { wf, call } = laboratory();
      const world = await worldOf(mode, wf);
      const run = await world.start(wf, "S2");
      await world.advance(30_000);
      expect(await run.returnValue).toEqual({ sample: "S2", verdict: "none in time" });
      expect((await call(json({ isClean: true }))).status).toBe(410);
    });

    test("race({}) tells by name what came first, and no timer is left behind", async () => {
      const guest = partner();
      const wf = workflow("table", async () => {
        const webhook = createWebhook();
        await guest.tell(webhook.url);
        const first = await race({ seated: webhook, late: sleep("15m") });
        return first.key === "seated" ? await first.value.text() : "given away";
      });
      const world = await worldOf(mode, wf);
      const run = await world.start(wf);
      await guest.call({ method: "PUT", body: "two persons" });
      expect(await run.returnValue).toBe("two persons");
      expect(await world.store.nextDue()).toBe(null);
    });
  });

  describe("a route of the app's own", () => {
    test("hands the request to a webhook whose token both can make; then() reads, answers, and gives what it read", async () => {
      const wf = workflow("library loan", async (card: string) => {
        const webhook = createWebhook({ token: `return-${card}` });
        const book = await webhook.then(async (request) => {
          const { title } = (await request.json()) as { title: string };
          await request.respondWith(new Response("OK", { status: 200 }));
          return title;
        });
        return `${card} returned ${book}`;
      });
      const world = await worldOf(mode, wf);
      const run = await world.start(wf, "c7");
      const route = (request: Request, { params }: { params: { card: string } }): Promise<Response> =>
        resumeWebhook(`return-${params.card}`, request);
      await world.restart();
      const book = new Request("https://app.example/returns/c7", json({ title: "Momo" }));
      expect(await sent(route(book, { params: { card: "c7" } }))).toEqual([200, "OK"]);
      expect(await world.engine.getRun(run.runId).returnValue).toBe("c7 returned Momo");
      expect((await route(new Request("https://app.example/returns/c8", json({})), { params: { card: "c8" } })).status).toBe(404);
    });

    test("hands over what came at a minted token's URL, answered as the public route answers", async () => {
      let url = "";
      const tell = step("tell", async (told: string) => void (url = told));
      const wf = workflow("bell", async () => {
        const webhook = createWebhook({ respondWith: "manual" });
        await tell(webhook.url);
        const request = await webhook;
        await request.respondWith(new Response("ding", { status: 418 }));
        return await request.text();
      });
      const world = await worldOf(mode, wf);
      const run = await world.start(wf);
      const token = decodeURIComponent(url.split("/").at(-1) as string);
      const answer = await resumeWebhook(token, new Request(url, { method: "POST", body: "who is there" }));
      expect([answer.status, await answer.text(), answer.headers.get("ringback-disposition")]).toEqual([418, "ding", "accepted"]);
      expect(await run.returnValue).toBe("who is there");
      expect((await resumeWebhook(`${token}x`, new Request(url, { method: "POST" }))).status).toBe(404);
    });

    test("may also deliver a value: the webhook's code reads it as a request", async () => {
      const wf = workflow("doorbell", async () => {
        const webhook = createWebhook({ token: "doorbell", respondWith: "manual" });
        const request = await webhook;
        const value = await request.clone().json();
        return [value, request.method, request.headers.get("content-type"), (await request.respondWith(new Response("come in"))).sent];
      });
      const world = await worldOf(mode, wf);
      const run = await world.start(wf);
      expect((await resumeHook("doorbell", { rings: 2 })).runId).toBe(run.runId);
      expect(await run.returnValue).toEqual([{ rings: 2 }, "POST", "application/json", true]);
    });

    test("may be opened as a hook that takes requests", async () => {
      let url = "";
      const tell = step("tell", async (told: string) => void (url = told));
      const wf = workflow("visits", async () => {
        const hook = createHook<Request>({ isWebhook: true, metadata: { of: "visits" } });
        await tell((hook as Webhook).url);
        return (await hook).text();
      });
      const world = await worldOf(mode, wf);
      const run = await world.start(wf);
      expect(await sent(world.engine.ingress(new Request(url, { method: "POST", body: "hello" })))).toEqual([202, ""]);
      expect(await run.returnValue).toBe("hello");
    });
  });
});
