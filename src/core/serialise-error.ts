// Errors as data: class, name, message, own fields, cause; the stack apart, since it differs where code is equal.

import {
  HookClosedError,
  HookConflictError,
  HookDisposedError,
  HookNotFoundError,
  HookTimeoutError,
  InvalidPayloadError,
  RingbackError,
  RunCancelledError,
  RunFailedError,
  RunNotFoundError,
  SignalTimeoutError,
  StepNotRegisteredError,
  StepTimeoutError,
  WorkflowNotRegisteredError,
} from "./errors.ts";
import { FatalError, RetryableError } from "./own-error.ts";
import type { Classes } from "./serialise-class.ts";

/** Text comes first: in a cycle an error is made before what it holds. */
export interface ErrorData {
  /** The nearest known class. */
  readonly class: string;
  /** Its own class, where that is registered: the name. */
  readonly registered?: string;
  readonly name?: string;
  readonly message: string;
  /** Place in the list of stacks, from 0. */
  readonly stack?: number;
  readonly cause?: unknown;
  /** What an `AggregateError` holds. */
  readonly errors?: unknown;
  /** Own enumerable fields. */
  readonly fields?: { readonly [key: string]: unknown };
}

type ErrorClass = abstract new (...args: never[]) => Error;
const builtIn: readonly ErrorClass[] = [TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError, AggregateError, Error];
const own: readonly ErrorClass[] = [
  FatalError,
  RetryableError,
  HookNotFoundError,
  HookClosedError,
  HookConflictError,
  HookDisposedError,
  HookTimeoutError,
  InvalidPayloadError,
  RunCancelledError,
  RunFailedError,
  RunNotFoundError,
  SignalTimeoutError,
  StepNotRegisteredError,
  StepTimeoutError,
  WorkflowNotRegisteredError,
  RingbackError,
];
/** By the name their prototype gives, which minifying leaves alone. */
const knownClasses: ReadonlyMap<string, ErrorClass> = new Map([...builtIn, ...own].map((known) => [prototypeName(known), known]));
const classNames: ReadonlyMap<unknown, string> = new Map([...knownClasses].map(([name, known]) => [known, name]));
const apart: ReadonlySet<string> = new Set(["name", "message", "stack", "cause"]);

/** An error of this realm or another. */
export function isError(value: object): value is Error {
  return value instanceof Error || Object.prototype.toString.call(value) === "[object Error]";
}

/** `error` as data, shallow. `noteStack` keeps a stack and says where. */
export function errorData(error: Error, classes: Classes, noteStack: (stack: string) => number): ErrorData {
  const known = classOf(error);
  const registered = registeredName(error, classes);
  const name = nameOf(error, known);
  const { stack } = error;
  const isAggregate = known === "AggregateError";
  const keys = Object.keys(error).filter((key) => !apart.has(key) && !(isAggregate && key === "errors"));
  return {
    class: known,
    ...(registered === undefined ? {} : { registered }),
    ...(name === inherited(known) ? {} : { name }),
    message: String(error.message),
    ...(typeof stack === "string" ? { stack: noteStack(stack) } : {}),
    ...(Object.hasOwn(error, "cause") ? { cause: error.cause } : {}),
    ...(isAggregate ? { errors: (error as AggregateError).errors } : {}),
    ...(keys.length > 0 ? { fields: fieldsOf(error, keys) } : {}),
  };
}

/** An error of `data`'s class, without running its constructor (`unknown_class`). In a cycle `data` may lack what comes after the text. */
export function createError(data: ErrorData, classes: Classes): Error {
  if (data.registered === undefined && data.class === "DOMException") return new DOMException(data.message, data.name) as Error;
  const known = data.registered === undefined ? (knownClasses.get(data.class) ?? Error) : classes.byName(data.registered).class;
  return Reflect.construct(Error, [data.message], known) as Error;
}

/** An error class that is registered without a way of its own into data. */
function registeredName(error: Error, classes: Classes): string | undefined {
  const name = classes.nameOf(Object.getPrototypeOf(error) as object | null);
  return name === undefined || classes.byName(name).serialise ? undefined : name;
}

/** Gives `error` everything else that `data` has by now. */
export function fillError(error: Error, data: ErrorData, stacks: readonly string[]): void {
  if (data.name !== undefined && data.class !== "DOMException") define(error, "name", data.name, false);
  define(error, "stack", stacks[data.stack ?? -1] ?? `${error.name}: ${error.message}`, false);
  if (Object.hasOwn(data, "cause")) define(error, "cause", data.cause, false);
  if (data.errors !== undefined) define(error, "errors", data.errors, false);
  for (const [key, value] of Object.entries(data.fields ?? {})) define(error, key, value, true);
}

/**
 * What can always be stored of something thrown: an error's texts, its fields that are text, numbers or booleans, and its causes likewise.
 * For errors that carry a socket, a request, or whatever a client library hangs on them, and for those that throw when they are read.
 */
export function bareError(thrown: unknown, classes: Classes, depth: number = 0): unknown {
  try {
    if (typeof thrown === "object" && thrown !== null && isError(thrown)) return bareOf(thrown, classes, depth);
    return new Error(`Something was thrown that is not an error and cannot be stored: ${describe(thrown)}`);
  } catch {
    return new Error(unreadable);
  }
}

const unreadable = "An error that could not be read";
/** Together they keep a bare error with all its causes below the limit of a value, whatever its text is escaped to. */
const bare = { causes: 8, text: 10_000, fields: 32, field: 1_000, key: 255 } as const;

function bareOf(error: Error, classes: Classes, depth: number): Error {
  const known = guarded(() => classOf(error), "Error");
  const name = guarded(() => nameOf(error, known), known).slice(0, bare.key);
  const message = guarded(() => String(error.message), unreadable).slice(0, bare.text);
  const stack = guarded(() => (typeof error.stack === "string" ? [error.stack.slice(0, bare.text)] : []), []);
  const hasCause = guarded(() => Object.hasOwn(error, "cause") && depth < bare.causes, false);
  const cause = guarded(() => (hasCause ? { cause: bareCause(error.cause, classes, depth) } : {}), {});
  const registered = guarded(() => registeredName(error, classes), undefined);
  const named = registered === undefined ? {} : { registered };
  const data = { class: known, ...named, name, message, stack: 0, ...cause, fields: bareFields(error) };
  const made = createError(data, classes);
  fillError(made, data, stack);
  return made;
}

function bareCause(cause: unknown, classes: Classes, depth: number): unknown {
  return cause === undefined || cause === null || isBare(cause) ? cause : bareError(cause, classes, depth + 1);
}

function bareFields(error: Error): { [key: string]: unknown } {
  const keys = guarded(() => Object.keys(error), []).filter((key) => !apart.has(key) && key.length <= bare.key);
  const fields = keys.map((key) => [key, guarded(() => (error as unknown as { [key: string]: unknown })[key], undefined)] as const);
  return Object.fromEntries(fields.filter(([, value]) => isBare(value)).slice(0, bare.fields));
}

function isBare(value: unknown): boolean {
  return ["string", "number", "boolean"].includes(typeof value) && String(value).length <= bare.field;
}

/** What `look` finds; `otherwise` where looking throws, as getters and proxies may at any look. */
function guarded<T>(look: () => T, otherwise: T): T {
  try {
    return look();
  } catch {
    return otherwise;
  }
}

function classOf(error: Error): string {
  if (Object.prototype.toString.call(error) === "[object DOMException]") return "DOMException";
  for (let at: object | null = Object.getPrototypeOf(error); at !== null; at = Object.getPrototypeOf(at)) {
    const name = classNames.get(at.constructor);
    if (name !== undefined && name !== "Error") return name;
  }
  return classOfStranger(error);
}

/** Errors of another copy of the package, or of another realm, are known by what they say of themselves. */
function classOfStranger(error: Error): string {
  const { name } = error;
  if (RingbackError.is(error)) return knownClasses.has(name) ? name : "RingbackError";
  if (FatalError.is(error)) return "FatalError";
  if (RetryableError.is(error)) return "RetryableError";
  return !(error instanceof Error) && builtIn.some((known) => prototypeName(known) === name) ? name : "Error";
}

/** The error's own word for itself; a subclass that has none is called by its class. */
function nameOf(error: Error, known: string): string {
  const name = String(error.name);
  if (known === "DOMException" || name !== inherited(known)) return name;
  const called = (error.constructor as { name?: unknown } | undefined)?.name;
  return typeof called === "string" && called !== "" ? called : name;
}

function inherited(known: string): string {
  return known === "DOMException" ? "" : prototypeName(knownClasses.get(known) ?? Error);
}

function prototypeName(known: ErrorClass): string {
  return (known.prototype as Error).name;
}

/** Without a prototype, so that a field called `__proto__` is a field. */
function fieldsOf(error: Error, keys: readonly string[]): { [key: string]: unknown } {
  const fields = Object.create(null) as { [key: string]: unknown };
  for (const key of keys) fields[key] = (error as unknown as { [key: string]: unknown })[key];
  return fields;
}

function define(error: Error, key: string, value: unknown, enumerable: boolean): void {
  Object.defineProperty(error, key, { value, enumerable, writable: true, configurable: true });
}

function describe(thrown: unknown): string {
  try {
    return String(thrown).slice(0, 1_000);
  } catch {
    return typeof thrown;
  }
}
