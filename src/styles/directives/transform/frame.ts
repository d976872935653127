// The functions around the node that a walk is at, and which of them a directive marks.

import type { Node } from "oxc-parser";
import type { ScopeTrackerNode } from "oxc-walker";
import { type AnyFunction, checkStatement, directiveOf, isFunction, type Kind } from "./directive.ts";
import { refused } from "./notice.ts";
import type { Path, Source } from "./source.ts";

/** A function that the walk is in. */
export interface Frame {
  readonly node: AnyFunction;
  /** What its directive makes it; null for a plain function. */
  readonly kind: Kind | null;
  /** Names that it reads from the functions around it, whose values are its own copies: for steps. */
  readonly captured: Set<string>;
  /** Whether it says `super`, itself or in an arrow function. */
  usesSuper: boolean;
}

export class Frames {
  readonly #source: Source;
  readonly #stack: Frame[] = [];
  /** What the directive at the head of the file makes of every exported function. */
  readonly #ofFile: Kind | null;
  readonly #exported: ReadonlySet<string>;
  #isFileMarking = false;

  constructor(source: Source) {
    this.#source = source;
    this.#ofFile = directiveOf(source, source.program.body);
    this.#exported = exportedNames(source);
  }

  /** The innermost function; null at module level. */
  get top(): Frame | null {
    return this.#stack.at(-1) ?? null;
  }

  get isEmpty(): boolean {
    return this.#stack.length === 0;
  }

  /** The innermost function with a directive: whose code the walk is in. */
  get marked(): Frame | null {
    return this.#stack.findLast((frame) => frame.kind !== null) ?? null;
  }

  /** Steps around the walk that do not declare what is declared there. */
  *capturing(declared: ScopeTrackerNode): Iterable<Frame> {
    for (const frame of this.#stack) {
      const { node } = frame;
      if (frame.kind === "step" && !(declared.node.start >= node.start && declared.node.end <= node.end)) yield frame;
    }
  }

  enter(node: Node, path: Path): void {
    checkStatement(this.#source, node, path);
    const method = node.type === "Super" ? this.#stack.findLast(({ node: { type } }) => type !== "ArrowFunctionExpression") : undefined;
    if (method) method.usesSuper = true;
    if (!isFunction(node)) return;
    const body = node.body?.type === "BlockStatement" ? node.body.body : [];
    const own = directiveOf(this.#source, body);
    const isOfFile = this.#isExported(node, path);
    const kind = own ?? (isOfFile ? this.#ofFile : null);
    this.#isFileMarking ||= isOfFile;
    if (kind) this.#check(node, kind, path);
    this.#stack.push({ node, kind, captured: new Set(), usesSuper: false });
  }

  leave(node: Node): Frame | null {
    if (node.type === "Program") this.#checkFile();
    return isFunction(node) ? (this.#stack.pop() ?? null) : null;
  }

  #check(node: AnyFunction, kind: Kind, path: Path): void {
    const refuse = (what: string): never => {
      throw refused(this.#source, node.start, what);
    };
    if (node.generator) refuse(`A generator cannot be a ${kind}. Write an async function.`);
    if (!node.async) refuse(`A ${kind} is an async function: write "async" before it.`);
    if (kind === "workflow" && this.#stack.length > 0)
      refuse("A workflow stands at module level, not inside a function: its runs find it when the module is loaded. Move it out.");
    if (kind === "workflow" && this.#stack.length === 0 && path.at(-1)?.type === "MethodDefinition" && !isStatic(path.at(-1)))
      refuse("A method of an instance cannot be a workflow: its runs would have no instance. Make it static, or a function.");
  }

  /** Whether the module exports the function: declared so, or as the value of such a name. */
  #isExported(node: Node, path: Path): boolean {
    if (this.#ofFile === null || this.#stack.length > 0 || !path.every(({ type }) => carriers.has(type))) return false;
    const names = path.map((ancestor) =>
      ancestor.type === "VariableDeclarator" && ancestor.id.type === "Identifier" ? ancestor.id.name : "",
    );
    if ("id" in node && node.id?.type === "Identifier") names.push(node.id.name);
    const isDirect = path.some((ancestor) => ancestor.type === "ExportNamedDeclaration" || ancestor.type === "ExportDefaultDeclaration");
    return isDirect || names.some((name) => this.#exported.has(name));
  }

  /** Refuses a directive at the head of a file that marks nothing (DI1). */
  #checkFile(): void {
    if (this.#ofFile === null || this.#isFileMarking) return;
    const what = `"use ${this.#ofFile}" at the head of a file marks each async function that it exports with "export", and there is none. Write it at the head of each function.`;
    throw refused(this.#source, this.#source.program.body[0]?.start ?? 0, what);
  }
}

/** What may stand between a module and a function that it exports: the function is the value, or one of two. */
const carriers = new Set<string>([
  "Program",
  "ExportNamedDeclaration",
  "ExportDefaultDeclaration",
  "VariableDeclaration",
  "VariableDeclarator",
  "ParenthesizedExpression",
  "ConditionalExpression",
  "LogicalExpression",
  "TSAsExpression",
  "TSSatisfiesExpression",
  "TSNonNullExpression",
  "TSTypeAssertion",
]);

function isStatic(node: Node | undefined): boolean {
  return node !== undefined && "static" in node && node.static === true;
}

function exportedNames({ program }: Source): ReadonlySet<string> {
  const names = new Set<string>();
  for (const statement of program.body) {
    if (statement.type === "ExportDefaultDeclaration" && statement.declaration.type === "Identifier") names.add(statement.declaration.name);
    if (statement.type !== "ExportNamedDeclaration" || statement.source) continue;
    for (const { local } of statement.specifiers) if (local.type === "Identifier") names.add(local.name);
  }
  return names;
}
