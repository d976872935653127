// Workflows whose runs are bound to a version, as styles that have versions declare them.

import { pinnedCode, type WorkflowDefinition } from "../src/core/definition.ts";
import { sourceId } from "../src/engine/registry.ts";
import type { WorkflowFunction } from "../src/engine/workflow.ts";

export type AnyWorkflow = WorkflowFunction<any[], any>;
export type Body = (...args: any[]) => Promise<unknown>;

export function pinnedAs(name: string, pin: string, body: Body, site: string | null = null, code: Body = body): WorkflowDefinition {
  return { name, pin, codeId: pinnedCode(pin, sourceId(code)), body, site };
}

/** `code`: what tells two apart whose source is one. */
export function pinned(name: string, pin: string, body: Body, code: unknown = body): AnyWorkflow {
  return Object.assign(async () => {}, { [Symbol.for("ringback/workflow")]: pinnedAs(name, pin, body, null, code as Body) });
}
