// Invariants: the header of a file states its own (`// E1. …`), README.md the guarantees (G1 …), and ARCHITECTURE.md lists them all.

import type { Project, Rule, Violation } from "./project.ts";
import { literal, type Node, walk } from "./source.ts";

const architectureFile = "ARCHITECTURE.md";
const guaranteeFile = "README.md";
const id = /\b[A-Z]{1,2}\d{1,2}\b/g;
const stated = /^ ([A-Z]{1,2}\d{1,2})\. /;
const promised = /^- \*\*([A-Z]{1,2}\d{1,2}) /;
/** In the table: `E1–E3 T1 \`core/event.ts\``. */
const listed = /((?:[A-Z]{1,2}\d{1,2}[ –]+)+)`([^`]+)`/g;
/** In names of tests and laws: `S1, S2: …`. Other strings are data. */
const named = /^((?:[A-Z]{1,2}\d{1,2}(?:, |–)?)+): /;

interface Place {
  readonly id: string;
  readonly file: string;
  readonly line: number;
}

export const invariantRule: Rule = {
  name: "each invariant has a number of its own, a place in ARCHITECTURE.md, and is cited by it",
  check: (project) => {
    const definitions = definitionsOf(project);
    const rows = rowsOf(project);
    const known = new Set(definitions.map((each) => each.id));
    const found: Violation[] = [];
    for (const [at, each] of definitions.entries()) {
      const { file, line } = each;
      const first = definitions.findIndex((other) => other.id === each.id);
      if (first < at) found.push({ file, line, message: `${each.id} is stated in ${definitions[first]?.file} too: number it otherwise` });
      else if (!rows.some((row) => row.id === each.id && row.of === file))
        found.push({ file, line, message: `${architectureFile} does not list ${each.id} with ${file}` });
    }
    for (const { id, file, line, of } of rows)
      if (!definitions.some((each) => each.id === id && each.file === of))
        found.push({ file, line, message: `${of} does not state ${id}` });
    for (const { id, file, line } of citationsOf(project)) if (!known.has(id)) found.push({ file, line, message: `there is no ${id}` });
    return found;
  },
};

function definitionsOf(project: Project): Place[] {
  const inHeaders = project.sources("src/").flatMap((source) => {
    const from = (source.program["body"] as readonly Node[])[0]?.start ?? Infinity;
    return source.comments.flatMap(({ value, start }) => {
      const id = start < from ? stated.exec(value)?.[1] : undefined;
      return id === undefined ? [] : [{ id, file: source.path, line: source.line(start) }];
    });
  });
  const guarantees = linesOf(project, guaranteeFile).flatMap((text, at) => {
    const id = promised.exec(text)?.[1];
    return id === undefined ? [] : [{ id, file: guaranteeFile, line: at + 1 }];
  });
  return [...guarantees, ...inHeaders];
}

function rowsOf(project: Project): (Place & { readonly of: string })[] {
  return linesOf(project, architectureFile).flatMap((text, at) =>
    [...(text.startsWith("|") ? text.matchAll(listed) : [])].flatMap(([, ids = "", path = ""]) => {
      const of = path === guaranteeFile ? path : `src/${path}`;
      return spelledOut(ids).map((id) => ({ id, of, file: architectureFile, line: at + 1 }));
    }),
  );
}

/** `E1–E3 T1` as E1, E2, E3 and T1. */
function spelledOut(ids: string): string[] {
  return ids
    .trim()
    .split(/ +/)
    .flatMap((part) => {
      const [from = "", to = from] = part.split("–");
      const prefix = from.replace(/\d+/, "");
      const [first, last] = [Number(from.slice(prefix.length)), Number(to.slice(prefix.length))];
      return Array.from({ length: last - first + 1 }, (_, at) => `${prefix}${first + at}`);
    });
}

function citationsOf(project: Project): Place[] {
  const found: Place[] = [];
  const cite = (file: string, line: number, text: string): void => {
    text.split("\n").forEach((each, at) => found.push(...[...each.matchAll(id)].map(([id]) => ({ id, file, line: line + at }))));
  };
  for (const source of project.sources()) {
    for (const { value, start } of source.comments) cite(source.path, source.line(start), value);
    walk(source.program, (node) => {
      const name = named.exec(literal(node) ?? "")?.[1];
      if (name !== undefined) cite(source.path, source.line(node.start), name);
    });
  }
  for (const file of project.paths()) if (file.endsWith(".md") && !file.startsWith("api-reports/")) cite(file, 1, project.text(file));
  return found;
}

function linesOf(project: Project, file: string): string[] {
  return project.has(file) ? project.text(file).split("\n") : [];
}
