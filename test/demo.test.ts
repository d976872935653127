// The demo does what it says, as a process, on the package as it is built: the copy has its own `dist/`, and its imports of "ringback"
// find that one. However it ends, it leaves no process and no file.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { bundledPackage } from "./child/compiled.ts";
import { isAlive } from "./cli/project.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const copy = mkdtempSync(join(tmpdir(), "ringback-demo-"));
const checkout = join(copy, "examples", "checkout");

beforeAll(() => {
  cpSync(bundledPackage(), join(copy, "dist"), { recursive: true });
  cpSync(join(root, "package.json"), join(copy, "package.json"));
  cpSync(join(root, "examples", "checkout"), checkout, { recursive: true, filter: (path) => !path.includes(".ringback") });
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"), "junction");
});
afterAll(() => rmSync(copy, { recursive: true, force: true }));

interface Demo {
  readonly process: ChildProcess;
  /** All it has shown so far. */
  readonly output: () => string;
  /** Resolves once it has shown this. */
  shows(text: string): Promise<void>;
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
}

function startDemo(): Demo {
  const child = spawn(process.execPath, [join(checkout, "demo.mjs")], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  const ended = once(child, "close").then(([code, signal]) => ({ code, signal }));
  const shows = async (text: string): Promise<void> => {
    const over = ended.then(() => Promise.reject(new Error(`The demo ended without showing "${text}":\n${output}`)));
    over.catch(() => {});
    while (!output.includes(text)) await Promise.race([once(child.stdout, "data"), over]);
  };
  return { process: child, output: () => output, shows, ended };
}

/** The processes that said who they are. */
function pidsIn(output: string): number[] {
  return [...output.matchAll(/\(pid (\d+)\)/g)].map((match) => Number(match[1]));
}

/** Runs the demo with one piece of one of its files replaced. */
async function runWith(file: string, piece: string, by: string): Promise<{ code: number | null; output: string }> {
  const path = join(checkout, file);
  const text = readFileSync(path, "utf8");
  expect(text).toContain(piece);
  writeFileSync(path, text.replace(piece, by));
  onTestFinished(() => writeFileSync(path, text));
  const demo = startDemo();
  const { code } = await demo.ended;
  expect(pidsIn(demo.output()).filter(isAlive)).toEqual([]);
  expect(existsSync(join(checkout, ".ringback"))).toBe(false);
  return { code, output: demo.output() };
}

describe("the demo", () => {
  test("tells its story to the end, checks it, and leaves no process and no file", async () => {
    const demo = startDemo();
    expect(await demo.ended).toEqual({ code: 0, signal: null });
    const output = demo.output();
    const story = [
      "POST /orders order-1042",
      "the run is parked",
      "kills the app: SIGKILL",
      "callback 1 of 2: connection refused",
      "starts the app again",
      "callback 1 of 2: 202 accepted",
      "callback 2 of 2: 202 duplicate",
      "What the run's journal says",
      "run_started       checkout",
      "hook_created      #1",
      "step_completed    #2 start-payment",
      "the app is killed",
      "the app is started again",
      "hook_received     #1",
      "step_completed    #3 fulfil",
      "run_ended",
      "✓ the app was killed by SIGKILL while its run was waiting",
      "✓ the provider was asked for the payment: once",
      "✓ callbacks that found nobody: ",
      "✓ callbacks acknowledged: 202 accepted, 202 duplicate; one delivery",
      "✓ the order was shipped: once",
      '✓ the run completed with {"orderId":"order-1042","payment":{"id":"pay_1042","status":"paid"}}',
      "Nothing was lost, and nothing happened twice.",
    ];
    let from = 0;
    for (const line of story) {
      const at = output.indexOf(line, from);
      if (at < 0) throw new Error(`The demo does not show "${line}" where it should:\n${output}`);
      from = at;
    }
    expect(output).not.toContain("✗");
    // Not a terminal, so no colours; and no whole token, which could answer the payment.
    expect(output).not.toContain("\u001b");
    expect(output).not.toMatch(/wh:[^:\s]+:/);
    const pids = pidsIn(output);
    expect(new Set(pids).size).toBe(3);
    expect(pids.filter(isAlive)).toEqual([]);
    expect(existsSync(join(checkout, ".ringback"))).toBe(false);
  });

  test.skipIf(process.platform === "win32")("stopped by Ctrl-C, it ends its processes and removes its files", async () => {
    const demo = startDemo();
    await demo.shows("the run is parked");
    demo.process.kill("SIGINT");
    expect(await demo.ended).toEqual({ code: 130, signal: null });
    expect(demo.output()).toContain("stopped by SIGINT");
    expect(pidsIn(demo.output()).filter(isAlive)).toEqual([]);
    expect(existsSync(join(checkout, ".ringback"))).toBe(false);
  });

  test("killed, it takes its processes with it", async () => {
    const demo = startDemo();
    await demo.shows("the run is parked");
    demo.process.kill("SIGKILL");
    await demo.ended;
    while (pidsIn(demo.output()).some(isAlive)) await setImmediate();
    rmSync(join(checkout, ".ringback"), { recursive: true, force: true });
  });

  test("a claim that does not hold is shown, and is a failure", async () => {
    const { code, output } = await runWith("app.mjs", "  await appendFile(", '  await appendFile(LEDGER, "{}\\n");\n  await appendFile(');
    expect(output).toContain("✗ the order was shipped: 2 times");
    expect(output).toContain("Not as promised: 1 of 6 checks failed.");
    expect(code).toBe(1);
  });

  test("an app that cannot start is a failure that says so", async () => {
    const { code, output } = await runWith("app.mjs", "const engine =", 'throw new Error("no database");\nconst engine =');
    expect(output).toContain("no database");
    expect(output).toContain("the app ended by itself (exit code 1)");
    expect(code).toBe(1);
  });
});
