// What authors declare in the context style: workflow classes and functions, and the names and versions they are known by.

import { badArgument, checkOptions, kindOf, type OptionNames } from "../../core/argument.ts";
import { callSite } from "../../core/call-site.ts";
import { RingbackError } from "../../core/errors.ts";
import { checkName } from "../../engine/registry.ts";
import type { WorkflowCtx } from "./ctx.ts";

/** What a workflow is known by. */
export interface WorkflowDetails {
  /** Runs find their code by it: give it once, and keep it. ≤ 255 bytes. */
  readonly name: string;
  /** A run stays on the version it began with. Several may be registered side by side; the one registered last begins new runs. Default "1". */
  readonly version?: string;
}

/** A class with `@Workflow`: each run calls `run(ctx, input)` on one instance that all runs share, so it keeps nothing of a run in `this`. */
export type WorkflowClass<Input = never, Output = unknown> = abstract new (
  ...args: never[]
) => { run(ctx: WorkflowCtx, input: Input): Output | Promise<Output> };

/** A workflow that is a function: what `defineWorkflow` returns. */
export interface FunctionWorkflow<Input = never, Output = unknown> {
  readonly name: string;
  readonly version: string;
  /** The function itself, to be called in tests with a context of one's own. */
  readonly run: (ctx: WorkflowCtx, input: Input) => Output | Promise<Output>;
}

/** What `start` and `child` take: a class, what `defineWorkflow` returned, or the name of a registered workflow. */
export type WorkflowRef<Input = never, Output = unknown> = WorkflowClass<Input, Output> | FunctionWorkflow<Input, Output>;

/** What a workflow's `run` takes beside the context. */
export type WorkflowInput<W> = W extends WorkflowClass<infer I, unknown> ? I : W extends FunctionWorkflow<infer I, unknown> ? I : never;
/** What it returns. */
export type WorkflowOutput<W> = W extends abstract new (
  ...args: never[]
) => { run(ctx: WorkflowCtx, input: never): infer O }
  ? Awaited<O>
  : W extends FunctionWorkflow<never, infer O>
    ? Awaited<O>
    : never;

const detailNames: OptionNames<WorkflowDetails> = { name: true, version: true };
const details: unique symbol = Symbol.for("ringback/context-workflow") as never;

interface Declared {
  readonly name: string;
  readonly version: string;
  /** Where, and of a class its name. */
  readonly site: string | null;
}

/**
 * Makes a class a workflow: `@Workflow({ name: "checkout", version: "1" })`. As a decorator of TypeScript's older kind (which NestJS wants) or
 * of the standard, or called like a function: `Workflow({ name })(Checkout)`. Throws `bad_argument`, `too_large`.
 */
export function Workflow(options: WorkflowDetails): (target: abstract new (...args: never[]) => object, context?: unknown) => void {
  const declared = checked("@Workflow()", options);
  return (target) => {
    const { run } = target.prototype as { run?: unknown };
    if (typeof run !== "function")
      throw badArgument("run", run, `Class ${target.name} has @Workflow() and no method run(ctx, input), which its runs would call.`);
    const called = `class ${target.name}`;
    const site = declared.site === null ? called : `${declared.site} (${called})`;
    Object.defineProperty(target, details, { value: { ...declared, site } satisfies Declared });
  };
}

/** A workflow as a function: `defineWorkflow({ name: "approval" }, async (ctx, input: Request) => …)`. */
export function defineWorkflow<Input, Output>(
  options: WorkflowDetails,
  run: (ctx: WorkflowCtx, input: Input) => Output | Promise<Output>,
): FunctionWorkflow<Input, Output> {
  const declared = checked("defineWorkflow()", options);
  if (typeof run !== "function")
    throw badArgument("run", run, `defineWorkflow() takes a function after { name: "${declared.name}" }, got ${kindOf(run)}.`);
  const { name, version } = declared;
  return Object.defineProperty({ name, version, run }, details, { value: declared });
}

function checked(call: string, options: WorkflowDetails): Declared {
  checkOptions(call, options, detailNames);
  const { name, version = "1" } = options;
  return { name: checkName("workflow", name), version: checkName("workflow version", version), site: callSite() };
}

/** What is known of a reference; null where it is no workflow of this style. A subclass needs a name of its own. */
export function declaredOf(ref: unknown): Declared | null {
  if ((typeof ref !== "function" && typeof ref !== "object") || ref === null || !Object.hasOwn(ref, details)) return null;
  return (ref as { readonly [details]: Declared })[details];
}

/** The same, or why not. */
export function declarationOf(call: string, ref: unknown, also = ", or a name"): Declared {
  const declared = declaredOf(ref);
  if (declared !== null) return declared;
  const what = typeof ref === "function" ? `${ref.name || "an anonymous function"}, which has no @Workflow()` : kindOf(ref);
  throw badArgument(
    "workflow",
    ref,
    `${call} takes a class with @Workflow({ name }), or what defineWorkflow() returned${also}; got ${what}.`,
  );
}

/** All of a class's source, and of those it extends: what its runs may have called. */
export function sourceOf(ref: WorkflowRef): string {
  if (typeof ref !== "function") return String(ref.run);
  let source = "";
  for (let at: unknown = ref; typeof at === "function" && at !== Function.prototype; at = Object.getPrototypeOf(at)) source += String(at);
  return source;
}

/** Which workflow has no code here. */
export function notRegistered(name: string, version: string | undefined): RingbackError<"workflow_not_registered"> {
  const which = version === undefined ? "" : `, version "${version}",`;
  const message = `Workflow "${name}"${which} is not registered with this engine. Give its class, or what defineWorkflow() returned, to engine.register(); in a Nest app, make its class a provider.`;
  return new RingbackError("workflow_not_registered", message, { details: { workflow: name } });
}
