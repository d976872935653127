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

export interface Classes {
  /** The same name again replaces the first: a module that is loaded twice brings a class of its own, and instances of both are known. */
  register<T extends object, D>(name: string, registered: RegisteredClass<T, D>): void;
  /** Throws `unknown_class`. */
  byName(name: string): RegisteredClass<object>;
  /** The name whose class has exactly this prototype: an unregistered subclass would come back as another class. */
  nameOf(prototype: object | null): string | undefined;
}

export function createClasses(): Classes {
  const named = new Map<string, RegisteredClass<object>>();
  const names = new WeakMap<object, string>();
  return {
    register(name, registered) {
      check(name, registered as RegisteredClass<object>);
      named.set(name, registered as unknown as RegisteredClass<object>);
      names.set(registered.class.prototype as object, name);
    },
    byName(name) {
      const registered = named.get(name);
      if (registered !== undefined) return registered;
      const message = `A stored value is an instance of class "${name}", which is not registered here. Add it to createEngine({ classes }) under that name.`;
      throw new RingbackError("unknown_class", message, { details: { name } });
    },
    nameOf: (prototype) => (prototype === null ? undefined : names.get(prototype)),
  };
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
    `${where} needs \`serialise\` and \`parse\`, both functions. Only an error class may leave them out.`,
  );
}
