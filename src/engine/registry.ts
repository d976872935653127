// The workflows, hook definitions, functions and classes of this process, by name. The bodies of steps are not here: a run holds those
// its code named.

import { badArgument, kindOf } from "../core/argument.ts";
import { createHash } from "node:crypto";
import { isAlike } from "../core/alike.ts";
import { type HookDefinition, pinOf, type WorkflowDefinition } from "../core/definition.ts";
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

export function isReloadingAllowed(): boolean {
  return isReloading;
}

export class Registry {
  /** By name, then by version: an unpinned one alone, under null, or pinned ones, in the order they came. */
  readonly #workflows = new Map<string, Map<string | null, WorkflowDefinition>>();
  readonly #hooks = new Map<string, NamedHook>();
  readonly #listeners = new Set<WorkflowListener>();
  readonly #early = new Set<string>();
  /** The author names this engine's workflows: it takes no others. */
  readonly isClosed: boolean;

  constructor(isClosed: boolean) {
    this.isClosed = isClosed;
  }

  /**
   * The same name with other code is an error: which of the two should a parked run go on with? With a version to each there may be
   * several, since every run has its own.
   */
  addWorkflow(workflow: WorkflowDefinition): void {
    checkPin(workflow);
    const versions = this.#workflows.get(workflow.name);
    if (!versions || isReloading) return this.replaceWorkflow(workflow);
    const known = versions.get(workflow.pin ?? null);
    const [first] = versions.values();
    if (!known && first && isMixed(first, workflow)) throw duplicate("workflow", first, workflow);
    if (known && known.codeId !== workflow.codeId) throw duplicate("workflow", known, workflow);
    if (!known) this.replaceWorkflow(workflow);
  }

  /**
   * The code that the workflow's runs, those of its version where it has one, go on with from here. Those that are blocked are tried again
   * where its code id is another.
   */
  replaceWorkflow(workflow: WorkflowDefinition): void {
    const { name, pin = null } = workflow;
    const known = this.#workflows.get(name);
    const [first] = known?.values() ?? [];
    const isOther = first !== undefined && isMixed(first, workflow);
    const isReplacing = isOther || known?.has(pin) === true;
    const versions = known && !isOther ? known : new Map<string | null, WorkflowDefinition>();
    this.#workflows.set(name, versions.set(pin, workflow));
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

  /** The one of this version; without one the workflow as new runs have it: of several versions the one registered last. */
  workflow(name: string, pin?: string): WorkflowDefinition | null {
    const versions = this.#workflows.get(name);
    return (pin === undefined ? versions && [...versions.values()].at(-1) : versions?.get(pin)) ?? null;
  }

  /** Whether it is here, or one of its name and version. */
  has({ name, pin }: WorkflowDefinition): boolean {
    return this.#workflows.get(name)?.has(pin ?? null) ?? false;
  }

  /**
   * What a run goes on with. One that began with a version goes on with that, and null says that it is not here. A workflow without
   * versions takes all runs of its name; a run without one, the newest.
   */
  codeOf({ workflow, codeId }: { readonly workflow: string; readonly codeId: string }): WorkflowDefinition | null {
    const unpinned = this.#workflows.get(workflow)?.get(null);
    return unpinned ?? this.workflow(workflow, pinOf(codeId) ?? undefined);
  }

  /** Of a workflow, as they came; none where it has none. */
  versions(name: string): readonly string[] {
    return [...(this.#workflows.get(name)?.keys() ?? [])].filter((pin) => pin !== null);
  }

  hook(name: string): HookDefinition | null {
    return this.#hooks.get(name) ?? null;
  }

  /** The names of all workflows. */
  get workflows(): readonly string[] {
    return [...this.#workflows.keys()];
  }

  /** Deliveries at tokens that begin so are kept for a hook to come: what workflows here wait at is handed out before. */
  keepEarly(prefix: string): void {
    this.#early.add(prefix);
  }

  isEarly(token: string): boolean {
    for (const prefix of this.#early) if (token.startsWith(prefix)) return true;
    return false;
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

interface MaybePinned extends Sited {
  readonly pin?: string;
}

function isMixed(one: MaybePinned, other: MaybePinned): boolean {
  return (one.pin === undefined) !== (other.pin === undefined);
}

function duplicate(kind: "workflow" | "hook", first: MaybePinned, second: MaybePinned): RingbackError {
  const { name, pin } = second;
  const places = `one at ${first.site ?? "an unknown place"}, one at ${second.site ?? "an unknown place"}`;
  const called = `are called "${name}"`;
  const message =
    kind === "hook"
      ? `Two hooks with different schemas ${called}: ${places}. Give each its own name; every door finds the schema by it, also in other processes.`
      : isMixed(first, second)
        ? `Two workflows ${called}, with a version and without one: ${places}. Give each a version, or its own name; a run finds its code by them.`
        : pin === undefined
          ? `Two workflows with different code ${called}: ${places}. Give each its own name; a run finds its code by it.`
          : `Two workflows with different code ${called} and have version ${JSON.stringify(pin)}: ${places}. Give each its own version; a run finds its code by it.`;
  return new RingbackError("duplicate_name", message, { details: { kind, name } });
}

/** A run knows its version by its code id alone. */
function checkPin({ name, pin, codeId }: WorkflowDefinition): void {
  if (pin === undefined) return;
  checkName("workflow version", pin);
  if (pinOf(codeId) !== pin) throw new TypeError(`The code id of workflow "${name}" does not name its version: "${codeId}".`);
}

/** Names are index keys and appear in every list. */
export function checkName(kind: "workflow" | "workflow version" | "step" | "hook" | "update" | "patch", name: unknown): string {
  if (typeof name !== "string" || name === "")
    throw badArgument(
      "name",
      name,
      `${kind === "update" ? "An" : "A"} ${kind} needs a name: a string that is not empty, got ${name === "" ? '""' : kindOf(name)}.`,
    );
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
