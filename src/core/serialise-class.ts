// Classes whose instances may be stored: each has a name that stands in journals, and a way into plain data and back.

import { badArgument } from "./argument.ts";
import { RingbackError } from "./errors.ts";

/** How instances of one class are stored, under a name that stays: the class itself may be renamed. */
export interface RegisteredClass<T extends object, D = unknown> {
  /** Its instances; those of a subclass only where that one is registered, too. */
  readonly class: abstract new (
    ...args: never[]
  ) => T;
  /** Gives anything that can be stored. An error class leaves out both: message, own fields, cause and stack are kept as with any error. */
  serialise?(value: T): D;
  /** Makes an instance of what `serialise` once gave, in every form it ever had: journals hold the old ones, too. */
  parse?(data: D): T;
}

/**
 * A class that says itself how its instances are stored, by two static methods: `Symbol.for("workflow-serialize")`, which takes an instance
 * and gives anything that can be stored, and `Symbol.for("workflow-deserialize")`, which takes that and makes an instance.
 */
export type SelfStoring<T extends object = object> = abstract new (...args: never[]) => T;

export interface Classes {
  /** The same name again replaces the first: a module that is loaded twice brings a class of its own, and instances of both are known. */
  register<T extends object, D>(name: string, given: RegisteredClass<T, D> | SelfStoring<T>): void;
  /** The same for a class that may be without a way into data: then the class itself may be stored, its instances may not. */
  refer(name: string, made: SelfStoring): void;
  /** Calls `listener` when a name comes that was not there. */
  onNew(listener: () => void): () => void;
  /** Throws `unknown_class`. */
  byName(name: string): RegisteredClass<object>;
  /** The name whose class has exactly this prototype: an unregistered subclass would come back as another class. */
  nameOf(prototype: object | null): string | undefined;
}

const intoData: unique symbol = Symbol.for("workflow-serialize") as never;
const fromData: unique symbol = Symbol.for("workflow-deserialize") as never;

interface Methods {
  readonly [intoData]?: (value: object) => unknown;
  readonly [fromData]?: (data: unknown) => object;
}

/** With those of `others` for names, and classes, that are not among its own. */
export function createClasses(others?: Classes): Classes {
  const named = new Map<string, RegisteredClass<object>>();
  const names = new WeakMap<object, string>();
  const listeners = new Set<() => void>();
  const keep = (name: string, registered: RegisteredClass<object>): void => {
    const isNew = !named.has(name);
    named.set(name, registered);
    names.set(registered.class.prototype as object, name);
    if (isNew) for (const listener of listeners) listener();
  };
  return {
    register(name, given) {
      const registered = withMethods(given as RegisteredClass<object> | SelfStoring);
      check(name, registered);
      keep(name, registered);
    },
    refer(name, made) {
      keep(name, withMethods(made));
    },
    onNew(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    byName(name) {
      const registered = named.get(name);
      if (registered !== undefined) return registered;
      if (others !== undefined) return others.byName(name);
      const message = `A stored value is an instance of class "${name}", which is not registered here. Add it to createEngine({ classes }) under that name, or load the module that declares it.`;
      throw new RingbackError("unknown_class", message, { details: { name } });
    },
    nameOf: (prototype) => (prototype === null ? undefined : (names.get(prototype) ?? others?.nameOf(prototype))),
  };
}

/** What a class says itself stands in for what was not told of it. */
function withMethods(given: RegisteredClass<object> | SelfStoring): RegisteredClass<object> {
  const registered: RegisteredClass<object> = typeof given === "function" ? { class: given } : given;
  const own = registered.class as Methods | undefined;
  if (registered.serialise !== undefined || registered.parse !== undefined || !own?.[intoData] || !own[fromData]) return registered;
  return { class: registered.class, serialise: (value) => own[intoData]?.(value), parse: (data) => own[fromData]?.(data) as object };
}

/** A slip would show at the first instance, which may be the result of a step that has charged somebody. */
function check(name: string, registered: RegisteredClass<object>): void {
  if (name === "") throw badArgument("name", name, "A registered class needs a name.");
  const where = `createEngine({ classes: { ${JSON.stringify(name)} } })`;
  const { class: made, serialise, parse } = registered;
  if (typeof made !== "function" || typeof made.prototype !== "object")
    throw badArgument("class", made, `${where} needs \`class\`, the class itself.`);
  if (typeof serialise === "function" && typeof parse === "function") return;
  if (serialise === undefined && parse === undefined && made.prototype instanceof Error) return;
  throw badArgument(
    "classes",
    serialise,
    `${where} needs \`serialise\` and \`parse\`, both functions, or a class with the static methods of @workflow/serde. Only an error class may leave them out.`,
  );
}
