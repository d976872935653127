// The workflows, hook definitions, functions and classes of this process, by name. The bodies of steps are not here: a run holds those
// its code named.

import { badArgument, kindOf } from "../core/argument.ts";
import { createHash } from "node:crypto";
import { isAlike } from "../core/alike.ts";
import type { HookDefinition, WorkflowDefinition } from "../core/definition.ts";
import { RingbackError } from "../core/errors.ts";
import { limits } from "../core/limits.ts";
import { type AnyFunction, type Declared, type Reference, References, referTo } from "../core/reference.ts";
import { isKeyText } from "../core/run-row.ts";
import { type Classes, createClasses, type SelfStoring } from "../core/serialise-class.ts";

/** A hook definition that doors can find. */
export type NamedHook = HookDefinition & { readonly name: string };

/** Told of each workflow that comes; `isReplacing` where another of its name was there. */
export type WorkflowListener = (workflow: WorkflowDefinition, isReplacing: boolean) => void;

/** Whether a workflow that is declared again, with other code, takes the place of the first. */
let isReloading = false;

/** For a watcher that loads changed modules again, such as `ringback dev`; everywhere else a second declaration is a mistake. */
export function allowReloading(isAllowed: boolean): void {
  isReloading = isAllowed;
}

export class Registry {
  readonly #workflows = new Map<string, WorkflowDefinition>();
  readonly #hooks = new Map<string, NamedHook>();
  readonly #listeners = new Set<WorkflowListener>();
  /** The author names this engine's workflows: it takes no others. */
  readonly isClosed: boolean;

  constructor(isClosed: boolean) {
    this.isClosed = isClosed;
  }

  /** The same name with other code is an error: which of the two should a parked run go on with? */
  addWorkflow(workflow: WorkflowDefinition): void {
    const known = this.#workflows.get(workflow.name);
    if (known && isReloading) return this.replaceWorkflow(workflow);
    if (known && known.codeId !== workflow.codeId) throw duplicate("workflow", known, workflow);
    if (!known) this.replaceWorkflow(workflow);
  }

  /** The code that the workflow's runs go on with from here. Those that are blocked are tried again where its code id is another. */
  replaceWorkflow(workflow: WorkflowDefinition): void {
    const isReplacing = this.#workflows.has(workflow.name);
    this.#workflows.set(workflow.name, workflow);
    for (const listener of this.#listeners) listener(workflow, isReplacing);
  }

  /** As with workflows: which of two schemas should a door judge by? The same one declared again, by a module loaded twice, is no second. */
  addHook(hook: NamedHook): void {
    const known = this.#hooks.get(hook.name);
    if (isReloading) return void this.#hooks.set(hook.name, hook);
    if (known && known.schema !== hook.schema && (isOneFile(known, hook) || !isAlike(known.schema, hook.schema)))
      throw duplicate("hook", known, hook);
    if (!known) this.#hooks.set(hook.name, hook);
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

  onWorkflow(listener: WorkflowListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

const schemaNames = new WeakMap<object, string>();

/** Says under which name a schema is known, where it is used without one. */
export function nameSchema(schema: object, name: string): void {
  schemaNames.set(schema, name);
}

export function nameOfSchema(schema: object): string | null {
  return schemaNames.get(schema) ?? null;
}

/** Every workflow and named hook declared in this process, for the default engine, which may come later than they. */
class ProcessList<T> {
  readonly #all: T[] = [];
  readonly #listeners = new Set<(declared: T) => void>();
  readonly #refuse: (declared: T) => void;

  /** `refuse` throws where a declaration cannot stand beside those before. */
  constructor(refuse: (declared: T) => void = () => {}) {
    this.#refuse = refuse;
  }

  add(declared: T): void {
    this.#refuse(declared);
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
const namedHooks = new Registry(false);
/** Every engine takes them all, so two that differ are refused where the second is declared. */
export const processHooks: ProcessList<NamedHook> = new ProcessList((hook: NamedHook) => namedHooks.addHook(hook));

/** The steps and workflows that values may refer to, for every engine of this process. */
export const processReferences: References = new References();

/** What there is to say of a function that is declared. */
export interface Declaration extends Reference {
  readonly source: string;
  /** Makes it again from what it had closed over; the function itself, where that is nothing. */
  readonly make?: Declared["make"];
}

/** Lets `value` be stored by its name, unless a run's code declared it. */
export function declareReference<F extends AnyFunction>(value: F, { source, make = () => value, ...said }: Declaration): F {
  const { kind, name, isWithinRun } = said;
  if (isWithinRun !== true) processReferences.add({ kind, name, source, make }, isReloading);
  return referTo(value, said);
}

/** Classes that tell by themselves how they are stored, for every engine of this process. */
export const processClasses: Classes = createClasses();

/**
 * Registers a class under a name that stays: its instances may be stored where it has the static methods `Symbol.for("workflow-serialize")`
 * and `Symbol.for("workflow-deserialize")`, and so may the class itself. What the transform calls for each such class.
 */
export function registerClass(name: string, made: SelfStoring): void {
  processClasses.refer(name, made);
}

interface Sited {
  readonly name: string;
  readonly site?: string | null;
}

/** Two lines of one file: no module that was loaded twice. */
function isOneFile(first: Sited, second: Sited): boolean {
  const [one, other] = [first.site ?? "", second.site ?? ""];
  return one !== other && one !== "" && one.replace(/:\d+$/, "") === other.replace(/:\d+$/, "");
}

function duplicate(kind: "workflow" | "hook", first: Sited, second: Sited): RingbackError {
  const { name } = second;
  const [differ, why] =
    kind === "workflow"
      ? ["code", "a run finds its code by it"]
      : ["schemas", "every door finds the schema by it, also in other processes"];
  const places = `one at ${first.site ?? "an unknown place"}, one at ${second.site ?? "an unknown place"}`;
  const message = `Two ${kind}s with different ${differ} are called "${name}": ${places}. Give each its own name; ${why}.`;
  return new RingbackError("duplicate_name", message, { details: { kind, name } });
}

/** Names are index keys and appear in every list. */
export function checkName(kind: "workflow" | "workflow version" | "step" | "hook" | "patch", name: unknown): string {
  if (typeof name !== "string" || name === "")
    throw badArgument("name", name, `A ${kind} needs a name: a string that is not empty, got ${name === "" ? '""' : kindOf(name)}.`);
  if (!isKeyText(name)) {
    const message = `The name of a ${kind}, ${JSON.stringify(name)}, holds a NUL or half a character, which not every store can keep.`;
    throw badArgument("name", name, message);
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
  return codeHash(body.toString());
}

export function codeHash(source: string): string {
  return createHash("sha256").update(source).digest("hex").slice(0, 16);
}
