// A workflow as a value: the function its author wrote, callable inside a run, known by name everywhere else.

import { checkOptions, type OptionNames, badArgument, kindOf } from "../core/argument.ts";
import { callSite } from "../core/call-site.ts";
import type { WorkflowDefinition, WorkflowOptions } from "../core/definition.ts";
import { RingbackError } from "../core/errors.ts";
import { callingRun, callingStep } from "./realm.ts";
import { checkName, declareReference, processWorkflows, sourceId } from "./registry.ts";
import { directiveLeftIn, notCompiled } from "./uncompiled.ts";

const workflowOptions: OptionNames<WorkflowOptions> = { version: true };
const definition: unique symbol = Symbol.for("ringback/workflow") as never;

/** Start it with `start(workflow, args)`. Called inside another workflow it runs inline, as part of that run. */
export interface Workflow<A extends unknown[] = unknown[], R = unknown> {
  /** Runs inline, as part of the calling run. Outside a run it throws `workflow_called_directly`. */
  (...args: A): Promise<R>;
  /** @internal */
  readonly [definition]: WorkflowDefinition;
}

/** What `start` takes: what `workflow()` returned, or a function with `"use workflow"`, which the compile step makes one. */
export type WorkflowFunction<A extends unknown[] = unknown[], R = unknown> = (...args: A) => Promise<R>;

/**
 * Names an async function as a workflow and registers it in this process. Its runs are found by the name and survive restarts; the same
 * code must be registered under it wherever they go on.
 */
export function workflow<A extends unknown[], R>(
  name: string,
  body: (...args: A) => Promise<R> | R,
  options: WorkflowOptions = {},
): Workflow<A, R> {
  checkName("workflow", name);
  if (typeof body !== "function") throw badArgument("body", body, `Workflow "${name}" needs a function, got ${kindOf(body)}.`);
  checkOptions(`workflow("${name}")`, options, workflowOptions);
  if (options.version !== undefined) checkName("workflow version", options.version);
  return declareWorkflow(name, body, { codeId: options.version ?? sourceId(body as WorkflowDefinition["body"]), site: callSite() });
}

/** The same where its code and its place are known already. */
export function declareWorkflow<A extends unknown[], R>(
  name: string,
  body: (...args: A) => Promise<R> | R,
  { codeId, site }: { readonly codeId: string; readonly site: string | null },
): Workflow<A, R> {
  const declared: WorkflowDefinition = { name, body: body as WorkflowDefinition["body"], codeId, site };
  processWorkflows.add(declared);
  const isWithinRun = callingRun() !== null || callingStep() !== null;
  return declareReference(functionOf<A, R>(declared), { kind: "workflow", name, source: declared.codeId, isWithinRun });
}

/** A definition as a value, for `start`. No process-wide list knows it. */
export function functionOf<A extends unknown[], R>(declared: WorkflowDefinition): Workflow<A, R> {
  const { name } = declared;
  const body = declared.body as (...args: A) => Promise<R> | R;
  const inline = async (...args: A): Promise<R> => {
    if (callingRun()) return body(...args);
    const message = `Workflow "${name}" was called like a function, outside a run. Use start(${name}, [...]) to start a run of it.`;
    throw new RingbackError("workflow_called_directly", message, { details: { workflow: name } });
  };
  Object.defineProperty(inline, "name", { value: name });
  return Object.assign(inline, { [definition]: declared });
}

export function definitionOf(value: unknown, taker = "start()"): WorkflowDefinition {
  const declared = (value as Workflow | undefined)?.[definition];
  if (declared) return declared;
  const directive = directiveLeftIn(value);
  if (directive) throw notCompiled(value as { name: string }, directive);
  const message = `${taker} takes what workflow() returned, got ${typeof value === "function" ? `a plain function (${value.name || "anonymous"})` : kindOf(value)}.`;
  throw badArgument("workflow", value, message);
}
