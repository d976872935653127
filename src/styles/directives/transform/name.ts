// What a function is called within its module: by its own name, or by what it is put into. Ids are made of it.

import type { Node, PropertyKey } from "oxc-parser";
import { isFunction } from "./directive.ts";
import type { Path } from "./source.ts";

/** `outer/inner`, `Class.method`, `Class#method`, `object.method`; what has no name is called `anonymous`. */
export function nameIn(node: Node, path: Path): string {
  const around = path.flatMap((ancestor, depth) => {
    const name = isFunction(ancestor) ? nameOf(ancestor, path.slice(0, depth)) : anonymous;
    return name === anonymous ? [] : [name];
  });
  return [...around, nameOf(node, path)].join("/");
}

export const anonymous = "anonymous";

/** The name of one function, class or object, among those around it. */
function nameOf(node: Node, path: Path): string {
  if ("id" in node && node.id?.type === "Identifier") return node.id.name;
  for (let depth = path.length - 1; depth >= 0; depth--) {
    const ancestor = path[depth] as Node;
    const around = path.slice(0, depth);
    switch (ancestor.type) {
      case "VariableDeclarator":
        return ancestor.id.type === "Identifier" ? ancestor.id.name : anonymous;
      case "AssignmentExpression":
        return assigned(ancestor.left);
      case "ExportDefaultDeclaration":
        return "default";
      case "Property":
        return member(around, ".", ancestor.key);
      case "MethodDefinition":
      case "PropertyDefinition":
        return member(around.slice(0, -1), ancestor.static ? "." : "#", ancestor.key);
      case "AwaitExpression":
      case "CallExpression":
      case "NewExpression":
      case "ConditionalExpression":
      case "LogicalExpression":
      case "ParenthesizedExpression":
      case "TSAsExpression":
      case "TSSatisfiesExpression":
      case "TSNonNullExpression":
        break;
      default:
        return anonymous;
    }
  }
  return anonymous;
}

/** A member of what the path ends in: an object or a class. */
function member(path: Path, mark: "." | "#", key: PropertyKey): string {
  const owner = path.at(-1);
  const ownName = owner ? nameOf(owner, path.slice(0, -1)) : anonymous;
  const own = keyText(key) ?? anonymous;
  return ownName === anonymous ? own : `${ownName}${mark}${own}`;
}

function assigned(left: Node): string {
  if (left.type === "Identifier") return left.name;
  return left.type === "MemberExpression" && !left.computed && left.property.type === "Identifier" ? left.property.name : anonymous;
}

/** A key as written, where it is known before the code runs; null for a computed one. */
export function keyText(key: PropertyKey): string | null {
  if (key.type === "Identifier" || key.type === "PrivateIdentifier") return key.name;
  if (key.type !== "Literal") return null;
  return typeof key.value === "string" || typeof key.value === "number" ? String(key.value) : null;
}
