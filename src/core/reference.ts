// Functions as values: a step or a workflow is stored by its name, and the one of that name is given back.
//
// RF1. What is given back is what the name was declared for, with the same source: two that differ are told apart from neither, so a
//      reference to either is refused, when it is written and when it is read.
// RF2. What was declared within a run is that run's own, and has no name that another process could find.
// RF3. A compiled step within a workflow has one, but is found only where the workflow's code has run: it is stored for steps of that code
//      alone, which run after it. A child, a sender or the next chapter would wait for what nobody declares.

import { RingbackError, StepNotRegisteredError, WorkflowNotRegisteredError } from "./errors.ts";

export type AnyFunction = (...args: never[]) => unknown;

/** What a function says of itself, to be stored. */
export interface Reference {
  readonly kind: "step" | "workflow";
  readonly name: string;
  /** What the function has closed over and cannot be found by its name: stored with it, and given to `make`. */
  readonly closure?: () => unknown;
  /** Declared by a run's code (RF2). */
  readonly isWithinRun?: boolean;
  /** Declared by a run's code under an id of its module: other processes know it once they run that code (RF3). */
  readonly isNested?: boolean;
}

/** A name, and what it stands for in this process. */
export interface Declared {
  readonly kind: "step" | "workflow";
  readonly name: string;
  /** Tells whether one declared again is the same. */
  readonly source: string;
  /** The function; with what it had closed over, where its reference carries that. */
  readonly make: (closure: unknown) => AnyFunction;
}

const reference: unique symbol = Symbol.for("ringback/reference") as never;

/** Lets `value` be stored as a reference. */
export function referTo<F extends AnyFunction>(value: F, said: Reference): F {
  return Object.defineProperty(value, reference, { value: said });
}

export function referenceOf(value: AnyFunction): Reference | null {
  return (value as { readonly [reference]?: Reference })[reference] ?? null;
}

export class References {
  readonly #declared = new Map<string, Declared>();
  /** Names that stand for two. */
  readonly #torn = new Set<string>();
  readonly #listeners = new Set<() => void>();

  /** The same again, by a module that is loaded twice, takes the place of the first; so does another, where code is being replaced. */
  add(declared: Declared, isReplacing = false): void {
    const key = keyOf(declared);
    const known = this.#declared.get(key);
    if (known && known.source !== declared.source && !isReplacing) this.#torn.add(key);
    this.#declared.set(key, declared);
    if (!known) for (const listener of this.#listeners) listener();
  }

  /** Throws where a name cannot be found again (RF1). */
  check(said: Reference): void {
    if (this.#torn.has(keyOf(said))) throw torn(said);
  }

  /** Throws `step_not_registered`, `workflow_not_registered`, `duplicate_name`. */
  find({ kind, name }: Pick<Reference, "kind" | "name">, closure: unknown): AnyFunction {
    const declared = this.#declared.get(keyOf({ kind, name }));
    if (!declared) throw unknown(kind, name);
    this.check({ kind, name });
    return declared.make(closure);
  }

  /** Calls `listener` when a name comes that was not there. */
  onNew(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

function keyOf({ kind, name }: Pick<Reference, "kind" | "name">): string {
  return `${kind}:${name}`;
}

function torn({ kind, name }: Reference): RingbackError<"duplicate_name"> {
  const message = `Two ${kind}s with different code are called "${name}", so a stored reference to one could come back as the other. Give each that is passed on a name of its own.`;
  return new RingbackError("duplicate_name", message, { details: { kind, name } });
}

function unknown(kind: Reference["kind"], name: string): RingbackError {
  const message = `A stored value refers to ${kind} "${name}", which is not declared in this process. Load the module that declares it, at its top level, wherever runs are advanced.`;
  return kind === "step"
    ? new StepNotRegisteredError(message, { details: { step: name } })
    : new WorkflowNotRegisteredError(message, { details: { workflow: name } });
}
