// The edits of one module. Text is only put in, never moved or taken out, and no line is added: what the author wrote keeps its line.

import MagicString from "magic-string";
import type { Node, Statement } from "oxc-parser";
import type { Source } from "./source.ts";

/** What a block or a module begins with, beside its directives. */
type Block = Extract<Node, { type: "Program" | "BlockStatement" | "StaticBlock" | "TSModuleBlock" }>;

export class Edits {
  readonly text: MagicString;
  readonly #source: Source;
  readonly #heads = new Map<Block, string[]>();
  readonly #methods = new Map<Node, string[]>();
  readonly #tails = new Map<Node, string[]>();

  constructor(source: Source) {
    this.#source = source;
    this.text = new MagicString(source.code, { filename: source.file });
  }

  /** Puts text around a node; what is put around an inner one later stands inside. */
  wrap(node: { readonly start: number; readonly end: number }, before: string, after: string): void {
    this.text.prependRight(node.start, before);
    this.text.appendLeft(node.end, after);
  }

  /** Has a statement run where the block begins: after its directives, before all else; the first of several where it says so. */
  atHead(block: Block, statement: string, isFirst = false): void {
    if (isFirst) this.#heads.set(block, [statement, ...(this.#heads.get(block) ?? [])]);
    else put(this.#heads, block, statement);
  }

  /** Has a statement run inside a class: as soon as its methods are there, before any static field. */
  inClass(classBody: Node, statement: string): void {
    put(this.#methods, classBody, statement);
  }

  /** The same where all of the class is there. */
  atTail(classBody: Node, statement: string): void {
    put(this.#tails, classBody, statement);
  }

  /** To be called as the walk leaves a node. */
  finish(node: Node): void {
    const methods = this.#methods.get(node);
    if (methods) this.text.appendLeft(node.start + 1, ` static { ${methods.join(" ")} }`);
    const tail = this.#tails.get(node);
    // Nothing but the brace may end the last field.
    if (tail) this.text.appendLeft(node.end - 1, `; static { ${tail.join(" ")} } `);
    const head = this.#heads.get(node as Block);
    if (head) this.text.prependRight(this.#start(node as Block), `${head.join(" ")} `);
  }

  #start(block: Block): number {
    const body: readonly Node[] = block.body;
    const first = (body as readonly (Statement & { directive?: unknown })[]).find((statement) => typeof statement.directive !== "string");
    if (first) return first.type === "ExportDefaultDeclaration" || first.type === "ExportNamedDeclaration" ? decorated(first) : first.start;
    return block.type === "Program" ? this.#source.code.length : block.end - 1;
  }
}

/** Decorators stand before `export`, outside the statement. */
function decorated(statement: Extract<Node, { type: "ExportDefaultDeclaration" | "ExportNamedDeclaration" }>): number {
  const { declaration } = statement;
  const decorators = declaration && "decorators" in declaration ? (declaration.decorators ?? []) : [];
  return Math.min(statement.start, ...decorators.map(({ start }) => start));
}

function put<K>(map: Map<K, string[]>, key: K, statement: string): void {
  const list = map.get(key);
  if (list) list.push(statement);
  else map.set(key, [statement]);
}
