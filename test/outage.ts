// A parked run on a SQLite file, with what was acknowledged for it, and every door asked what it says when something is wrong with the file.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import { RingbackError } from "../src/core/errors.ts";
import { createHook, createWebhook, step, workflow } from "../src/index.ts";
import { sqliteStore } from "../src/store/sqlite/store.ts";
import { createManualClock } from "../src/testing/manual-clock.ts";
import { createEngine, type Engine } from "../src/wiring.ts";
import type { Workflow } from "../src/engine/workflow.ts";
import { createWorld, epoch, testKeys, type World } from "./harness.ts";

let url = "";
const give = step("give", async (given: string) => void (url = given));
/** Reads what comes to its webhook, and what comes to its hook, until it gets "end". */
export const collects: Workflow<[string], string[]> = workflow("collects", async (name: string) => {
  const webhook = createWebhook();
  const hook = createHook<string>({ token: name });
  await give(webhook.url);
  const got: string[] = [];
  const reading = (async () => {
    for await (const request of webhook) got.push(await request.text());
  })();
  for await (const value of hook) {
    if (value === "end") break;
    got.push(value);
  }
  webhook.dispose();
  await reading;
  return got.sort();
});
export const other: Workflow<[], number> = workflow("other", async () => 1);
const all = [collects, other] as const;

export const request = (body: string): Request => new Request(url, { method: "POST", body });
export const token = (): string => url.split("/").at(-1) as string;

/** Every door and call, as who uses it sees it: a status with `Retry-After`, or a code; `ok` where it went through. */
export async function asked(engine: Engine, name: string): Promise<Record<string, string>> {
  const told = (call: Promise<unknown>): Promise<string> =>
    call.then(
      () => "ok",
      (error: unknown) => (RingbackError.is(error) ? error.code : `not ours: ${String(error)}`),
    );
  const answered = async (response: Promise<Response>): Promise<string> => {
    const { status, headers } = await response;
    return `${status}${headers.has("retry-after") ? " later" : ""}`;
  };
  return {
    ingress: await answered(engine.ingress(request("refused"))),
    resumeWebhook: await answered(engine.resumeWebhook(token(), request("refused"))),
    resumeHook: await told(engine.resumeHook(name, "refused")),
    signal: await told(engine.signal(name, "refused")),
    start: await told(engine.start(other, [])),
  };
}

export const refusedWith = (code: string): Record<string, string> => ({
  ingress: "503 later",
  resumeWebhook: "503 later",
  resumeHook: code,
  signal: code,
  start: code,
});

/** Delivers what is acknowledged, by three doors. */
export async function acknowledged(engine: Engine, name: string, mark: string): Promise<void> {
  expect((await engine.ingress(request(`${mark} 1`))).status).toBe(202);
  expect((await engine.resumeWebhook(token(), request(`${mark} 2`))).status).toBe(202);
  expect((await engine.resumeHook(name, `${mark} 3`)).delivery.disposition).toBe("accepted");
}

export const marks = (...names: string[]): string[] => names.flatMap((mark) => [1, 2, 3].map((n) => `${mark} ${n}`)).sort();

export async function parked(options: Parameters<typeof createWorld>[1] = {}): Promise<{ world: World; path: string; runId: string }> {
  const world = await createWorld(all, { mode: "hot", ...options });
  const { runId } = await world.start(collects, "c");
  await acknowledged(world.engine, "c", "before");
  await world.settled();
  return { world, path: world.path as string, runId };
}

/** Ends the run and compares what it has collected. */
export async function has(engine: Engine, runId: string, expected: unknown): Promise<void> {
  await engine.resumeHook("c", "end");
  expect(await engine.getRun(runId).returnValue).toEqual(expected);
}

export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "ringback-faulty-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function engineOn(path: string, maxBytes?: number): { engine: Engine; lines: string[] } {
  const clock = createManualClock(epoch);
  const lines: string[] = [];
  const logger = { warn: (line: string) => void lines.push(line), error: (line: string) => void lines.push(line) };
  const store = sqliteStore({ path, clock, ...(maxBytes === undefined ? {} : { maxBytes }) });
  const engine = createEngine({ store, clock, keys: testKeys, baseUrl: "https://app.example", logger, workflows: all });
  onTestFinished(() => engine.close({ graceMs: 0 }).catch(() => {}));
  return { engine, lines };
}
