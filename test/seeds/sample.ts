// What a sample of a document is to a test, and what the tests of all of them need.

import type { World } from "../harness.ts";
import { fenced, readDocument } from "./document.ts";

/** What a module exports: workflows, and routes. */
export type Exports = { readonly [name: string]: (...args: any[]) => Promise<any> };

export interface Stage {
  readonly world: World;
  readonly module: Exports;
  /** What the sample printed, a line each. */
  readonly printed: readonly string[];
  /** Calls to the outside: method, address and body. */
  readonly sent: readonly { readonly url: string; readonly body: string }[];
  /** What the sample told the functions around it. */
  readonly told: readonly unknown[];
}

export interface Sample {
  readonly what: string;
  readonly code: () => string;
  /** Text around the sample, which is left as it is. */
  readonly around?: (sample: string) => string;
  readonly play: (stage: Stage) => Promise<void>;
}

export function readSamples(number: string): (index: number) => () => string {
  return (index) => () => fenced(readDocument(number))[index] ?? "";
}

const post = (body: unknown): Request => new Request("https://app.example/api", { method: "POST", body: JSON.stringify(body) });
export const route = (): string => `import { createHook as open } from "workflow";
export async function waiting(token: string) { "use workflow"; return await open<unknown>({ token }) }
`;

export async function onlyToken({ world }: Stage): Promise<string> {
  const [hook] = await world.engine.listHooks({ withTokens: true });
  return hook?.token as string;
}

export async function onlyUrl({ world }: Stage): Promise<string> {
  const [hook] = await world.engine.listHooks({ withTokens: true });
  return hook?.url as string;
}

/** Sends a request to the webhook that is open; the answer may come after the run has gone on. */
export async function call(stage: Stage, body: unknown, url?: string): Promise<Response> {
  const target = url ?? (await onlyUrl(stage));
  const answer = stage.world.engine.ingress(new Request(target, { method: "POST", body: JSON.stringify(body) }));
  await stage.world.settled();
  return answer;
}

export async function begin({ world, module }: Stage, name: string, ...args: unknown[]): Promise<{ readonly runId: string }> {
  const run = await world.start(module[name] as never, ...(args as never[]));
  await world.settled();
  return run;
}

export const resultOf = ({ world }: Stage, { runId }: { readonly runId: string }): Promise<unknown> =>
  world.engine.getRun(runId).returnValue;

/** Asks the route that a sample exports. */
export async function ask({ module }: Stage, body: unknown, context?: unknown): Promise<Response> {
  const { POST } = module;
  if (!POST) throw new Error("The sample exports no route.");
  return (await POST(post(body), context)) as Response;
}
