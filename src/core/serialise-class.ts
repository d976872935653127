// Classes whose instances may be stored: each has a name that stands in journals, and a way into plain data and back.

import { RingbackError } from "./errors.ts";

/** How instances of one class are stored. `serialise` returns anything that can be stored; `parse` makes an instance of it. */
export interface RegisteredClass<T extends object, D = unknown> {
  readonly class: abstract new (...args: never[]) => T;
  serialise(value: T): D;
  parse(data: D): T;
}

export interface Classes {
  /** The same name again replaces the first: a module that is loaded twice brings a class of its own, and instances of both are known. */
  register<T extends object, D>(name: string, registered: RegisteredClass<T, D>): void;
  byName(name: string): RegisteredClass<object> | undefined;
  /** The name whose class has exactly this prototype: an unregistered subclass would come back as another class. */
  nameOf(prototype: object): string | undefined;
}

export function createClasses(): Classes {
  const named = new Map<string, RegisteredClass<object>>();
  const names = new WeakMap<object, string>();
  return {
    register(name, registered) {
      if (name === "")
        throw new RingbackError("bad_argument", "A registered class needs a name.", { details: { argument: "name", value: '""' } });
      named.set(name, registered as unknown as RegisteredClass<object>);
      names.set(registered.class.prototype as object, name);
    },
    byName: (name) => named.get(name),
    nameOf: (prototype) => names.get(prototype),
  };
}
