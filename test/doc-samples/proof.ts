// What the proofs of examples stand on: an engine on a SQLite file under a manual clock, third parties that answer, what was printed.

import { WorkflowEngine, type WorkflowEngineOptions } from "../../src/context.ts";
import { createEngine, type Engine, type EngineOptions, type Workflow } from "../../src/index.ts";
import { createManualClock, type ManualClock, settled } from "../../src/testing.ts";

export { deepStrictEqual as equal, match, rejects } from "node:assert/strict";

/** All that `console.log` and `console.error` were given, as text. */
export const printed: string[] = [];
const seen: (() => void)[] = [];

export function print(line: string): void {
  printed.push(line);
  for (const look of seen.splice(0)) look();
}

/** The first printed line that fits, as soon as there is one. */
export async function shown(pattern: RegExp): Promise<RegExpExecArray> {
  for (;;) {
    for (const line of printed) {
      const found = pattern.exec(line);
      if (found) return found;
    }
    await new Promise<void>((look) => seen.push(look));
  }
}

/** `signal` is the caller's own: one that a request makes of it may be collected, and then tells nobody. */
type Answer = (request: Request, signal: AbortSignal) => Response | Promise<Response>;
const parties = new Map<string, Answer>();

/** Lets a third party of an example answer: `outside("psp.example", …)`. Without it, each answers 200 with `{}`. */
export function outside(host: string, answer: Answer): void {
  parties.set(host, answer);
}

export async function answerOf(request: Request, signal: AbortSignal): Promise<Response> {
  return (await parties.get(new URL(request.url).host)?.(request, signal)) ?? Response.json({});
}

export interface World {
  readonly engine: Engine;
  readonly clock: ManualClock;
  /** Until all that can be done is done; what waits for the clock or the outside stays. */
  settled(): Promise<void>;
  /** Moves the clock, then settles. */
  advance(ms: number): Promise<void>;
}

/** A world of the context style. */
export interface ContextWorld extends Omit<World, "engine"> {
  readonly engine: WorkflowEngine;
  /** Calls a webhook as a third party would: a body that is no text goes as JSON. Then settles. */
  post(url: string | undefined, body: unknown, headers?: Record<string, string>): Promise<Response>;
}

export function world(workflows: readonly Workflow<any[], any>[], options?: Partial<EngineOptions>): Promise<World>;
export function world(code: WorkflowEngineOptions, options?: Partial<EngineOptions>): Promise<ContextWorld>;
export async function world(
  code: readonly Workflow<any[], any>[] | WorkflowEngineOptions,
  options: Partial<EngineOptions> = {},
): Promise<World | ContextWorld> {
  const clock = createManualClock();
  const isPlain = Array.isArray(code);
  const own = isPlain ? { workflows: code } : { webhookUrl: (token: string) => `https://app.example/hooks/${token}` };
  const plain = createEngine({ store: "sqlite:proof.db", baseUrl: "https://app.example", clock, ...own, ...options });
  const engine = isPlain ? plain : new WorkflowEngine(plain, code as WorkflowEngineOptions);
  await engine.open();
  return {
    engine: engine as never,
    clock,
    settled: () => settled(plain),
    async advance(ms) {
      clock.advance(ms);
      await settled(plain);
    },
    async post(url = "no URL", body, headers = { "content-type": "application/json" }) {
      const text = typeof body === "string" ? body : JSON.stringify(body);
      const token = decodeURIComponent(url.slice(url.lastIndexOf("/") + 1));
      const response = await plain.resumeWebhook(token, new Request(url, { method: "POST", headers, body: text }));
      await settled(plain);
      return response;
    },
  };
}
