// However many copies of the package a process loads, it has one runtime: under aliases of npm, of several versions, in a second graph of
// modules. The programs that mix them are in `copies/`.

import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { createProject, type Ended, type Project } from "./cli/project.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const copies = join(root, "test/copies");
const aliases = ["workflow", "awaitly"];
const isLong = process.env["RINGBACK_LONG"] === "1";

let project: Project;
beforeAll(async () => {
  project = await createProject();
  for (const name of aliases) project.installAs(name);
});

async function run(cwd: string, file: string, ...args: readonly string[]): Promise<Ended> {
  const app = project.startApp(join(cwd, file), { cwd, env: { RINGBACK_DATABASE_URL: `sqlite:${file}.db` } }, args);
  const code = await app.ended;
  return { code, stdout: app.stdout, stderr: app.output };
}

/** What the programs in `copies/` say where all is one. */
async function expectOneRuntime(cwd: string, file: string, names: readonly string[]): Promise<void> {
  const { code, stdout, stderr } = await run(cwd, file, ...names);
  if (code !== 0) throw new Error(stderr);
  const { changes, ...result } = JSON.parse(stdout) as { changes: string[][] };
  expect(changes[0]).toEqual(expect.arrayContaining(["globalThis.Date", "process.nextTick", "globalThis.Symbol(ringback/1)"]));
  expect(changes.slice(1)).toEqual([[], []]);
  expect(result).toEqual({
    value: { paid: 7, by: "me", body: "hello", isRunTime: true, worked: "one, worked on in attempt 1, compiled as compiled" },
    steps: ["step_scheduled", "step_completed", "step_scheduled", "step_completed"],
    runs: names.map(() => ["fail", "one"]),
    isOneEngine: true,
    isRun: true,
    error: names.map(() => [true, true, true, true, "tired"]),
    unknown: true,
  });
}

describe("RT1: three copies in one app", () => {
  test.each([
    ["imported.mjs", ["ringback", "workflow", "awaitly"]],
    ["imported.mjs", ["awaitly", "workflow", "ringback"]],
    ["required.cjs", ["workflow", "ringback", "awaitly"]],
  ])("%s, in the order %j: one engine, one current run, one set of patches, one class for each error", async (file, names) => {
    const cwd = project.newFolder();
    cpSync(copies, cwd, { recursive: true });
    await expectOneRuntime(cwd, file, names);
  });

  test("one is imported, another is required by a module in between", async () => {
    const cwd = project.newFolder({
      "library.cjs": 'const { step } = require("workflow");\nexports.work = step("work", (n) => n + 1);\n',
      "app.mjs": `
import { work } from "./library.cjs";
import { workflow } from "ringback";
import { defaultEngine, start } from "awaitly/api";
const order = workflow("order", async (n) => work(await work(n)));
const run = await start(order, [1]);
console.log(await run.returnValue, (await run.timeline).filter(({ event }) => event === "step_completed").length);
await defaultEngine().close();
`,
    });
    expect(await run(cwd, "app.mjs")).toMatchObject({ code: 0, stdout: "3 2\n" });
  });
});

test("every entry loads where nothing but the package is installed, imported and required", async () => {
  const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { exports: Record<string, unknown> };
  // What is for NestJS is of no use without it.
  const entries = Object.keys(exports).filter((entry) => entry !== "./package.json" && entry !== "./nest");
  const names = entries.map((entry) => `ringback${entry.slice(1)}`);
  const cwd = project.newFolder({
    "imports.mjs": `for (const name of ${JSON.stringify(names)}) await import(name); console.log("all"); process.exit();`,
    "requires.cjs": `for (const name of ${JSON.stringify(names)}) require(name); console.log("all"); process.exit();`,
  });
  for (const file of ["imports.mjs", "requires.cjs"]) expect(await run(cwd, file)).toMatchObject({ stdout: "all\n", code: 0 });
});

describe("RT1: a second graph of modules in one process, as test runners and dev servers make them", () => {
  test("what it exports is the first one's, and the realm stays as it is", async () => {
    const first = { ...(await import("../src/index.ts")), ...(await import("../src/api.ts")), ...(await import("../src/errors.ts")) };
    const firstCore = await import("../src/core/errors.ts");
    const patched = [Date, process.nextTick, process.emit, Math.random];
    vi.resetModules();
    const second = { ...(await import("../src/index.ts")), ...(await import("../src/api.ts")), ...(await import("../src/errors.ts")) };
    expect((await import("../src/core/errors.ts")).RingbackError).not.toBe(firstCore.RingbackError);
    expect(second).toEqual(first);
    expect(second.RingbackError).toBe(firstCore.RingbackError);
    expect([Date, process.nextTick, process.emit, Math.random]).toEqual(patched);
  });

  test("so is what the same file exports under another address", async () => {
    const first = await import("../src/index.ts");
    const second = (await import(`${new URL("../src/index.ts", import.meta.url).href}?copy=2`)) as typeof first;
    expect(second).not.toBe(first);
    expect({ ...second }).toEqual({ ...first });
  });
});

describe("RT2: copies of several versions", () => {
  const app = `
import * as older from "workflow";
import * as newer from "ringback";
import { defaultEngine, start } from "ringback/api";
import { RingbackError } from "workflow/errors";
const step = newer.step("double", (n) => n * 2);
const order = older.workflow("order", async (n) => step(n));
const run = await start(order, [2]);
const told = [];
for (const use of [() => newer.patched("a"), () => new newer.patched("a"), () => newer.patched.of]) {
  try { use(); told.push(null); } catch (error) { told.push([error instanceof RingbackError, error.code, error.details, error.message]); }
}
console.log(JSON.stringify({ value: await run.returnValue, told, kind: typeof newer.patched, isOne: {} instanceof newer.patched }));
await defaultEngine().close();
`;

  /** A copy in a folder of its own, with pieces of its files replaced. */
  function installChanged(cwd: string, name: string, pieces: readonly (readonly [file: string, piece: string, by: string])[]): string {
    const copy = project.installAs(name, cwd);
    for (const [file, piece, by] of pieces) {
      const text = readFileSync(join(copy, file), "utf8");
      expect(text).toContain(piece);
      writeFileSync(join(copy, file), text.replace(piece, by));
    }
    return copy;
  }
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  const aged = ["package.json", `"version": "${version}"`, '"version": "0.0.0-older"'] as const;

  test("what an older first copy lacks loads, and says at its use which copies there are and what to do; all else works", async () => {
    const cwd = project.newFolder({ "app.mjs": app });
    const older = installChanged(cwd, "workflow", [["dist/runtime/index.js", "export { patched }", "export { patched as before }"], aged]);
    const { code, stdout, stderr } = await run(cwd, "app.mjs");
    expect(code, stderr).toBe(0);
    const copy = `ringback ${version} (${join(project.folder, "node_modules/ringback")}/)`;
    const runtime = `ringback 0.0.0-older (${older}/)`;
    const message = `patched is new in ${copy}, but this process runs on ${runtime}, which was loaded first and does not have it. Bring both to one version ("npm ls ringback" finds them, "npm dedupe" may do it), or import the newer one first.`;
    const told = [true, "runtime_too_old", { name: "patched", runtime, copy }, message];
    expect(JSON.parse(stdout)).toEqual({ value: 4, told: [told, told, told], kind: "function", isOne: false });
  });

  test("where the newer one is first, both work in full", async () => {
    const cwd = project.newFolder({ "app.mjs": `import "ringback";\n${app}` });
    installChanged(cwd, "workflow", [["dist/runtime/index.js", "export { patched }", "export { patched as before }"], aged]);
    const { code, stdout, stderr } = await run(cwd, "app.mjs");
    expect(code, stderr).toBe(0);
    const { value, told } = JSON.parse(stdout) as { value: number; told: (readonly unknown[] | null)[] };
    expect([value, ...told.map((each) => each?.[1])]).toEqual([4, "outside_turn", "outside_turn", undefined]);
  });

  test("a copy of another major version says so when it is loaded", async () => {
    const cwd = project.newFolder({
      "app.mjs": `
import { step } from "ringback";
const error = await import("workflow/api").catch((thrown) => thrown);
console.log(JSON.stringify([error.code, error.details, error.message, typeof step]));
`,
    });
    const other = installChanged(cwd, "workflow", [["dist/runtime/first.js", "protocol: 1", "protocol: 2"]]);
    const { code, stdout, stderr } = await run(cwd, "app.mjs");
    expect(code, stderr).toBe(0);
    const message = `ringback ${version} (${other}/) cannot work beside ringback ${version} (${join(project.folder, "node_modules/ringback")}/), which was loaded first: they speak protocols 2 and 1. One process runs on one major version: bring both to one ("npm ls ringback" finds them).`;
    expect(JSON.parse(stdout)).toEqual(["unknown_protocol", { found: 1, known: 2 }, message, "function"]);
  });
});

describe("what an entry hands on", () => {
  const entries = readdirSync(join(root, "src/runtime")).filter((file) => file !== "first.ts" && file !== "nest.ts");

  test.each(entries)("%s: every value that its copy has, of the first copy, and nothing else", async (file) => {
    const [entry, own] = await Promise.all([load(`../src/${file}`), load(`../src/runtime/${file}`)]);
    const { parts } = Reflect.get(globalThis, Symbol.for("ringback/1")) as { parts: Record<string, object> };
    expect(Object.keys(entry).sort()).toEqual(Object.keys(own).sort());
    expect(entry).toEqual({ ...parts[file.replace(".ts", "")] });
  });

  test("nest.ts: the module of its copy, and of the style every value of the first copy", async () => {
    const [entry, own] = await Promise.all([load("../src/nest.ts"), load("../src/runtime/nest.ts")]);
    const { parts } = Reflect.get(globalThis, Symbol.for("ringback/1")) as { parts: Record<string, object> };
    const { DURABLE_ENGINE, DurableModule } = own;
    expect(entry).toEqual({ ...parts["context"], DURABLE_ENGINE, DurableModule });
    expect(Object.keys(entry).sort()).toEqual(Object.keys(own).sort());
  });

  async function load(path: string): Promise<Record<string, unknown>> {
    return { ...((await import(new URL(path, import.meta.url).href)) as Record<string, unknown>) };
  }
});

describe.skipIf(!isLong)("as npm installs it", () => {
  test("the packed package under its own name and two aliases, in an app that had nothing", async () => {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), "ringback-pack-")));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const packed = join(folder, "packed");
    cpSync(join(project.folder, "node_modules/ringback"), packed, { recursive: true });
    for (const name of ["src", "README.md", "LICENSE"]) cpSync(join(root, name), join(packed, name), { recursive: true });
    const npm = async (cwd: string, ...args: readonly string[]): Promise<string> =>
      (await promisify(execFile)("npm", [...args], { cwd })).stdout.trim();
    const tarball = join(packed, await npm(packed, "pack", "--ignore-scripts", "--silent"));
    const app = join(folder, "app");
    cpSync(copies, app, { recursive: true });
    writeFileSync(join(app, "package.json"), "{}");
    const wanted = ["ringback", ...aliases].map((name) => `${name}@file:${tarball}`);
    await npm(app, "install", "--no-audit", "--no-fund", "--prefer-offline", ...wanted);
    const installed = readdirSync(join(app, "node_modules"));
    expect(installed).toEqual(expect.arrayContaining(["awaitly", "ringback", "workflow"]));
    await expectOneRuntime(app, "imported.mjs", ["awaitly", "ringback", "workflow"]);
    await expectOneRuntime(app, "required.cjs", ["workflow", "awaitly", "ringback"]);
  });
});
