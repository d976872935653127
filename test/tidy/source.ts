// A program file, parsed: its imports, the global names it uses, its functions, its lines of code. Everything comes from the syntax
// tree, so that a rule never mistakes a string or a comment for code.

import { parseSync, visitorKeys } from "oxc-parser";

/** A node of the syntax tree, as loosely as the rules need it. */
export interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

export interface Import {
  /** As written; null where it is computed. */
  readonly specifier: string | null;
  /** Nothing of it is left at run time. `import { type A }` leaves a bare import behind, so it is not. */
  readonly isType: boolean;
  readonly isReexport: boolean;
  readonly line: number;
  readonly node: Node;
}

export interface Source {
  readonly path: string;
  readonly text: string;
  readonly program: Node;
  readonly comments: readonly { readonly value: string; readonly start: number; readonly end: number }[];
  readonly imports: readonly Import[];
  /** The line of an offset, from 1. */
  line(offset: number): number;
  /** Lines with something on them besides comments, between two offsets. */
  codeLines(start?: number, end?: number): number;
}

export function parse(path: string, text: string): Source {
  const { program, comments, errors } = parseSync(path, text, { sourceType: "module" });
  const error = errors[0];
  if (error !== undefined) throw new Error(`${path} does not parse: ${error.message}`);
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  const line = (offset: number): number => {
    const after = starts.findIndex((start) => start > offset);
    return after < 0 ? starts.length : after;
  };
  let bare = text;
  for (const { start, end } of comments) bare = bare.slice(0, start) + bare.slice(start, end).replace(/[^\n]/g, " ") + bare.slice(end);
  const codeLines = (start = 0, end = text.length): number =>
    bare
      .slice(start, end)
      .split("\n")
      .filter((each) => each.trim() !== "").length;
  const root = program as unknown as Node;
  return { path, text, program: root, comments, imports: findImports(root, line), line, codeLines };
}

/** Calls `visit` for each node, parents first, but for closed ones and what is below them. */
export function walk(
  root: Node,
  visit: (node: Node, parent: Node | null, key: string) => void,
  isClosed: (node: Node, key: string) => boolean = () => false,
): void {
  const step = (node: Node, parent: Node | null, key: string): void => {
    if (isClosed(node, key)) return;
    visit(node, parent, key);
    for (const each of visitorKeys[node.type] ?? []) {
      const child = node[each];
      for (const one of Array.isArray(child) ? child : [child]) if (isNode(one)) step(one, node, each);
    }
  };
  step(root, null, "");
}

export function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string";
}

const functionTypes = new Set(["FunctionDeclaration", "FunctionExpression", "ArrowFunctionExpression"]);

export function isFunction(node: Node): boolean {
  return functionTypes.has(node.type) && isNode(node["body"]);
}

/** The text of a string literal, or of a template without holes. */
export function literal(node: unknown): string | null {
  if (!isNode(node)) return null;
  if (node.type === "Literal" && typeof node["value"] === "string") return node["value"];
  if (wrappers.has(node.type)) return literal(unwrap(node));
  if (node.type !== "TemplateLiteral") return null;
  const quasis = node["quasis"] as readonly { value: { cooked: string } }[];
  return quasis.length === 1 ? (quasis[0]?.value.cooked ?? null) : null;
}

/** `a` for an identifier, `a.b` for a plain or a quoted member of one, without the wrappers that only types need; else null. */
export function nameOf(node: unknown): string | null {
  if (!isNode(node)) return null;
  if (node.type === "Identifier") return node["name"] as string;
  if (node.type === "MemberExpression") {
    const object = nameOf(node["object"]);
    const property = memberKey(node);
    return object === null || property === null ? null : `${object}.${property}`;
  }
  return isNode(node["expression"]) && wrappers.has(node.type) ? nameOf(node["expression"]) : null;
}

const wrappers = new Set([
  "TSAsExpression",
  "TSNonNullExpression",
  "TSSatisfiesExpression",
  "TSTypeAssertion",
  "ParenthesizedExpression",
  "ChainExpression",
]);

/** A node without the wrappers that only types need. */
export function unwrap(node: Node): Node {
  return wrappers.has(node.type) && isNode(node["expression"]) ? unwrap(node["expression"]) : node;
}

export function memberKey(node: Node): string | null {
  const property = node["property"];
  return node["computed"] === true ? literal(property) : isNode(property) ? (property["name"] as string) : null;
}

const typeKeys = new Set(["typeAnnotation", "typeParameters", "typeArguments", "returnType", "superTypeArguments", "implements"]);
const typeNodes = new Set(["TSTypeAliasDeclaration", "TSInterfaceDeclaration"]);

/** Whether what hangs here is erased when types are stripped. */
export function isErased(node: Node, key: string): boolean {
  return typeKeys.has(key) || typeNodes.has(node.type) || node["declare"] === true;
}

const keyed = new Set(["Property", "MethodDefinition", "PropertyDefinition", "AccessorProperty"]);

/** Every identifier that stands for a value (bound or used), not for the name of a property. */
export function identifiers(root: Node): { readonly name: string; readonly node: Node; readonly parent: Node; readonly key: string }[] {
  const found: { name: string; node: Node; parent: Node; key: string }[] = [];
  const visit = (node: Node, parent: Node | null, key: string): void => {
    if (node.type !== "Identifier" || parent === null) return;
    const isName =
      (parent.type === "MemberExpression" && key === "property" && parent["computed"] !== true) ||
      (keyed.has(parent.type) && key === "key" && parent["computed"] !== true) ||
      (parent.type === "ImportSpecifier" && key === "imported") ||
      (parent.type === "ExportSpecifier" && key === "exported") ||
      parent.type === "MetaProperty" ||
      key === "label";
    if (!isName) found.push({ name: node["name"] as string, node, parent, key });
  };
  walk(root, visit, isErased);
  return found;
}

function findImports(root: Node, line: (offset: number) => number): Import[] {
  const found: Import[] = [];
  const add = (node: Node, source: unknown, isType: boolean, isReexport = false): void => {
    found.push({ specifier: literal(source), isType, isReexport, line: line(node.start), node });
  };
  walk(root, (node) => {
    const source = node["source"];
    if (node.type === "ImportDeclaration") add(node, source, node["importKind"] === "type");
    else if (node.type === "ExportAllDeclaration" || (node.type === "ExportNamedDeclaration" && isNode(source)))
      add(node, source, node["exportKind"] === "type", true);
    else if (node.type === "ImportExpression") add(node, source, false);
    else if (node.type === "TSImportType") add(node, source, true);
    else if (node.type === "TSExternalModuleReference") add(node, node["expression"], false);
    else if (node.type === "CallExpression" && isLoader(node["callee"])) add(node, (node["arguments"] as unknown[])[0], false);
  });
  return found;
}

/** `require(…)`, `createRequire(…)(…)` and `process.getBuiltinModule(…)` load modules too. */
function isLoader(callee: unknown): boolean {
  const name = nameOf(callee);
  if (name !== null) return name === "require" || name.endsWith("getBuiltinModule");
  return isNode(callee) && callee.type === "CallExpression" && (nameOf(callee["callee"])?.endsWith("createRequire") ?? false);
}
