// Portable workflows behind `resumeHandler`, over real HTTP: an order that waits for two callbacks, one after another.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import { toListener } from "../src/adapters/node.ts";
import { createWorkflow, ok, pendingHook } from "../src/portable.ts";
import { memoryResumeStore, type ResumeHandler, type ResumeHandlerOptions, resumeHandler, type ResumeStore } from "../src/resume.ts";
import { createManualClock, type ManualClock } from "../src/testing/manual-clock.ts";
import { epoch } from "./harness.ts";

type AnyHandler = ResumeHandler<any, any>;
export type Options = Partial<ResumeHandlerOptions<any, any>>;

/** What a sender was told. */
export interface Told {
  readonly status: number;
  readonly disposition: string | null;
  readonly headers: Headers;
  readonly text: string;
}

export interface Resuming {
  readonly handler: AnyHandler;
  readonly clock: ManualClock;
  /** What was done, in order. */
  readonly done: string[];
  /** Over HTTP, as JSON unless it is text. */
  post(hookId: string, body: unknown, headers?: { readonly [name: string]: string }): Promise<Told>;
  readonly url: string;
}

const order = createWorkflow("order", { wait: async (id: string) => pendingHook<any>(id) });

/** `<run>:pay`, then `<run>:ship`. */
export function runOrder(done: string[]): ResumeHandlerOptions<any, any>["run"] {
  return (options) =>
    order.runWithState(async ({ step, deps, ctx }) => {
      const id = ctx.workflowId;
      await step("charge", async () => ok(void done.push("charge")));
      const paid = await step("pay", () => deps.wait(`${id}:pay`), { key: `hook:${id}:pay` });
      await step("pack", async () => ok(void done.push("pack")));
      const shipped = await step("ship", () => deps.wait(`${id}:ship`), { key: `hook:${id}:ship` });
      await step("tell", async () => ok(void done.push("tell")));
      return { input: ctx.input ?? null, paid, shipped };
    }, options);
}

/** A handler with a server of its own. */
export async function resuming(options: Options = {}): Promise<Resuming> {
  const done: string[] = [];
  const clock = (options.clock as ManualClock | undefined) ?? createManualClock(epoch);
  const handler: AnyHandler = resumeHandler({ ...memoryResumeStore({ clock }), run: runOrder(done), clock, ...options });
  const server = createServer(toListener(handler));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks/`;
  return { handler, clock, done, url, post: (hookId, body, headers) => post(url, hookId, body, headers) };
}

export async function post(url: string, hookId: string, body: unknown, headers: { readonly [name: string]: string } = {}): Promise<Told> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return tell(
    await fetch(url + encodeURIComponent(hookId), {
      method: "POST",
      body: text,
      headers: { "Content-Type": "application/json", ...headers },
    }),
  );
}

export async function tell(response: Response): Promise<Told> {
  const { status, headers } = response;
  return { status, headers, disposition: headers.get("ringback-disposition"), text: await response.text() };
}

/** Resolves when the run rests or is over. No test sleeps: it asks as often as it takes. */
export async function settled(store: ResumeStore, runId: string): Promise<void> {
  for (;;) {
    const kept = await store.load(`ResumeRun/${runId}`);
    if (kept && (JSON.parse(kept.text) as { owner: string | null }).owner === null) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** How often each of these was said. */
export function counted(told: readonly Told[]): { readonly [disposition: string]: number } {
  const counts: { [disposition: string]: number } = {};
  for (const { status, disposition } of told) counts[`${status} ${disposition}`] = (counts[`${status} ${disposition}`] ?? 0) + 1;
  return counts;
}
