// Every sample of the document about callback hooks without an engine, read from where it lies, runs as it says: in processes that end
// between every two steps, with an Express route and a state that is a file.

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { transformSync } from "esbuild";
import { compiledPackage } from "../child/compiled.ts";
import { absence, codeOutside, piece, readDocument } from "./document.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "ringback-portable-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The samples, by their first and last lines. */
const samples = {
  begin: /^import \{ createWorkflow, createResumeStateCollector \}[^]*?\{ key: 'fulfill' \}\);\n\}\);$/,
  rest: /^import \{ isPendingHook \}[^]*?getResumeState\(\);\nawait store\.save[^]*?\n\}$/,
  resume: /^import \{ createWorkflow, injectHook \}[^]*?\nres\.status\(500\)[^]*?\n\}\n\}\);$/,
  ask: /^import \{ getPendingHooks, hasPendingHook \}[^]*?\n\/\/ This hook is still pending in this state\n\}$/,
  say: /^pendingHook\(hookId, \{ metadata[^]*?\}\);$/,
};
const sample = (name: keyof typeof samples): string => piece(readDocument("000"), samples[name]);

/** What the samples leave out: the order, its store, and where things are noted. */
const around = `
import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
const here = dirname(fileURLToPath(import.meta.url));
export const note = (what: string): void => appendFileSync(join(here, "notes"), what + "\\n");
export const notes = (): string[] => readFileSync(join(here, "notes"), "utf8").trim().split("\\n");
export const data = { item: "book" };
export const createOrder = async ({ item }: { item: string }) => { note("create " + item); return { ok: true, value: { id: "o-1", item, at: new Date(0) } } as const; };
export const fulfillOrder = async (order: { id: string; at: Date }, payment: { ref: string }) => {
  note("fulfill " + order.id + " " + order.at.toISOString() + " " + payment.ref);
  return { ok: true, value: { order: order.id, ref: payment.ref } } as const;
};
const fileOf = (hookId: string): string => join(here, hookId + ".json");
export const store = {
  async saveResumeState(hookId: string, state: unknown) { writeFileSync(fileOf(hookId), JSON.stringify(state)); },
  async loadResumeState(hookId: string) { return existsSync(fileOf(hookId)) ? JSON.parse(readFileSync(fileOf(hookId), "utf8")) : undefined; },
  async deleteResumeState(hookId: string) { rmSync(fileOf(hookId)); },
};
`;

const use = 'import { createOrder, data, fulfillOrder, store } from "./around.js";\n';
const programs: { readonly [file: string]: () => string } = {
  around: () => around,
  begin: () => `${use}${sample("begin")}
const collector = createResumeStateCollector(workflow);
${sample("rest")}`,
  resume: () => `${use}import express from "express";
const app = express().use(express.json());
${sample("resume")}
const server = app.listen(0, "127.0.0.1", () => process.send?.((server.address() as { port: number }).port));`,
  several: () => `import express from "express";
import { createHook, createResumeStateCollector, createWorkflow, getPendingHooks, injectHook, ok, pendingHook, type ResumeState } from "awaitly/workflow";
import { note, store } from "./around.js";
const [first, left, right] = [createHook(), createHook(), createHook()]; // anew in each process
const workflow = createWorkflow("several", { waitFor: async (hookId: string) => pendingHook<string>(hookId) });
const collector = createResumeStateCollector(workflow);
const does = (what: string) => () => (note(what), ok(what));
async function go(resumeState?: ResumeState) {
  const result = await workflow.run(async ({ step, deps }) => {
    await step("a", does("a"), { key: "a" });
    const one = await step("first", () => deps.waitFor(first.hookId), { key: first.stepKey });
    await step("b", does("b"), { key: "b" });
    const two = await Promise.all([
      step("left", () => deps.waitFor(left.hookId), { key: left.stepKey }),
      step("right", () => deps.waitFor(right.hookId), { key: right.stepKey }),
    ]);
    await step("c", does("c"), { key: "c" });
    return [one, ...two];
  }, { resumeState });
  const state = collector.getResumeState();
  const waits = getPendingHooks(state);
  for (const hookId of waits) await store.saveResumeState(hookId, state);
  return { result, waits };
}
const app = express().use(express.json());
app.post("/hook/:hookId", async (req, res) => {
  const { hookId } = req.params;
  const state = await store.loadResumeState(hookId);
  if (!state) return void res.status(404).end();
  const ran = await go(injectHook(state, { hookId, value: req.body.says }));
  await store.deleteResumeState(hookId);
  res.json(ran);
});
if (process.argv[2] === "begin") process.send?.(await go());
else {
  const server = app.listen(0, "127.0.0.1", () => process.send?.((server.address() as { port: number }).port));
}`,
  ask: () => `import { createHook, createResumeStateCollector, createWorkflow, pendingHook } from "awaitly/workflow";
const [a, b] = ["hook-id-1", "hook-id-2"];
const workflow = createWorkflow("two", { first: async () => pendingHook(a), second: async () => pendingHook(b) });
const collector = createResumeStateCollector(workflow);
await workflow.run(({ step, deps }) => Promise.all([step("a", () => deps.first(), { key: "hook:" + a }), step("b", () => deps.second(), { key: "hook:" + b })]));
${sample("ask").replace("// This hook is still pending in this state", (line) => `${line}\nprocess.send?.(pendingIds);`)}`,
  say: () => `import { createWorkflow, pendingHook } from "awaitly/workflow";
const hookId = "h-1";
const said = ${sample("say")}
const result = await createWorkflow("said", { wait: async () => said }).run(({ step, deps }) => step("wait", () => deps.wait(), { key: "hook:h-1" }));
process.send?.(result);`,
};

/** A folder where the package is installed as \`npm i awaitly@npm:ringback\` does it. */
function install(): void {
  const own = join(folder, "node_modules/awaitly");
  mkdirSync(own, { recursive: true });
  writeFileSync(join(own, "package.json"), readFileSync(join(root, "package.json")));
  for (const name of ["devalue", "express"]) {
    mkdirSync(dirname(join(folder, "node_modules", name)), { recursive: true });
    symlinkSync(join(root, "node_modules", name), join(folder, "node_modules", name), "junction");
  }
  cpSync(compiledPackage(), join(own, "dist"), { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  for (const [name, code] of Object.entries(programs)) {
    writeFileSync(join(folder, `${name}.ts`), code());
    writeFileSync(join(folder, `${name}.js`), transformSync(code(), { loader: "ts", format: "esm", target: "node20" }).code);
  }
}

/** A process that runs a program; what it sent first. */
async function run(
  program: string,
  ...given: readonly string[]
): Promise<{ readonly told: unknown; readonly stdout: string; end(): Promise<void> }> {
  const child = spawn(process.execPath, [join(folder, `${program}.js`), ...given], { stdio: ["ignore", "pipe", "inherit", "ipc"] });
  let stdout = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  let told: unknown;
  const exited = once(child, "exit");
  await Promise.race([once(child, "message").then(([message]) => (told = message)), exited]);
  return {
    told,
    get stdout() {
      return stdout;
    },
    async end() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}

describe("document 000", () => {
  test.skipIf(absence)(`has a test for each sample${absence === null ? "" : ` (${absence})`}`, () => {
    const texts = (Object.keys(samples) as (keyof typeof samples)[]).map((name) => sample(name));
    const left = codeOutside(readDocument("000"), texts);
    expect(left).toEqual([]);
  });

  test.skipIf(absence)("a payment begins, rests, and is called back, each in a process of its own", async () => {
    install();
    rmSync(join(folder, "notes"), { force: true });
    const begun = await run("begin");
    await begun.end();
    const [hookId] = readdirSync(folder).flatMap((file) => /^([\da-f-]{36})\.json$/.exec(file)?.slice(1) ?? []);
    expect(begun.stdout).toBe(`Waiting for callback: ${hookId}\n`);
    const server = await run("resume");
    const call = (id: string | undefined, body: unknown): Promise<Response> =>
      fetch(`http://127.0.0.1:${String(server.told)}/hook/${id}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
    expect((await call("unknown", {})).status).toBe(404);
    const answer = await call(hookId, { ref: "p-1" });
    expect([answer.status, await answer.json()]).toEqual([200, { order: "o-1", ref: "p-1" }]);
    expect((await call(hookId, { ref: "p-1" })).status).toBe(404);
    await server.end();
    expect(existsSync(join(folder, `${hookId}.json`))).toBe(false);
    expect(readFileSync(join(folder, "notes"), "utf8")).toBe("create book\nfulfill o-1 1970-01-01T00:00:00.000Z p-1\n");
  });

  test.skipIf(absence)("two hooks after each other and two beside each other, with another process for each callback", async () => {
    rmSync(join(folder, "notes"), { force: true });
    interface Ran {
      readonly result: unknown;
      readonly waits: readonly string[];
    }
    const begun = await run("several", "begin");
    await begun.end();
    const called = async (hookId: string | undefined): Promise<Ran> => {
      const server = await run("several");
      const url = `http://127.0.0.1:${String(server.told)}/hook/${hookId}`;
      const body = JSON.stringify({ says: `said to ${hookId}` });
      const answer = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
      const ran = (await answer.json()) as Ran;
      const again = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
      expect([answer.status, again.status]).toEqual([200, 404]);
      await server.end();
      return ran;
    };
    const [first] = (begun.told as Ran).waits;
    const [left, right] = (await called(first)).waits;
    const third = await called(right);
    expect(third.waits).toEqual([left]);
    const last = await called(left);
    expect(last).toEqual({ result: { ok: true, value: [first, left, right].map((id) => `said to ${id}`) }, waits: [] });
    expect(readFileSync(join(folder, "notes"), "utf8")).toBe("a\nb\nc\n");
  });

  test.skipIf(absence)("a state says what it waits for, and a wait carries what was said of it", async () => {
    expect((await run("ask")).told).toEqual(["hook-id-1", "hook-id-2"]);
    expect((await run("say")).told).toEqual({
      ok: false,
      error: { type: "PENDING_HOOK", hookId: "h-1", stepKey: "hook:h-1", metadata: { orderId: "ord_123", source: "checkout" } },
    });
  });

  test.skipIf(absence)("every sample type-checks", () => {
    const options = {
      strict: true,
      noEmit: true,
      module: "nodenext",
      target: "es2022",
      types: ["node"],
      typeRoots: [join(root, "node_modules/@types")],
      skipLibCheck: true,
    };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: options, include: ["*.ts"] }));
    const types = join(folder, "node_modules/@types");
    if (!existsSync(types)) symlinkSync(join(root, "node_modules/@types"), types, "junction");
    const tsc = join(root, "node_modules/typescript/bin/tsc");
    const { stdout } = spawnSync(process.execPath, [tsc, "-p", folder, "--pretty", "false"], { encoding: "utf8" });
    expect(stdout).toBe("");
  });
});
