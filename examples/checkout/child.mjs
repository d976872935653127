// The demo's processes: started with their lines shown, ended by their own pid, none left behind.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { say } from "./screen.mjs";

const children = new Set();
process.once("exit", () => {
  for (const child of children) child.kill("SIGKILL");
});

/** Starts `file` as a process called `name`; resolves when it has said its first line. Calls `onLost` if it ends without being told to. */
export async function startChild(name, file, environment, onLost) {
  const path = (other) => new URL(other, import.meta.url);
  const child = spawn(process.execPath, ["--import", path("leash.mjs").href, fileURLToPath(path(file))], {
    env: { ...ownEnvironment(), ...environment },
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  children.add(child);
  const lost = once(child, "close").then(([code, signal]) => {
    children.delete(child);
    const error = child.isEnding ? null : new Error(`the ${name} ended by itself (${signal ?? `exit code ${code}`})`);
    if (error) onLost(error);
    return error;
  });
  const lines = createInterface({ input: child.stdout }).on("line", (line) => say(name, line));
  createInterface({ input: child.stderr }).on("line", (line) => say(name, line));
  const error = await Promise.race([once(lines, "line").then(() => null), lost]);
  if (error) throw error;
  return child;
}

/** Sends a signal; resolves with the one that ended the process, or null, once it is gone and its last line is shown. */
export async function endChild(child, signal) {
  child.isEnding = true;
  const closed = once(child, "close");
  child.kill(signal);
  const [, ended] = await closed;
  return ended;
}

/** Ends all that are left: asks first, then kills. */
export async function endChildren() {
  await Promise.all(
    [...children].map(async (child) => {
      const ended = endChild(child, "SIGTERM");
      await Promise.race([ended, setTimeout(2_000, undefined, { ref: false })]);
      child.kill("SIGKILL");
      await ended;
    }),
  );
}

/** A port that is free, and below those the system lends to outgoing connections: it stays free while its server is dead. */
export async function freePort() {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    const server = createServer();
    const isFree = await new Promise((resolve) => {
      server.once("error", () => resolve(false)).listen(port, "127.0.0.1", () => resolve(true));
    });
    server.close();
    if (isFree) return port;
  }
}

/** Without the settings of somebody's own engine. */
function ownEnvironment() {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("RINGBACK_")));
}
