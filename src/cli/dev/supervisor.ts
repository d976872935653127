// Keeps one process of the app running: a new one when its files change, or when its event loop no longer answers.
//
// The states are one union; whatever happens is judged by the state it happens in. A new process is started only when the old one is gone:
// it may hold the port and the store.

import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { reportedFiles, reportingEnvironment } from "./loaded.ts";
import { type FromApp, isFromApp, type OpenHook, type ToApp } from "./message.ts";
import type { Runtime } from "./runtime.ts";
import { Watcher } from "./watcher.ts";

export interface SupervisorOptions {
  readonly runtime: Runtime;
  readonly port: number;
  /** Of the app. */
  readonly environment: NodeJS.ProcessEnv;
  readonly stdio: StdioOptions;
  /** How long its event loop may not answer. */
  readonly hangMs: number;
  readonly tell: (news: News) => void;
}

/** What the developer is told. */
export type News =
  | { readonly event: "started"; readonly pid: number }
  | { readonly event: "serving"; readonly url: string; readonly store: string; readonly isOwnServer: boolean }
  | { readonly event: "loading" }
  | ({ readonly event: "hook" } & OpenHook)
  | { readonly event: "changed"; readonly file: string }
  | { readonly event: "hung"; readonly pid: number; readonly forMs: number }
  | { readonly event: "ended"; readonly code: number | null; readonly signal: string | null }
  | { readonly event: "failed"; readonly line: string; readonly code: number };

type State =
  | { readonly type: "running"; readonly child: ChildProcess }
  /** Told to end, for another to follow. */
  | { readonly type: "replacing"; readonly child: ChildProcess }
  /** It ended by itself: a change of its files starts it again. */
  | { readonly type: "down" }
  | { readonly type: "stopping"; readonly child: ChildProcess }
  | { readonly type: "over"; readonly code: number };

const program = new URL(import.meta.url.endsWith(".ts") ? "app.ts" : "app.js", import.meta.url);
/** After this a process that was told to end is killed. */
const stopMs = 4_000;
const pingsPerHang = 10;

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #watcher: Watcher;
  /** Hooks that have been told of, whichever process saw them. */
  readonly #toldHooks = new Set<string>();
  readonly #over: (code: number) => void;
  /** Resolves with an exit code when nothing runs any more. */
  readonly over: Promise<number>;
  #state: State = { type: "down" };
  #ping: NodeJS.Timeout | null = null;
  #unanswered = 0;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    let resolveOver: (code: number) => void = () => {};
    this.over = new Promise((resolve) => {
      resolveOver = resolve;
    });
    this.#over = resolveOver;
    this.#watcher = new Watcher((file) => this.#changed(file));
    this.#watcher.add(options.runtime.file);
  }

  start(): void {
    const { runtime, port, environment, stdio } = this.#options;
    const child = spawn(process.execPath, [...runtime.nodeOptions, fileURLToPath(program), runtime.file, String(port)], {
      env: { ...environment, ...reportingEnvironment, PORT: String(port) },
      stdio,
    });
    this.#state = { type: "running", child };
    this.#stopPinging();
    this.#unanswered = 0;
    child.on("message", (message) => this.#heard(message));
    child.once("exit", (code, signal) => this.#gone(code, signal));
    if (child.pid !== undefined) this.#options.tell({ event: "started", pid: child.pid });
  }

  /** Ends what runs; the second time at once. */
  stop(): void {
    switch (this.#state.type) {
      case "running":
      case "replacing":
        this.#end(this.#state.child, "stopping");
        return;
      case "stopping":
        this.#state.child.kill("SIGKILL");
        return;
      case "down":
        this.#finish(0);
        return;
      case "over":
        return;
    }
  }

  #changed(file: string): void {
    const state = this.#state;
    if (state.type !== "running" && state.type !== "down") return;
    this.#options.tell({ event: "changed", file });
    if (state.type === "down") this.start();
    else this.#end(state.child, "replacing");
  }

  #end(child: ChildProcess, type: "replacing" | "stopping"): void {
    this.#state = { type, child };
    this.#stopPinging();
    send(child, { type: "stop" });
    const kill = setTimeout(() => child.kill("SIGKILL"), stopMs);
    child.once("exit", () => clearTimeout(kill));
  }

  #heard(message: unknown): void {
    for (const file of reportedFiles(message)) this.#watcher.add(file);
    if (!isFromApp(message)) return;
    switch (message.type) {
      case "pong":
        this.#unanswered = 0;
        // While the app is debugged it stands still for as long as its developer looks.
        if (message.isDebugged) this.#stopPinging();
        else this.#startPinging();
        return;
      case "loading":
        this.#options.tell({ event: "loading" });
        return;
      case "loaded":
        this.#watcher.add(message.file);
        return;
      case "serving":
        this.#options.tell({ event: "serving", url: message.url, store: message.store, isOwnServer: message.isOwnServer });
        return;
      case "hooks":
        this.#tellHooks(message.hooks);
        return;
      case "failed":
        this.#failed(message);
    }
  }

  #tellHooks(hooks: readonly OpenHook[]): void {
    for (const hook of hooks) {
      if (this.#toldHooks.has(hook.hookId)) continue;
      this.#toldHooks.add(hook.hookId);
      this.#options.tell({ event: "hook", ...hook });
    }
  }

  #failed({ line, code }: Extract<FromApp, { type: "failed" }>): void {
    if (this.#state.type !== "running") return;
    this.#options.tell({ event: "failed", line, code });
    this.#finish(code);
  }

  /** Ticks are counted, not time: a machine that slept has not hung. */
  #startPinging(): void {
    if (this.#ping || this.#state.type !== "running") return;
    const { child } = this.#state;
    const everyMs = this.#options.hangMs / pingsPerHang;
    this.#ping = setInterval(() => {
      if (this.#unanswered++ < pingsPerHang) send(child, { type: "ping" });
      else this.#hung(child);
    }, everyMs);
  }

  #stopPinging(): void {
    if (this.#ping) clearInterval(this.#ping);
    this.#ping = null;
  }

  /** It cannot hear that it should end. */
  #hung(child: ChildProcess): void {
    this.#stopPinging();
    this.#options.tell({ event: "hung", pid: child.pid ?? 0, forMs: this.#options.hangMs });
    this.#state = { type: "replacing", child };
    child.kill("SIGKILL");
  }

  #gone(code: number | null, signal: string | null): void {
    this.#stopPinging();
    switch (this.#state.type) {
      case "replacing":
        this.start();
        return;
      case "running":
        this.#state = { type: "down" };
        this.#options.tell({ event: "ended", code, signal });
        // Else nothing would hold this process, which waits for a change.
        this.#ping = setInterval(() => {}, 2 ** 31 - 1);
        return;
      case "stopping":
        this.#finish(0);
        return;
      case "down":
      case "over":
        return;
    }
  }

  #finish(code: number): void {
    this.#state = { type: "over", code };
    this.#stopPinging();
    this.#watcher.close();
    this.#over(code);
  }
}

function send(child: ChildProcess, message: ToApp): void {
  // The child may be going at this moment; then it is `exit` that counts.
  if (child.connected) child.send(message, () => {});
}
