// Encryption keys come, go and change: runs under old keys go on, those whose key is away wait for it, and no wrong value is ever read.

import { createSecretKey, webcrypto } from "node:crypto";
import { describe, expect, test } from "vitest";
import { encryptionKeyId, start } from "../src/api.ts";
import type { EncryptionOptions } from "../src/engine/encryption-keys.ts";
import { createHook, createWebhook, defineHook, type EncryptionSecret, sleep, step, workflow } from "../src/index.ts";
import { loadDriver, prepare } from "../src/store/sqlite/driver.ts";
import { coldModes, createWorld, type Mode, type World } from "./harness.ts";

const k1 = `k1=${"a1".repeat(32)}`;
const k2 = `k2=${"b2".repeat(32)}`;
const other = `k1=${"c3".repeat(32)}`;

/** Waits at every kind of place, so that all of its journal is read again at each one. */
function createWaits() {
  let bodies = 0;
  const urls: string[] = [];
  const double = step("double", async (value: { n: number }) => (bodies++, { n: value.n * 2 }));
  const told = step("told", async (url: string) => void urls.push(url));
  const wf = workflow("waits", async (given: { n: number }) => {
    const webhook = createWebhook({ metadata: { n: given.n } });
    const hook = createHook<{ n: number }>({ token: `hook:${given.n}` });
    await told(webhook.url);
    const first = await double(given);
    const body = (await (await webhook).json()) as { n: number };
    const second = await double(body);
    const third = await hook;
    const child = await (await start(inner, [third.n])).returnValue;
    await sleep("1m");
    return [first.n, second.n, third.n, child];
  });
  const inner = workflow("inner", async (n: number) => n + 1);
  return { wf, inner, urls, bodies: () => bodies };
}

async function post(world: World, url: string | undefined, body: unknown, headers: Record<string, string> = {}): Promise<number> {
  const { status } = await world.engine.ingress(new Request(url as string, { method: "POST", body: JSON.stringify(body), headers }));
  await world.settled();
  return status;
}

/** Changes what is stored; `?` stands for each of `values`. */
async function inFile(world: World, sql: string, ...values: (string | number | Uint8Array | null)[]): Promise<void> {
  const database = new (await loadDriver())(world.path as string);
  try {
    prepare(database, sql).run(...values);
  } finally {
    database.close();
  }
}

const stages: readonly (string | false)[] = [k1, `${k1},${k2}`, `${k2},${k1}`, `${k2},${k1}`, `off,${k2},${k1}`, `${k1},${k2}`];

describe.each(coldModes)("encryption keys (%s)", (mode) => {
  test("a run goes on after every rotation, encryption turned on, and turned off", async () => {
    const { wf, inner, urls, bodies } = createWaits();
    const world = await createWorld([wf, inner], { mode });
    const run = await world.start(wf, { n: 1 });
    let stage = 0;
    const next = (): Promise<void> => world.restart({ encryption: stages[stage++] as string });
    await next();
    expect(await post(world, urls[0], { n: 5 })).toBe(202);
    await next();
    await next();
    await world.engine.resumeHook("hook:1", { n: 7 });
    await world.settled();
    await next();
    await next();
    await world.advance(60_000);
    await next();
    expect(await world.engine.getRun(run.runId).returnValue).toEqual([2, 10, 7, 8]);
    expect(bodies()).toBe(2);
    expect(world.lines).toEqual([]);
  });

  test("a repeat is a repeat under any key: of a delivery, of a start, of a child's start", async () => {
    const urls: string[] = [];
    const told = step("told", async (url: string) => void urls.push(url));
    const wf = workflow("takes", async (given: { n: number }) => {
      const hook = createWebhook();
      await told(hook.url);
      for await (const request of hook) if ((await request.text()) === "over") return given.n;
      return 0;
    });
    const parent = workflow("parent", async (n: number) => (await start(wf, [{ n }], { id: "the-one" })).runId);
    const world = await createWorld([wf, parent], { mode });
    await world.engine.start(wf, [{ n: 1 }], { id: "the-one" });
    await world.settled();
    const send = async (body: string): Promise<[number, string | null]> => {
      const request = new Request(urls[0] as string, { method: "POST", body, headers: { "idempotency-key": "once" } });
      const response = await world.engine.ingress(request);
      return [response.status, response.headers.get("ringback-disposition")];
    };
    expect(await send("body")).toEqual([202, "accepted"]);
    for (const encryption of [k1, `${k2},${k1}`, `off,${k2},${k1}`]) {
      await world.restart({ encryption });
      expect(await send("body")).toEqual([202, "duplicate"]);
      expect(await send("another")).toEqual([422, null]);
      expect((await world.engine.start(wf, [{ n: 1 }], { id: "the-one" })).runId).toBe("the-one");
      await expect(world.engine.start(wf, [{ n: 2 }], { id: "the-one" })).rejects.toMatchObject({ code: "run_conflict" });
      expect(await (await world.start(parent, 1)).returnValue).toBe("the-one");
      await expect((await world.start(parent, 2)).returnValue).rejects.toMatchObject({ cause: { code: "run_conflict" } });
    }
  });

  test("the same where encryption was there from the start", async () => {
    const wf = workflow("waits for ever", async (_given: { n: number }) => await createHook());
    const parent = workflow("parent", async (n: number) => (await start(wf, [{ n }], { id: "the-one" })).runId);
    const world = await createWorld([wf, parent], { mode, encryption: k1 });
    await world.engine.start(wf, [{ n: 1 }], { id: "the-one" });
    for (const encryption of [k1, `${k2},${k1}`, `${k1},${k2}`]) {
      await world.restart({ encryption });
      expect((await world.engine.start(wf, [{ n: 1 }], { id: "the-one" })).runId).toBe("the-one");
      expect(await (await world.start(parent, 1)).returnValue).toBe("the-one");
      await expect((await world.start(parent, 2)).returnValue).rejects.toMatchObject({ cause: { code: "run_conflict" } });
    }
  });

  test("a run whose key is away is blocked, takes deliveries, and goes on by itself when the key is there", async () => {
    const { wf, inner, urls } = createWaits();
    const world = await createWorld([wf, inner], { mode, encryption: k1 });
    const run = await world.start(wf, { n: 1 });
    await world.restart({ encryption: k2 });
    const second = await world.start(wf, { n: 2 });
    expect(await post(world, urls[0], { n: 5 })).toBe(202);
    expect(await post(world, urls[1], { n: 6 })).toBe(202);
    await world.engine.resumeHook("hook:1", { n: 7 });
    await world.engine.resumeHook("hook:2", { n: 8 });
    await world.settled();
    await world.advance(60_000);
    const { engine } = world;
    expect(await second.returnValue).toEqual([4, 12, 8, 9]);
    expect(await engine.getRun(run.runId).state).toBe("blocked");
    expect(await engine.getRun(run.runId).blocked).toMatchObject({ reason: "missing_key", message: expect.stringContaining('"k1"') });
    const [hook] = await engine.listHooks({ runId: run.runId });
    expect(hook?.metadata).toMatchObject({ code: "missing_key" });
    expect((await engine.getRun(run.runId).timeline).map(({ event }) => event)).toContain("run_blocked");
    expect((await engine.health()).problems).toEqual([expect.stringContaining("k1")]);
    await world.restart({ encryption: `${k2},${k1}` });
    await world.advance(60_000);
    expect(await world.engine.getRun(run.runId).returnValue).toEqual([2, 10, 7, 8]);
  });

  test("without encryption, what is encrypted is not read as anything else", async () => {
    const { wf, inner, urls } = createWaits();
    const strict = workflow("strict", async () => await createWebhook({ respondWith: new Response("told") }));
    const world = await createWorld([wf, inner, strict], { mode, encryption: k1 });
    const run = await world.start(wf, { n: 1 });
    const done = await world.start(inner, 1);
    await world.restart({ encryption: false });
    expect(world.lines.some((line) => line.includes('encrypted with key "k1"'))).toBe(true);
    expect(await post(world, urls[0], { n: 5 })).toBe(202);
    expect(await world.engine.getRun(run.runId).blocked).toMatchObject({ reason: "missing_key" });
    await expect(world.engine.getRun(done.runId).returnValue).rejects.toMatchObject({ code: "missing_key" });
    expect(await world.engine.getRun(run.runId).timeline).not.toEqual([]);
    await world.restart({ encryption: k1 });
    await world.engine.resumeHook("hook:1", { n: 7 });
    await world.settled();
    await world.advance(60_000);
    expect(await world.engine.getRun(run.runId).returnValue).toEqual([2, 10, 7, 8]);
  });
});

describe("a provider of keys", () => {
  const secrets: { readonly [id: string]: EncryptionSecret } = {
    bytes: new Uint8Array(32).fill(1),
    object: createSecretKey(Buffer.alloc(32, 2)),
  };

  test("may be asynchronous, fail for a while, and come back while the engine runs", async () => {
    const { wf, inner, urls } = createWaits();
    const asked: string[] = [];
    let isAway = false;
    const encryption: EncryptionOptions = {
      current: "bytes",
      key: async (id) => {
        asked.push(id);
        if (isAway && id === "bytes") throw new Error("the service is away");
        return secrets[id];
      },
    };
    const world = await createWorld([wf, inner], { mode: "hot", encryption });
    const run = await world.start(wf, { n: 1 });
    expect(asked).toEqual(["bytes"]);
    isAway = true;
    await world.restart({ encryption: { ...encryption, current: "object" } });
    await post(world, urls[0], { n: 5 });
    expect(await world.engine.getRun(run.runId).state).toBe("blocked");
    expect(world.lines.some((line) => line.includes('encryption key "bytes" cannot be had'))).toBe(true);
    isAway = false;
    await world.advance(5_000);
    await world.engine.resumeHook("hook:1", { n: 7 });
    await world.settled();
    await world.advance(60_000);
    expect(await world.engine.getRun(run.runId).returnValue).toEqual([2, 10, 7, 8]);
  });

  test("gives the current key, or no engine opens", async () => {
    const { wf } = createWaits();
    const absent = createWorld([wf], { mode: "hot", encryption: { current: "none", key: () => null } });
    await expect(absent).rejects.toMatchObject({ code: "missing_key", details: { kid: "none" } });
    const short = createWorld([wf], { mode: "hot", encryption: { current: "short", key: () => new Uint8Array(16) } });
    await expect(short).rejects.toMatchObject({ code: "bad_argument" });
    for (const encryption of [
      {},
      { current: "a b", key: () => null },
      { current: "a", key: 1 },
      { current: "a", key: () => null, more: 1 },
    ])
      await expect(createWorld([wf], { encryption: encryption as never })).rejects.toMatchObject({ code: "bad_argument" });
    const unread = { code: "bad_keys", message: expect.stringContaining("RINGBACK_ENCRYPTION_KEYS") };
    await expect(createWorld([wf], { encryption: "k1=short" })).rejects.toMatchObject(unread);
  });

  test("another key under a known id is refused when the engine opens", async () => {
    const { wf } = createWaits();
    const world = await createWorld([wf], { mode: "hot", encryption: k1 });
    await world.start(wf, { n: 1 });
    await expect(world.restart({ encryption: other })).rejects.toMatchObject({ code: "key_mismatch", details: { kid: "k1" } });
    await world.restart({ encryption: `${k2},${other}` });
    expect(world.lines.some((line) => line.includes('Encryption key "k1" differs'))).toBe(true);
  });
});

describe("resumeHook with a CryptoKey", () => {
  const fresh = (): Promise<webcrypto.CryptoKey> =>
    webcrypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);

  test("encrypts that payload with it, and the run gets it back by the key's id", async () => {
    const { wf, inner, urls } = createWaits();
    const key = await fresh();
    const given = new Map<string, EncryptionSecret>();
    const encryption: EncryptionOptions = { current: "k", key: (id) => (id === "k" ? new Uint8Array(32) : given.get(id)) };
    const world = await createWorld([wf, inner], { mode: "evict", encryption });
    const run = await world.start(wf, { n: 1 });
    const resumed = await world.engine.resumeHook("hook:1", { n: 7 }, key);
    expect(resumed).toMatchObject({ runId: run.runId, delivery: { disposition: "accepted" } });
    await world.restart();
    await post(world, urls[0], { n: 5 });
    expect(await world.engine.getRun(run.runId).blocked).toMatchObject({
      reason: "missing_key",
      message: expect.stringContaining(encryptionKeyId(key)),
    });
    given.set(encryptionKeyId(key), key);
    await world.advance(5_000);
    await world.advance(60_000);
    expect(await world.engine.getRun(run.runId).returnValue).toEqual([2, 10, 7, 8]);
  });

  test("goes by its own id where the engine knows the key, and is read at once where it does not", async () => {
    const wf = workflow("reads", async () => [await createHook({ token: "a" }), await createHook({ token: "b" })]);
    const world = await createWorld([wf], { mode: "hot", encryption: { current: "k", key: () => new Uint8Array(32).fill(9) } });
    const run = await world.start(wf);
    const known = await webcrypto.subtle.importKey("raw", new Uint8Array(32).fill(9), "AES-GCM", false, ["encrypt"]);
    await world.engine.resumeHook("a", 1, known);
    await world.settled();
    await world.engine.resumeHook("b", 2, await fresh());
    expect(await run.returnValue).toEqual([1, 2]);
  });

  test("is refused where it could never be read again, or is no key for it", async () => {
    const wf = workflow("reads", async () => await createHook({ token: "a" }));
    const plain = await createWorld([wf], { mode: "hot" });
    await plain.start(wf);
    await expect(plain.engine.resumeHook("a", 1, await fresh())).rejects.toMatchObject({ code: "bad_argument" });
    await expect(plain.engine.signal("a", 1, (await fresh()) as never)).rejects.toMatchObject({ code: "bad_argument" });
    const world = await createWorld([wf], { mode: "hot", encryption: k1 });
    const short = await webcrypto.subtle.generateKey({ name: "AES-GCM", length: 128 }, false, ["encrypt"]);
    await expect(world.engine.resumeHook("a", 1, short as never)).rejects.toMatchObject({ code: "bad_argument" });
  });

  test("what is refused is kept under that key, too", async () => {
    const judged = defineHook("judged", {
      schema: { "~standard": { version: 1, vendor: "test", validate: () => ({ issues: [{ message: "never" }] }) } } as never,
    });
    const wf = workflow("refuses", async () => await judged.create({ token: "strict" }));
    const world = await createWorld([wf], { mode: "hot", encryption: k1 });
    await world.start(wf);
    await world.engine.resumeHook("strict", { n: 1 }, await fresh()).catch(() => {});
    await world.settled();
    await world.restart();
    const [row] = await world.engine.listRefused();
    expect(row).toMatchObject({ reason: "invalid", detail: "never" });
    await expect(world.engine.redeliver(row?.deliveryId ?? "")).rejects.toMatchObject({ code: "missing_key" });
    expect(await world.engine.listRefused()).toHaveLength(1);
  });
});

describe("what was changed at rest", () => {
  /** A run that waits, one that has ended, and their events' bodies. */
  async function parked(mode: Mode) {
    const { wf, inner, urls } = createWaits();
    const world = await createWorld([wf, inner], { mode, encryption: k1 });
    const [a, b] = [await world.start(wf, { n: 1 }), await world.start(wf, { n: 2 })];
    await post(world, urls[0], { n: 5 });
    await post(world, urls[1], { n: 6 });
    return { world, a, b };
  }
  const bodyOf = "(select body from journal where kind = ? and run = ? order by id limit 1)";

  test.each([
    ["swapped with another run's arguments", `update journal set body = ${bodyOf} where kind = 1 and run = 1`, [1, 2]],
    ["swapped with another step's result", `update journal set body = ${bodyOf} where kind = 6 and run = 1`, [6, 2]],
    ["swapped with another hook's request", `update journal set body = ${bodyOf} where kind = 3 and run = 1`, [3, 2]],
    ["cut", "update journal set body = substr(body, 1, length(body) - 8) where kind = 6 and run = 1", []],
    [
      "flipped",
      "update journal set body = substr(body, 1, 30) || iif(substr(body, 31, 1) = 'A', 'B', 'A') || substr(body, 32) where kind = 1 and run = 1",
      [],
    ],
  ] as const)("%s: the run is set aside, and goes on by nothing else", async (_, sql, values) => {
    const { world, a, b } = await parked("hot");
    for (const engine of world.engines) await engine.core.abandon();
    await inFile(world, sql, ...values);
    await world.restart();
    await world.engine.resumeHook("hook:1", { n: 7 });
    await world.engine.resumeHook("hook:2", { n: 8 });
    await world.settled();
    await world.advance(60_000);
    expect(await world.engine.getRun(b.runId).returnValue).toEqual([4, 12, 8, 9]);
    expect(await world.engine.getRun(a.runId).state).toBe("blocked");
    expect(await world.engine.getRun(a.runId).blocked).toMatchObject({ message: expect.stringContaining("is not what was written") });
  });
});
