// What looks like a directive and is none, or marks what cannot be one; and what the lint says of workflow bodies.

/** A module that is refused: `at` is line and column, `says` a part of the message. */
export interface Refusal {
  readonly what: string;
  readonly code: string;
  readonly at: string;
  readonly says: string;
}

export const refusals: readonly Refusal[] = [
  { what: "a letter too few", code: 'async function f() {\n  "use worklow";\n}', at: "2:3", says: 'Did you mean "use workflow"?' },
  { what: "a plural", code: 'async function f() { "use steps" }', at: "1:22", says: 'Did you mean "use step"?' },
  { what: "capitals", code: 'async function f() { "Use Workflow" }', at: "1:22", says: 'Did you mean "use workflow"?' },
  { what: "a hyphen", code: 'const f = async () => { "use-step" }', at: "1:25", says: 'Did you mean "use step"?' },
  { what: "one word", code: 'const f = async () => { "useworkflow" }', at: "1:25", says: 'Did you mean "use workflow"?' },
  { what: "at the head of a file", code: '"use stepp";\nexport const a = 1;', at: "1:1", says: 'Did you mean "use step"?' },
  {
    what: "after a statement",
    code: 'async function f() {\n  const a = 1;\n  "use workflow";\n}',
    at: "3:3",
    says: "stands where it does nothing",
  },
  { what: "after an import", code: 'import a from "a";\n"use step";', at: "2:1", says: "stands where it does nothing" },
  { what: "in a block", code: 'async function f() { if (f) { "use step"; } }', at: "1:31", says: "stands where it does nothing" },
  { what: "in brackets", code: 'async function f() { ("use step"); }', at: "1:22", says: "stands where it does nothing" },
  { what: "in backticks", code: "async function f() { `use workflow`; }", at: "1:22", says: "stands where it does nothing" },
  { what: "both", code: 'async function f() { "use workflow"; "use step"; }', at: "1:38", says: "a workflow or a step, not both" },
  { what: "a function that is not async", code: 'function f() { "use step" }', at: "1:1", says: 'write "async"' },
  { what: "a generator", code: 'async function* f() { "use step" }', at: "1:1", says: "A generator cannot be a step" },
  { what: "a constructor", code: 'class A { constructor() { "use step" } }', at: "1:22", says: 'write "async"' },
  { what: "a getter", code: 'class A { get a() { "use workflow" } }', at: "1:16", says: 'write "async"' },
  { what: "a private method", code: 'class A { async #a() { "use step" } }', at: "1:19", says: "A private method cannot be a step" },
  { what: "a computed name", code: 'class A { async [name]() { "use step" } }', at: "1:23", says: "computed name" },
  { what: "a computed name in an object", code: 'const a = { async [name]() { "use step" } }', at: "1:25", says: "computed name" },
  {
    what: "super in an object",
    code: 'const a = { async b() { "use step"; return (() => super.b())(); } }',
    at: "1:20",
    says: 'cannot use "super"',
  },
  {
    what: "a declaration in a case, where other cases would not find it",
    code: 'async function f() { switch (f) { case 1: async function g() { "use step" } } }',
    at: "1:43",
    says: "a block of its own",
  },
  {
    what: "a workflow in a function",
    code: 'function f() { return async () => { "use workflow" } }',
    at: "1:23",
    says: "stands at module level",
  },
  { what: "a workflow of an instance", code: 'class A { async a() { "use workflow" } }', at: "1:18", says: "would have no instance" },
  { what: "a file that exports otherwise", code: '"use step";\nexports.f = async () => {};', at: "1:1", says: 'with "export"' },
  { what: "a file that exports no function", code: '"use workflow";\nexport const a = 1;', at: "1:1", says: "there is none" },
  {
    what: "a file that nests deeper than the stack",
    code: `async function f() { "use step" }\nconst a = ${'"a" + '.repeat(20_000)}"b";`,
    at: "1:1",
    says: "nests too deeply",
  },
  { what: "a file that cannot be parsed", code: 'async function f( { "use step" }', at: "", says: "cannot be parsed" },
  { what: "a declaration that is the body of an if", code: 'if (a) async function f() { "use step" }', at: "", says: "" },
];

/** A workflow's body, what stands before it, and what is said of it; nothing where `says` is null. */
export interface Lint {
  readonly what: string;
  readonly before?: string;
  readonly body: string;
  readonly says: string | null;
}

export const lints: readonly Lint[] = [
  {
    what: "a file",
    before: 'import fs from "node:fs/promises";',
    body: 'await fs.readFile("a");',
    says: '"fs" of "node:fs/promises" acts on the world outside',
  },
  {
    what: "the network",
    before: 'import { request } from "http";',
    body: 'request("a");',
    says: '"request" of "http" acts on the world outside',
  },
  { what: "a file, required", body: 'require("fs").readFileSync("a");', says: '"fs" of "fs" acts on the world outside' },
  { what: "the platform's fetch", body: 'await fetch("https://psp.example");', says: 'import fetch from "workflow"' },
  {
    what: "the platform's fetch, by its full name",
    body: 'await globalThis.fetch("https://psp.example");',
    says: 'import fetch from "workflow"',
  },
  { what: "a fetch that is put in its place", before: 'import { fetch } from "workflow";', body: "globalThis.fetch = fetch;", says: null },
  { what: "the package's fetch", before: 'import { fetch } from "workflow";', body: 'await fetch("https://psp.example");', says: null },
  { what: "a timer", body: "await new Promise((done) => setTimeout(done, 10));", says: 'use sleep("10s")' },
  { what: "the environment", body: "return process.env.KEY;", says: "process.env may differ" },
  { what: "a captured clock", before: "const now = Date.now;", body: "return now();", says: '"now" was taken from the platform' },
  {
    what: "captured chance, taken apart",
    before: "const { random } = Math;",
    body: "return random();",
    says: '"random" was taken from the platform',
  },
  {
    what: "chance of a module",
    before: 'import { randomUUID } from "node:crypto";',
    body: "return randomUUID();",
    says: "call crypto.randomUUID() by its global name",
  },
  {
    what: "a clock of a module",
    before: 'import { performance } from "node:perf_hooks";',
    body: "return performance.now();",
    says: "performance.now() by its global name",
  },
  { what: "a counter of the module", before: "let count = 0;", body: "count++;", says: '"count" belongs to the module' },
  { what: "a cache of the module", before: "const seen = new Map();", body: "seen.set(1, 2);", says: '"seen" belongs to the module' },
  {
    what: "an object of the module",
    before: "const state = { a: { b: 1 } };",
    body: "state.a.b = 2;",
    says: '"state" belongs to the module',
  },
  {
    what: "a part of the module's state taken away",
    before: "const state: any = {};",
    body: "delete state.a;",
    says: '"state" belongs to the module',
  },
  { what: "reading what belongs to the module", before: "const rates = new Map();", body: "return rates.get(1);", says: null },
  { what: "a list of its own", body: "const all: number[] = []; all.push(1); return all;", says: null },
  {
    what: "the same in a step",
    before: "let count = 0;",
    body: 'const f = async () => { "use step"; count++; setTimeout(() => {}, 1); return process.env.A; }; await f();',
    says: null,
  },
  {
    what: "clocks and chance by their full names",
    body: "return [Date.now(), new Date(), Math.random(), crypto.randomUUID(), performance.now()];",
    says: null,
  },
  {
    what: "modules that only compute",
    before: 'import { join } from "node:path"; import { createHash } from "node:crypto";',
    body: 'createHash("sha256"); return join("a");',
    says: null,
  },
  {
    what: "a type of such a module",
    before: 'import type { Stats } from "node:fs";',
    body: "const a: Stats | null = null; return a;",
    says: null,
  },
  {
    what: "a copy that is written",
    body: 'let n = 1; const f = async () => { "use step"; n = 2; }; await f(); return n;',
    says: 'A step gets a copy of "n"',
  },
  { what: "a step without a name", body: 'await [async () => { "use step" }][0]();', says: "depends on what stands before it" },
];
