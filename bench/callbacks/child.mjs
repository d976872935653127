// A process of the benchmark's own, asked one thing at a time over its IPC channel. It ends with its parent: without the channel it exits.

import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";

export class Child {
  #process;
  #waiting = null;

  constructor(file, settings) {
    const path = fileURLToPath(new URL(file, import.meta.url));
    const execArgv = [...process.execArgv, "--expose-gc"];
    this.#process = fork(path, [JSON.stringify(settings)], {
      execArgv,
      serialization: "advanced",
      env: { ...process.env, NODE_ENV: "production" },
    });
    this.#process.on("message", ({ error, ...answer }) => {
      const { resolve, reject } = this.#waiting;
      this.#waiting = null;
      if (error === undefined) resolve(answer);
      else reject(new Error(`${file}: ${error}`));
    });
    this.#process.on("exit", (code, signal) => this.#waiting?.reject(new Error(`${file} ended early (${signal ?? code}).`)));
  }

  ask(what, details = {}) {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#process.send({ what, ...details });
    });
  }

  async end() {
    this.#waiting = null;
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const over = new Promise((resolve) => this.#process.once("exit", resolve));
    const late = setTimeout(() => this.#process.kill("SIGKILL"), 5_000);
    if (this.#process.connected) this.#process.disconnect();
    await over;
    clearTimeout(late);
  }
}

/** The child's side: `verbs` by name, each given the details and answering with an object. */
export function answer(verbs) {
  process.on("message", async ({ what, ...details }) => {
    try {
      process.send({ ...(await verbs[what](details)) });
    } catch (error) {
      process.send({ error: error?.stack ?? String(error) });
    }
  });
  process.once("disconnect", () => process.exit(0));
}

/** What the parent set this process up with. */
export const settings = process.argv[2]?.startsWith("{") ? JSON.parse(process.argv[2]) : {};

let spent = process.cpuUsage();

/** CPU time, in µs, since the last call. */
export function mark() {
  const { user, system } = process.cpuUsage(spent);
  spent = process.cpuUsage();
  return { cpuUs: user + system };
}
