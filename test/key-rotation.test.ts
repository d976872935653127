// Keys come and go, base URLs change: what was handed out goes on working, and an engine that could not honour it does not start.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers";
import { describe, expect, onTestFinished, test } from "vitest";
import { RingbackError } from "../src/errors.ts";
import { createHook, createWebhook, sleep, step, workflow } from "../src/index.ts";
import { createManualClock } from "../src/testing/manual-clock.ts";
import { createEngine, type Engine, type EngineOptions } from "../src/wiring.ts";
import { createWorld, modes, testKeys, type World } from "./harness.ts";

const key = (kid: string, byte: string): string => `${kid}=${byte.repeat(32)}`;
const newer = key("t2", "2b");
const rotated = `${newer},${testKeys}`;

async function post(world: World, url: string, body: string): Promise<number> {
  return (await world.engine.ingress(new Request(url, { method: "POST", body }))).status;
}

async function refused(opening: Promise<unknown>): Promise<RingbackError> {
  const error = await opening.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!RingbackError.is(error)) throw new Error(`It was not refused: ${String(error)}`);
  return error;
}

/** Waits at one webhook, then makes and waits at another; shows every URL each time its code comes by. */
function twoHooks(): {
  readonly workflow: ReturnType<typeof workflow<[], string[]>>;
  readonly shown: { first: string[]; second: string[] };
} {
  const shown: { first: string[]; second: string[] } = { first: [], second: [] };
  const wf = workflow("two hooks", async () => {
    const first = createWebhook();
    shown.first.push(first.url);
    const one = await (await first).text();
    const second = createWebhook();
    shown.second.push(second.url);
    const two = await (await second).text();
    return [one, two];
  });
  return { workflow: wf, shown };
}

describe.each(modes)("keys (%s)", (mode) => {
  test("after a rotation outstanding URLs work, new ones have the new key, and the old key goes with its last hook", async () => {
    const { workflow: wf, shown } = twoHooks();
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    const [first = ""] = shown.first;
    expect(first).toContain("/wh:t1:");
    await world.restart({ keys: rotated });
    expect(await post(world, first, "one")).toBe(202);
    await world.settled();
    expect(new Set(shown.first)).toEqual(new Set([first]));
    const [second = ""] = shown.second;
    expect(second).toContain("/wh:t2:");
    await world.restart({ keys: rotated });
    expect(await post(world, second, "two")).toBe(202);
    expect(await world.engine.getRun(run.runId).returnValue).toEqual(["one", "two"]);
    await world.settled();
    await world.restart({ keys: newer });
    expect([await post(world, first, "again"), await post(world, second, "again")]).toEqual([404, 410]);
  });

  test("without a key that an open hook needs, the engine and its doors refuse to start and name it; nothing is lost", async () => {
    const { workflow: wf, shown } = twoHooks();
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    for (const role of ["worker", "ingress"] as const) {
      const error = await refused(world.restart({ keys: newer, role }));
      expect(error).toMatchObject({ code: "missing_key", details: { kid: "t1" } });
      expect(error.message).toContain('"t1"');
    }
    await world.restart();
    expect(await post(world, shown.first[0] ?? "", "one")).toBe(202);
    await world.settled();
    expect(await post(world, shown.second[0] ?? "", "two")).toBe(202);
    expect(await world.engine.getRun(run.runId).returnValue).toEqual(["one", "two"]);
  });

  test("the same kid with another secret is refused, at a worker and at a door", async () => {
    const { workflow: wf, shown } = twoHooks();
    const world = await createWorld([wf], { mode });
    await world.start(wf);
    for (const role of ["worker", "ingress"] as const) {
      const error = await refused(world.restart({ keys: key("t1", "3c"), role }));
      expect(error).toMatchObject({ code: "key_mismatch", details: { kid: "t1" } });
      expect(error.message).not.toContain("3c3c");
    }
    await world.restart();
    expect(await post(world, shown.first[0] ?? "", "one")).toBe(202);
  });

  test("a run that needs a key which is gone is set aside, and goes on when the key is back", async () => {
    const given: string[] = [];
    const gives = workflow("gives its URL", async () => {
      const hook = createWebhook();
      given.push(await step.run("url", () => hook.url));
      hook.dispose();
    });
    const minted = workflow("minted with it", async () => {
      const hook = createHook();
      hook.dispose();
      await sleep("1h");
      return hook.token;
    });
    const argued = workflow("has it in its arguments", async (url: string) => {
      await sleep("1h");
      return url;
    });
    const resulted = workflow("has it in a result", async (hidden: readonly number[]) => {
      const url = await step.run("reveal", () => String.fromCharCode(...hidden));
      await sleep("1h");
      return url;
    });
    const world = await createWorld([gives, minted, argued, resulted], { mode });
    await world.start(gives);
    const [url = ""] = given;
    const runs = [
      await world.start(minted),
      await world.start(argued, url),
      await world.start(
        resulted,
        [...url].map((char) => char.charCodeAt(0)),
      ),
    ];
    await world.restart({ keys: newer });
    await world.advance(3_600_000);
    for (const { runId } of runs) {
      const run = world.engine.getRun(runId);
      expect([runId, await run.state]).toEqual([runId, "blocked"]);
      expect(await run.blocked).toMatchObject({ reason: "missing_key", message: expect.stringContaining('"t1"') });
    }
    await world.restart({ keys: rotated });
    await world.settled();
    const [token, ...urls] = await Promise.all(runs.map(({ runId }) => world.engine.getRun(runId).returnValue));
    expect(token).toMatch(/^wh:t1:/);
    expect(urls).toEqual([url, url]);
  });

  test("a new base URL, or another way to build URLs, disturbs no parked run", async () => {
    const { workflow: wf, shown } = twoHooks();
    const world = await createWorld([wf], { mode });
    const runs = [await world.start(wf), await world.start(wf)];
    const firsts = [...new Set(shown.first)];
    await world.restart({ baseUrl: "https://new.example/app" });
    expect(await post(world, firsts[0] ?? "", "one")).toBe(202);
    expect(await post(world, (firsts[1] ?? "").replace("https://app.example/", "https://new.example/"), "one")).toBe(202);
    await world.settled();
    expect([...new Set(shown.first)]).toEqual(firsts);
    const seconds = [...new Set(shown.second)];
    for (const second of seconds) expect(second).toMatch(/^https:\/\/new\.example\/app\/\.well-known\/workflow\/v1\/webhook\/wh:t1:/);
    await world.restart({ webhookUrl: (token) => `https://hooks.example/?t=${encodeURIComponent(token)}` });
    for (const second of seconds) expect(await post(world, second.replace("/app", ""), "two")).toBe(202);
    for (const { runId } of runs) expect(await world.engine.getRun(runId).returnValue).toEqual(["one", "two"]);
    const third = await world.start(wf);
    expect(shown.first.at(-1)).toMatch(/^https:\/\/hooks\.example\/\?t=wh%3At1%3A/);
    expect(await third.state).toBe("waiting");
  });
});

describe("the key file beside a database", () => {
  test("is made once and serves every later start; without it open hooks keep the engine from starting", async () => {
    const folder = mkdtempSync(join(tmpdir(), "ringback-key-file-"));
    const clock = createManualClock();
    const { workflow: wf, shown } = twoHooks();
    const options: EngineOptions = {
      store: `sqlite:${join(folder, "own.db")}`,
      baseUrl: "https://app.example",
      clock,
      logger: false,
      workflows: [wf],
    };
    const engines: Engine[] = [];
    const open = async (): Promise<Engine> => {
      const engine = createEngine(options);
      engines.push(engine);
      await engine.open();
      return engine;
    };
    onTestFinished(async () => {
      for (const engine of engines) await engine.close({ graceMs: 0 });
      rmSync(folder, { recursive: true, force: true });
    });
    const first = await open();
    await first.start(wf, []);
    while (shown.first.length === 0 || !first.core.isIdle) await new Promise(setImmediate);
    await first.close();
    const kid = readFileSync(join(folder, "keys"), "utf8").split("=")[0];
    expect(shown.first[0]).toContain(`/wh:${kid}:`);
    const second = await open();
    expect((await second.ingress(new Request(shown.first[0] ?? "", { method: "POST", body: "one" }))).status).toBe(202);
    while (shown.second.length === 0 || !second.core.isIdle) await new Promise(setImmediate);
    await second.close();
    rmSync(join(folder, "keys"));
    expect(await refused(open())).toMatchObject({ code: "missing_key", details: { kid } });
  });
});
