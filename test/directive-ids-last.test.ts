// Ids: the same in every tool and on every machine, and kept over a move or a rename where the author says so.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { originalPositionFor, TraceMap } from "@jridgewell/trace-mapping";
import { Identities } from "../src/styles/directives/transform/identity.ts";
import { compile } from "../src/transform.ts";
import { load } from "./directive/module.ts";
import { createWorld } from "./harness.ts";

type Workflow = (...args: unknown[]) => Promise<unknown>;

function folderOf(files: { readonly [path: string]: string }): string {
  const folder = mkdtempSync(join(tmpdir(), "ringback-identity-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(folder, path, ".."), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

test.each([
  ["src/order.ts", "order"],
  ["dist/order.js", "order"],
  ["dist/src/order.js", "order"],
  ["server/src/order.ts", "server/src/order"],
  ["src/lib/order.ts", "lib/order"],
  ["dist/lib/order.js", "lib/order"],
  ["src/order.test.mts", "order.test"],
  ["order.cjs", "order"],
  ["src/inner/order.tsx", "inner/order"],
  ["packages/shop/src/order.ts", "order"],
  ["node_modules/@acme/pay/lib/order.js", "@acme/pay/lib/order"],
  ["node_modules/pay/order.mjs", "pay/order"],
])("%s is %s, wherever the process was started", (path, module) => {
  const folder = folderOf({
    "package.json": '{ "name": "app" }',
    "src/inner/package.json": '{ "type": "module" }',
    "packages/shop/package.json": '{ "name": "shop" }',
    "node_modules/@acme/pay/package.json": '{ "name": "@acme/pay" }',
    "node_modules/pay/package.json": '{ "name": "pay" }',
  });
  expect(new Identities().of(join(folder, path)).module).toBe(module);
});

test("a package without a name, and no package at all", () => {
  const folder = folderOf({ "package.json": "{}" });
  expect(new Identities().of(join(folder, "a", "b.ts")).module).toBe("a/b");
});

test("a table of ids that is none is refused with its file", () => {
  const folder = folderOf({ "package.json": '{ "name": "app", "ringback": { "ids": { "a": 1 } } }' });
  expect(() => new Identities().of(join(folder, "a.ts"))).toThrow(/"ids".*package\.json/);
});

test("two functions of one name have ids of their own, with a warning for what is not named", () => {
  const code = 'const a = { async f() { "use step" } }; { const a = { async f() { "use step" } }; }';
  const found = compile({ code, file: "a.ts", module: "a" });
  expect(found?.declared.steps).toEqual(["a//a.f", "a//a.f~2"]);
  expect(found?.warnings).toEqual([expect.objectContaining({ message: expect.stringContaining('"a//a.f~2"') })]);
});

test("hooks that a module defines are named after it", () => {
  const code =
    'import { defineHook as define, defineHook } from "workflow";\nexport const paid = defineHook<{ a: 1 }>();\nconst sent = defineHook({ schema });\nconst other = define();';
  const found = compile({ code, file: "a.ts", module: "a" });
  expect(found?.declared.hooks).toEqual(["a//paid", "a//sent", "a//other"]);
  expect(found?.code).toContain('defineHook<{ a: 1 }>("a//paid")');
  expect(found?.code).toContain('defineHook("a//sent", { schema })');
});

test("a schema that stands in the workflow is known to every process that has loaded the module", async () => {
  const { main } = await load<{ main: Workflow }>({
    "src/app.ts": `import { createWebhook } from "workflow";
import { z } from "zod";
const cents = z.number().int();
export async function main(limit: number) {
  "use workflow";
  const paid = createWebhook({ schema: z.object({ cents, at: z.string().optional().transform((at) => at) }) });
  const late = await createWebhook({ schema: z.object({ cents: z.number().max(limit) }) });
  return [await (await paid).json(), late.method];
} // the end`,
  });
  const world = await createWorld([main], { mode: "evict" });
  const run = await world.start(main, 5);
  await world.settled();
  const definitions = (await world.journal(run)).flatMap((event) => (event.kind === "hook_created" ? [event.definition] : []));
  expect(definitions).toEqual(["app//main/paid", null]); // the other reads an argument of its run
  const [late, paid] = await world.engine.listHooks({ withTokens: true });
  const status = async (url: string | null | undefined, cents: unknown): Promise<number> =>
    (await world.engine.ingress(new Request(url as string, { method: "POST", body: JSON.stringify({ cents }) }))).status;
  const [first, second] = paid?.hookId.endsWith(":1") ? [paid, late] : [late, paid];
  expect(await status(first?.url, "1")).toBe(422);
  expect(await status(second?.url, 6)).toBe(422);
  expect([await status(first?.url, 1), await status(second?.url, 5)]).toEqual([202, 202]);
  await world.settled();
  expect(await run.returnValue).toEqual([{ cents: 1 }, "POST"]);
});

const wait = (name: string): string => `import { createHook } from "workflow";
export async function ${name}() { "use workflow"; const hook = createHook({ token: "go" }); return ${name}Step(await hook) }
async function ${name}Step(value) { "use step"; return value + 1 }`;

test("a parked run goes on after its function was moved and renamed, by a table in package.json", async () => {
  const before = await load<{ pay: Workflow }>({ "src/pay.ts": wait("pay") });
  const world = await createWorld([before.pay]);
  const run = await world.start(before.pay);
  await world.settled();
  const ids = { "lib/order//checkout": "pay//pay", "lib/order//checkoutStep": "pay//payStep" };
  const after = await load<{ checkout: Workflow }>({ "lib/order.ts": wait("checkout") }, { ringback: { ids } });
  await world.restart({ workflows: [after.checkout] });
  await world.engine.resumeHook("go", 1);
  await world.settled();
  expect(await world.engine.getRun(run.runId).returnValue).toBe(2);
});

test("compiled text comes from the package that the module imports, by the syntax of the module", () => {
  const step = 'async function f() { "use step" }';
  const from = (code: string, file = "a.ts"): string =>
    compile({ code, file, module: "a", runtime: "/copy/compiled.js" })?.code.split(";")[0] ?? "";
  expect(from(`import { sleep } from "workflow"; ${step}`)).toBe('import * as __ringback from "workflow/compiled"');
  expect(from(`import { start } from "ringback/api"; ${step}`)).toBe('import * as __ringback from "ringback/compiled"');
  expect(from(`import type { Hook } from "workflow"; export ${step}`)).toBe('import * as __ringback from "/copy/compiled.js"');
  expect(from(`export ${step}`)).toBe('import * as __ringback from "/copy/compiled.js"');
  expect(from(`${step}\nawait f();`, "a.js")).toMatch(/^import/);
  expect(from(`const { start } = require("workflow/api"); ${step}`, "a.js")).toMatch(/^const/);
  expect(from(`module.exports = { f, old: 010 }; ${step}`, "a.js")).toMatch(/^const/);
  expect(compile({ code: step, file: "a.js", module: "a", isEsm: false })?.code).toMatch(/^const/);
  expect(from(`exports.f = f; ${step}`, "a.cjs")).toBe('const __ringback = require("/copy/compiled.js")');
});

test("every token of the author's keeps its line, and the map leads each to its own place", () => {
  const code = `#!/usr/bin/env node
"use strict";
import { sleep } from "workflow"; // é😀
export async function main(by: number) {\r
  "use workflow";
  const emoji = "😀"; const add = async (a: number) => { "use step"; throw boom(a + by) };
  async function late() { "use step"; return by; }
  await Promise.race([add(1), sleep("1s"), (async () => first())()]);
}
class Shop { static async open() { "use step"; second() } }
const steps = { async pay() { "use step"; third() } };
`;
  const found = compile({ code, file: "src/a.ts", module: "src/a" });
  const map = new TraceMap(found?.map as never);
  for (const token of ["emoji", "boom", "by; }", "race", "first", "second", "third", "Shop", "steps ="]) {
    const [given, made] = [placeOf(code, token), placeOf(found?.code ?? "", token)];
    expect(made.line).toBe(given.line);
    expect(originalPositionFor(map, made)).toMatchObject({ source: "src/a.ts", ...given });
  }
});

function placeOf(text: string, token: string): { line: number; column: number } {
  const lines = text.slice(0, text.indexOf(token)).split("\n");
  return { line: lines.length, column: lines.at(-1)?.length ?? 0 };
}
