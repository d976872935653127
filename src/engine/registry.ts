// The workflows and hook definitions of this process, by name. Steps are not here: a run holds the bodies its code named.

import { createHash } from "node:crypto";
import type { HookDefinition, WorkflowDefinition } from "../core/definition.ts";
import { RingbackError } from "../core/errors.ts";
import { limits } from "../core/limits.ts";

export class Registry {
  readonly #workflows = new Map<string, WorkflowDefinition>();
  readonly #hooks = new Map<string, HookDefinition>();
  readonly #listeners = new Set<(workflow: WorkflowDefinition) => void>();
  /** The author named this engine's workflows: it takes no others. */
  readonly isClosed: boolean;

  constructor(isClosed: boolean) {
    this.isClosed = isClosed;
  }

  /** The same name with other code is an error: which of the two should a parked run go on with? */
  addWorkflow(workflow: WorkflowDefinition): void {
    const known = this.#workflows.get(workflow.name);
    if (known && known.codeId !== workflow.codeId) throw duplicate("workflow", workflow.name);
    if (known) return;
    this.#workflows.set(workflow.name, workflow);
    for (const listener of this.#listeners) listener(workflow);
  }

  addHook(hook: HookDefinition & { readonly name: string }): void {
    this.#hooks.set(hook.name, hook);
  }

  workflow(name: string): WorkflowDefinition | null {
    return this.#workflows.get(name) ?? null;
  }

  hook(name: string): HookDefinition | null {
    return this.#hooks.get(name) ?? null;
  }

  get workflows(): readonly WorkflowDefinition[] {
    return [...this.#workflows.values()];
  }

  onWorkflow(listener: (workflow: WorkflowDefinition) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** Every workflow and named hook declared in this process, for the default engine, which may come later than they. */
class ProcessList<T> {
  readonly #all: T[] = [];
  readonly #listeners = new Set<(declared: T) => void>();

  add(declared: T): void {
    this.#all.push(declared);
    for (const listener of this.#listeners) listener(declared);
  }

  /** Calls `listener` with all there are, and with each that comes. */
  follow(listener: (declared: T) => void): () => void {
    for (const declared of this.#all) listener(declared);
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
export const processWorkflows: ProcessList<WorkflowDefinition> = new ProcessList();
export const processHooks: ProcessList<HookDefinition & { readonly name: string }> = new ProcessList();

function duplicate(kind: "workflow" | "step" | "hook", name: string): RingbackError {
  const message = `Two ${kind}s with different code are called "${name}". Give each its own name; a run finds its code by it.`;
  return new RingbackError("duplicate_name", message, { details: { kind, name } });
}

/** Names are index keys and appear in every list. */
export function checkName(kind: "workflow" | "step" | "hook", name: unknown): string {
  if (typeof name !== "string" || name === "") {
    const message = `A ${kind} needs a name: a string that is not empty, got ${typeof name === "string" ? '""' : typeof name}.`;
    throw new RingbackError("bad_argument", message, { details: { argument: "name", value: String(name) } });
  }
  const actual = Buffer.byteLength(name);
  if (actual > limits.nameBytes) {
    const message = `The name of a ${kind} takes ${actual} bytes; the limit is ${limits.nameBytes}.`;
    throw new RingbackError("too_large", message, { details: { what: `${kind} name`, limit: limits.nameBytes, actual } });
  }
  return name;
}

/** What a workflow's code is known by when its author names no version: a hash of its source text. */
export function sourceId(body: (...args: never[]) => unknown): string {
  return createHash("sha256").update(body.toString()).digest("hex").slice(0, 16);
}
