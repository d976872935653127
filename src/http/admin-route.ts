// What the admin handler knows: one row for each thing that can be asked. Data, and how a request finds its row.

import { badArgument, checkOptions, type OptionNames } from "../core/argument.ts";
import { RingbackError } from "../core/errors.ts";
import type { Answer } from "../core/event.ts";
import { textOf } from "../core/thrown.ts";
import {
  type EngineApi,
  type ListHooksOptions,
  type ListRefusedOptions,
  type ListRunsOptions,
  type PurgeOptions,
  type ResumeOptions,
  rowsByDefault,
} from "../engine/engine-api.ts";
import type { Health } from "../engine/health.ts";
import type { CancelOptions } from "../engine/run-handle.ts";
import { healthAnswer } from "./status.ts";

/** What routes ask. */
export type AdminEngine = EngineApi & { health(): Promise<Health> };

/** A request that was let in, as a route sees it. */
export interface AdminCall {
  readonly engine: AdminEngine;
  /** What stands at `:name` in the path, decoded. */
  readonly parameter: (name: string) => string;
  readonly query: URLSearchParams;
  /** The body as JSON; undefined where there is none. */
  readonly body: unknown;
}

export interface AdminRoute {
  /** `GET` only looks; `POST` acts, and has JSON or no body. */
  readonly method: "GET" | "POST";
  /** Below the handler's own route; `:name` stands for one segment. */
  readonly path: string;
  /** What is answered, as JSON. */
  readonly answer: (call: AdminCall) => Promise<unknown>;
  /** With 200, unless this says otherwise of what is answered. */
  readonly say?: (value: unknown) => Answer;
}

export const adminRoutes: readonly AdminRoute[] = [
  { method: "GET", path: "health", answer: ({ engine }) => engine.health(), say: healthAnswer },
  { method: "GET", path: "runs", answer: listRuns },
  { method: "GET", path: "runs/:run", answer: showRun },
  { method: "GET", path: "runs/:run/hooks", answer: ({ engine, query, parameter }) => listHooks(engine, query, parameter("run")) },
  { method: "POST", path: "runs/:run/cancel", answer: cancelRun },
  { method: "POST", path: "runs/:run/wake-up", answer: ({ engine, parameter }) => engine.getRun(parameter("run")).wakeUp() },
  { method: "POST", path: "runs/:run/delete", answer: deleteRun },
  { method: "GET", path: "hooks", answer: ({ engine, query }) => listHooks(engine, query) },
  { method: "POST", path: "hooks/resume", answer: resumeHook },
  { method: "GET", path: "refused", answer: listRefused },
  { method: "POST", path: "refused/:delivery/redeliver", answer: ({ engine, parameter }) => engine.redeliver(parameter("delivery")) },
  { method: "POST", path: "purge", answer: purge },
];

async function listRuns({ engine, query }: AdminCall): Promise<unknown> {
  const options = optionsIn(query) as ListRunsOptions;
  const runs = await engine.listRuns(options);
  return { runs, before: hasMore(runs, options) ? runs.at(-1)?.runId : null };
}

async function showRun({ engine, parameter }: AdminCall): Promise<unknown> {
  const run = engine.getRun(parameter("run"));
  const info = await engine.getRunInfo(run.runId);
  const failure = info.state === "failed" ? await run.returnValue.then(() => null, thrownText) : null;
  return { run: info, blocked: await run.blocked, failure, timeline: await run.timeline };
}

/** What the workflow threw stands behind the engine's own error. */
function thrownText(error: unknown): string {
  return textOf(RingbackError.is(error, "run_failed") ? error.cause : error);
}

async function listHooks(engine: EngineApi, query: URLSearchParams, run?: string): Promise<unknown> {
  const options = optionsIn(query) as ListHooksOptions;
  if (run !== undefined) await engine.getRunInfo(run);
  const hooks = await engine.listHooks(run === undefined ? options : { ...options, runId: run });
  return { hooks: hooks.map((hook) => ({ ...hook, metadata: plain(hook.metadata) })) };
}

async function cancelRun({ engine, parameter, body = {} }: AdminCall): Promise<unknown> {
  const run = engine.getRun(parameter("run"));
  await run.cancel(body as CancelOptions);
  return { run: await engine.getRunInfo(run.runId) };
}

async function deleteRun({ engine, parameter }: AdminCall): Promise<unknown> {
  const { runId } = await engine.getRunInfo(parameter("run"));
  await engine.getRun(runId).delete();
  return { deleted: runId };
}

async function listRefused({ engine, query }: AdminCall): Promise<unknown> {
  const options = optionsIn(query) as ListRefusedOptions;
  const refused = await engine.listRefused(options);
  return { refused, before: hasMore(refused, options) ? refused.at(-1)?.deliveryId : null };
}

/** Whether a list is as long as it was to be at most: then there may be more, and its last id leads on. */
function hasMore(rows: readonly unknown[], { limit = rowsByDefault }: { readonly limit?: number }): boolean {
  return rows.length === limit;
}

async function purge({ engine, body = {} }: AdminCall): Promise<unknown> {
  checkOptions("POST purge", body, { olderThan: true } as OptionNames<unknown>);
  const { olderThan } = body as Pick<PurgeOptions, "olderThan">;
  return engine.purge(olderThan === undefined ? {} : { olderThan });
}

interface ResumeBody extends ResumeOptions {
  readonly token: string;
  readonly payload?: unknown;
}

const resumeBody: OptionNames<ResumeBody> = { token: true, payload: true, key: true, early: true };

/** The token stands in the body: paths are logged by servers and proxies, and a token is a secret. */
async function resumeHook({ engine, body }: AdminCall): Promise<unknown> {
  checkOptions("POST hooks/resume", body, resumeBody as OptionNames<unknown>);
  const { token, payload, ...options } = body as ResumeBody;
  const resumed = await engine.resumeHook({ token }, payload, options as ResumeOptions & { early: true });
  return { runId: resumed.runId ?? null, hookId: resumed.hookId ?? null, delivery: resumed.delivery };
}

/** What stands in a query as options of a call, which refuses those it does not know. */
function optionsIn(query: URLSearchParams): Record<string, unknown> {
  const options: Record<string, unknown> = {};
  for (const [name, value] of query) {
    if (name === "attribute") {
      const at = value.indexOf("=");
      if (at < 1) throw badArgument(name, value, "The query's attribute takes a name and a value, such as order=42.");
      options["attributes"] = { ...(options["attributes"] as object), [value.slice(0, at)]: value.slice(at + 1) };
      continue;
    }
    if (Object.hasOwn(options, name)) throw badArgument(name, value, `The query has ${name} twice.`);
    Object.defineProperty(options, name, { value: optionOf(name, value), enumerable: true });
  }
  return options;
}

function optionOf(name: string, value: string): unknown {
  if (name === "limit") return /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
  if (name !== "all") return value;
  if (value === "" || value === "true") return true;
  if (value === "false") return false;
  throw badArgument(name, value, "The query's all takes true or false.");
}

/** Metadata may be anything that a journal can hold; what JSON cannot is told as text, or left out. */
function plain(metadata: unknown): unknown {
  try {
    const text = JSON.stringify(metadata, (_, value: unknown) => {
      if (typeof value === "bigint") return String(value);
      return value instanceof Map || value instanceof Set ? [...value] : value;
    });
    return text === undefined ? null : JSON.parse(text);
  } catch {
    return null;
  }
}

/** The row for a path, with what stands at its parameters; else the methods that the path takes, or none. */
export function findRoute(
  routes: readonly AdminRoute[],
  method: string,
  path: string,
): { readonly route: AdminRoute; readonly parameters: ReadonlyMap<string, string> } | { readonly allow: readonly string[] } {
  const allow: string[] = [];
  for (const route of routes) {
    const parameters = match(route.path, path);
    if (parameters === null) continue;
    if (route.method === method || (route.method === "GET" && method === "HEAD")) return { route, parameters };
    allow.push(...(route.method === "GET" ? ["GET", "HEAD"] : [route.method]));
  }
  return { allow };
}

function match(pattern: string, path: string): ReadonlyMap<string, string> | null {
  const [wanted, given] = [pattern.split("/"), path.split("/")];
  if (wanted.length !== given.length) return null;
  const parameters = new Map<string, string>();
  for (const [at, segment] of wanted.entries()) {
    const value = given[at] ?? "";
    if (!segment.startsWith(":")) {
      if (segment !== value) return null;
      continue;
    }
    const decoded = decode(value);
    if (decoded === null || decoded === "") return null;
    parameters.set(segment.slice(1), decoded);
  }
  return parameters;
}

function decode(segment: string): string | null {
  try {
    return decodeURIComponent(segment);
  } catch {
    return null;
  }
}
