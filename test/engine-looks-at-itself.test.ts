// What an engine finds when it looks at itself, and that to look makes and changes nothing.

import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import {
  defaultEngine,
  getHookByToken,
  listHooks,
  listRefused,
  listRuns,
  purge,
  redeliver,
  resumeHook,
  resumeWebhook,
  start,
} from "../src/api.ts";
import type { RingbackError } from "../src/errors.ts";
import { createHook, createWebhook, defineHook, sleep, workflow } from "../src/index.ts";
import { parseKeys } from "../src/ingress/key-ring.ts";
import { createManualClock } from "../src/testing/manual-clock.ts";
import { createEngine, type Engine, type EngineOptions } from "../src/wiring.ts";
import { settled } from "../src/testing/settled.ts";
import { createWorld, epoch, testKeys } from "./harness.ts";

const hooked = workflow("hooked", async () => {
  const hook = createWebhook();
  await hook;
});
const naps = workflow("naps", async () => sleep("1h"));
const misuses = workflow("misuses", async () => {
  await new Promise(() => {});
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "ringback-look-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function looker(path: string, options: EngineOptions = {}): Engine {
  const engine = createEngine({
    store: `sqlite:${path}`,
    role: "ingress",
    create: false,
    baseUrl: null,
    workflows: [],
    logger: false,
    ...options,
  });
  onTestFinished(() => engine.close());
  return engine;
}

test("an engine that must not create rejects store_not_found, and leaves neither database nor key file nor folder", async () => {
  const folder = newFolder();
  const path = join(folder, "data", "none.db");
  const engine = looker(path);
  await expect(engine.listRuns()).rejects.toMatchObject({ code: "store_not_found", details: { store: `sqlite:${path}` } });
  await expect(engine.diagnose()).rejects.toMatchObject({ code: "store_not_found" });
  expect(readdirSync(folder)).toEqual([]);
  const made = createEngine({ store: `sqlite:${path}`, baseUrl: null, workflows: [] });
  await made.open();
  await made.close();
  expect(await engine.listRuns()).toEqual([]);
});

test("it names what the store is made of, keys with their use, and runs that do not move; also beside the worker", async () => {
  const world = await createWorld([hooked, naps, misuses], { mode: "hot" });
  const path = world.path as string;
  const [, , stuck] = [await world.start(hooked), await world.start(misuses), await world.start(naps)];
  const newer = `t2=${"2b".repeat(32)}`;
  const beside = looker(path, { keys: `${newer},${testKeys}`, clock: world.clock, baseUrl: "https://shop.example/api" });
  const found = await beside.diagnose();
  expect(found).toMatchObject({
    store: { name: `sqlite:${path}`, owner: { pid: process.pid }, versions: { format: "6" } },
    storeTime: new Date(epoch),
    openCount: 2,
    blocked: [{ workflowName: "misuses", reason: "misuse", since: new Date(epoch) }],
    stuck: [],
    webhookRoot: "https://shop.example/api/.well-known/workflow/v1/webhook/",
  });
  expect(found.store.bytes).toBeGreaterThan(4_096);
  expect(found.store.settings.every((each) => each.isAsNeeded)).toBe(true);
  expect(found.store.settings).toContainEqual({ name: "synchronous", value: "FULL", isAsNeeded: true });
  const fingerprint = parseKeys(testKeys).fingerprint("t1");
  expect(found.keys).toEqual([
    { kid: "t2", isCurrent: true, isUsed: false, state: "new", fingerprint: expect.any(String) },
    { kid: "t1", isCurrent: false, isUsed: true, state: "known", fingerprint },
  ]);

  // Nobody takes up what is due: half a minute later it stands out.
  for (const engine of world.engines) await engine.close();
  world.clock.advance(3_600_000 + 29_000);
  expect((await beside.diagnose()).stuck).toEqual([]);
  world.clock.advance(2_000);
  const later = await beside.diagnose();
  expect(later.stuck).toEqual([{ runId: stuck.runId, workflowName: "naps", since: new Date(epoch + 3_600_000) }]);
  expect(later.store.owner).toBe(null);
});

test("it looks where the engine cannot be opened for want of a key, and names that key", async () => {
  const world = await createWorld([hooked], { mode: "hot" });
  await world.start(hooked);
  const without = looker(world.path as string, { keys: `t2=${"2b".repeat(32)}` });
  await expect(without.open()).rejects.toMatchObject({ code: "missing_key" });
  expect((await without.diagnose()).keys).toContainEqual({
    kid: "t1",
    isCurrent: false,
    isUsed: true,
    state: "missing",
    fingerprint: null,
  });
  const other = looker(world.path as string, { keys: `t1=${"3c".repeat(32)}` });
  expect((await other.diagnose()).keys).toMatchObject([{ kid: "t1", state: "different" }]);
});

test("a rotation changes the key file, or gives the text to set, and outstanding hooks go on", async () => {
  const path = join(newFolder(), "own.db");
  const open = (): Engine =>
    createEngine({ store: `sqlite:${path}`, baseUrl: "https://a.example", workflows: [hooked], clock: createManualClock() });
  const first = open();
  await first.start(hooked);
  await settled(first);
  const { kid, file, keys } = await first.rotateKeys();
  expect([file, keys]).toEqual([join(path, "..", "keys"), null]);
  expect(statSync(file as string).mode & 0o777).toBe(0o600);
  await first.close();
  const second = open();
  await second.start(hooked);
  await settled(second);
  const tokens = (await second.listHooks({ withTokens: true })).map(({ token }) => token?.split(":")[1]);
  expect(tokens[0]).toBe(kid);
  expect(new Set(tokens).size).toBe(2);
  await second.close();

  const given = looker(path, { keys: testKeys });
  const rotated = await given.rotateKeys();
  expect(rotated.file).toBe(null);
  expect(parseKeys(rotated.keys ?? "").kids).toEqual([rotated.kid, "t1"]);
  await expect(looker(path, { keys: parseKeys(testKeys) }).rotateKeys()).rejects.toMatchObject({ code: "bad_argument" });
});

test("a default engine that cannot be made rejects what was asked of it, so that a catch at the call has it", async () => {
  vi.stubEnv("NODE_ENV", "production");
  onTestFinished(() => void vi.unstubAllEnvs());
  const hook = defineHook("of nobody");
  const asked = [
    () => start(workflow("nowhere", async () => 1)),
    () => hook.resume("token", 1),
    ...[resumeHook, resumeWebhook, getHookByToken, listRuns, listHooks, listRefused, redeliver, purge].map(
      (each) => each as () => Promise<unknown>,
    ),
  ];
  for (const ask of asked) expect(await ask().catch((error: RingbackError) => error.code)).toBe("base_url_required");
});

test("the default engine is the one that the free functions speak to", async () => {
  const path = join(newFolder(), "default.db");
  process.env["RINGBACK_DATABASE_URL"] = `sqlite:${path}`;
  onTestFinished(async () => {
    delete process.env["RINGBACK_DATABASE_URL"];
    await defaultEngine().close();
  });
  const engine = defaultEngine();
  expect([engine, existsSync(path)]).toEqual([defaultEngine(), false]);
  await engine.start(
    workflow("by-default", async () => void (await createHook({ token: "d" }))),
    [],
    { id: "one" },
  );
  expect((await listRuns()).map(({ runId }) => runId)).toEqual(["one"]);
});
