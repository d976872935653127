// An example of a framework as its users have it: installed, built, and started.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";

/** What the process of a test leaves out, so that an app is not told that it is tested. */
const { NODE_ENV: _env, VITEST: _vitest, ...inherited } = process.env;
const silent = { NEXT_TELEMETRY_DISABLED: "1", NUXT_TELEMETRY_DISABLED: "1", ASTRO_TELEMETRY_DISABLED: "1" };

/** An example with this package installed as `workflow`, beside what its lock file says. */
export class FrameworkApp {
  readonly folder: string;
  readonly #node: string;
  readonly #running = new Set<ChildProcess>();

  constructor(folder: string, node: string) {
    this.folder = folder;
    this.#node = node;
  }

  /** Runs a program of the app's own `node_modules` to its end. */
  run(program: string, args: readonly string[]): void {
    execFileSync(this.#node, [join(this.folder, "node_modules", program), ...args], {
      cwd: this.folder,
      env: { ...inherited, ...silent },
      stdio: "pipe",
    });
  }

  /** Starts the built app as its `npm start` does, on the Node that has built it or another. */
  async start(args: readonly string[], env: Readonly<Record<string, string>>, node: string = this.#node): Promise<Started> {
    const app = spawn(node, args, { cwd: this.folder, env: { ...inherited, ...silent, ...env }, stdio: "pipe" });
    this.#running.add(app);
    app.once("close", () => this.#running.delete(app));
    return new Started(app);
  }

  async remove(): Promise<void> {
    await Promise.all([...this.#running].map((app) => new Started(app).kill()));
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A started app: what it prints, and its end. */
export class Started {
  readonly #app: ChildProcess;
  #output = "";

  constructor(app: ChildProcess) {
    this.#app = app;
    app.once("close", () => app.emit("printed"));
    for (const stream of [app.stdout, app.stderr]) {
      stream?.on("data", (text: Buffer) => {
        this.#output += text;
        app.emit("printed");
      });
    }
  }

  /** Waits until the app has printed this. */
  async prints(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.#output);
      if (found) return found;
      if (this.#app.exitCode !== null) throw new Error(`The app ended without printing ${pattern}:\n${this.#output}`);
      await once(this.#app, "printed");
    }
  }

  async kill(signal: "SIGKILL" | "SIGTERM" = "SIGKILL"): Promise<void> {
    if (this.#app.exitCode !== null || this.#app.signalCode !== null) return;
    const closed = once(this.#app, "close");
    this.#app.kill(signal);
    await closed;
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
