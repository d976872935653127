// Warns of what workflow code does that a replay would not do alike, as far as it can be seen in the text.

import type { Node } from "oxc-parser";
import { builtinModules } from "node:module";
import type { ScopeTrackerNode } from "oxc-walker";
import type { Frames } from "./frame.ts";
import { keyText } from "./name.ts";
import type { Warning } from "./notice.ts";
import type { Path, Source } from "./source.ts";

/** Modules of the runtime that only compute. */
const pure = new Set([
  "assert",
  "assert/strict",
  "buffer",
  "path",
  "path/posix",
  "path/win32",
  "punycode",
  "querystring",
  "string_decoder",
  "url",
  "util",
  "util/types",
]);
const builtin = new Set(builtinModules);

const globals: ReadonlyMap<string, string> = new Map([
  ["setTimeout", 'use sleep("10s")'],
  ["setInterval", 'use a loop with sleep("10s")'],
  ["setImmediate", "leave it out, or move the code into a step"],
  ["fetch", 'import fetch from "workflow", or call it in a step'],
  ["XMLHttpRequest", "call it in a step"],
  ["WebSocket", "open it in a step"],
  ["EventSource", "open it in a step"],
]);

/** What gives another value each time, and is made to replay alike only where it is called by its full name. */
const unsteady = /^(?:Date\.now|Math\.random|performance\.now|crypto\.(?:randomUUID|getRandomValues)|Date\.now\.bind\(Date\))$/;
const unsteadyImports: ReadonlyMap<string, readonly string[]> = new Map([
  ["crypto", ["randomUUID", "randomBytes", "randomInt", "randomFillSync", "getRandomValues"]],
  ["perf_hooks", ["performance"]],
]);

const changing = new Set([
  "push",
  "pop",
  "shift",
  "unshift",
  "splice",
  "sort",
  "reverse",
  "fill",
  "copyWithin",
  "set",
  "add",
  "delete",
  "clear",
]);

export class Linter {
  readonly warnings: Warning[] = [];
  readonly #source: Source;
  readonly #frames: Frames;
  readonly #captured: ReadonlySet<string>;

  constructor(source: Source, frames: Frames) {
    this.#source = source;
    this.#frames = frames;
    this.#captured = capturedNames(source);
  }

  refer(name: string, node: Node, declared: ScopeTrackerNode | null, path: Path): void {
    if (this.#frames.marked?.kind !== "workflow") return;
    const found =
      declared === null ? this.#ofGlobal(name, path) : declared.scope === "" ? this.#ofModule(name, node, declared, path) : null;
    if (found !== null) this.warnings.push({ ...this.#source.placeOf(node.start), message: found });
  }

  #ofGlobal(name: string, path: Path): string | null {
    const [outer, parent] = path.slice(-2);
    const isOfGlobal =
      name === "globalThis" && parent?.type === "MemberExpression" && !(outer?.type === "AssignmentExpression" && outer.left === parent);
    const called = isOfGlobal ? (keyText(parent.property as never) ?? "") : name;
    const fix = globals.get(called);
    if (fix !== undefined) return `Workflow code that awaits ${called} cannot be replayed: ${fix}.`;
    const isEnv = name === "process" && parent?.type === "MemberExpression" && keyText(parent.property as never) === "env";
    if (isEnv) return "process.env may differ when the run goes on: read it in a step, or pass it as an argument.";
    if (name !== "require" || parent?.type !== "CallExpression") return null;
    const [first] = parent.arguments;
    return first?.type === "Literal" && typeof first.value === "string" ? this.#ofBuiltin(first.value, first.value) : null;
  }

  #ofModule(name: string, node: Node, declared: ScopeTrackerNode, path: Path): string | null {
    if (declared.type === "Import") return this.#ofImport(name, declared);
    if (this.#captured.has(name))
      return `"${name}" was taken from the platform when the module was loaded, and replays otherwise: call it by its full name here.`;
    if (declared.type !== "Variable" && declared.type !== "Identifier" && declared.type !== "Function") return null;
    return isChange(node, path)
      ? `"${name}" belongs to the module: other runs share it, and a replay changes it again. Keep it in the workflow, or change it in a step.`
      : null;
  }

  #ofImport(name: string, declared: Extract<ScopeTrackerNode, { type: "Import" }>): string | null {
    if (declared.importNode.importKind === "type") return null;
    const from = declared.importNode.source.value;
    const bare = from.replace(/^node:/, "");
    const imported =
      declared.node.type === "ImportSpecifier" && declared.node.imported.type === "Identifier" ? declared.node.imported.name : null;
    if (imported !== null && unsteadyImports.get(bare)?.includes(imported))
      return `${imported} of "${from}" does not replay: call ${imported === "performance" ? "performance.now()" : "crypto.randomUUID()"} by its global name, or use a step.`;
    return this.#ofBuiltin(from, name);
  }

  #ofBuiltin(from: string, name: string): string | null {
    const bare = from.replace(/^node:/, "");
    if (!builtin.has(bare) || pure.has(bare) || bare === "crypto" || bare === "perf_hooks") return null;
    return `"${name}" of "${from}" acts on the world outside, which a replay would do again: move it into a step.`;
  }
}

/** Whether the code changes what the name stands for, or a part of it. */
function isChange(node: Node, path: Path): boolean {
  let target = node;
  for (let depth = path.length - 1; depth >= 0; depth--) {
    const parent = path[depth] as Node;
    if (parent.type === "MemberExpression" && parent.object === target) {
      const call = path[depth - 1];
      const isMethod = !parent.computed && changing.has(keyText(parent.property) ?? "");
      if (isMethod && call?.type === "CallExpression" && call.callee === parent) return true;
      target = parent;
    } else if (parent.type === "AssignmentExpression") return parent.left === target;
    else if (parent.type === "UpdateExpression") return true;
    else return parent.type === "UnaryExpression" && parent.operator === "delete";
  }
  return false;
}

/** Names that the module gives to the platform's clocks and chance. */
function capturedNames({ program, code }: Source): ReadonlySet<string> {
  const names = new Set<string>();
  for (const statement of program.body) {
    const declaration = statement.type === "ExportNamedDeclaration" ? statement.declaration : statement;
    if (declaration?.type !== "VariableDeclaration") continue;
    for (const { id, init } of declaration.declarations) {
      if (!init) continue;
      const text = code.slice(init.start, init.end);
      if (id.type === "Identifier" && unsteady.test(text)) names.add(id.name);
      if (id.type !== "ObjectPattern") continue;
      for (const property of id.properties) {
        if (property.type !== "Property" || property.value.type !== "Identifier") continue;
        if (unsteady.test(`${text}.${keyText(property.key)}`)) names.add(property.value.name);
      }
    }
  }
  return names;
}
