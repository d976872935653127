// The process that `ringback dev` starts, and starts again: imports the app's file, serves its callbacks, reports hooks as they open.
//
// The app's own copy of ringback is asked, and is to be the first that is loaded (RT1): this one may be of another version.

import inspector from "node:inspector";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { followLoads } from "./loaded.ts";
import type { FromApp, OpenHook, ToApp } from "./message.ts";
import type { Engine } from "../../index.ts";
import type { Served } from "../../node.ts";

const [file = "", port = "3000"] = process.argv.slice(2);
/** Hooks that open together are told together. */
const burstMs = 50;
/** What runs when the file changes may end, but not hold up the next start. */
const graceMs = 2_000;
/** A file that is not through after this waits for something, most likely for a run to end. */
const loadMs = 3_000;

let engine: Engine | null = null;
let served: Served | null = null;
let isStopping = false;

// A terminal's Ctrl-C reaches every process of the group; the dev command then says when to stop.
process.on("SIGINT", () => {});
process.on("message", (message: ToApp) => {
  if (message.type === "ping") tell({ type: "pong", isDebugged: inspector.url() !== undefined });
  else if (message.type === "stop") void stop();
});
process.once("disconnect", () => void stop());
tell({ type: "pong", isDebugged: inspector.url() !== undefined });
const missed = followLoads((loaded) => tell({ type: "loaded", file: loaded }));
void begin();

async function begin(): Promise<void> {
  // What the app throws while it loads ends this process as it would end any: Node prints it, with the line.
  const slow = setTimeout(() => tell({ type: "loading" }), loadMs).unref();
  const app = await load();
  clearTimeout(slow);
  try {
    engine = exportedEngine(app) ?? (await library<typeof import("../../api.ts")>("ringback/api", "../../api.js")).defaultEngine();
    await serveOn(engine);
    await report(engine);
  } catch (error) {
    if (isStopping) return;
    await fail(error);
  }
}

async function load(): Promise<Readonly<Record<string, unknown>>> {
  try {
    return (await import(pathToFileURL(file).href)) as Readonly<Record<string, unknown>>;
  } catch (error) {
    missed(error);
    throw error;
  }
}

function exportedEngine(app: Readonly<Record<string, unknown>>): Engine | null {
  return Object.values(app).find(isEngine) ?? null;
}

function isEngine(value: unknown): value is Engine {
  const { open, ingress, listHooks } = (value ?? {}) as Partial<Engine>;
  return typeof open === "function" && typeof ingress === "function" && typeof listHooks === "function";
}

/** A module of the copy that the app finds; where it finds none, of this one. */
async function library<T>(name: string, own: string): Promise<T> {
  let found: string;
  try {
    found = pathToFileURL(createRequire(file).resolve(name)).href;
  } catch {
    found = new URL(own, import.meta.url).href;
  }
  return import(found) as Promise<T>;
}

async function serveOn(own: Engine): Promise<void> {
  await own.open();
  const { serve } = await library<typeof import("../../node.ts")>("ringback/node", "../../node.js");
  const { store, webhookRoot } = await own.diagnose();
  const tellServing = (isOwnServer: boolean): void =>
    tell({ type: "serving", url: webhookRoot ?? `http://localhost:${port}`, store: store.name, isOwnServer });
  // Asked before: an attempt that failed may leave its own handle for a while.
  const isServer = process.getActiveResourcesInfo().includes("TCPServerWrap");
  try {
    served = await serve(own, { port: Number(port) });
    tellServing(false);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE" || !isServer) throw error;
    tellServing(true); // the app listens there itself
  }
}

/** Each open hook once: those that are there, then those that open. */
async function report(own: Engine): Promise<void> {
  const known = new Set<string>();
  let isLooking = false;
  const look = async (): Promise<void> => {
    const hooks = (await own.listHooks({ withTokens: true })).filter(({ hookId }) => !known.has(hookId));
    for (const { hookId } of hooks) known.add(hookId);
    // The newest last, next to where the next line comes.
    hooks.sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime());
    if (hooks.length > 0) tell({ type: "hooks", hooks: hooks.map(openHook) });
  };
  // A burst of hooks is one look. One that opens meanwhile begins another: the flag goes before the look does.
  own.on("hook_created", () => {
    if (isLooking) return;
    isLooking = true;
    setTimeout(() => {
      isLooking = false;
      void look().catch(() => {});
    }, burstMs).unref();
  });
  await look();
}

function openHook({ hookId, runId, workflowName, isWebhook, hasSchema, token, url }: OpenHook): OpenHook {
  return { hookId, runId, workflowName, isWebhook, hasSchema, token, url };
}

async function fail(error: unknown): Promise<void> {
  const { exitCode, failureOf } = await import("../failure.ts");
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (code === "EADDRINUSE") {
    const line = `Port ${port} is taken by another process. Stop that one, or choose another port: PORT=${Number(port) + 1} npx ringback dev …`;
    return end({ type: "failed", line, code: exitCode.failed });
  }
  const own = (error as { readonly details?: { readonly pid?: unknown } }).details;
  if (code === "store_in_use" && own?.pid === process.pid) {
    // The app made an engine that it keeps to itself. It works; only its hooks cannot be shown.
    return tell({ type: "serving", url: "", store: "", isOwnServer: true });
  }
  const { line, code: exit } = failureOf(error);
  if (exit === exitCode.store || syscall !== undefined) return end({ type: "failed", line: line ?? String(error), code: exit });
  throw error;
}

function end(message: FromApp): void {
  tell(message, () => process.exit(1));
}

async function stop(): Promise<void> {
  if (isStopping) return;
  isStopping = true;
  await served?.close().catch(() => {});
  await engine?.close({ graceMs }).catch(() => {});
  process.exit(0);
}

/** The dev command may be gone. */
function tell(message: FromApp, told?: () => void): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => told?.());
  else told?.();
}
