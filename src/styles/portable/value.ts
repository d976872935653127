// Values in a state: text as the engine's serialiser writes it (V3), with errors as data.

import { parse, stringify } from "devalue";
import type { Serialised } from "../../core/event.ts";
import { TaggedError, type TaggedErrorBase } from "./tagged-error.ts";

interface ErrorData {
  readonly class: string;
  readonly name: string;
  readonly message: string;
  readonly tag: string | undefined;
  readonly cause: unknown;
  readonly fields: { readonly [name: string]: unknown };
}

/** Throws a `TypeError` that names what cannot be written, and the path to it. */
export function write(value: unknown, what: string): Serialised {
  try {
    return stringify(value, { Error: errorData });
  } catch (cause) {
    const { path = "", message } = cause as { readonly path?: string; readonly message: string };
    throw new TypeError(`${what} cannot be kept in the state: $${path}: ${message}. Give plain data.`, { cause });
  }
}

export function read(text: Serialised): unknown {
  return parse(text, { Error: errorOf });
}

const classes: readonly ErrorConstructor[] = [TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError];

function errorData(value: unknown): ErrorData | false {
  if (!(value instanceof Error)) return false;
  const { name: _, message: _m, stack: _s, cause: _c, _tag: tag, ...fields } = value as Partial<TaggedErrorBase>;
  return {
    class: classes.find((known) => value instanceof known)?.name ?? "Error",
    name: value.name,
    message: value.message,
    tag: TaggedError.isTaggedError(value) ? tag : undefined,
    cause: value.cause,
    fields,
  };
}

function errorOf({ class: known, name, message, tag, cause, fields }: ErrorData): Error {
  const options = cause === undefined ? {} : { cause };
  if (tag !== undefined) return new (TaggedError(tag) as unknown as AnyTagged)(fields, { message, ...options });
  const error = new (classes.find((one) => one.name === known) ?? Error)(message, options);
  if (error.name !== name) Object.defineProperty(error, "name", { value: name, configurable: true });
  return Object.assign(error, fields);
}

type AnyTagged = new (fields: object, options: { readonly message: string; readonly cause?: unknown }) => TaggedErrorBase;
