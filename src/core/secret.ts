// Secrets by reference. A journal, a hook row or a log holds the name; the value is read where it is used, and never stands anywhere else.

import { RingbackError } from "./errors.ts";

/** Finds a secret's value; undefined or empty where there is none. */
export type ReadSecret = (name: string) => string | undefined;

let readSecret: ReadSecret = () => undefined;

/** Tells references where values come from. The runtime calls it once. */
export function useSecrets(read: ReadSecret): void {
  readSecret = read;
}

/** Names a secret without holding it. Prints and serialises as its name. */
export class SecretReference {
  static {
    Object.defineProperty(this.prototype, Symbol.for("nodejs.util.inspect.custom"), { value: this.prototype.toString });
  }
  readonly name: string;

  constructor(name: string) {
    if (typeof name !== "string" || name === "") {
      throw new RingbackError("bad_argument", 'A secret needs a name, such as env("STRIPE_WEBHOOK_SECRET").', {
        details: { argument: "name", value: String(name) },
      });
    }
    this.name = name;
  }

  /** The value, now. Absent or empty is `secret_missing`. */
  read(): string {
    const value = readSecret(this.name);
    if (value !== undefined && value !== "") return value;
    const message = `Secret ${JSON.stringify(this.name)} is not set. Set the environment variable of that name in every process that reads it.`;
    throw new RingbackError("secret_missing", message, { details: { name: this.name } });
  }

  toString(): string {
    return `SecretReference(${this.name})`;
  }

  toJSON(): string {
    return this.toString();
  }
}

/** A reference to the environment variable of this name: journals and logs hold the name, `read()` in a step gives the value. */
export function env(name: string): SecretReference {
  return new SecretReference(name);
}
