// Values in a state: text in the serialiser's format (V3), for what a workflow outside the engine passes through. What JSON carries exactly is
// JSON behind a `=`; all else is devalue's, with errors as data.

import { parse, stringify } from "devalue";
import { isJson } from "../../core/serialise-survey.ts";
import type { Serialised } from "../../core/event.ts";
import { TaggedError, type TaggedErrorBase } from "./tagged-error.ts";

interface ErrorData {
  readonly class: string;
  readonly name: string;
  readonly message: string;
  readonly tag?: string;
  readonly cause?: unknown;
  readonly fields?: { readonly [name: string]: unknown };
}

const classes: ReadonlyMap<string, ErrorConstructor> = new Map(
  [TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError, Error].map((known) => [known.name, known as ErrorConstructor]),
);
const apart: ReadonlySet<string> = new Set(["name", "message", "stack", "cause", "_tag"]);

/** Throws a `TypeError` that names what cannot be written, and the path to it. */
export function write(value: unknown, what: string): Serialised {
  if (isJson(value)) return `=${JSON.stringify(value)}`;
  try {
    return stringify(value, { Error: errorData });
  } catch (cause) {
    const { path = "", message } = cause as { readonly path?: string; readonly message: string };
    throw new TypeError(`${what} cannot be kept in the state: $${path}: ${message}. Give plain data, dates, maps, sets, bytes or errors.`, {
      cause,
    });
  }
}

export function read(text: Serialised): unknown {
  return text.startsWith("=") ? JSON.parse(text.slice(1)) : parse(text, { Error: errorOf });
}

function errorData(value: unknown): ErrorData | false {
  if (!(value instanceof Error)) return false;
  const known = [...classes.keys()].find((name) => value instanceof (classes.get(name) as ErrorConstructor)) ?? "Error";
  const fields = Object.fromEntries(Object.entries(value).filter(([key]) => !apart.has(key)));
  return {
    class: known,
    name: value.name,
    message: value.message,
    ...(TaggedError.isTaggedError(value) ? { tag: value._tag } : {}),
    ...(value.cause === undefined ? {} : { cause: value.cause }),
    ...(Object.keys(fields).length === 0 ? {} : { fields }),
  };
}

function errorOf({ class: known, name, message, tag, cause, fields }: ErrorData): Error {
  const options = cause === undefined ? undefined : { cause };
  if (tag !== undefined)
    return new (TaggedError(tag) as unknown as new (fields: object, options: object) => TaggedErrorBase)(fields ?? {}, {
      message,
      ...options,
    });
  const error = new (classes.get(known) ?? Error)(message, options);
  if (error.name !== name) Object.defineProperty(error, "name", { value: name, configurable: true });
  return Object.assign(error, fields);
}
