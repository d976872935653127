// How large things may be, and what they may be called.

import type { Project, Rule, Violation } from "./project.ts";
import { isFunction, isNode, literal, nameOf, walk, type Node, type Source } from "./source.ts";

const fileLimit = 400;
const functionLimit = 70;
/** Tables of data and SQL. */
const dataFolders = [/^src\/store\/[^/]+\/migrations?\//];

export const fileLengthRule: Rule = {
  name: `no file over ${fileLimit} lines of code`,
  check: (project) =>
    project.sources().flatMap((source) => {
      const lines = source.codeLines();
      if (lines <= fileLimit || dataFolders.some((folder) => folder.test(source.path))) return [];
      return [{ file: source.path, line: 1, message: `${lines} lines of code, ${fileLimit} at most: split it` }];
    }),
};

export const ratchetFile = "test/tidy/function-length.json";

/** A ratchet: today's longer functions stand in a file with their exact length, so that each change of one is seen, and must go down. */
export const functionLengthRule: Rule = {
  name: `no function over ${functionLimit} lines of code, but those of the ratchet, which only shrinks`,
  check: (project) => {
    const allowed = project.has(ratchetFile) ? (JSON.parse(project.text(ratchetFile)) as Record<string, number>) : {};
    const found: Violation[] = [];
    const left = new Set(Object.keys(allowed));
    for (const source of project.sources("src/")) {
      for (const { name, node } of functionsOf(source)) {
        const key = `${source.path}#${name}`;
        const lines = source.codeLines(node.start, node.end);
        const bound = allowed[key];
        left.delete(key);
        const at = { file: source.path, line: source.line(node.start) };
        if (bound === undefined) {
          if (lines > functionLimit)
            found.push({ ...at, message: `${name} has ${lines} lines of code, ${functionLimit} at most: split it` });
        } else if (lines > bound)
          found.push({ ...at, message: `${name} grew from ${bound} to ${lines} lines of code: the ratchet only shrinks` });
        else if (lines <= functionLimit)
          found.push({ ...at, message: `${name} is down to ${lines} lines of code: take it out of ${ratchetFile}` });
        else if (lines < bound)
          found.push({ ...at, message: `${name} is down to ${lines} lines of code: lower its ${bound} in ${ratchetFile}` });
      }
    }
    for (const key of left) found.push({ file: ratchetFile, line: 1, message: `${key} is gone: take it out` });
    return found;
  },
};

/** Every function with a name that says where it stands: `outer.inner`, `Class.method`. */
function functionsOf(source: Source): { readonly name: string; readonly node: Node }[] {
  const found: { name: string; node: Node }[] = [];
  const seen = new Map<string, number>();
  /** The name, with its dot, of the function or class around each node. */
  const prefixes = new Map<Node | null, string>();
  walk(source.program, (node, parent, key) => {
    const prefix = prefixes.get(parent) ?? "";
    prefixes.set(node, prefix);
    const isClass = node.type === "ClassDeclaration" || node.type === "ClassExpression";
    if (!isClass && !isFunction(node)) return;
    const plain = prefix + ownName(node, parent, key);
    const times = (seen.get(plain) ?? 0) + 1;
    seen.set(plain, times);
    const name = times === 1 ? plain : `${plain}~${times}`;
    prefixes.set(node, `${name}.`);
    if (!isClass) found.push({ name, node });
  });
  return found;
}

function ownName(node: Node, parent: Node | null, key: string): string {
  if (isNode(node["id"])) return nameOf(node["id"]) ?? "anonymous";
  if (parent?.type === "VariableDeclarator" && key === "init") return nameOf(parent["id"]) ?? "anonymous";
  const label = parent !== null && key === "value" ? parent["key"] : null;
  if (!isNode(label)) return "anonymous";
  return nameOf(label) ?? literal(label) ?? (label.type === "PrivateIdentifier" ? `#${label["name"] as string}` : "anonymous");
}

const emptyWords = new Set([
  "util",
  "utils",
  "utilities",
  "helper",
  "helpers",
  "common",
  "lib",
  "type",
  "types",
  "misc",
  "shared",
  "manager",
  "managers",
]);
const named = /^(src|test|bench|examples|docs|script|dashboard)\//;
const kebab = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+)*$/;

export const fileNameRule: Rule = {
  name: "a file's name says what is in it",
  check: (project) =>
    project.paths().flatMap((file) => {
      if (!named.test(file)) return [];
      const parts = file.split("/");
      const empty = parts.flatMap((part) => part.split(/[-._]/)).find((word) => emptyWords.has(word));
      if (empty !== undefined) return [{ file, line: 1, message: `"${empty}" says nothing: name it after its main export` }];
      // Frameworks make routes of names such as `[run].ts` and `+server.js`.
      const plain = parts.map((part) => part.replace(/^\+|[[\]]/g, ""));
      const odd = /\.(ts|mts|tsx|js|mjs)$/.test(file) ? plain.find((part) => !kebab.test(part)) : undefined;
      return odd === undefined ? [] : [{ file, line: 1, message: `"${odd}" is not kebab-case` }];
    }),
};

export const headerRule: Rule = {
  name: "each source file opens with a comment that says what it owns",
  check: (project) =>
    project.sources("src/").flatMap((source) => {
      const first = source.comments[0];
      return first !== undefined && source.text.slice(0, first.start).replace(/^#!.*/, "").trim() === ""
        ? []
        : [{ file: source.path, line: 1, message: "no header comment" }];
    }),
};

const later = /\b(TODO|FIXME|XXX)\b(?!\s*\(?#\d+)/;

/** Words for later, without an issue that anyone would find them by. In programs only comments count. */
export const laterRule: Rule = {
  name: "whatever is left for later names an issue",
  check: (project) => [...project.sources().flatMap(laterInComments), ...laterInDocuments(project)],
};

function laterInComments(source: Source): Violation[] {
  return source.comments.flatMap((comment) =>
    linesOf(comment.value, later).map((at) => ({
      file: source.path,
      line: source.line(comment.start) + at,
      message: "left for later without an issue number",
    })),
  );
}

function laterInDocuments(project: Project): Violation[] {
  const documents = project.paths().filter((path) => path.endsWith(".md"));
  return documents.flatMap((file) =>
    linesOf(project.text(file), later).map((at) => ({ file, line: at + 1, message: "left for later without an issue number" })),
  );
}

/** Numbers, from 0, of the lines that fit. */
function linesOf(text: string, pattern: RegExp): number[] {
  return text.split("\n").flatMap((line, at) => (pattern.test(line) ? [at] : []));
}

// The brackets keep these from finding themselves.
const machine = /(^|[\s"'`(=:])\/(w[o]rk|r[o]ot|h[o]me\/[a-z]+|t[m]p\/brief)(\/|\b)|registry\.n[p]mjs|deb\.d[e]bian\.org/;

export const machineRule: Rule = {
  name: "no path or host of anybody's machine",
  check: (project) =>
    project
      .paths()
      .flatMap((file) =>
        linesOf(project.text(file), machine).map((at) => ({ file, line: at + 1, message: "a path or host of somebody's machine" })),
      ),
};
