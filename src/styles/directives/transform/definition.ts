// Ids for what judges payloads: hooks that a module defines, and schemas written where a webhook is made. By them any process that has
// loaded the module finds the schema, with no run of it.

import type { CallExpression, Node, ObjectProperty } from "oxc-parser";
import { type ScopeTrackerNode, walk } from "oxc-walker";
import type { Edits } from "./edit.ts";
import { isRuntimeModule } from "./import.ts";
import { anonymous, keyText, nameIn } from "./name.ts";
import type { Path } from "./source.ts";

export interface Naming {
  readonly edits: Edits;
  readonly packages: readonly string[];
  readonly references: ReadonlyMap<Node, ScopeTrackerNode | null>;
  idOf(node: Node, path: Path): string;
}

/** Whether the call is one of the package's function of this name. */
function isCallOf(name: string, { callee }: CallExpression, { references, packages }: Naming): boolean {
  const declared = references.get(callee);
  if (declared?.type !== "Import" || declared.node.type !== "ImportSpecifier") return false;
  const { imported } = declared.node;
  return imported.type === "Identifier" && imported.name === name && isRuntimeModule(declared.importNode.source.value, packages);
}

/** Gives a hook that is defined in the module an id, where it has none; null where it needs none. */
export function nameHook(node: CallExpression, path: Path, naming: Naming): string | null {
  const [first] = node.arguments;
  const isNamed = first?.type === "TemplateLiteral" || (first?.type === "Literal" && typeof first.value === "string");
  if (isNamed || !isCallOf("defineHook", node, naming) || nameIn(node, path) === anonymous) return null;
  const id = naming.idOf(node, path);
  if (first) naming.edits.text.prependRight(first.start, `${JSON.stringify(id)}, `);
  else naming.edits.text.appendLeft(node.end - 1, JSON.stringify(id));
  return id;
}

/** A schema with an id, and the expression that makes it. */
export interface NamedSchema {
  readonly id: string;
  readonly expression: Node;
}

/** Gives the schema of a webhook an id, where it is made of nothing but what the module has; null where there is none such. */
export function nameSchema(node: CallExpression, path: Path, naming: Naming, runtime: string): NamedSchema | null {
  const [options] = node.arguments;
  if (options?.type !== "ObjectExpression" || !isCallOf("createWebhook", node, naming)) return null;
  const isSchema = (property: Node): property is ObjectProperty =>
    property.type === "Property" &&
    !property.computed &&
    property.kind === "init" &&
    !property.method &&
    keyText(property.key) === "schema";
  const property = options.properties.find(isSchema);
  if (!property || !isOfModule(property.value, naming.references) || nameIn(node, path).endsWith(anonymous)) return null;
  const id = naming.idOf(node, path);
  const before = `${runtime}.schemaOf(${JSON.stringify(id)}, `;
  if (property.shorthand) naming.edits.text.appendLeft(property.end, `: ${before}${keyText(property.key)})`);
  else naming.edits.wrap(property.value, before, ")");
  return { id, expression: property.value };
}

/** Whether an expression reads nothing of the functions around it, and awaits nothing. */
function isOfModule(expression: Node, references: ReadonlyMap<Node, ScopeTrackerNode | null>): boolean {
  const { start, end } = expression;
  for (const [node, declared] of references) {
    const isInside = declared !== null && declared.node.start >= start && declared.node.end <= end;
    if (node.start >= start && node.end <= end && declared !== null && declared.scope !== "" && !isInside) return false;
  }
  let isBound = false;
  walk(expression, {
    enter(node) {
      isBound ||= node.type === "ThisExpression" || node.type === "AwaitExpression" || node.type === "YieldExpression";
    },
  });
  return !isBound;
}
