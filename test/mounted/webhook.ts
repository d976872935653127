// An engine with two webhooks, and what their senders are told.

import { setImmediate } from "node:timers";
import { expect } from "vitest";
import { createWebhook, step, workflow } from "../../src/index.ts";
import type { EngineOptions } from "../../src/wiring.ts";
import { createWorld, type World } from "../harness.ts";
import type { Told, Wire } from "./wire.ts";

export const cap = 4_096;
export const route = "/.well-known/workflow/v1/webhook/";

/** Paths of two webhooks: one answers 202 by itself, one sends each body back as it came. */
export let plain = "";
export let echo = "";
/** Where `sends back` was told to hold its answer: each lets one go. */
export const held: (() => void)[] = [];
const answerHeaders: [string, string][] = [
  ["Content-Type", "application/octet-stream"],
  ["Set-Cookie", "a=1"],
  ["Set-Cookie", "b=2"],
];

const receives = workflow("receives", async () => {
  const hook = createWebhook();
  await step.run("give plain", () => void (plain = hook.url));
  for await (const _ of hook);
});
const sendsBack = workflow("sends back", async () => {
  const hook = createWebhook({ respondWith: "manual" });
  await step.run("give echo", () => void (echo = hook.url));
  for await (const request of hook) {
    if (request.headers.has("x-hold")) await step.run("hold", () => new Promise<void>((resolve) => held.push(resolve)));
    await request.respondWith(new Response(await request.arrayBuffer(), { status: 201, headers: answerHeaders }));
  }
});

export let world: World;
export async function opened(options: Partial<EngineOptions> = {}): Promise<World> {
  held.length = 0;
  world = await createWorld([receives, sendsBack], { mode: "hot", bodyBytes: cap, ...options });
  await world.start(receives);
  await world.start(sendsBack);
  [plain, echo] = [new URL(plain).pathname, new URL(echo).pathname];
  return world;
}

/** How many payloads the plain webhook has taken. */
export async function taken(): Promise<number> {
  const runs = await world.engine.listRuns();
  const journals = await Promise.all(runs.map((run) => world.journal(run)));
  return journals.flat().filter((event) => event.kind === "hook_received").length;
}

/** An answer as the table tells it: what a sender may rely on. */
export function row(told: Told | null): unknown {
  if (told === null) return null;
  const { status, headers, body } = told;
  const shown = ["allow", "ringback-disposition", "retry-after", "content-type", "set-cookie", "access-control-allow-origin"].flatMap(
    (name) => (headers.has(name) ? [`${name}: ${headers.get(name)}`] : []),
  );
  return [status, ...shown, ...(body === "" ? [] : [body])];
}

/** What one sender is told on a connection of its own. */
export async function told(dial: () => Wire, ...sent: readonly (string | Uint8Array)[]): Promise<unknown> {
  const line = dial().send(...sent);
  return row(await line.told(String(sent[0]).startsWith("HEAD")));
}

export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise<void>((resolve) => setImmediate(resolve));
}

export const accepted: readonly unknown[] = [202, "ringback-disposition: accepted"];
export const sentBack: readonly unknown[] = [
  "ringback-disposition: accepted",
  "content-type: application/octet-stream",
  "set-cookie: a=1, b=2",
];
export const tooLarge: readonly unknown[] = [
  413,
  "content-type: application/json",
  `{"code":"too_large","message":"The request body has more than ${cap} bytes."}`,
];
export const consumed: readonly unknown[] = [
  503,
  "retry-after: 5",
  "content-type: application/json",
  expect.stringMatching(
    /^\{"code":"body_consumed","message":"The app read this request's body before Ringback came to it\. Mount Ringback before/,
  ),
];
