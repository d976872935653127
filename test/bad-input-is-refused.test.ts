// Whatever is sent: a clear answer, a process that lives, and nothing half-written. Over real HTTP, and through the calls of server code.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import type { StandardSchema } from "../src/core/definition.ts";
import { limits } from "../src/core/limits.ts";
import { createHook, createWebhook, sleep, step, workflow } from "../src/index.ts";
import { createWorld, defaultMode, type World } from "./harness.ts";
import { aborted, exchanged, requestText, served, statuses } from "./http.ts";
import { rowsIn } from "./rows.ts";

const isLong = process.env["RINGBACK_LONG"] === "1" && defaultMode === "hot";
const cap = 1_000;

let url = "";
const give = step("give", async (given: string) => void (url = given));
/** Reads one request, and says what its code saw. */
const reads = workflow("reads", async (how: "json" | "text" | "bytes" | "head") => {
  const hook = createWebhook();
  await give(hook.url);
  const request = await hook;
  if (how === "head") return [...request.headers].filter(([name]) => name.startsWith("x-") || name.includes("-key"));
  const seen = how === "json" ? request.json() : how === "text" ? request.text() : request.arrayBuffer();
  return seen.catch((error: Error & { code?: string }) => ({ refused: error.code ?? error.name, message: error.message }));
});
const takes = workflow("takes", async (token: string) => {
  const value = await createHook({ token, metadata: token });
  await sleep("1s");
  return value;
});
const answers = workflow("answers", async (token: string) => {
  const request = await createWebhook({ token, respondWith: new Response("thanks") });
  return [request.url, await request.json()] as const;
});
const all = [reads, takes, answers] as const;

const open = (options: object = {}): Promise<World> => createWorld(all, { mode: "hot", bodyBytes: cap, ...options });
const rows = (world: World): ReturnType<typeof rowsIn> => rowsIn(world.path as string);
const post = (path: string, headers: readonly string[], body: string = ""): Buffer =>
  requestText(`POST ${path} HTTP/1.1`, ["Connection: close", ...headers], body);
const chunked = (...sizes: number[]): string =>
  `${sizes.map((size) => `${size.toString(16)}\r\n${"x".repeat(size)}\r\n`).join("")}0\r\n\r\n`;

describe("over HTTP", () => {
  test.each([
    ["with its length", (size: number) => [[`Content-Length: ${size}`], "x".repeat(size)] as const],
    ["in chunks", (size: number) => [["Transfer-Encoding: chunked"], chunked(1, size - 1)] as const],
  ])("a body at the cap is taken whole, one byte more is 413 and leaves nothing (%s)", async (_name, made) => {
    const world = await open();
    const { port } = await served(world.engine);
    const run = await world.start(reads, "text");
    const before = await rows(world);
    const [headers, body] = made(cap + 1);
    const refused = await exchanged(port, post(new URL(url).pathname, headers, body));
    expect(statuses(refused)).toEqual([413]);
    expect(refused).toContain(`{"code":"too_large","message":"The request body has more than ${cap} bytes."}`);
    expect(await rows(world)).toEqual(before);
    const [fitting, whole] = made(cap);
    expect(statuses(await exchanged(port, post(new URL(url).pathname, fitting, whole)))).toEqual([202]);
    expect(await run.returnValue).toBe("x".repeat(cap));
  });

  test("an upload that breaks off leaves nothing, and the next one is taken", async () => {
    const world = await open();
    const serving = await served(world.engine);
    const run = await world.start(reads, "text");
    const before = await rows(world);
    const { pathname } = new URL(url);
    for (const cut of [
      post(pathname, ["Content-Length: 100"], "only some"),
      post(pathname, ["Content-Length: 100"]),
      post(pathname, ["Transfer-Encoding: chunked"], chunked(5).slice(0, -5)),
      post(pathname, ["Transfer-Encoding: chunked"], "64\r\nhalf"),
      post(pathname, ["Content-Length: 5"]).subarray(0, 60),
    ])
      await aborted(serving, cut);
    expect(await rows(world)).toEqual(before);
    expect(statuses(await exchanged(serving.port, post(pathname, ["Content-Length: 5"], "whole")))).toEqual([202]);
    expect(await run.returnValue).toBe("whole");
  });

  test("what is no HTTP, or says two things at once, is 400 or cut off; a token that is none is 404", async () => {
    const world = await open();
    const { port } = await served(world.engine);
    const run = await world.start(reads, "text");
    const before = await rows(world);
    const { pathname } = new URL(url);
    const route = pathname.slice(0, pathname.lastIndexOf("/") + 1);
    const cases: [Buffer | string, number[]][] = [
      ["\0\x01\x02\r\n\r\n", [400]],
      ["GARBAGE\r\n\r\n", [400]],
      [post(pathname, ["Content-Length: 5", "Content-Length: 6"], "whole"), [400]],
      [post(pathname, ["Content-Length: 5", "Transfer-Encoding: chunked"], "whole"), [400]],
      [post(pathname, ["Content-Length: -1"], "whole"), [400]],
      [post(pathname, ["Content-Length: 5e0"], "whole"), [400]],
      [post(pathname, ["Transfer-Encoding: chunked"], "zz\r\nno\r\n"), [400]],
      [post(pathname, ["X-Bad: a\0b", "Content-Length: 5"], "whole"), [400]],
      [post(pathname, [`X-Huge: ${"x".repeat(20_000)}`]), [431]],
      [post(`${route}%`, []), [404]],
      [post(`${route}%ff%fe`, []), [404]],
      [post(`${route}wh:%00:a:1.0:x`, []), [404]],
      [post(`${pathname}%00`, []), [404]],
      [post(`${route}../${"a".repeat(8_000)}`, []), [404]],
      [post(`${pathname}x`, []), [404]],
      [post(`${pathname.slice(0, -1)}`, []), [404]],
    ];
    for (const [bytes, expected] of cases) {
      const answer = await exchanged(port, bytes);
      expect(statuses(answer), String(bytes).slice(0, 120)).toEqual(expected);
    }
    expect(await rows(world)).toEqual(before);
    expect(statuses(await exchanged(port, post(pathname, ["Content-Length: 5"], "whole")))).toEqual([202]);
    expect(await run.returnValue).toBe("whole");
  });

  test("headers come through as they were sent: several of one name, odd names, any byte", async () => {
    const world = await open();
    const { port } = await served(world.engine);
    const run = await world.start(reads, "head");
    const headers = [
      "X-Two: 1",
      "x-two: 2",
      "X-Proto__: a",
      "__proto__: b",
      "constructor: c",
      "X-Bytes: caf\xe9",
      "X-Empty:",
      "X-Many: ",
      "Content-Length: 2",
    ];
    headers.push(...Array.from({ length: 100 }, (_, index) => `X-N${index}: ${index}`), "Idempotency-Key: a", "Idempotency-Key: b");
    expect(statuses(await exchanged(port, post(new URL(url).pathname, headers, "{}")))).toEqual([202]);
    const seen = new Map((await run.returnValue) as [string, string][]);
    expect([seen.get("x-two"), seen.get("x-bytes"), seen.get("x-empty"), seen.get("x-n99"), seen.get("idempotency-key")]).toEqual([
      "1, 2",
      "caf\xe9",
      "",
      "99",
      "a, b",
    ]);
  });

  test.each<[string, readonly string[], string, "json" | "text" | "bytes", unknown]>([
    ["no byte", ["Content-Length: 0"], "", "json", { refused: "SyntaxError" }],
    ["no byte, as text", ["Content-Length: 0"], "", "text", ""],
    ["no JSON", ["Content-Type: application/json", "Content-Length: 1"], "{", "json", { refused: "SyntaxError" }],
    ["a coding that it is not in", ["Content-Encoding: gzip", "Content-Length: 2"], "{}", "json", {}],
    ["a charset that it is not in", ["Content-Type: application/json; charset=utf-16", "Content-Length: 3"], '"\xe9"', "text", '"\ufffd"'],
    [
      "bytes that are no text",
      ["Content-Type: text/plain; charset=none", "Content-Length: 3"],
      "\xff\xfe\0",
      "bytes",
      new Uint8Array([255, 254, 0]).buffer,
    ],
    ["JSON with a NUL and half a character", ["Content-Length: 16"], '["\\u0000\\ud800"]', "json", ["\u0000\ud800"]],
  ])("a body of %s is stored as it is, and its reader is told", async (_name, headers, body, how, expected) => {
    const world = await open();
    const { port } = await served(world.engine);
    const run = await world.start(reads, how);
    expect(statuses(await exchanged(port, post(new URL(url).pathname, headers, body)))).toEqual([202]);
    await world.restart();
    const seen = await world.engine.getRun(run.runId).returnValue;
    if (typeof expected === "object" && expected !== null && "refused" in expected) expect(seen).toMatchObject(expected);
    else expect(seen).toEqual(expected);
  });
});

test("where a webhook wants JSON, what is none, or is too deep, is 422 and leaves nothing; its schema never sees a __proto__", async () => {
  const shown: unknown[] = [];
  const schema: StandardSchema = {
    "~standard": { version: 1, vendor: "test", validate: (value) => (shown.push(JSON.stringify(value)), { value }) },
  };
  const wants = workflow("wants", async () => {
    const hook = createWebhook({ schema });
    await give(hook.url);
    return (await hook).json();
  });
  const world = await createWorld([wants], { mode: "hot" });
  const { port } = await served(world.engine);
  const run = await world.start(wants);
  const before = await rows(world);
  const sent = async (body: string): Promise<string> =>
    exchanged(port, post(new URL(url).pathname, [`Content-Length: ${Buffer.byteLength(body, "latin1")}`], body));
  for (const body of [
    "",
    "{",
    "undefined",
    '"\xe9"',
    "NaN",
    "{'a':1}",
    '{"a":1}}',
    "[".repeat(100_000),
    `${"[".repeat(257)}${"]".repeat(257)}`,
  ]) {
    const answer = await sent(body);
    expect(statuses(answer), body.slice(0, 20)).toEqual([422]);
    expect(answer).toMatch(/is empty, and JSON|is not JSON in UTF-8|nested more than 256 deep/);
  }
  expect(shown).toEqual([]);
  expect(await rows(world)).toEqual(before);
  expect(statuses(await sent('{"__proto__":{"polluted":1},"a":1}'))).toEqual([202]);
  expect([shown, await run.returnValue, "polluted" in {}]).toEqual([['{"a":1}'], { a: 1 }, false]);
});

describe("keys that would set a prototype", () => {
  const hostile = '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"a":[{"\\u005f_proto__":{"polluted":1},"b":1}]}';
  const kept = { constructor: { prototype: { polluted: 1 } }, a: [{ b: 1 }] };
  const isClean = (): boolean => !("polluted" in {}) && Object.keys(Object.prototype).length === 0;

  test("are left out of JSON bodies, whoever brings them; as server code's own values they come back as plain data", async () => {
    const world = await open();
    const { port } = await served(world.engine);
    const value = JSON.parse(hostile) as object;
    const byHttp = await world.start(reads, "json");
    await exchanged(port, post(new URL(url).pathname, [`Content-Length: ${hostile.length}`], hostile));
    const forwarded = await world.start(reads, "json");
    await world.engine.resumeWebhook(url.split("/").at(-1) as string, new Request(url, { method: "POST", body: hostile }));
    const asRequest = await world.start(answers, "w");
    await world.engine.resumeHook("w", value);
    const asValue = await world.start(takes, "t");
    await world.engine.signal("t", value);
    const echo = workflow("echo", async (given: object) => [given, await step.run("same", () => given)]);
    const runs = [byHttp, forwarded, asRequest, asValue];
    const passed = createWorld([echo], { mode: "hot" });
    await world.settled();
    await world.restart();
    await world.advance(1_000);
    const results = await Promise.all(runs.map(({ runId }) => world.engine.getRun(runId).returnValue));
    expect(JSON.stringify(results.slice(0, 3))).toBe(JSON.stringify([kept, kept, ["urn:ringback:hook:1", kept]]));
    for (const given of [results[3], ...((await (await (await passed).start(echo, value)).returnValue) as object[])]) {
      expect(JSON.stringify(given)).toBe(JSON.stringify(value));
      expect(Object.getPrototypeOf(given)).toBe(Object.prototype);
      expect((given as { polluted?: unknown }).polluted).toBe(undefined);
    }
    expect(isClean()).toBe(true);
  });
});

describe("nesting", () => {
  const levels = 100_000;
  const nested = (depth: number): unknown => {
    let value: unknown = 1;
    for (let level = 0; level < depth; level++) value = level % 2 ? [value] : { v: value };
    return value;
  };

  test("JSON 100,000 deep is refused before it is parsed, and its text can still be read", async () => {
    const world = await open({ bodyBytes: limits.bodyBytes });
    const { port } = await served(world.engine);
    const bodies = ["[".repeat(levels) + "]".repeat(levels), '{"a":'.repeat(levels), "[".repeat(levels)];
    for (const body of bodies) {
      const json = await world.start(reads, "json");
      expect(statuses(await exchanged(port, post(new URL(url).pathname, [`Content-Length: ${body.length}`], body)))).toEqual([202]);
      expect(await json.returnValue).toMatchObject({ refused: "too_deep", message: expect.stringContaining("nested more than 256 deep") });
      const text = await world.start(reads, "text");
      await world.engine.ingress(new Request(url, { method: "POST", body }));
      expect(await text.returnValue).toBe(body);
    }
  });

  test("a value that deep is refused at the call by every door, and by start and steps; the message stays short", async () => {
    const world = await open();
    const run = await world.start(takes, "t");
    await world.start(answers, "w");
    const before = await rows(world);
    const value = nested(levels);
    for (const call of [
      () => world.engine.resumeHook("t", value),
      () => world.engine.signal("t", value),
      () => world.engine.resumeHook("w", value),
      () => world.engine.start(takes, [value as string]),
    ]) {
      const refused = await call().then(
        () => null,
        (error: unknown) => error as Error,
      );
      expect(refused).toMatchObject({ code: "too_deep" });
      expect(refused?.message.length).toBeLessThan(500);
    }
    expect(await rows(world)).toEqual(before);
    await world.engine.resumeHook("t", nested(limits.depth));
    await world.settled();
    await world.advance(1_000);
    expect(await run.returnValue).toEqual(nested(limits.depth));
  });
});

describe("what server code passes", () => {
  const circle: { self?: object } = {};
  circle.self = { circle };
  const trap = Object.defineProperty({}, "trap", {
    enumerable: true,
    get: (): never => {
      throw new Error("trapped");
    },
  });
  test.each<[string, unknown, { hook: string | null; webhook: string | null }]>([
    ["a function", { a: [() => 0] }, { hook: "$.a[0]", webhook: "$.a[0]" }],
    ["a symbol", { 'odd "key"': Symbol("s") }, { hook: '$["odd \\"key\\""]', webhook: '$["odd \\"key\\""]' }],
    ["an instance", [new (class Socket {})()], { hook: "$[0]", webhook: "$[0]" }],
    ["a Promise", { p: Promise.resolve(1) }, { hook: "$.p", webhook: "$.p" }],
    ["a Map", { m: new Map([[1, 2]]) }, { hook: null, webhook: "$.m" }],
    ["a BigInt", { deep: { n: 1n } }, { hook: null, webhook: "$.deep.n" }],
    ["NaN", [1, Number.NaN], { hook: null, webhook: "$[1]" }],
    ["a circle", circle, { hook: null, webhook: "$.self.circle" }],
    ["a getter that throws", trap, { hook: "$.trap", webhook: "$" }],
    ["a Date and an absent member", { at: new Date(0), no: undefined }, { hook: null, webhook: null }],
  ])("%s is refused with the path to it where it cannot be carried, and nothing is stored", async (_name, value, { hook, webhook }) => {
    const world = await open();
    await world.start(takes, "t");
    await world.start(answers, "w");
    const before = await rows(world);
    for (const [token, path] of [
      ["t", hook],
      ["w", webhook],
    ] as const) {
      if (path === null) continue;
      for (const call of [world.engine.resumeHook(token, value), world.engine.signal(token, value)])
        await expect(call).rejects.toMatchObject({ code: "unserialisable", details: { path }, message: expect.stringContaining(path) });
    }
    expect(await rows(world)).toEqual(before);
    if (hook === null) expect(await world.engine.signal("t", value)).toMatchObject({ disposition: "accepted" });
    if (webhook === null) expect(await world.engine.signal("w", value)).toMatchObject({ disposition: "accepted" });
  });

  test.each([
    ["a NUL", "a\0b"],
    ["half a character", "a\ud800"],
    ["nothing", ""],
  ])("a name, an id, a token or a key of %s is refused, and found nowhere", async (_name, text) => {
    const world = await open();
    await world.start(takes, "t");
    const before = await rows(world);
    const refused = { code: "bad_argument" };
    for (const declare of [() => workflow(text, async () => 1), () => step(text, async () => 1)])
      expect(declare).toThrow(expect.objectContaining(refused));
    await expect(world.engine.start(takes, ["x"], { id: text })).rejects.toMatchObject(refused);
    await expect(world.engine.resumeHook("t", 1, { key: text })).rejects.toMatchObject(refused);
    await expect(world.engine.resumeHook(text, 1)).rejects.toMatchObject({ code: "hook_not_found" });
    expect(await world.engine.signal(text, 1)).toMatchObject({ disposition: "unknown" });
    expect((await world.engine.resumeWebhook(text, new Request("https://a.example/", { method: "POST" }))).status).toBe(404);
    expect(await world.engine.getRun(text).exists).toBe(false);
    expect(await rows(world)).toEqual(before);
  });

  test("a token of a megabyte is not found, in few words", async () => {
    const world = await open();
    const error = await world.engine.resumeHook("x".repeat(1e6), 1).catch((thrown: Error) => thrown);
    expect(error).toMatchObject({ code: "hook_not_found" });
    expect((error as Error).message.length).toBeLessThan(500);
  });

  test("a request's URL is whole where it came with one, and so is what asks the platform about it", async () => {
    const world = await open();
    const run = await world.start(answers, "w");
    const request = new Request("https://shop.example/slack/events?team=1", { method: "POST", body: "{}" });
    expect(await (await world.engine.resumeWebhook("w", request)).text()).toBe("thanks");
    expect(await run.returnValue).toEqual(["https://shop.example/slack/events?team=1", {}]);
  });
});

const count = isLong ? 100_000 : 10_000;
test(`${count} malformed requests over few connections: each is answered, the heap is flat, nothing is stored`, async () => {
  const world = await open({ rateLimit: false });
  const { port } = await served(world.engine);
  const run = await world.start(reads, "text");
  const { pathname } = new URL(url);
  const route = pathname.slice(0, pathname.lastIndexOf("/") + 1);
  const forged = `${pathname.slice(0, -4)}AAAA`;
  const long = `X-Long: ${"y".repeat(3_000)}`;
  const kinds: [number, Buffer][] = [
    [404, requestText(`POST ${forged} HTTP/1.1`, ["Content-Length: 2"], "{}")],
    [404, requestText(`POST ${route}%zz HTTP/1.1`, ["Content-Length: 2", long], "\xff\xfe")],
    [404, requestText(`POST ${route}wh:t1:${"a".repeat(64)}:1.0:${"b".repeat(24)} HTTP/1.1`, ["Content-Length: 0"])],
    [405, requestText(`DELETE ${pathname} HTTP/1.1`, ["Content-Length: 1"], "x")],
    [413, requestText(`POST ${pathname} HTTP/1.1`, [`Idempotency-Key: ${"k".repeat(300)}`, "Content-Length: 1"], "x")],
    [404, requestText(`POST /${"../".repeat(50)}etc/passwd?${"[".repeat(200)} HTTP/1.1`, ["Transfer-Encoding: chunked"], chunked(10, 20))],
    [404, requestText(`GET ${route} HTTP/1.1`, ["__proto__: x"])],
  ];
  const batch = 250;
  const before = await rows(world);
  const sendBatch = async (): Promise<void> => {
    const requests = Array.from({ length: batch }, (_, index) => kinds[index % kinds.length] as [number, Buffer]);
    const last = requestText("POST / HTTP/1.1", ["Connection: close"]);
    const answer = await exchanged(port, Buffer.concat([...requests.map(([, request]) => request), last]));
    expect(statuses(answer)).toEqual([...requests.map(([status]) => status), 404]);
    expect(statuses(await exchanged(port, "BROKEN\r\n\r\n"))).toEqual([400]);
  };
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const heap = (): number => {
    collect();
    return process.memoryUsage().heapUsed;
  };
  for (let warm = 0; warm < 4; warm++) await sendBatch();
  const first = heap();
  for (let sent = 0; sent < count; sent += batch) await sendBatch();
  expect(heap() - first).toBeLessThan(3_000_000);
  expect(await rows(world)).toEqual(before);
  expect(statuses(await exchanged(port, post(pathname, ["Content-Length: 5"], "whole")))).toEqual([202]);
  expect(await run.returnValue).toBe("whole");
});
