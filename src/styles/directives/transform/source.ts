// A module as the transform sees it: parsed once, with every name resolved to its declaration.

import { isReferenceIdentifier, ScopeTracker, type ScopeTrackerNode, walk } from "oxc-walker";
import { type Comment, type Node, type ParseResult, type ParserOptions, parseSync, type Program } from "oxc-parser";
import { refused, Text } from "./notice.ts";

export interface Source extends Text {
  readonly program: Program;
  readonly comments: readonly Comment[];
  /** Whether `import` and `export` are its module syntax, or `require`. */
  readonly isEsm: boolean;
}

const directive = /(["'])use (?:workflow|step)\1/;

/** What only code that is loaded by `require` writes. */
const commonJs = /\brequire\s*\(|\bmodule\.exports\b|\bexports\.\w/;

/**
 * Reads a module; null where it cannot be parsed, which its compiler will tell. Throws `bad_directive` where a directive stands in it. Where
 * nobody says which module syntax counts, and the file shows none, it is an ES module.
 */
export function parse(code: string, file: string, isEsm: boolean | null): Source | null {
  const found = parsed(code, file, isEsm === false || /\.c[jt]s$/.test(file));
  const [error] = found.errors;
  if (error && !directive.test(code)) return null;
  if (error) throw refused(new Text(code, file), error.labels[0]?.start ?? 0, `The file cannot be parsed: ${error.message}`);
  const { program, comments } = found;
  const isShown = program.body.some(({ type }) => type.startsWith("Import") || type.startsWith("Export"));
  const isOpen = !/\.c[jt]s$/.test(file) && !commonJs.test(code);
  return Object.assign(new Text(code, file), { program, comments, isEsm: isShown || (isEsm ?? isOpen) });
}

/** One may be taken for the other: what is no strict code is loaded by `require`, and hosts have `require` load ES modules. */
function parsed(code: string, file: string, isCommonJs: boolean): ParseResult {
  const read = (sourceType: "module" | "commonjs"): ParseResult => parseSync(file, code, { lang: languageOf(file), sourceType });
  const found = read(isCommonJs ? "commonjs" : "module");
  if (found.errors.length === 0) return found;
  const other = read(isCommonJs ? "module" : "commonjs");
  return other.errors.length === 0 ? other : found;
}

/** `.js` files may hold JSX, as bundlers take them. */
function languageOf(file: string): NonNullable<ParserOptions["lang"]> {
  const [, typed, x] = /\.[cm]?([jt])s(x?)$/.exec(file) ?? [];
  return typed === "t" ? (x ? "tsx" : "ts") : "jsx";
}

/** Where a walk stands: the ancestors of the node, the nearest last. */
export type Path = readonly Node[];

export interface Visitor {
  enter(node: Node, path: Path): void;
  leave(node: Node, path: Path): void;
  /** A value that is read or written by its name; `declared` is null for globals. */
  refer(name: string, node: Node, declared: ScopeTrackerNode | null, path: Path): void;
}

/** Walks a module, with all of its declarations known beforehand, since functions are called before they stand. */
export function visit({ program }: Source, visitor: Visitor): void {
  const tracker = new ScopeTracker({ preserveExitedScopes: true });
  walk(program, { scopeTracker: tracker });
  tracker.freeze();
  const path: Node[] = [];
  walk(program, {
    scopeTracker: tracker,
    enter(node, parent) {
      visitor.enter(node, path);
      if ((node.type === "Identifier" || node.type === "JSXIdentifier") && isReferenceIdentifier(node, parent) && !isInType(path))
        visitor.refer(node.name, node, tracker.getDeclaration(node.name), path);
      path.push(node);
    },
    leave(node) {
      path.pop();
      visitor.leave(node, path);
    },
  });
}

/** Whether a name is that of a `typeof` in a type, which reads no value. */
function isInType(path: Path): boolean {
  return path.findLast(({ type }) => type !== "TSQualifiedName")?.type === "TSTypeQuery";
}
