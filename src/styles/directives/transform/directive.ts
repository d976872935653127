// Finding directives: where they stand, and where somebody meant one.
//
// DI1. What looks like a directive and is none, by its spelling or its place, is refused: it would be left out in silence.

import type { ArrowFunctionExpression, Directive, Function, Node, Statement } from "oxc-parser";
import { refused } from "./notice.ts";
import type { Source } from "./source.ts";

export type Kind = "workflow" | "step";
export type AnyFunction = Function | ArrowFunctionExpression;

const kinds: ReadonlyMap<string, Kind> = new Map([
  ["use workflow", "workflow"],
  ["use step", "step"],
]);

/** A file without this is passed through as it is, at the cost of the search. Nearly every slip of the pen in a directive fits it, too. */
export const concern: RegExp = /["'`]\s*use.{0,3}(?:w|st(?!rict|ate))|["'`]workflow-serialize|WORKFLOW_SERIALIZE|defineHook/i;

/** What every compiled module begins with, in one module syntax or the other: nothing is compiled twice. */
const done = /(?:import \* as|const) __ringback(?:\$\d+)? (?:from|= require\()/;

/** A name for the runtime that the module does not use. */
export function runtimeName(code: string): string {
  let name = "__ringback";
  for (let count = 1; code.includes(name); count++) name = `__ringback$${count}`;
  return name;
}

/** Whether the file may hold anything for the transform. */
export function mayConcern(code: string): boolean {
  return concern.test(code) && !done.test(code);
}

export function isFunction(node: Node): node is AnyFunction {
  return node.type === "FunctionDeclaration" || node.type === "FunctionExpression" || node.type === "ArrowFunctionExpression";
}

/** The directive at the head of a function or a module; null where there is none. */
export function directiveOf(source: Source, body: readonly (Directive | Statement)[]): Kind | null {
  let found: Kind | null = null;
  for (const statement of body) {
    if (!("directive" in statement) || typeof statement.directive !== "string") break;
    const kind = kinds.get(statement.directive);
    if (kind && found && kind !== found)
      throw refused(source, statement.start, `A function is a workflow or a step, not both: leave one directive out.`);
    if (kind) found = kind;
    else checkSpelling(source, statement.start, statement.directive);
  }
  return found;
}

/** Whether the statement is a directive, at the head of a function or the module. */
function isDirective(node: Node, path: readonly Node[]): boolean {
  const block = path.at(-1);
  if (node.type !== "ExpressionStatement" || !("directive" in node) || typeof node.directive !== "string") return false;
  return block?.type === "Program" || (block?.type === "BlockStatement" && isFunction(path.at(-2) ?? node));
}

/** Refuses a directive as a statement where none counts (DI1). */
export function checkStatement(source: Source, node: Node, path: readonly Node[]): void {
  if (node.type !== "ExpressionStatement" || isDirective(node, path)) return;
  const text = textOf(node.expression);
  if (text === null) return;
  const meant = meantBy(text);
  if (meant === null) return;
  const fault = kinds.has(text) ? `stands where it does nothing` : `is no directive`;
  throw refused(
    source,
    node.start,
    `"${text}" ${fault}. Write "${meant}", in plain quotes, as the very first statement of the function's body.`,
  );
}

function textOf(expression: Node): string | null {
  if (expression.type === "Literal") return typeof expression.value === "string" ? expression.value : null;
  if (expression.type === "ParenthesizedExpression") return textOf(expression.expression);
  if (expression.type === "TemplateLiteral" && expression.expressions.length === 0) return expression.quasis[0]?.value.cooked ?? null;
  return null;
}

function checkSpelling(source: Source, offset: number, text: string): void {
  const meant = meantBy(text);
  if (meant !== null) throw refused(source, offset, `"${text}" is no directive. Did you mean "${meant}"?`);
}

/** The directive that somebody meant: spelt right, or at most two slips away. */
function meantBy(text: string): string | null {
  const letters = text.toLowerCase().replace(/[^a-z]/g, "");
  for (const known of kinds.keys()) {
    if (text === known || distance(letters, known.replace(" ", "")) <= 2) return known;
  }
  return null;
}

/** How many letters must be put in, left out or changed. */
function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2) return 3;
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
