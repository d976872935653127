// `node --import ringback/register`: what TypeScript's authors write runs, directives are compiled wherever they stand, and what is wrong
// stops the load with its place.

import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { createProject, type Ended, link, type Project } from "./cli/project.ts";
import { nodes } from "./register/node.ts";

let project: Project;
beforeAll(async () => {
  project = await createProject();
  const modules = join(project.folder, "node_modules");
  symlinkSync(join(modules, "ringback"), join(modules, "workflow"), "junction");
  link("tsx", modules);
});

const isLong = process.env["RINGBACK_LONG"] === "1";
const register = ["--import", "ringback/register"];
const tsx = ["--import", "tsx"];
const env = { RINGBACK_DATABASE_URL: "memory:" };

describe.each(nodes())("on $name", { timeout: 120_000 }, ({ program }) => {
  const run = (files: Readonly<Record<string, string>>, args: readonly string[], loaders: readonly string[] = register): Promise<Ended> =>
    project.runNode([...loaders, ...args], { cwd: project.newFolder(files), env, node: program });

  const modules = {
    "tsconfig.json": '{ "extends": "./base.json" } // as TypeScript reads it',
    "base.json": '{ "compilerOptions": { "experimentalDecorators": true, "jsx": "react", "jsxFactory": "h" } }',
    "main.ts": `
      import data from "./data.json" with { type: "json" };
      import { Colour } from "./enum.js";
      import { element } from "./jsx";
      import { inner } from "./folder";
      import old, { kind } from "./old.cjs";
      import { both } from "./both.ts";
      import { plain } from "./plain.js";
      type Unused = import("./gone.ts").Gone;
      function noted(target: unknown) { (target as { noted?: boolean }).noted = true; }
      @noted class Box { constructor(readonly size: number) {} }
      const closed: string[] = [];
      { using file = { [Symbol.dispose]: () => closed.push("file") }; void file; }
      console.log(JSON.stringify([data, Colour.Red, element, inner, old.kind, kind, both, plain, (Box as { noted?: boolean }).noted, new Box(2).size, closed]));
    `,
    "data.json": '{ "use step": 1 }',
    "enum.ts": "export enum Colour { Green, Red }",
    "jsx.tsx": "const h = (name: string, attributes: object) => ({ name, ...attributes }); export const element = <box size={3} />;",
    "folder/index.mts": 'export { inner } from "./inner.mjs";',
    "folder/inner.mts": "export const inner: string = 'inner';",
    "old.cts": 'import path = require("node:path"); import { more } from "./more.cjs"; export const kind = path.basename("a/cts") + more;',
    "more.cts": "const more: number = 1; module.exports = { more };",
    "both.ts": 'import { createRequire } from "node:module"; export const both = createRequire(import.meta.url)("./enum.ts").Colour.Green;',
    "plain.js": 'export { hidden as plain } from "./hidden.js";',
    "hidden.ts": 'export const hidden: string = "hidden";',
  };
  const printed = '[{"use step":1},1,{"name":"box","size":3},"inner","cts1","cts1",0,"hidden",true,2,["file"]]\n';

  test.each([
    ["alone", register],
    ["after tsx", [...tsx, ...register]],
    ["before tsx", [...register, ...tsx]],
  ])("TypeScript of every kind of module, %s", async (_, loaders) => {
    expect(await run(modules, ["main.ts"], loaders)).toEqual({ code: 0, stdout: printed, stderr: "" });
  });

  const step = 'async function twice(n: number) {\n  "use step";\n  return n * 2;\n}\n';
  const start = 'start(main, [4]).then((run) => run.returnValue).then((value) => console.log("value", value));';

  test.each([
    [
      "a .ts with import",
      "app.ts",
      `import { start } from "workflow/api";\n${step}async function main(n: number) { "use workflow"; return twice(n); }\n${start}`,
      "",
    ],
    [
      "a .cts with require",
      "app.cts",
      `const { start } = require("workflow/api");\n${step}async function main(n: number) { "use workflow"; return twice(n); }\n${start}`,
      "",
    ],
    [
      "a .ts of CommonJS with import",
      "app.ts",
      `import { start } from "workflow/api";\n${step}async function main(n: number) { "use workflow"; return twice(n); }\nconsole.log(typeof require.main, require.main === module);\n${start}`,
      "commonjs",
    ],
    [
      "a .mjs",
      "app.mjs",
      `import { start } from "workflow/api";\n${step.replaceAll(": number", "")}async function main(n) { "use workflow"; return twice(n); }\n${start}`,
      "",
    ],
    [
      "a .cjs",
      "app.cjs",
      `const { start } = require("workflow/api");\n${step.replaceAll(": number", "")}async function main(n) { "use workflow"; return twice(n); }\n${start}`,
      "",
    ],
    [
      "a .ts whose package says nothing",
      "app.ts",
      `import { start } from "workflow/api";\n${step}async function main(n: number) { "use workflow"; return twice(n); }\n${start}`,
      "none",
    ],
  ])("directives in %s", async (_, file, code, type) => {
    const files = {
      [file]: code,
      ...(type === "" ? {} : { "package.json": type === "none" ? '{ "name": "app" }' : `{ "type": "${type}" }` }),
    };
    const orders = [register, [...tsx, ...register], [...register, ...tsx]];
    for (const loaders of isLong || file === "app.cts" ? orders : [register]) {
      const { code: exit, stdout, stderr } = await run(files, [file], loaders);
      expect([exit, stdout, stderr], loaders.join(" ")).toEqual([0, `${type === "commonjs" ? "object true\n" : ""}value 8\n`, ""]);
    }
  });

  test("dependencies: what holds directives is compiled, under ids with the package's name, the rest is not touched", async () => {
    const files = {
      "app.js":
        'import { start } from "workflow/api"; import { main } from "flows"; import { text } from "plain"; console.log(text()); const run = await start(main, []); console.log(await run.returnValue, run.workflowName ?? "");',
      "node_modules/flows/package.json": '{ "name": "flows", "type": "module", "exports": "./index.js" }',
      "node_modules/flows/index.js":
        'import { getWorkflowMetadata } from "workflow"; export async function main() { "use workflow"; return getWorkflowMetadata().workflowName; }',
      "node_modules/plain/package.json": '{ "name": "plain", "main": "index.js" }',
      "node_modules/plain/index.js": "exports.text = function text() { return /* as it is */ text.toString(); };",
    };
    const { stdout, stderr } = await run(files, ["app.js"]);
    expect(stderr).toBe("");
    expect(stdout).toContain("/* as it is */");
    expect(stdout).toContain("flows/index//main");
  });

  test("a warning goes to stderr once, with its place; a wrong directive and a syntax error stop the load with theirs", async () => {
    const late = 'export async function late() {\n  "use workflow";\n  setTimeout(() => {}, 1);\n}\n';
    const warned = await run(
      {
        "app.ts": 'import "./late.ts"; void import("./late.ts?again");',
        "late.ts": late,
      },
      ["app.ts"],
    );
    expect(warned.code).toBe(0);
    expect(warned.stderr.split("\n")).toEqual([expect.stringMatching(/^ringback: .*late\.ts:3:3: .*setTimeout.*sleep/), ""]);

    const misspelt = await run(
      { "app.ts": 'import "./wrong.ts";', "wrong.ts": 'const a = 1;\nexport async function f() {\n  "use worklow";\n}\n' },
      ["app.ts"],
    );
    expect(misspelt.code).toBe(1);
    expect(misspelt.stderr).toMatch(/wrong\.ts:3:3: "use worklow" is no directive\. Did you mean "use workflow"\?/);
    const required = await run({ "app.cjs": 'require("./wrong.cjs");', "wrong.cjs": 'async function f() {\n  "use worklow";\n}\n' }, [
      "app.cjs",
    ]);
    expect(required.stderr).toMatch(/wrong\.cjs:2:3: "use worklow"/);
    const broken = await run({ "app.ts": "const a: number = ;\n" }, ["app.ts"]);
    expect(broken.stderr).toMatch(/app\.ts:1:19: /);
  });

  test("without it, start() of what was not compiled says so with the author's file and line, under plain Node and under tsx", async () => {
    const raw = (type: string): string =>
      `// a comment\n\ninterface Gone {}\nexport async function raw(id${type}) {\n  "use workflow";\n  return id;\n}\n`;
    const app = (file: string): string =>
      `import { start } from "workflow/api"; import { raw } from "./${file}"; await start(raw, ["a"]).catch((error) => console.log(error.code, error.message));`;
    const untyped = raw("").replace("interface Gone {}", "");
    const plain = await run({ "app.js": app("raw.js"), "raw.js": untyped }, ["app.js"], []);
    const typed = await run({ "app.ts": app("raw.ts"), "raw.ts": raw(": string") }, ["app.ts"], tsx);
    expect(plain.stdout).toMatch(/^not_compiled Function raw of \/.*\/raw\.js:4 says "use workflow", .*ringback\/register/);
    expect(typed.stdout).toMatch(/^not_compiled Function raw of \/.*\/raw\.ts:4 says/);
  });
});
