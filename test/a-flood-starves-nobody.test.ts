// Rates of the public route: each token has its own, forgeries share one, and neither takes anything from the other (RL1, RL2).

import { describe, expect, test } from "vitest";
import { createWebhook, workflow } from "../src/index.ts";
import { RateLimit } from "../src/ingress/rate-limit.ts";
import { createEngine, type EngineOptions } from "../src/wiring.ts";
import { createWorld, epoch, modesOfLength, type World } from "./harness.ts";

const takes = (limit: RateLimit, address: string, now: number, count: number): number[] =>
  Array.from({ length: count }, () => limit.take(address, now));

describe("a bucket", () => {
  test.each([
    [100, 1_000],
    [3, 7],
    [0.1, 1],
    [1 / 3, 2],
  ])("of %d per second and a burst of %d takes the burst and not one more, and says when the next one is there", (perSecond, burst) => {
    const limit = new RateLimit({ perSecond, burst }, 10);
    expect(takes(limit, "a", epoch, burst).every((wait) => wait === 0)).toBe(true);
    const wait = limit.take("a", epoch);
    expect(wait).toBeCloseTo(1_000 / perSecond, 3);
    expect(limit.take("a", epoch)).toBe(wait); // what is refused takes nothing
    expect(limit.take("a", epoch + wait)).toBe(0);
    expect(limit.take("a", epoch + wait)).toBeGreaterThan(0);
  });

  test("is full again after as long as the burst lasts, and never more than full", () => {
    const limit = new RateLimit({ perSecond: 10, burst: 5 }, 10);
    takes(limit, "a", epoch, 5);
    expect(takes(limit, "a", epoch + 100_000, 6).map(Boolean)).toEqual([false, false, false, false, false, true]);
  });

  test("makes nobody wait for time that went back", () => {
    const limit = new RateLimit({ perSecond: 1, burst: 2 }, 10);
    takes(limit, "a", epoch, 2);
    expect(limit.take("a", epoch - 3_600_000)).toBeLessThanOrEqual(1_000);
    expect(limit.take("a", epoch - 3_600_000 + 1_000)).toBe(0);
  });

  test("is one of a bounded number, and one that is in use is kept however many others come", () => {
    const limit = new RateLimit({ perSecond: 1, burst: 3 }, 100);
    takes(limit, "flood", epoch, 3);
    for (let other = 0; other < 10_000; other++) {
      expect(limit.take(`other ${other}`, epoch)).toBe(0);
      if (other % 40 === 0) expect(limit.take("flood", epoch)).toBeGreaterThan(0);
    }
    expect(limit.size).toBeLessThanOrEqual(100);
  });

  test("that is remembered no more was full", () => {
    const limit = new RateLimit({ perSecond: 1, burst: 3 }, 100);
    for (let second = 0; second < 20; second++) {
      const taken = takes(limit, "a", epoch + second * 500, 3).filter((wait) => wait === 0).length;
      expect(taken).toBe(second === 0 ? 3 : second % 2 === 0 ? 1 : 0);
    }
  });
});

const twice = workflow("twice", async () => {
  const hooks = [createWebhook(), createWebhook()];
  urls = hooks.map((hook) => hook.url);
  await Promise.all(
    hooks.map(async (hook) => {
      for await (const _ of hook);
    }),
  );
});
let urls: string[] = [];

describe.each(modesOfLength)("the public route (%s)", (mode) => {
  const create = (rateLimit: EngineOptions["rateLimit"]): Promise<World> =>
    createWorld([twice], { mode: mode === "two-workers" ? "hot" : mode, ...(rateLimit === undefined ? {} : { rateLimit }) });
  const forged = "https://app.example/.well-known/workflow/v1/webhook/wh:t1:AAAAAAAAAAAAAAAA:1.0:AAAAAAAAAAAAAAAAAAAAAAAA";
  const post = async (world: World, url: string, key?: string): Promise<Response> =>
    world.engine.ingress(new Request(url, { method: "POST", body: "{}", ...(key ? { headers: { "Idempotency-Key": key } } : {}) }));
  const statuses = async (world: World, url: string, count: number): Promise<number[]> => {
    const seen: number[] = [];
    for (let sent = 0; sent < count; sent++) seen.push((await post(world, url)).status);
    return seen;
  };

  test("a token takes its burst, then 429 with whole seconds to wait, and nothing is stored; others are as before", async () => {
    const world = await create({ perToken: { perSecond: 0.4, burst: 3 } });
    const run = await world.start(twice);
    const [one, other] = urls as [string, string];
    expect(await statuses(world, one, 3)).toEqual([202, 202, 202]);
    await world.settled();
    const before = (await world.journal(run)).length;
    const refused = await post(world, one);
    expect([refused.status, refused.headers.get("Retry-After"), await refused.json()]).toEqual([
      429,
      "3",
      { code: "too_many_requests", message: expect.any(String) },
    ]);
    await world.settled();
    expect((await world.journal(run)).length).toBe(before);
    expect(await statuses(world, other, 3)).toEqual([202, 202, 202]);
    await world.advance(2_499);
    expect(await statuses(world, one, 1)).toEqual([429]);
    await world.advance(1);
    expect(await statuses(world, one, 2)).toEqual([202, 429]);
  });

  test("a repeat of a key counts like any other", async () => {
    const world = await create({ perToken: { perSecond: 1, burst: 2 } });
    await world.start(twice);
    const seen = [];
    for (let sent = 0; sent < 3; sent++) seen.push((await post(world, urls[0] as string, "k")).status);
    expect(seen).toEqual([202, 202, 429]);
  });

  test("forgeries use up their own rate and no token's, and the reverse", async () => {
    const world = await create({ perToken: { perSecond: 1, burst: 2 }, forged: { perSecond: 1, burst: 2 } });
    await world.start(twice);
    const [one] = urls as [string];
    const nearly = `${one.slice(0, -4)}AAAA`;
    const seen = [await post(world, forged), await post(world, nearly), await post(world, forged), await post(world, nearly)];
    expect(seen.map(({ status }) => status)).toEqual([404, 404, 429, 429]);
    expect(seen[2]?.headers.get("Retry-After")).toBe("1");
    expect(await statuses(world, one, 3)).toEqual([202, 202, 429]);
    await world.advance(1_000);
    expect(await statuses(world, forged, 2)).toEqual([404, 429]);
    expect(await statuses(world, one, 2)).toEqual([202, 429]);
  });

  test("by default a token takes a thousand at once, and a hundred in each second after", async () => {
    const world = await create(undefined);
    const run = await world.start(twice);
    await run.cancel();
    await world.settled();
    const [one] = urls as [string];
    const count = async (asked: number): Promise<number> => (await statuses(world, one, asked)).filter((status) => status === 410).length;
    expect(await count(1_001)).toBe(1_000);
    await world.advance(1_000);
    expect(await count(101)).toBe(100);
  });

  test("rateLimit: false is none, and server code has none", async () => {
    const world = await create(false);
    await world.start(twice);
    expect(new Set(await statuses(world, forged, 1_100))).toEqual(new Set([404]));
    const limited = await create({ perToken: { perSecond: 1, burst: 1 } });
    await limited.start(twice);
    const [token] = urls.map((url) => new URL(url).pathname.split("/").at(-1) as string);
    for (let sent = 0; sent < 3; sent++)
      expect((await limited.engine.resumeWebhook(token as string, new Request("https://x.example/", { method: "POST" }))).status).toBe(202);
  });
});

test.each<[EngineOptions["rateLimit"], RegExp]>([
  [{ perToken: { perSecond: 0, burst: 1 } }, /createEngine\(\{ rateLimit: \{ perToken \} \}\) takes perSecond, a number above 0/],
  [{ forged: { perSecond: 1, burst: 0 } }, /burst, a whole number from 1/],
  [{ forged: { perSecond: Number.POSITIVE_INFINITY, burst: 1 } }, /rateLimit: false is no limit/],
  [{ forged: { perSeconds: 1, burst: 1 } as never }, /Did you mean "perSecond"/],
  [{ perTokens: { perSecond: 1, burst: 1 } } as never, /Did you mean "perToken"/],
  [true as never, /takes its options as an object/],
])("a rate that is none is told at the call (%o)", (rateLimit, message) => {
  expect(() => createEngine({ store: "memory:", baseUrl: null, rateLimit: rateLimit as never })).toThrow(message);
});
