// Callbacks over HTTP for workflows that run without an engine: from a request to a run that goes on, and what its sender is told.

import type { Clock } from "../../../core/clock.ts";
import { isDeeperThan, parseWithoutProto } from "../../../core/json.ts";
import { limits } from "../../../core/limits.ts";
import { keyHeaders } from "../../../core/receipt.ts";
import type { ResumeStore } from "../../../core/resume-store.ts";
import { isPendingApproval, isPendingHook } from "../hook.ts";
import type { Result } from "../result.ts";
import { Door, type ResumeReceipt } from "./door.ts";
import { type Going, type ResumeRan, type ResumeRunOptions, Runs } from "./run.ts";

/** How callbacks are taken. Spread a store into it: `{ ...sqliteResumeStore(path), run }`. */
export interface ResumeHandlerOptions<T, E> extends ResumeStore {
  /** Runs your workflow: `(options) => workflow.runWithState(body, options)`. */
  readonly run: (options: ResumeRunOptions) => Promise<ResumeRan<T, E>>;
  /**
   * What a sender gets. `"accepted"`, the default: 202 as soon as its payload is kept; the run goes on behind it. `"result"`: the value of the run as
   * JSON, 500 for an error; 202 where the run waits again.
   */
  readonly answer?: "accepted" | "result";
  /** Whether a callback is kept that comes before its hook is known: 32 for an id, for an hour. Default true; else it is answered with 404. */
  readonly early?: boolean;
  /** Keeps the process up until a promise settles, where a platform would end it with the answer. */
  readonly waitUntil?: (promise: Promise<unknown>) => void;
  /**
   * Told where the store, or what `run` threw, has stopped a run, which is taken up again by itself; and where a sender was told to come again: then
   * without the run's id. Log it.
   */
  readonly onError?: (error: unknown, runId: string | null) => void;
  /** How long others leave a run to the process that works at it, which renews that, in milliseconds. Default 30 s. */
  readonly leaseMs?: number;
  /** How long it is known what became of a run that is over, in milliseconds. Default 30 days. */
  readonly keepMs?: number;
  /** Where time comes from, for tests. Default: the system's. */
  readonly clock?: Clock;
}

/** What a run has come to. */
export interface Resumed<T, E> {
  readonly runId: string;
  /** Null where another process works at it, and where no run has this id. */
  readonly result: Result<T, E> | null;
}

/** Takes callbacks: `POST …/<hookId>`. Answers always, and never rejects. */
export interface ResumeHandler<T, E> {
  (request: Request): Promise<Response>;
  /**
   * Begins a run, and resolves when it waits or has ended. The same `runId` again begins nothing: it is what `resume` does. Rejects where the store
   * fails; then the same call again goes on with what is kept.
   */
  start(options?: { readonly runId?: string; readonly input?: unknown }): Promise<Resumed<T, E>>;
  /** Takes a callback that came by other ways; resolves when it is kept. Rejects where the store fails. */
  deliver(hookId: string, value: unknown, options?: { readonly key?: string }): Promise<ResumeReceipt>;
  /**
   * Gives somebody's word on the approval under this key of a run; resolves when it is kept. Before the run asks for it, it is `unknown`. Rejects where
   * the store fails.
   */
  approve(runId: string, stepKey: string, value: unknown): Promise<ResumeReceipt>;
  /** Runs a run again from what is kept of it, unless somebody works at it or it is over. */
  resume(runId: string): Promise<Resumed<T, E>>;
  /**
   * Takes up all runs whose process has died, or whose time has come: call it when your app starts, and every minute. Resolves when they wait again
   * or have ended; `busy` counts those that somebody works at, or that nobody has given up yet.
   */
  recover(): Promise<{ readonly resumed: number; readonly busy: number }>;
}

const keyReused = "This Idempotency-Key came before with another body.";
const statuses = { accepted: 202, buffered: 202, duplicate: 202, closed: 410, invalid: 422, unknown: 404 } as const;
const methods = ["POST", "PUT", "PATCH"];

/** Its alarms keep no process up. One that is far away rings early. */
const systemClock: Clock = {
  now: () => Date.now(),
  alarm: (at, wake) => {
    const timer = setTimeout(wake, Math.min(2 ** 31 - 1, Math.max(0, at - Date.now()))) as ReturnType<typeof setTimeout> | number;
    if (typeof timer === "object") timer.unref();
    return () => clearTimeout(timer);
  },
};

/** Makes workflows without an engine wait for HTTP callbacks, each of which counts once, whenever it comes and whatever crashes. */
export function resumeHandler<T, E>(given: ResumeHandlerOptions<T, E>): ResumeHandler<T, E> {
  for (const name of ["run", "load", "save", "delete"] as const)
    if (typeof given[name] !== "function")
      throw new TypeError(`resumeHandler() was given no ${name}(). Spread a store into its options: resumeHandler({ ...store, run }).`);
  const onError = (error: unknown, runId: string | null): void => {
    try {
      given.onError?.(error, runId);
    } catch {
      // A listener's trouble is its own.
    }
  };
  const options = {
    ...given,
    onError,
    clock: given.clock ?? systemClock,
    leaseMs: given.leaseMs ?? 30_000,
    keepMs: given.keepMs ?? limits.keysMs,
    earlyMs: given.early === false ? 0 : limits.earlyMs,
  };
  const runs = new Runs<T, E>(options);
  const door = new Door<T, E>(options, runs);
  /** Work that nobody must wait for. */
  const behind = (going: Going<T, E>, runId: string | null): Going<T, E> => {
    const seen = going.catch((error: unknown) => {
      onError(error, runId);
      return null;
    });
    given.waitUntil?.(seen);
    return seen;
  };
  const handler = async (request: Request): Promise<Response> => {
    try {
      const asked = await read(request);
      if (asked instanceof Response) return asked;
      const { receipt, going, runId = null, isReused } = await door.take(asked.hookId, asked.value, asked.key);
      const done = going && behind(going, runId);
      if (isReused && asked.key?.startsWith("idempotency-key")) return problem(422, "key_reused", keyReused);
      return answer(receipt, given.answer === "result" && done && !receipt.by ? await done : null);
    } catch (error) {
      onError(error, null);
      return problem(503, "store_unavailable", "Send it again later; with the same key it is taken once.", retryLater);
    }
  };
  return Object.assign(handler, {
    start: async (wanted: { readonly runId?: string; readonly input?: unknown } = {}) => {
      if (typeof wanted !== "object") throw new TypeError("start() takes one object: start({ runId, input }).");
      const { runId = crypto.randomUUID(), input } = wanted;
      return { runId, result: await runs.start(runId, input) };
    },
    deliver: async (hookId: string, value: unknown, { key }: { readonly key?: string } = {}) => {
      const { receipt, going, runId = null } = await door.take(hookId, value, key === undefined ? null : `own:${key}`);
      if (going) void behind(going, runId);
      return receipt;
    },
    approve: async (runId: string, stepKey: string, value: unknown) => {
      const { receipt, going } = await door.approve(runId, stepKey, value);
      if (going) void behind(going, runId);
      return receipt;
    },
    resume: async (runId: string) => ({ runId, result: await runs.takeUp(runId) }),
    recover: () => runs.recover(),
  });
}

interface Asked {
  readonly hookId: string;
  readonly value: unknown;
  readonly key: string | null;
}

/** What a request asks for, or the answer to one that asks for nothing. */
async function read(request: Request): Promise<Asked | Response> {
  if (request.method === "OPTIONS") return new Response(null, { status: 204 });
  if (!methods.includes(request.method)) return new Response(null, { status: 405, headers: { Allow: methods.join(", ") } });
  const hookId = hookIdIn(request.url);
  if (hookId === null) return answer({ disposition: "unknown", keyed: false }, null);
  if (request.bodyUsed) return problem(503, "body_consumed", "The app read this request's body before its handler.", retryLater);
  const bytes = await bodyOf(request);
  if (bytes === null) return problem(413, "too_large", `The request body has more than ${limits.bodyBytes} bytes.`);
  const name = keyHeaders.find((header) => request.headers.get(header)?.trim());
  const key = name === undefined ? null : `${name}:${request.headers.get(name)?.trim()}`;
  if (key !== null && key.length > limits.deliveryKeyBytes + 20) return problem(413, "too_large", "The delivery's key is too long.");
  try {
    if (!isDeeperThan(bytes, limits.depth)) {
      const value = parseWithoutProto(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
      return { hookId, value, key };
    }
  } catch {
    // Refused below.
  }
  const issues = [{ message: "The body is not JSON in UTF-8, or it is nested too deep." }];
  return answer({ disposition: "invalid", keyed: key !== null, issues }, null);
}

/** The last segment of the path. */
function hookIdIn(url: string): string | null {
  try {
    const id = decodeURIComponent(new URL(url).pathname.split("/").at(-1) as string);
    return id === "" || id.length > limits.tokenBytes ? null : id;
  } catch {
    return null;
  }
}

/** Null where it is over the cap: what is left is not read. */
async function bodyOf({ headers, body }: Request): Promise<Uint8Array | null> {
  const chunks: Uint8Array[] = [];
  let length = Number(headers.get("content-length") ?? 0);
  if (length > limits.bodyBytes) return null;
  length = 0;
  for (const reader = body?.getReader(); reader; ) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.length;
    if (length > limits.bodyBytes) return null;
    chunks.push(value);
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

const retryLater = { "Retry-After": "5" };

/** The engine's answers, for what can become of a callback here. */
function answer<T, E>({ disposition, by, at, issues }: ResumeReceipt, result: Result<T, E> | null): Response {
  const headers = { "Ringback-Disposition": disposition };
  if (issues) return json(422, { code: "invalid_payload", issues: issues.slice(0, limits.issuesTold) }, headers);
  if (by) return json(410, { code: "hook_closed", by, ...(at && { at }) }, headers);
  try {
    if (result?.ok) return json(200, result.value, headers);
  } catch {
    return problem(500, "run_failed", "The run ended with a value that is no JSON.", headers);
  }
  if (result?.ok === false && !isPendingHook(result.error) && !isPendingApproval(result.error))
    return problem(500, "run_failed", "The run ended with an error.", headers);
  return new Response(null, { status: statuses[disposition], headers });
}

function problem(status: number, code: string, message: string, headers?: { readonly [name: string]: string }): Response {
  return json(status, { code, message }, headers);
}

function json(status: number, body: unknown, headers?: { readonly [name: string]: string }): Response {
  return new Response(JSON.stringify(body) ?? "null", { status, headers: { ...headers, "Content-Type": "application/json" } });
}
