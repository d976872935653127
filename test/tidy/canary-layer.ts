// What the rules about imports must refuse and allow.

import { bad, good, many, type Canary } from "./canary.ts";
import { cycleRule, layerRule, statusRule, wiringRule } from "./rule-layer.ts";

export const layerCanaries: readonly Canary[] = [
  bad(layerRule, "src/core/a.ts", 'import "node:fs/promises";'),
  bad(layerRule, "src/core/a.ts", 'import { readFile } from "fs/promises";'),
  bad(layerRule, "src/core/a.ts", 'import { createHmac } from "node:crypto";'),
  bad(layerRule, "src/core/a.ts", 'const fs = process.getBuiltinModule("node:fs");'),
  bad(layerRule, "src/store/memory/a.ts", 'const fs = process.getBuiltinModule("node:sqlite" as "node:fs");'),
  bad(layerRule, "src/core/a.ts", 'import type { Store } from "../store/port.ts";'),
  bad(layerRule, "src/core/a.ts", 'type S = import("../store/port.ts").Store;'),
  bad(layerRule, "src/core/deep/a.ts", 'import { a } from "../../engine/a.ts";'),
  bad(layerRule, "src/core/a.ts", 'import z from "zod";'),
  bad(layerRule, "src/core/a.ts", "export const load = (path: string) => import(path);"),
  good(layerRule, "src/core/a.ts", 'import { stringify } from "devalue";'),
  good(layerRule, "src/core/deep/a.ts", 'import { b } from "../b.ts";'),
  good(layerRule, "src/core/a.ts", 'const text = \'import "node:fs"\'; // import "node:fs"'),
  good(layerRule, "src/core/a.ts", 'import type { Buffer } from "node:buffer";'),

  bad(layerRule, "src/store/port.ts", 'import type { Engine } from "../engine/engine.ts";'),
  bad(layerRule, "src/store/port.ts", 'import { memoryStore } from "./memory/store.ts";'),
  bad(layerRule, "src/store/memory/a.ts", 'import { randomBytes } from "node:crypto";'),
  bad(layerRule, "src/store/sqlite/a.ts", 'import { apply } from "../memory/apply.ts";'),
  bad(layerRule, "src/store/sqlite/a.ts", 'export * from "../../http/status.ts";'),
  bad(layerRule, "src/store/sqlite/a.ts", 'import pg from "pg";'),
  bad(layerRule, "src/store/postgres/a.ts", 'import { Run } from "../../engine/run.ts";'),
  bad(layerRule, "src/store/redis/a.ts", 'import { apply } from "../memory/apply.ts";'),
  good(
    layerRule,
    "src/store/sqlite/deep/a.ts",
    'import { b } from "../b.ts"; import { existsSync } from "node:fs"; import type { Store } from "../../port.ts";',
  ),
  good(
    layerRule,
    "src/store/sqlite/a.ts",
    'import { DatabaseSync } from "@photostructure/sqlite"; const own = process.getBuiltinModule("node:sqlite" as "node:fs");',
  ),

  bad(layerRule, "src/ingress/a.ts", 'import type { Store } from "../store/port.ts";'),
  bad(layerRule, "src/ingress/providers/stripe.ts", 'import { deliver } from "../../engine/deliver.ts";'),
  good(
    layerRule,
    "src/ingress/providers/stripe.ts",
    'import { createHmac } from "node:crypto"; import { limits } from "../../core/limits.ts";',
  ),

  bad(layerRule, "src/engine/a.ts", 'import { memoryStore } from "../store/memory/store.ts";'),
  bad(layerRule, "src/engine/a.ts", 'import { ingress } from "../http/ingress.ts";'),
  bad(layerRule, "src/engine/a.ts", 'import { createEngine } from "../wiring.ts";'),
  bad(layerRule, "src/engine/a.ts", 'const require = createRequire(import.meta.url); const x = createRequire(import.meta.url)("pg");'),
  good(
    layerRule,
    "src/engine/realm/a.ts",
    'import { AsyncLocalStorage } from "node:async_hooks"; import { open } from "../../ingress/token.ts";',
  ),

  bad(layerRule, "src/http/a.ts", 'import { createServer } from "node:http";'),
  bad(layerRule, "src/http/a.ts", 'import { createSecureServer } from "http2";'),
  bad(layerRule, "src/http/a.ts", 'import express from "express";'),
  bad(layerRule, "src/http/a.ts", 'import type { Store } from "../store/port.ts";'),
  good(layerRule, "src/http/a.ts", 'import { judge } from "../ingress/judge.ts"; import { deliver } from "../engine/deliver.ts";'),

  bad(layerRule, "src/styles/plain/a.ts", 'import type { Store } from "../../store/port.ts";'),
  bad(layerRule, "src/styles/plain/a.ts", 'import { handler } from "../../http/handler.ts";'),
  bad(layerRule, "src/styles/plain/a.ts", 'import { run } from "../context/run.ts";'),
  bad(layerRule, "src/styles/context/a.ts", 'import { compile } from "../directives/transform.ts";'),
  bad(layerRule, "src/styles/portable/a.ts", 'import { engine } from "../../engine/engine.ts";'),
  bad(layerRule, "src/styles/directives/transform/a.ts", 'import { engine } from "../../../engine/engine.ts";'),
  bad(layerRule, "src/styles/directives/transform.ts", 'import { step } from "./compiled.ts";'),
  bad(layerRule, "src/styles/directives/plugin.ts", 'import { build } from "esbuild";'),
  bad(layerRule, "src/styles/directives/register/a.ts", 'import { engine } from "../../../engine/engine.ts";'),
  bad(layerRule, "src/styles/directives/register.ts", 'import { buildSync } from "esbuild";'),
  bad(layerRule, "src/register.ts", 'import { processWorkflows } from "./engine/registry.ts"; export { processWorkflows };'),
  good(layerRule, "src/styles/directives/register/a.ts", 'import { buildSync } from "esbuild"; import { compile } from "../transform.ts";'),
  bad(layerRule, "src/styles/directives/plugin/a.ts", 'import { createUnplugin } from "unplugin";'),
  bad(layerRule, "src/styles/directives/bundler.ts", 'import { compile } from "./transform.ts";'),
  bad(layerRule, "src/styles/directives/bundler.ts", 'import type { Plugin } from "vite";'),
  bad(layerRule, "src/transform.ts", 'import { createEngine } from "./wiring.ts"; export { createEngine };'),
  good(layerRule, "src/styles/directives/transform/a.ts", 'import MagicString from "magic-string"; import { b } from "./b.ts";'),
  good(layerRule, "src/styles/plain/a.ts", 'import { engine } from "../../engine/engine.ts"; import { b } from "./b.ts";'),

  bad(layerRule, "src/adapters/express.ts", 'import { handler } from "../http/handler.ts";'),
  bad(layerRule, "src/adapters/express.ts", 'import { Router } from "express";'),
  bad(layerRule, "src/adapters/nest/module.ts", 'import { step } from "../../styles/plain/step.ts";'),
  good(
    layerRule,
    "src/adapters/express.ts",
    'import type { Router } from "express"; import type { Handler } from "../http/handler.ts"; import { toListener } from "./node.ts";',
  ),
  good(layerRule, "src/adapters/node.ts", 'import { createServer } from "node:http";'),
  good(
    layerRule,
    "src/adapters/nest/module.ts",
    'import { Module } from "@nestjs/common"; import { Context } from "../../styles/context/context.ts";',
  ),

  bad(layerRule, "src/adapters/framework/next.ts", 'import { createEngine } from "../../wiring.ts";'),
  bad(layerRule, "src/adapters/framework/next.ts", 'import type { NextConfig } from "next";'),
  good(
    layerRule,
    "src/adapters/framework/nitro.ts",
    'import { unplugin } from "../../styles/directives/plugin.ts"; import { b } from "./b.ts";',
  ),

  bad(statusRule, "src/adapters/node.ts", "response.writeHead(413, {});"),
  bad(statusRule, "src/adapters/node.ts", "response.statusCode = 413;"),
  bad(statusRule, "src/http/ingress.ts", "const gone = { status: 410 };"),
  good(statusRule, "src/http/status.ts", "const gone = { status: 410 };"),
  good(statusRule, "src/adapters/node.ts", "if (status === 204 || status >= 200) response.writeHead(status);"),

  bad(layerRule, "src/testing/conformance.ts", 'import { test } from "vitest";'),
  bad(layerRule, "src/testing/conformance.ts", 'import type { TestAPI } from "vitest";'),
  bad(layerRule, "src/testing/conformance.ts", 'import test from "node:test";'),
  bad(layerRule, "src/testing/conformance.ts", 'import { run } from "node:test/reporters";'),
  bad(layerRule, "src/testing/conformance.ts", 'import { handler } from "../http/handler.ts";'),
  good(
    layerRule,
    "src/testing/conformance.ts",
    'import { memoryStore } from "../store/memory/store.ts"; import { worker } from "../engine/worker.ts";',
  ),

  bad(layerRule, "src/cli/run.ts", 'import { engine } from "../engine/engine.ts";'),
  bad(layerRule, "src/cli/run.ts", 'import { route } from "../http/route.ts";'),
  good(
    layerRule,
    "src/cli/run.ts",
    'import { createEngine } from "../index.ts"; import type { RunView } from "../http/view.ts"; export const load = (path: string) => import(path);',
  ),

  bad(layerRule, "src/index.ts", 'import { step } from "./styles/plain/step.ts"; step();'),
  bad(layerRule, "src/index.ts", 'import { serve } from "./node.ts"; export { other as serve };'),
  bad(layerRule, "src/index.ts", 'import { createEngine } from "./wiring.ts"; createEngine();'),
  good(
    layerRule,
    "src/index.ts",
    'export { step } from "./styles/plain/step.ts"; import { race } from "./styles/plain/race.ts"; export { race };',
  ),
  good(
    layerRule,
    "src/index.ts",
    'import { api } from "./runtime/first.ts"; import type { Engine } from "./engine/engine.ts"; export const start: Engine["start"] = api.start;',
  ),
  bad(layerRule, "src/runtime/index.ts", 'import { step } from "../styles/plain/step.ts"; step();'),
  good(
    layerRule,
    "src/runtime/api.ts",
    'import { defaults } from "../wiring.ts"; export { step } from "../styles/plain/step.ts"; export const start: unknown = defaults.start;',
  ),
  bad(layerRule, "src/runtime/first.ts", 'import { step } from "../styles/plain/step.ts"; export { step };'),
  good(
    layerRule,
    "src/runtime/first.ts",
    'import { readFileSync } from "node:fs"; import * as api from "./api.ts"; import { installRealm } from "../engine/realm.ts";',
  ),
  good(layerRule, "src/wiring.ts", 'import { handler } from "./http/handler.ts"; import { sqliteStore } from "./store/sqlite/store.ts";'),
  bad(layerRule, "src/extra/a.ts", "export {};"),

  bad(wiringRule, "src/engine/a.ts", 'import { defaults } from "../wiring.ts";'),
  bad(wiringRule, "src/testing/a.ts", 'import type { Engine } from "../index.ts";'),
  bad(wiringRule, "src/api.ts", 'export { start } from "./index.ts";'),
  bad(wiringRule, "src/wiring.ts", 'import "./index.ts";'),
  bad(wiringRule, "src/api.ts", 'import { defaults } from "./wiring.ts";'),
  good(wiringRule, "src/runtime/api.ts", 'import { defaults } from "../wiring.ts";'),
  good(wiringRule, "src/cli/main.ts", 'import { createEngine } from "../index.ts";'),

  many(cycleRule, "two files", { "src/core/a.ts": '\nimport { b } from "./b.ts";', "src/core/b.ts": '// b\nexport { a } from "./a.ts";' }, [
    "src/core/b.ts:2",
  ]),
  many(
    cycleRule,
    "three files, one of them lazily",
    {
      "src/core/a.ts": 'import "./b.ts";',
      "src/core/b.ts": 'import "./c.ts";',
      "src/core/c.ts": 'export const a = () => import("./a.ts");',
    },
    ["src/core/c.ts:1"],
  ),
  many(
    cycleRule,
    "inline types leave a bare import",
    { "src/core/a.ts": 'import { type B } from "./b.ts";', "src/core/b.ts": 'import "./a.ts";' },
    ["src/core/b.ts:1"],
  ),
  many(cycleRule, "itself", { "src/core/a.ts": 'import "./a.ts";' }, ["src/core/a.ts:1"]),
  many(
    cycleRule,
    "types alone",
    { "src/core/a.ts": 'import type { B } from "./b.ts";', "src/core/b.ts": 'import { a } from "./a.ts";' },
    [],
  ),
];
