// A portable workflow needs nothing but the language: its bundle is small, and runs where there is neither Node nor a document.

import { gzipSync } from "node:zlib";
import { Worker } from "node:worker_threads";
import { createContext, Script } from "node:vm";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

function bundle(code: string, format: "esm" | "iife"): string {
  const { outputFiles } = buildSync({
    stdin: { contents: code, resolveDir: root, loader: "ts" },
    bundle: true,
    minify: true,
    write: false,
    format,
    platform: "neutral",
    mainFields: ["module", "main"],
    logLevel: "silent",
  });
  return outputFiles[0]?.text ?? "";
}

const program = `
import { createWorkflow, injectHook, parse, pendingHook, serialize, ok } from "./src/portable.ts";
const workflow = createWorkflow("bare", { wait: async () => pendingHook("h") });
const body = async ({ step, deps }) => [await step("one", () => ok(new Map([[1, new Date(5)]]))), await step("wait", () => deps.wait(), { key: "hook:h" })];
(async () => {
  const rested = await workflow.runWithState(body);
  const state = injectHook(parse(serialize(rested.resumeState)), { hookId: "h", value: "here" });
  const { result } = await workflow.runWithState(body, { resumeState: state });
  tell([rested.result.error.type, result.ok, result.value[0].get(1).getTime(), result.value[1]].join());
})();
`;
const told = "PENDING_HOOK,true,5,here";

test("all of it takes 12 kB at most", () => {
  expect(gzipSync(bundle('export * from "./src/portable.ts"', "esm"), { level: 9 }).length).toBeLessThanOrEqual(12 * 1024);
});

test("it runs with the language's globals and two of the platform's", async () => {
  const said = new Promise<string>((tell) => {
    const context = createContext({ tell, setTimeout, crypto: { randomUUID: () => "u" } });
    new Script(bundle(program, "iife")).runInContext(context);
  });
  expect(await said).toBe(told);
});

test("it runs in a worker", async () => {
  const code = bundle(program, "iife");
  const worker = new Worker(`const tell = (text) => require("node:worker_threads").parentPort.postMessage(text);\n${code}`, { eval: true });
  expect(await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject))).toBe(told);
  await worker.terminate();
});
