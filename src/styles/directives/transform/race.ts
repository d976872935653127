// The sides of a race that nobody could see into: calls written directly in its array become branches (H5).

import type { CallExpression, Expression, Node } from "oxc-parser";
import { type ScopeTrackerNode, walk } from "oxc-walker";
import { isFunction } from "./directive.ts";

const combinators = new Set(["race", "any", "all"]);

/** The sides to wrap. One that awaits something before it begins stays as it is: within a function it would begin later. */
export function sidesToBranch(node: CallExpression, references: ReadonlyMap<Node, ScopeTrackerNode | null>): readonly Expression[] {
  const { callee } = node;
  const [sides] = node.arguments;
  if (callee.type !== "MemberExpression" || callee.computed || callee.object.type !== "Identifier" || callee.object.name !== "Promise")
    return [];
  if (references.get(callee.object) !== null || !combinators.has(callee.property.type === "Identifier" ? callee.property.name : ""))
    return [];
  if (sides?.type !== "ArrayExpression") return [];
  return sides.elements.filter((side) => side?.type === "CallExpression" && !waits(side)) as Expression[];
}

/** Whether the expression itself awaits or yields, not a function in it. */
function waits(expression: Node): boolean {
  let found = false;
  walk(expression, {
    enter(node) {
      if (node.type === "AwaitExpression" || node.type === "YieldExpression") found = true;
      if (found || isFunction(node)) this.skip();
    },
  });
  return found;
}
