// No minted token stands in the database, its WAL, a log line or one of the engine's errors, whatever code does with it; and code gets
// back exactly what it put in (E3). A forged token is refused without a look at the store (D4).

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { RingbackError } from "../src/errors.ts";
import { createHook, createWebhook, type RequestWithResponse, sleep, step, workflow } from "../src/index.ts";
import { createTokens } from "../src/ingress/token.ts";
import { parseKeys } from "../src/ingress/key-ring.ts";
import { createWorld, modesOfLength, testKeys, type World } from "./harness.ts";
import { leaks, macOf } from "./leak.ts";

const base = "https://app.example/.well-known/workflow/v1/webhook/";

/** Every file beside the database, and what was logged. */
function artefacts(world: World): { name: string; bytes: Uint8Array | string }[] {
  const folder = world.path === null ? null : dirname(world.path);
  const files = folder === null ? [] : readdirSync(folder).map((name) => ({ name, bytes: readFileSync(join(folder, name)) }));
  return [...files, { name: "log", bytes: world.lines.join("\n") }];
}

async function post(world: World, url: string, init: RequestInit = {}): Promise<{ status: number; text: string; headers: Headers }> {
  const response = await world.engine.ingress(new Request(url, { method: "POST", ...init }));
  return { status: response.status, text: await response.text(), headers: response.headers };
}

/** A text with a token in it, as people write it into what they send. */
const encodings: readonly ((url: string) => unknown)[] = [
  (url) => url,
  (url) => encodeURIComponent(url),
  (url) => encodeURIComponent(encodeURIComponent(url)),
  (url) => encodeURIComponent(url).toLowerCase().replace(/%3a/g, "%3a"),
  (url) => JSON.stringify({ callback: { url } }),
  (url) => JSON.stringify(JSON.stringify([url, url])),
  (url) => new URLSearchParams({ callback: url, other: "ü" }).toString(),
  (url) => `<a href="${url}?a=1#x">${url}</a>`,
  (url) => new TextEncoder().encode(`callback=${url}`),
  (url) => Buffer.from(`é${encodeURIComponent(url)}`, "latin1"),
  (url) => new Uint16Array(new TextEncoder().encode(url.length % 2 === 0 ? url : `${url} `).buffer),
  (url) => new DataView(new TextEncoder().encode(url).buffer),
  (url) => new URL(url),
  (url) => ({ [url]: [url, { deep: new Map([[url, new Set([url])]]) }] }),
  (url) => new Error(`Could not reach ${url}`, { cause: new TypeError(url) }),
  (url) => Object.assign(new RangeError(url), { url, request: { url } }),
  (url) => new Headers({ "x-callback": url, link: `<${url}>; rel="callback"` }),
  (url) => new Request("https://psp.example/", { method: "POST", body: `url=${url}`, headers: { "x-callback": url } }),
  (url) => new Response(JSON.stringify({ url }), { headers: { location: url } }),
  (url) => Response.redirect(url, 303),
];

const echo = step("echo", async (value: unknown) => value);
const flow = step("flow", async (values: readonly unknown[]) => values.length);
const fail = step(
  "fail",
  async (url: string) => {
    throw new Error(`cannot reach ${url}`);
  },
  { maxRetries: 1 },
);

/** As comparable text, wherever the value may hold a token. */
async function plain(value: unknown): Promise<unknown> {
  if (value instanceof Request || value instanceof Response)
    return [value instanceof Request, [...value.headers], await value.clone().text()];
  if (value instanceof Headers) return [...value];
  if (value instanceof Error) return [value.name, value.message, await plain(value.cause), { ...value, cause: undefined }];
  if (ArrayBuffer.isView(value)) return [...new Uint8Array(value.buffer, value.byteOffset, value.byteLength)];
  return value;
}

describe.each(modesOfLength)("minted tokens (%s)", (mode) => {
  test("more than 1,000, through every value a step is given and gives back, come back exact and stand nowhere", async () => {
    const tokens: string[] = [];
    const differences: unknown[] = [];
    const wf = workflow("spreads", async (rounds: number) => {
      const uneven: unknown[] = [];
      for (let round = 0; round < rounds; round++) {
        const hooks = encodings.flatMap((encoding) => [createWebhook(), createHook()].map((hook) => ({ encoding, hook })));
        const given = hooks.map(({ encoding, hook }) => {
          const url = "url" in hook ? (hook.url as string) : `${base}${hook.token}`;
          tokens.push(url);
          return { value: encoding(url), again: encoding(url) };
        });
        const back = await Promise.all(given.map(({ value }) => echo(value)));
        await flow(given.map(({ again }) => (again instanceof Request || again instanceof Response ? null : again)));
        uneven.push(...back.map((value, n) => [value, given[n]?.again] as const));
      }
      await sleep("1m");
      for (const [value, again] of uneven as [unknown, unknown][]) {
        if (JSON.stringify(await plain(value)) !== JSON.stringify(await plain(again))) differences.push([inspect(again), inspect(value)]);
      }
      return tokens.length;
    });
    const world = await createWorld([wf], { mode });
    const runs = [];
    for (let n = 0; n < 3; n++) runs.push(await world.start(wf, 9));
    await world.settled();
    await world.restart();
    await world.advance(60_000);
    for (const run of runs) expect(await world.engine.getRun(run.runId).returnValue).toBeGreaterThan(1_000);
    expect(differences).toEqual([]);
    expect(new Set(tokens).size).toBeGreaterThan(1_000);
    expect(leaks(new Set(tokens), artefacts(world))).toEqual([]);
    await world.engine.close({ graceMs: 0 });
    expect(leaks(new Set(tokens), artefacts(world))).toEqual([]);
  });

  test("in arguments, results, errors, warnings, metadata, names, children, other runs, answers, keys, and what a callback brings", async () => {
    const tokens: string[] = [];
    const shown = (hook: { url: string }): string => (tokens.push(hook.url), hook.url);
    const callbacks: string[] = [];
    const child = workflow("child of tokens", async (url: string) => {
      const own = shown(createWebhook());
      await echo({ url, own });
      return { url, own };
    });
    const spreads = workflow("spreads further", async (foreign: string | null) => {
      const first = shown(createWebhook());
      const second = createWebhook({ metadata: { url: first, foreign } });
      const third = createWebhook({
        respondWith: Response.json({ next: first }, { headers: { location: first, link: `<${shown(second)}>` } }),
      });
      const manual = createWebhook({ respondWith: "manual" });
      await step.run(`tell ${first}`, () => void callbacks.push(shown(third), shown(manual), first));
      const failed = await fail(first).catch((error: Error) => error.message);
      const taken = await third;
      const text = await taken.text();
      const answered = await (async () => {
        const request: RequestWithResponse = await manual;
        await echo(request);
        return request.respondWith(new Response(`next: ${first}`, { headers: { "x-next": encodeURIComponent(first) } }));
      })();
      void Promise.reject(new Error(`stray ${first}`));
      return { first, failed, text, headers: [...taken.headers], url: taken.url, answered };
    });
    const throws = workflow("throws tokens", async () => {
      const url = shown(createWebhook());
      throw Object.assign(new Error(`no answer from ${url}`), { url, encoded: encodeURIComponent(url) });
    });
    const blocked = workflow("is blocked with a token", async () => {
      const url = shown(createWebhook());
      throw new RingbackError("changed_code", url, { details: { run: url } });
    });
    const parent = workflow("parent of tokens", async () => {
      const url = shown(createWebhook());
      const run = await world.engine.start(child, [url]);
      return [url, await run.returnValue];
    });
    const world = await createWorld([child, spreads, throws, blocked, parent], { mode });

    const one = await world.start(spreads, null);
    const [third, manual, first] = callbacks.splice(0) as [string, string, string];
    await world.advance(10_000);
    const sent = await post(world, `${third}?from=${encodeURIComponent(first)}`, {
      body: new URLSearchParams({ reply_to: first, self: third }),
      headers: { "x-original": third, [`x-${macOf(first)}`.toLowerCase()]: "1", "idempotency-key": third },
    });
    expect(sent).toMatchObject({ status: 200, text: JSON.stringify({ next: first }) });
    expect(sent.headers.get("location")).toBe(first);
    const answer = await post(world, manual, { body: JSON.stringify({ first }), headers: { "webhook-id": first } });
    expect([answer.text, answer.headers.get("x-next")]).toEqual([`next: ${first}`, encodeURIComponent(first)]);
    const result = await one.returnValue;
    expect(result).toMatchObject({
      first,
      failed: `cannot reach ${first}`,
      text: new URLSearchParams({ reply_to: first, self: third }).toString(),
      url: `${third}?from=${encodeURIComponent(first)}`,
    });
    expect(new Map(result.headers as [string, string][]).get("x-original")).toBe(third);

    const again = await post(world, `${third}?from=${encodeURIComponent(first)}`, {
      body: new URLSearchParams({ reply_to: first, self: third }),
      headers: { "idempotency-key": third },
    });
    expect([again.headers.get("ringback-disposition"), again.text]).toEqual(["duplicate", sent.text]);
    const late = await post(world, manual, { body: JSON.stringify({ first }), headers: { "webhook-id": first } });
    expect([late.headers.get("ringback-disposition"), late.text, late.headers.get("x-next")]).toEqual([
      "duplicate",
      answer.text,
      answer.headers.get("x-next"),
    ]);

    const two = await world.start(spreads, first);
    expect(
      (await world.engine.listHooks({ runId: two.runId })).some(
        (hook) => (hook.metadata as { foreign?: string } | undefined)?.foreign === first,
      ),
    ).toBe(true);
    for (const wf of [throws, blocked]) {
      const error = await (await world.start(wf)).returnValue.catch((thrown: unknown) => thrown);
      expect(RingbackError.is(error, "run_failed")).toBe(true);
      const { cause, message, stack } = error as Error;
      expect((cause as Error).message).toContain(base);
      expect(leaks(tokens, [{ name: "message", bytes: message + stack + inspect((error as RingbackError).details) }])).toEqual([]);
    }
    expect(world.lines.some((line) => line.includes("failed: Error: no answer from https://app.example/"))).toBe(true);
    const [url, returned] = (await (await world.start(parent)).returnValue) as [string, { url: string; own: string }];
    expect(returned.url).toBe(url);
    expect(tokens).toContain(returned.own);
    await world.settled();
    await world.restart();
    expect(await world.engine.getRun(one.runId).returnValue).toEqual(result);
    expect(leaks(tokens, artefacts(world))).toEqual([]);
  });

  test("the engine's own errors show none: where one is refused as an address, a name or an id, and where it leads nowhere", async () => {
    const tokens: string[] = [];
    const inside: unknown[] = [];
    const caught = async (what: string, call: () => unknown): Promise<void> => {
      const error = await (async () => call())().then(
        () => `${what} did not throw`,
        (thrown: unknown) => thrown,
      );
      expect(RingbackError.is(error), String(error)).toBe(true);
      inside.push(error);
    };
    const wf = workflow("refusals", async () => {
      const webhook = createWebhook();
      const hook = createHook();
      const closed = createHook<number>();
      closed.dispose();
      tokens.push(webhook.token, hook.token, closed.token);
      await caught("a minted token as a custom one", () => createHook({ token: hook.token }));
      await caught("a URL as a custom token", () => createHook({ token: webhook.url }));
      await caught("an encoded token as a custom one", () => createWebhook({ token: `x${encodeURIComponent(webhook.token)}` }));
      await caught("a key of an argument that cannot be stored", () => echo({ [webhook.url]: () => 1 }));
      await caught("a disposed hook", () => closed);
      inside.push(
        inspect(webhook, { depth: 9, showHidden: true }),
        inspect(hook.handle.dispose, { depth: 9, showHidden: true }),
        JSON.stringify(webhook),
      );
      await step.run("hand out", () => {});
      await sleep("1d");
    });
    const world = await createWorld([wf], { mode });
    await world.start(wf);
    const [webhook, hook, closed] = tokens as [string, string, string];
    const { engine } = world;
    const altered = `${hook.slice(0, -1)}${hook.endsWith("A") ? "B" : "A"}`;
    await caught("a closed hook", () => engine.resumeHook(closed, 1));
    await caught("an altered token", () => engine.resumeHook(altered, 1));
    await caught("a URL in place of a token", () => engine.resumeHook(base + webhook, 1));
    await caught("an encoded token", () => engine.resumeHook(encodeURIComponent(hook), 1));
    await caught("a look-up by URL", () => engine.getHookByToken(base + webhook));
    await caught("a delivery's id", () => engine.redeliver(webhook));
    await caught("a delivery's id to read on from", () => engine.listRefused({ before: base + webhook }));
    await caught("the id of a run that is not there", () => engine.getRun(webhook).state);
    await caught("the id of a run to cancel", () => engine.getRun(base + webhook).cancel());
    await caught("the id of a run to show", () => engine.getRunInfo(encodeURIComponent(webhook)));
    await caught("a run id", () => engine.start(wf, [], { id: webhook }));
    await caught("a long key", () => engine.resumeHook(hook, 1, { key: `${"k".repeat(255)}${hook}` }));
    expect(
      leaks(
        [webhook, hook, closed],
        inside.map((error, n) => ({ name: `${n}`, bytes: `${inspect(error, { depth: 9, showHidden: true })} ${(error as Error).stack}` })),
      ),
    ).toEqual([]);
    await world.settled();
    expect(leaks(tokens, artefacts(world))).toEqual([]);
  });
});

describe("addresses that lead nowhere", () => {
  const tokens = createTokens(parseKeys(testKeys));
  const foreign = createTokens(parseKeys(`t1=${"5a".repeat(32)},x9=${"6b".repeat(32)}`));

  test("forged, cut, foreign, and other-purpose tokens are 404 without a call to the store; resumeHook refuses the forged ones likewise", async () => {
    const own: string[] = [];
    const wf = workflow("spied", async () => {
      const [webhook, hook, custom] = [createWebhook(), createHook<string>(), createHook<string>({ token: "custom" })];
      own.push(webhook.token, hook.token);
      await sleep("1ms");
      return [await hook, await custom, await (await webhook).text()];
    });
    const world = await createWorld([wf], { mode: "evict" });
    const run = await world.start(wf);
    await world.advance(1);
    const [webhook, hook] = own as [string, string];
    const { runKey, position } = tokens.parse(webhook) ?? { runKey: "", position: 0 };
    const forged = [
      foreign.mint({ runKey, position, generation: 0, purpose: "webhook" }),
      foreign.mint({ kid: "x9", runKey, position, generation: 0, purpose: "webhook" }),
      tokens.mint({ runKey, position, generation: 0, purpose: "webhook" }).replace(`${position}.0`, `${position}.1`),
      tokens.mint({ runKey, position, generation: 0, purpose: "webhook" }).replace(`:${position}.`, `:${position + 1}.`),
      ...[1, 5, 23, 24].map((cut) => webhook.slice(0, -cut)),
      `${webhook}A`,
      webhook.toUpperCase(),
      webhook.replace("wh:", "wh::"),
      `${webhook.slice(0, -1)}${webhook.endsWith("A") ? "B" : "A"}`,
      "wh:",
      "wh:t1",
      "wh:t1:::",
    ];
    const calls: string[] = [];
    const { store } = world;
    for (const name of ["commit", "hook", "run", "journal", "chapter", "delivery", "deliveryOf", "hooks", "runs", "runnable"] as const) {
      const method = (store[name] as (...args: unknown[]) => unknown).bind(store);
      Object.assign(store, { [name]: (...args: unknown[]) => (calls.push(name), method(...args)) });
    }
    for (const token of [...forged, hook, "custom", "nobody", encodeURIComponent(hook), ""]) {
      for (const method of ["POST", "GET"]) {
        const answer = await post(world, base + token, { method, headers: { "idempotency-key": "k" } });
        expect([token, answer.status, answer.text, answer.headers.get("ringback-disposition")]).toEqual([token, 404, "", "unknown"]);
      }
    }
    for (const token of forged.filter((each) => each.startsWith("wh:"))) {
      expect(await world.engine.signal(token, "x"), token).toMatchObject({ disposition: "unknown" });
      expect((await world.engine.resumeWebhook(token, new Request("https://x/", { method: "POST" }))).status, token).toBe(404);
    }
    expect(calls).toEqual([]);
    expect(await world.engine.signal(hook, "for the hook")).toMatchObject({ disposition: "accepted" });
    expect(await world.engine.signal("custom", "for the custom one")).toMatchObject({ disposition: "accepted" });
    expect((await post(world, base + encodeURIComponent(webhook), { body: "for the webhook" })).status).toBe(202);
    expect(await run.returnValue).toEqual(["for the hook", "for the custom one", "for the webhook"]);
    expect(calls.length).toBeGreaterThan(0);
  });
});
