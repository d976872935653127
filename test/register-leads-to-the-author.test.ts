// Under `ringback/register`, stacks and breakpoints are the author's: file, line and column of what was written, whatever was compiled.

import { spawn } from "node:child_process";
import { realpathSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { createProject, link, type Project } from "./cli/project.ts";
import { Debugged, type Stop } from "./register/debugged.ts";
import { nodes } from "./register/node.ts";

let project: Project;
beforeAll(async () => {
  project = await createProject();
  const modules = join(project.folder, "node_modules");
  symlinkSync(join(modules, "ringback"), join(modules, "workflow"), "junction");
  link("tsx", modules);
});

const register = ["--import", "ringback/register"];
const tsx = ["--import", "tsx"];
const env = { RINGBACK_DATABASE_URL: "memory:" };

/** Where things go wrong, each in a shape of its own; `fail` is a plain function, the frame below counts, too. */
const shapes = `// Ω 日本語 🎉 in front of everything
import { sleep } from "workflow";
interface Options<T> { readonly of: T; again?: (options: Options<T>) => void }
type Wide = { [key in "a" | "b"]: Options<key> };

export async function inWorkflow(options: Options<string>): Promise<void> {
  "use workflow";
  using hook: Disposable = { [Symbol.dispose]() {} };
  await sleep(1);
  /* 🎉 */ const 日: string = "本" as const; throw new Error("inWorkflow" satisfies string);
}
export const oneLine = async (a: Wide | null): Promise<never> => { "use workflow"; await sleep(1); throw new Error("oneLine"); };
async function inStep<T>(value: T): Promise<T> { "use step"; enum Kind { A = 1 } if (Kind.A) throw new Error("inStep"); return value; }
inStep.maxRetries = 0;
export async function callsStep(): Promise<void> { "use workflow"; await inStep<number>(1); }
export async function closes(): Promise<void> {
  "use workflow";
  const é: string = "é", rate: number = 2;
  const closure = async (n: number): Promise<number> => {
    "use step";
    const text: string = \`\${é}\`; if (n * rate > 3) throw new Error("closure");
    return n;
  };
  Object.assign(closure, { maxRetries: 0 });
  await closure(2);
}
export class Shop<T = unknown> {
  constructor(private readonly owner?: T) {}
  static async order(id: number, more?: Options<boolean>): Promise<void> {
    "use workflow";
    await sleep(1); if (id > 0) { const 語 = id as unknown as string; throw new Error("method"); }
  }
}
export async function callsPlain(): Promise<void> {
  "use workflow";
  await sleep(1);
  deep({ of: 1 });
}
function deep<T>(options: Options<T>): never { throw new Error("plain"); }
`;
const app = `
import { start } from "workflow/api";
import * as unix from "./unix.ts";
import * as dos from "./dos.ts";
for (const { inWorkflow, oneLine, callsStep, closes, Shop, callsPlain } of [unix, dos]) {
  for (const [run, ...args] of [[inWorkflow, { of: "a" }], [oneLine, null], [callsStep], [closes], [Shop.order, 1], [callsPlain]] as [any, ...any][]) {
    const error = await (await start(run, args)).returnValue.catch((failed: Error) => failed.cause) as Error;
    const [, frame, caller] = (error.stack ?? "").split("\\n");
    console.log(JSON.stringify([error.message, /\\(?([^ (]*?)\\)?$/.exec(frame ?? "")?.[1], /\\(?([^ (]*?)\\)?$/.exec(caller ?? "")?.[1]]));
  }
}
`;

/** Where \`text\` stands in the shapes: \`line:column\`. */
function placeOf(text: string): string {
  const before = shapes.slice(0, shapes.indexOf(text)).split("\n");
  return `${before.length}:${(before.at(-1) ?? "").length + 1}`;
}

/** Of each error: its label, and its first frame. */
function framesIn(stdout: string): unknown[] {
  const lines = stdout.split("\n").filter(Boolean);
  return lines.map((line) => (JSON.parse(line) as string[]).slice(0, 2).map((text) => text.replace("file://", "")));
}

function authored(folder: string): unknown[] {
  const labels = ["inWorkflow", "oneLine", "inStep", "closure", "method", "plain"];
  return ["unix.ts", "dos.ts"].flatMap((file) =>
    labels.map((label) => [label, `${join(folder, file)}:${placeOf(`new Error("${label}"`)}`]),
  );
}

describe.each(nodes())("on $name", { timeout: 120_000 }, ({ program }) => {
  test.each([
    ["alone", register],
    ["after tsx", [...tsx, ...register]],
    ["before tsx", [...register, ...tsx]],
    ["under tsx's command", null],
  ])("errors in workflows and steps show the author's file, line and column, %s", async (_, loaders) => {
    const cwd = project.newFolder({ "app.ts": app, "unix.ts": shapes, "dos.ts": shapes.replaceAll("\n", "\r\n") });
    const args = loaders ?? [realpathSync(join(project.folder, "node_modules/tsx/dist/cli.mjs")), ...register];
    const { stdout, stderr } = await project.runNode([...args, "app.ts"], { cwd, env: { ...env, NODE_ENV: "test" }, node: program });
    expect(framesIn(stdout), stderr).toEqual(authored(cwd));
    const caller = (JSON.parse(stdout.trim().split("\n").at(-1) as string) as string[])[2];
    expect(caller).toBe(`${join(cwd, "dos.ts")}:${placeOf("deep({")}`);
  });

  test("errors lead through what tsc has made to the author's file", async () => {
    const cwd = project.newFolder({ "src/app.ts": app, "src/unix.ts": shapes, "src/dos.ts": shapes.replaceAll("\n", "\r\n") });
    const tsc = fileURLToPath(new URL("../node_modules/typescript/bin/tsc", import.meta.url));
    const options = ["--noCheck", "--sourceMap", "--target", "ES2022", "--module", "NodeNext", "--rewriteRelativeImportExtensions"];
    const built = await project.runNode([tsc, ...options, "--rootDir", "src", "--outDir", "dist", "src/app.ts"], { cwd });
    expect(built.code, built.stdout).toBe(0);
    const { stdout } = await project.runNode([...register, "dist/app.js"], { cwd, env: { ...env, NODE_ENV: "test" }, node: program });
    expect(framesIn(stdout)).toEqual(authored(join(cwd, "src")));
  });

  test("a breakpoint at a line of a workflow stops the run there, at each of its turns, with its variables", async () => {
    const files = {
      "app.ts":
        'import { start } from "workflow/api";\nimport { order } from "./order.ts";\nconsole.log("result", await (await start(order, ["o-7"])).returnValue);\n',
      "order.ts": [
        'import { sleep } from "workflow";',
        "interface Item { readonly price: number }",
        "const price = async (n: number): Promise<Item> => {",
        '  "use step";',
        "  return { price: n * 2 };",
        "};",
        "export async function order(id: string): Promise<number> {",
        '  "use workflow";',
        "  let total: number = 0;",
        "  for (const count of [1, 2]) {",
        "    const item: Item = await price(count);",
        "    total += item.price;",
        "    await sleep(1);",
        "  }",
        "  return total;",
        "}",
        "",
      ].join("\n"),
    };
    const cwd = project.newFolder(files);
    const child = spawn(program, ["--inspect-brk=0", ...register, "app.ts"], { cwd, env: { ...process.env, ...env, NODE_OPTIONS: "" } });
    const debugged = await Debugged.attach(child);
    const stops: Stop[] = [];
    for await (const stop of debugged.stopsAt(join(cwd, "order.ts"), 12)) stops.push(stop);
    expect(stops).toEqual([
      { at: `${join(cwd, "order.ts")}:12`, variables: expect.objectContaining({ id: "o-7", total: 0, count: 1, item: { price: 2 } }) },
      { at: `${join(cwd, "order.ts")}:12`, variables: expect.objectContaining({ id: "o-7", total: 2, count: 2, item: { price: 4 } }) },
    ]);
    expect(debugged.output).toContain("result 6");
  });
});
