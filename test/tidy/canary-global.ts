// What the rules about globals must refuse and allow. Each banned name of the table has a canary made from it.

import { bad, good, type Canary } from "./canary.ts";
import { bans } from "./layer.ts";
import { awaitRule, globalRule, realmRule } from "./rule-global.ts";

/** How each banned name is used. */
function use(name: string): string {
  return /[()]/.test(name) ? `const x = ${name};` : `const x = ${name}.y;`;
}

export const globalCanaries: readonly Canary[] = [
  ...bans.flatMap((ban) => ban.names.map((name) => bad(globalRule, `${ban.files}a.ts`, use(name)))),
  bad(globalRule, "src/core/deep/a.ts", 'const x = Date["now"]();'),
  bad(globalRule, "src/core/a.ts", "const { now } = Date;"),
  bad(globalRule, "src/core/a.ts", "const { random: roll } = Math;"),
  bad(globalRule, "src/core/a.ts", "const x = (Math as Dice).random();"),
  bad(globalRule, "src/core/a.ts", "const x = Math?.random();"),
  bad(globalRule, "src/core/a.ts", "export function run(process: number) {}"),
  bad(globalRule, "src/core/a.ts", "export const x = { console };"),
  bad(globalRule, "src/ingress/a.ts", "const x = globalThis.setTimeout;"),
  bad(globalRule, "src/ingress/a.ts", "const x = new globalThis.Date();"),
  bad(globalRule, "src/core/hook.ts", "queueMicrotask(f);"),
  good(globalRule, "src/core/reader.ts", "queueMicrotask(f);"),
  good(globalRule, "src/core/a.ts", 'const x = new Date(0) instanceof Date; // Date.now(), console.log("process")'),
  good(globalRule, "src/core/a.ts", "const x = run.process; const y = { console: 1, timers: Math.min(1) };"),
  good(globalRule, "src/core/a.ts", "export function run(clock: typeof performance, at: Buffer): console.X {}"),
  good(globalRule, "src/core/a.ts", "declare const process: unknown;"),
  good(globalRule, "src/engine/a.ts", "const x = Date.now(); process.exitCode = 1;"),
  good(globalRule, "src/cli/a.ts", "process.exit(1);"),

  bad(realmRule, "src/engine/a.ts", "process.nextTick(f);"),
  bad(realmRule, "src/engine/a.ts", 'process["nextTick"](f);'),
  bad(realmRule, "src/engine/a.ts", "const { nextTick } = process;"),
  bad(realmRule, "src/engine/a.ts", 'import { nextTick } from "node:process";'),
  bad(realmRule, "src/engine/a.ts", 'import { AsyncLocalStorage } from "node:async_hooks";'),
  bad(realmRule, "src/http/a.ts", 'import { AsyncResource } from "async_hooks";'),
  bad(realmRule, "src/wiring.ts", 'const { AsyncLocalStorage } = process.getBuiltinModule("node:async_hooks");'),
  bad(realmRule, "src/engine/a.ts", "globalThis.Date = Fake;"),
  bad(realmRule, "src/engine/a.ts", "Date = Fake;"),
  bad(realmRule, "src/engine/a.ts", "Math.random = () => 4;"),
  bad(realmRule, "src/engine/a.ts", "Promise.prototype.then = then;"),
  bad(realmRule, "src/engine/a.ts", "(globalThis as Any).fetch = fake;"),
  bad(realmRule, "src/engine/a.ts", "delete globalThis.crypto;"),
  bad(realmRule, "src/core/a.ts", 'Object.defineProperty(Promise, "race", { value });'),
  bad(realmRule, "src/styles/plain/a.ts", "Object.assign(globalThis, { Date: Fake });"),
  bad(realmRule, "src/engine/realms.ts", "process.nextTick(f);"),
  good(realmRule, "src/engine/realm.ts", "process.nextTick(f); Math.random = roll;"),
  good(realmRule, "src/engine/realm/tick.ts", 'import { AsyncLocalStorage } from "node:async_hooks"; process.nextTick(f);'),
  good(
    realmRule,
    "src/engine/a.ts",
    'import type { AsyncLocalStorage } from "node:async_hooks"; process.exitCode = 1; process.env.A = "b";',
  ),
  good(
    realmRule,
    "src/wiring.ts",
    'const key = Symbol.for("ringback/1") as never; globalThis[key] ??= {}; (globalThis as Any)[Symbol.for("ringback/1")] = 1;',
  ),
  bad(realmRule, "src/wiring.ts", 'const key = "Date"; globalThis[key] = {};'),

  bad(awaitRule, "src/index.ts", 'const x = await import("node:sqlite");'),
  bad(awaitRule, "src/index.ts", "for await (const x of y) f(x);"),
  bad(awaitRule, "src/index.ts", "await using x = open();"),
  bad(awaitRule, "src/index.ts", "if (a) { try { await b; } catch {} }"),
  good(awaitRule, "src/index.ts", "const f = async () => await g(); class A { async b() { for await (const x of y) await x; } }"),
  good(awaitRule, "bench/a.ts", "await run();"),
];
