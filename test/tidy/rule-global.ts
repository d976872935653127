// What code may touch of the global scope: the bans of the layer table, the realm's monopoly on ticks and patches, no top-level await.

import { bans, realm } from "./layer.ts";
import type { Rule, Violation } from "./project.ts";
import { match } from "./rule-layer.ts";
import { identifiers, isErased, isFunction, isNode, literal, memberKey, nameOf, unwrap, walk, type Node, type Source } from "./source.ts";

export const globalRule: Rule = {
  name: "clocks, chance, timers and the host stay out of the layers that must not know them",
  check: (project) =>
    project.sources("src/").flatMap((source) => {
      const own = bans.filter(
        (ban) => match(ban.files, source.path) !== null && !(ban.except ?? []).some((each) => match(each, source.path) !== null),
      );
      if (own.length === 0) return [];
      const uses = usesOf(source.program);
      return own.flatMap((ban) =>
        uses
          .filter((use) => ban.names.includes(use.name))
          .map((use) => ({
            file: source.path,
            line: source.line(use.node.start),
            message: `${use.name} is out of bounds here: ${ban.instead}`,
          })),
      );
    }),
};

/** Names, members and argumentless forms used in a program. A local that bears the name of a global counts: it would hide a real use. */
function usesOf(root: Node): { readonly name: string; readonly node: Node }[] {
  const found: { name: string; node: Node }[] = [];
  const add = (name: string, node: Node): void => void found.push({ name: name.replace(/^(globalThis|global)\./, ""), node });
  for (const { name, node, parent, key } of identifiers(root)) {
    add(name, node);
    if (parent.type === "VariableDeclarator" && key === "init" && isNode(parent["id"])) {
      for (const member of patternKeys(parent["id"])) add(`${name}.${member}`, node);
    }
  }
  const visit = (node: Node): void => {
    const name = nameOf(node);
    if (node.type === "MemberExpression" && name !== null) add(name, node);
    if (node.type === "MetaProperty") add("import.meta", node);
    if (node.type !== "NewExpression" && node.type !== "CallExpression") return;
    const callee = nameOf(node["callee"]);
    if (callee === null || (node["arguments"] as readonly unknown[]).length > 0) return;
    const bare = callee.replace(/^(globalThis|global)\./, "");
    add(node.type === "NewExpression" ? `new ${bare}()` : `${bare}()`, node);
  };
  walk(root, visit, isErased);
  return found;
}

/** The property names that `const { a, b: c } = …` takes. */
function patternKeys(pattern: Node): string[] {
  if (pattern.type !== "ObjectPattern") return [];
  return (pattern["properties"] as readonly Node[]).flatMap((each) => {
    const key = each["key"];
    if (!isNode(key)) return [];
    return key.type === "Identifier" ? [key["name"] as string] : [literal(key) ?? ""];
  });
}

const patchable = new Set([
  "globalThis",
  "global",
  "Date",
  "Math",
  "Promise",
  "performance",
  "crypto",
  "console",
  "process",
  "queueMicrotask",
]);
const patchers = new Set([
  "Object.defineProperty",
  "Object.defineProperties",
  "Object.assign",
  "Object.setPrototypeOf",
  "Reflect.set",
  "Reflect.defineProperty",
]);

export const realmRule: Rule = {
  name: "engine/realm alone touches ticks, async context and patched globals",
  check: (project) =>
    project
      .sources("src/")
      .filter((source) => !realm.some((each) => match(each, source.path) !== null))
      .flatMap((source) => realmUses(source)),
};

function realmUses(source: Source): Violation[] {
  const found: Violation[] = [];
  const add = (node: Node, what: string): void => {
    found.push({ file: source.path, line: source.line(node.start), message: `${what}: that is the business of src/engine/realm.ts alone` });
  };
  for (const { specifier, node, isType } of source.imports) {
    if (isType || specifier === null) continue;
    if (/^(node:)?async_hooks$/.test(specifier)) add(node, "imports node:async_hooks");
    else if (/^(node:)?process$/.test(specifier) && specifiersOf(node).includes("nextTick")) add(node, "imports nextTick");
  }
  const visit = (node: Node): void => {
    if (node.type === "MemberExpression" && memberKey(node) === "nextTick") add(node, "uses process.nextTick");
    if (node.type === "ObjectPattern" && patternKeys(node).includes("nextTick")) add(node, "takes nextTick");
    const patched = patchTarget(node, source.program);
    if (patched !== null) add(node, `patches ${patched}`);
  };
  walk(source.program, visit, isErased);
  return found;
}

function specifiersOf(node: Node): string[] {
  const all = Array.isArray(node["specifiers"]) ? (node["specifiers"] as readonly { imported?: { name?: string } }[]) : [];
  return all.flatMap((each) => (each.imported?.name === undefined ? [] : [each.imported.name]));
}

/** The global that an assignment, `delete` or `Object.defineProperty` changes, or null. */
function patchTarget(node: Node, program: Node): string | null {
  if (node.type === "CallExpression" && patchers.has(nameOf(node["callee"]) ?? "")) {
    const [target, key] = node["arguments"] as readonly Node[];
    return target !== undefined && !(key !== undefined && isOwnSymbol(key, program)) ? globalRoot(target) : null;
  }
  const isDelete = node.type === "UnaryExpression" && node["operator"] === "delete";
  const target =
    node.type === "AssignmentExpression" ? node["left"] : node.type === "UpdateExpression" || isDelete ? node["argument"] : null;
  if (!isNode(target)) return null;
  const left = unwrap(target);
  if (left.type === "Identifier") return patchable.has(left["name"] as string) ? (left["name"] as string) : null;
  if (left.type !== "MemberExpression" || !isNode(left["object"])) return null;
  if (left["computed"] === true && isNode(left["property"]) && isOwnSymbol(left["property"], program)) return null;
  if (["process.exitCode", "process.title"].includes(nameOf(left) ?? "")) return null;
  return globalRoot(left["object"]) === null ? null : (nameOf(left) ?? globalRoot(left["object"]));
}

function globalRoot(node: Node): string | null {
  const inner = unwrap(node);
  if (inner.type === "MemberExpression" && isNode(inner["object"])) {
    return nameOf(inner)?.startsWith("process.env") === true ? null : globalRoot(inner["object"]);
  }
  const name = nameOf(inner);
  return name !== null && patchable.has(name) ? name : null;
}

/** `Symbol.for("ringback/…")`, or a constant of this file that holds it: a place of our own on a global. */
function isOwnSymbol(key: Node, program: Node): boolean {
  const inner = unwrap(key);
  if (inner.type === "CallExpression")
    return nameOf(inner["callee"]) === "Symbol.for" && (literal((inner["arguments"] as unknown[])[0])?.startsWith("ringback/") ?? false);
  if (inner.type !== "Identifier") return false;
  let isOwn = false;
  walk(program, (node) => {
    if (node.type !== "VariableDeclarator" || nameOf(node["id"]) !== inner["name"] || !isNode(node["init"])) return;
    const init = unwrap(node["init"]);
    if (init.type === "CallExpression") isOwn ||= isOwnSymbol(init, program);
  });
  return isOwn;
}

export const awaitRule: Rule = {
  name: "no top-level await",
  check: (project) =>
    project.sources("src/").flatMap((source) => {
      const found: Violation[] = [];
      const visit = (node: Node): void => {
        const isAwait =
          node.type === "AwaitExpression" ||
          (node.type === "ForOfStatement" && node["await"] === true) ||
          (node.type === "VariableDeclaration" && node["kind"] === "await using");
        if (isAwait)
          found.push({
            file: source.path,
            line: source.line(node.start),
            message: "top-level await: require() of this package would fail",
          });
      };
      walk(source.program, visit, (node) => isFunction(node) || node.type === "PropertyDefinition");
      return found;
    }),
};
