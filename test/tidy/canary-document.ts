// What the rules about pages, exports, names and reports must refuse and allow.

import { many, type Canary } from "./canary.ts";
import { apiReportRule, dependencyRule, errorPageRule, exportsRule, lockRule, rootNameFile, rootNameRule } from "./rule-document.ts";

const table = "export interface ErrorDetails {\n  one: { run: string };\n  two: Record<never, never>;\n}";
const entry = (source: string): string => `{ "types": "./dist/${source}.d.ts", "default": "./dist/${source}.js" }`;
const manifest = (exports: string, more = ""): string => `{\n"exports": {\n${exports}\n}${more}\n}`;

const lock = (optionalDependencies: Record<string, string>): string =>
  JSON.stringify({ packages: { "": {}, "node_modules/a": { optionalDependencies }, "node_modules/b/node_modules/@a/linux": {} } });

export const documentCanaries: readonly Canary[] = [
  many(errorPageRule, "a code without a page", { "src/core/errors.ts": table, "docs/errors/one.md": "# one\n" }, ["src/core/errors.ts:3"]),
  many(errorPageRule, "a page without a code", { "docs/errors/three.md": "# three\n" }, ["docs/errors/three.md:1"]),
  many(
    errorPageRule,
    "a page under another's title",
    { "src/core/errors.ts": table, "docs/errors/one.md": "# two\n", "docs/errors/two.md": "# two\n" },
    ["docs/errors/one.md:1"],
  ),
  many(
    errorPageRule,
    "all there",
    { "src/core/errors.ts": table, "docs/errors/one.md": "# one\n", "docs/errors/two.md": "# two\n", "docs/errors/README.md": "" },
    [],
  ),

  many(
    exportsRule,
    "an export without a file",
    { "package.json": manifest(`".": ${entry("index")},\n"./api": ${entry("api")}`), "src/index.ts": "" },
    ["package.json:4"],
  ),
  many(
    exportsRule,
    "a file without an export",
    { "package.json": manifest(`".": ${entry("index")}`), "src/index.ts": "", "src/api.ts": "" },
    ["src/api.ts:1"],
  ),
  many(
    exportsRule,
    "types of another file",
    { "package.json": manifest('".": { "types": "./dist/api.d.ts", "default": "./dist/index.js" }'), "src/index.ts": "" },
    ["package.json:3"],
  ),
  many(
    exportsRule,
    "types beside those that are handed on",
    { "package.json": manifest(`".": ${entry("index")}`), "src/index.ts": "", "src/runtime/index.ts": "" },
    ["package.json:3"],
  ),
  many(
    exportsRule,
    "types of what is handed on",
    {
      "package.json": manifest('".": { "types": "./dist/runtime/index.d.ts", "default": "./dist/index.js" }'),
      "src/index.ts": "",
      "src/runtime/index.ts": "",
    },
    [],
  ),
  many(
    exportsRule,
    "types last",
    { "package.json": manifest('".": { "default": "./dist/index.js", "types": "./dist/index.d.ts" }'), "src/index.ts": "" },
    ["package.json:3"],
  ),
  many(exportsRule, "without types", { "package.json": manifest('".": "./dist/index.js"'), "src/index.ts": "" }, [
    "package.json:3",
    "src/index.ts:1",
  ]),
  many(
    exportsRule,
    "other types for compilers that read no exports",
    {
      "package.json": manifest(
        `".": ${entry("index")},\n"./api": ${entry("api")}`,
        ',\n"typesVersions": { "*": {\n"api": ["./dist/index.d.ts"]\n} }',
      ),
      "src/index.ts": "",
      "src/api.ts": "",
    },
    ["package.json:7"],
  ),
  many(
    exportsRule,
    "side effects of nothing",
    { "package.json": manifest(`".": ${entry("index")}`, ',\n"sideEffects": [\n"./dist/gone.js"]'), "src/index.ts": "" },
    ["package.json:6"],
  ),
  many(
    exportsRule,
    "all there",
    { "package.json": manifest(`".": ${entry("index")},\n"./package.json": "./package.json"`), "src/index.ts": "", "src/wiring.ts": "" },
    [],
  ),

  many(
    rootNameRule,
    "an unknown name",
    { "src/index.ts": 'export { step } from "./a.ts";\nexport const extra = 1;', [rootNameFile]: '{ "step": "glossary" }' },
    ["src/index.ts:2"],
  ),
  many(
    rootNameRule,
    "a new name for a known one",
    { "src/index.ts": 'export { step as task } from "./a.ts";', [rootNameFile]: '{ "step": "glossary" }' },
    ["src/index.ts:1"],
  ),
  many(rootNameRule, "everything", { "src/index.ts": 'export * from "./a.ts";', [rootNameFile]: "{}" }, ["src/index.ts:1"]),
  many(
    rootNameRule,
    "too many",
    {
      "src/index.ts": Array.from({ length: 26 }, (_, at) => `export const a${at} = 1;`).join(" "),
      [rootNameFile]: JSON.stringify(Object.fromEntries(Array.from({ length: 26 }, (_, at) => [`a${at}`, ""]))),
    },
    ["src/index.ts:1"],
  ),
  many(
    rootNameRule,
    "as many, and one of Workflow DevKit's",
    {
      "src/index.ts": Array.from({ length: 26 }, (_, at) => `export const a${at} = 1;`).join(" "),
      [rootNameFile]: JSON.stringify(
        Object.fromEntries(Array.from({ length: 26 }, (_, at) => [`a${at}`, at === 3 ? "Workflow DevKit" : ""])),
      ),
    },
    [],
  ),
  many(
    rootNameRule,
    "types",
    {
      "src/index.ts":
        'export type { A } from "./a.ts"; export { type B, step } from "./b.ts"; export interface C {} export type * from "./d.ts";',
      [rootNameFile]: '{ "step": "" }',
    },
    [],
  ),

  many(apiReportRule, "an entry without a report", { "src/index.ts": "", "src/wiring.ts": "" }, ["src/index.ts:1"]),
  many(apiReportRule, "a report on nothing", { "api-reports/gone.api.md": "" }, ["api-reports/gone.api.md:1"]),
  many(apiReportRule, "all there", { "src/api.ts": "", "api-reports/api.api.md": "" }, []),

  many(lockRule, "a platform left out", { "package-lock.json": lock({ "@a/linux": "1", "@a/darwin": "1" }) }, ["package-lock.json:1"]),
  many(lockRule, "all there", { "package-lock.json": lock({ "@a/linux": "1" }) }, []),

  many(
    dependencyRule,
    "without a reason",
    { "package.json": '{ "devDependencies": {\n"a": "1",\n"b": "1" } }', "docs/dependencies.md": "| `b` | for b |" },
    ["package.json:2"],
  ),
  many(dependencyRule, "all there", { "package.json": '{ "dependencies": { "a": "1" } }', "docs/dependencies.md": "| `a` | for a |" }, []),
];
