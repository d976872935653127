// Who imports whom: the layer table, the entries, and no cycle among imports that are left at run time.

import { builtinModules } from "node:module";
import { posix } from "node:path";
import { layers, wiring, type Layer } from "./layer.ts";
import type { Project, Rule, Violation } from "./project.ts";
import { isNode, type Import, type Node, type Source } from "./source.ts";

/** What part of `path` a pattern of the layer table fits, or null. */
export function match(pattern: string, path: string): string | null {
  const escaped = pattern.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", "[^/]+");
  const found = new RegExp(pattern.endsWith("/") ? `^${escaped}` : `^${escaped}$`).exec(path);
  return found === null ? null : found[0];
}

export const layerRule: Rule = {
  name: "an import goes to the same folder or to a layer above",
  check: (project) => project.sources("src/").flatMap((source) => judgeFile(source)),
};

function judgeFile(source: Source): Violation[] {
  const layer = layers.find((each) => match(each.files, source.path) !== null);
  if (layer === undefined)
    return [{ file: source.path, line: 1, message: "lies in no layer: move it, or give its folder a row in test/tidy/layer.ts" }];
  return source.imports.flatMap((each) => {
    const message = judge(source, layer, each);
    return message === null ? [] : [{ file: source.path, line: each.line, message }];
  });
}

function judge(source: Source, layer: Layer, wanted: Import): string | null {
  const { specifier, isType } = wanted;
  if (specifier === null) return layer.canImportComputed === true ? null : `${layer.files} must not import what is named only at run time`;
  if (specifier.startsWith(".")) {
    const target = posix.join(posix.dirname(source.path), specifier);
    return isReached(source.path, layer, target, wanted, source)
      ? null
      : `${layer.files} must not import ${target}${isType ? ", not even its types" : ""}`;
  }
  if (specifier.startsWith("/") || specifier.startsWith("#") || specifier.includes("://"))
    return `"${specifier}" is neither a relative path nor a package`;
  const builtin = builtinOf(specifier);
  if (builtin !== null) return isType || allowsBuiltin(layer, builtin) ? null : `${layer.files} must not import ${builtin}`;
  const name = specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
  const canHaveType = isType && (layer.typePackages ?? []).some((each) => each === "*" || each === name);
  return canHaveType || layer.packages.includes(name) ? null : `${layer.files} must not import the package ${name}`;
}

function isReached(from: string, layer: Layer, target: string, wanted: Import, source: Source): boolean {
  const own = match(layer.files, from);
  if (own?.endsWith("/") === true && target.startsWith(own)) return true;
  if (layer.imports.some((each) => match(each, target) !== null)) return true;
  if (wanted.isType && (layer.types ?? []).some((each) => match(each, target) !== null)) return true;
  return layer.isEntry === true && target.startsWith("src/") && isHandedOn(wanted, source);
}

/** Whether an entry exports again all that it imports here. */
function isHandedOn(wanted: Import, source: Source): boolean {
  if (wanted.isReexport) return true;
  if (wanted.node.type !== "ImportDeclaration") return false;
  const exported = new Set<string>();
  for (const node of source.program["body"] as readonly Node[]) {
    if (node.type !== "ExportNamedDeclaration" || isNode(node["source"])) continue;
    for (const each of node["specifiers"] as readonly { local: { name: string } }[]) exported.add(each.local.name);
  }
  const bound = wanted.node["specifiers"] as readonly { local: { name: string } }[];
  return bound.length > 0 && bound.every((each) => exported.has(each.local.name));
}

/** The module's name with `node:`, where it is one of the runtime's, subpaths included. */
export function builtinOf(specifier: string): string | null {
  if (specifier.startsWith("node:")) return specifier;
  return builtinModules.includes(specifier) ? `node:${specifier}` : null;
}

function allowsBuiltin(layer: Layer, builtin: string): boolean {
  if (layer.node === "none") return false;
  return !layer.node.not.some((each) => builtin === each || builtin.startsWith(`${each}/`));
}

const usersOfEntries = ["src/cli/", "src/adapters/nest/", "src/nest.ts"];

export const wiringRule: Rule = {
  name: "nothing but what entries hand on imports the wiring, and nothing but the CLI and Nest's adapter an entry",
  check: (project) =>
    project.sources("src/").flatMap((source) =>
      source.imports.flatMap(({ specifier, line }) => {
        if (specifier?.startsWith(".") !== true) return [];
        const target = posix.join(posix.dirname(source.path), specifier);
        const isRoot = match("src/*.ts", target) !== null;
        if (
          !isRoot ||
          usersOfEntries.some((each) => match(each, source.path)) ||
          (target === wiring && match("src/runtime/", source.path) !== null)
        )
          return [];
        return [{ file: source.path, line, message: `must not import ${target}: it stands above all layers` }];
      }),
    ),
};

const statusFile = "src/http/status.ts";
const status = /\b(?:writeHead\(\s*|status(?:Code)?\s*[:=]\s*)[1-5]\d\d\b/g;

export const statusRule: Rule = {
  name: `whoever speaks HTTP takes statuses from ${statusFile}`,
  check: (project) =>
    [...project.sources("src/http/"), ...project.sources("src/adapters/")].flatMap((source) => {
      if (source.path === statusFile) return [];
      return [...source.text.matchAll(status)].map(({ index }) => ({
        file: source.path,
        line: source.line(index),
        message: `a status of its own: let ${statusFile} say it`,
      }));
    }),
};

export const cycleRule: Rule = {
  name: "no cycle among value imports",
  check: (project) => {
    const edges = new Map<string, { target: string; line: number }[]>();
    for (const source of project.sources("src/")) edges.set(source.path, valueImports(project, source));
    const found: Violation[] = [];
    const done = new Set<string>();
    const visit = (path: string, trail: readonly string[]): void => {
      if (done.has(path)) return;
      for (const { target, line } of edges.get(path) ?? []) {
        const from = [...trail, path].indexOf(target);
        if (from < 0) visit(target, [...trail, path]);
        else found.push({ file: path, line, message: `closes a cycle: ${[...[...trail, path].slice(from), target].join(" → ")}` });
      }
      done.add(path);
    };
    for (const path of edges.keys()) visit(path, []);
    return found;
  },
};

function valueImports(project: Project, source: Source): { target: string; line: number }[] {
  return source.imports.flatMap(({ specifier, isType, line }) => {
    if (isType || specifier?.startsWith(".") !== true) return [];
    const target = posix.join(posix.dirname(source.path), specifier);
    return project.has(target) ? [{ target, line }] : [];
  });
}
