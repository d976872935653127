// Errors as values: what steps and workflows of this style return.

/** It went well. */
export interface Ok<T> {
  readonly ok: true;
  readonly value: T;
}
declare const payload: unique symbol;

/** It did not, in a way that its caller can know. `T`: what comes in its place, where it is a wait. */
export interface Err<E, T = never> {
  readonly ok: false;
  readonly error: E;
  /** For the compiler alone. */
  readonly [payload]?: T;
  /** What the error came from, for people. */
  readonly cause?: unknown;
}
/** One of the two. */
export type Result<T, E = unknown> = Ok<T> | Err<E, T>;
/** One of the two, later. */
export type AsyncResult<T, E = unknown> = Promise<Result<T, E>>;

export function ok(): Ok<void>;
export function ok<T>(value: T): Ok<T>;
/** A value, as a result. */
export function ok<T>(value?: T): Ok<T | undefined> {
  return { ok: true, value };
}

/** An error, as a result. Its literal type is kept: `err("NOT_FOUND")` is an `Err<"NOT_FOUND">`. */
export function err<const E>(error: E, options: { readonly cause?: unknown } = {}): Err<E> {
  return { ok: false, error, ...options };
}

export function isOk<T, E>(result: Result<T, E>): result is Ok<T> {
  return result.ok;
}

export function isErr<T, E>(result: Result<T, E>): result is Err<E, T> {
  return !result.ok;
}

/** Whether a value that came from anywhere is a result. */
export function isResult(value: unknown): value is Result<unknown, unknown> {
  const found = Object(value) as { readonly ok?: unknown };
  return (found.ok === true && "value" in found) || (found.ok === false && "error" in found);
}

/** The type of what a function returns when it goes well, or of what comes where it waits. */
export type ValueOf<F> = F extends (...args: never[]) => infer R ? (Awaited<R> extends Result<infer T, unknown> ? T : never) : never;
/** The type of the errors that a function returns: none where it returns no result, or only values. */
export type ErrorOf<F> = F extends (...args: never[]) => infer R ? FailureOf<Awaited<R>> : never;
/** The type of a result's error. */
export type FailureOf<R> = R extends { readonly ok: false; readonly error: infer E } ? E : never;
/** The types of all errors of these functions. Inferred once more, so that editors print them, and not how they were found. */
export type ErrorsOf<Deps> = [{ [K in keyof Deps]: ErrorOf<Deps[K]> }[keyof Deps]] extends [infer E] ? E : never;
