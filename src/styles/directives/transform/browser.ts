// The form of a module for a browser, where no workflow runs: functions with directives throw, and what only they use is left out, so that
// neither the server's code nor its libraries come into the bundle.

import MagicString from "magic-string";
import type { Statement } from "oxc-parser";
import { isFunction, type Kind } from "./directive.ts";
import { Frames } from "./frame.ts";
import { isRuntimeModule } from "./import.ts";
import { nameIn } from "./name.ts";
import type { Warning } from "./notice.ts";
import { type Source, visit } from "./source.ts";

interface Span {
  readonly start: number;
  readonly end: number;
}

interface Marked {
  readonly body: Span;
  readonly text: string;
}

export function browserForm(source: Source, packages: readonly string[]): { readonly text: MagicString; readonly warnings: Warning[] } {
  const text = new MagicString(source.code, { filename: source.file });
  const { marked, references } = read(source);
  if (marked.length === 0) return { text, warnings: [] };
  const left = leftOut(source, marked, references);
  for (const { start, end } of left) text.remove(start, end);
  for (const { body, text: stub } of marked) if (!isWithin(body, left)) text.overwrite(body.start, body.end, stub);
  const kept = source.program.body.filter(
    (statement) =>
      statement.type === "ImportDeclaration" &&
      statement.importKind !== "type" &&
      isRuntimeModule(statement.source.value, packages) &&
      statement.specifiers.some(({ local }) => references.has(local.name)) &&
      !isWithin(statement, left),
  );
  const message = `This file is built for a browser, where the package cannot run, and uses it outside of workflows and steps. Move that, or what the browser needs of the file, to a file of its own.`;
  return { text, warnings: kept.map(({ start }) => ({ ...source.placeOf(start), message })) };
}

/** The outermost functions with directives, and where each name of the module is used. */
function read(source: Source): { readonly marked: readonly Marked[]; readonly references: ReadonlyMap<string, readonly number[]> } {
  const frames = new Frames(source);
  const marked: Marked[] = [];
  const references = new Map<string, number[]>();
  visit(source, {
    enter(node, path) {
      const isInside = frames.marked !== null;
      frames.enter(node, path);
      const kind = frames.top?.node === node ? frames.top.kind : null;
      if (kind && !isInside && isFunction(node) && node.body) marked.push({ body: node.body, text: stubOf(kind, nameIn(node, path)) });
    },
    refer(name, node, declared) {
      if (declared?.scope !== "") return;
      const places = references.get(name);
      if (places) places.push(node.start);
      else references.set(name, [node.start]);
    },
    leave(node) {
      frames.leave(node);
    },
  });
  return { marked, references };
}

function stubOf(kind: Kind, name: string): string {
  const message = `${name} is a ${kind}: it runs on the server, and this is code for the browser. Call a route of your server that ${kind === "workflow" ? "starts" : "does"} it.`;
  return `{ throw new Error(${JSON.stringify(message)}); }`;
}

/** Statements of the module whose names are used in what goes alone: imports, functions, constants. What these use may go with them. */
function leftOut({ program }: Source, marked: readonly Marked[], references: ReadonlyMap<string, readonly number[]>): readonly Span[] {
  const gone: Span[] = marked.map(({ body }) => body);
  const left: Span[] = [];
  const candidates = new Map(
    program.body.map((statement) => [statement, namesOf(statement)] as const).filter(([, names]) => names.length > 0),
  );
  for (let hasGrown = true; hasGrown; ) {
    hasGrown = false;
    for (const [statement, names] of candidates) {
      const places = names.flatMap((name) => references.get(name) ?? []).filter((at) => !isIn(at, statement));
      if (places.length === 0 || !places.every((at) => gone.some((span) => isIn(at, span)))) continue;
      candidates.delete(statement);
      gone.push(statement);
      left.push(statement);
      hasGrown = true;
    }
  }
  return left;
}

/** What a statement declares for its own module alone; nothing where it does more than that, or where that is not plain to see. */
function namesOf(statement: Statement): readonly string[] {
  switch (statement.type) {
    case "ImportDeclaration":
      return statement.specifiers.map(({ local }) => local.name);
    case "FunctionDeclaration":
    case "ClassDeclaration":
      return statement.id ? [statement.id.name] : [];
    case "VariableDeclaration":
      return statement.declarations.flatMap(({ id }) => bound(id));
    default:
      return [];
  }
}

type Pattern = Extract<Statement, { type: "VariableDeclaration" }>["declarations"][number]["id"];

function bound(pattern: Pattern): readonly string[] {
  switch (pattern.type) {
    case "Identifier":
      return [pattern.name];
    case "ObjectPattern":
      return pattern.properties.flatMap((each) => bound(each.type === "RestElement" ? each.argument : each.value));
    case "ArrayPattern":
      return pattern.elements.flatMap((each) => (each === null ? [] : bound(each.type === "RestElement" ? each.argument : each)));
    case "AssignmentPattern":
      return bound(pattern.left);
    default:
      return [];
  }
}

function isIn(at: number, { start, end }: Span): boolean {
  return at >= start && at < end;
}

function isWithin({ start }: Span, spans: readonly Span[]): boolean {
  return spans.some((span) => isIn(start, span));
}
