// JSON from outside and for outside: measured before it is parsed, checked before it is written.

import { RingbackError } from "./errors.ts";
import { limits } from "./limits.ts";

/**
 * `text`, which `bytes` are, as a value. Nesting is counted before anything is parsed: `too_deep`. Keys called `__proto__` are left out: no
 * sender has one in good faith, and code that copies objects would set a prototype. Throws a `SyntaxError` where it is no JSON.
 */
export function parseJson(bytes: Uint8Array, text: string): unknown {
  if (isDeeperThan(bytes, limits.depth)) {
    const message = `The JSON body is nested more than ${limits.depth} deep. Send it flat, or read it as text with a parser of your own.`;
    throw new RingbackError("too_deep", message, { details: { what: "The JSON body", limit: limits.depth } });
  }
  return parseWithoutProto(text);
}

/** The value without keys called `__proto__`. Throws a `SyntaxError`. */
export function parseWithoutProto(text: string): unknown {
  return mayNameProto(text) ? JSON.parse(text, dropProto) : JSON.parse(text);
}

/** Counts brackets outside strings. What is not JSON may be judged either way; the parser refuses it. */
export function isDeeperThan(bytes: Uint8Array, limit: number): boolean {
  if (bytes.length <= limit) return false;
  let depth = 0;
  let isInString = false;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (isInString) {
      if (byte === 0x5c) i++;
      else if (byte === 0x22) isInString = false;
    } else if (byte === 0x22) isInString = true;
    else if (byte === 0x7b || byte === 0x5b) {
      if (++depth > limit) return true;
    } else if (byte === 0x7d || byte === 0x5d) depth--;
  }
  return false;
}

/** A name may be written with escapes; text that has one is rare enough to be looked through. */
function mayNameProto(text: string): boolean {
  return text.includes("__proto__") || text.includes("\\u00");
}

/** A reviver that removes the key: the holder is never an array there. */
function dropProto(this: unknown, key: string, value: unknown): unknown {
  return key === "__proto__" ? undefined : value;
}

/**
 * `value` as a JSON body. Refuses what JSON would drop or turn into something else, naming the path to it: `unserialisable`, `too_deep`.
 * `sealText` is for the path: a key may be a URL with a token.
 */
export function jsonBody(value: unknown, what: string, sealText: (text: string) => string): string {
  const refuse = (path: string, type: string, cause?: unknown): RingbackError => {
    const shown = shortened(sealText(path));
    const message = `${what} cannot be sent as JSON: ${shown} is a ${type}. Pass objects, arrays, text, finite numbers, booleans and null.`;
    return new RingbackError("unserialisable", message, { details: { path: shown, type }, ...(cause === undefined ? {} : { cause }) });
  };
  const within = new Set<object>();
  const check = (given: unknown, key: string, path: string): void => {
    const one = hasToJson(given) ? given.toJSON(key) : given;
    const type = unfit(one);
    if (type !== null) throw refuse(path, type);
    if (typeof one !== "object" || one === null) return;
    if (within.has(one)) throw refuse(path, "reference to what holds it");
    if (within.size >= limits.depth) {
      const message = `${what} cannot be sent as JSON: it is nested more than ${limits.depth} deep. Flatten it.`;
      throw new RingbackError("too_deep", message, { details: { what, limit: limits.depth } });
    }
    within.add(one);
    if (Array.isArray(one)) for (let index = 0; index < one.length; index++) check(one[index], String(index), `${path}[${index}]`);
    else for (const name of Object.keys(one)) check((one as Record<string, unknown>)[name], name, path + pieceOf(name));
    within.delete(one);
  };
  try {
    check(value, "", "$");
    return JSON.stringify(value) ?? "null";
  } catch (error) {
    if (RingbackError.is(error)) throw error;
    throw refuse("$", "value that throws when it is read", error);
  }
}

function hasToJson(value: unknown): value is { toJSON(key: string): unknown } {
  return typeof value === "object" && value !== null && typeof (value as { toJSON?: unknown }).toJSON === "function";
}

/** What a value is that JSON cannot carry; null where it can. An absent member is left out, as everywhere. */
function unfit(value: unknown): string | null {
  if (typeof value === "number") return Number.isFinite(value) ? null : "number that is not finite";
  if (typeof value === "function" || typeof value === "symbol" || typeof value === "bigint") return typeof value;
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === null || Object.getPrototypeOf(prototype) === null) return null;
  const { name } = ((value as { constructor?: unknown }).constructor ?? {}) as { name?: unknown };
  return typeof name === "string" && name !== "" ? name : "instance of a class";
}

/** A key as it stands in a path. */
export function pieceOf(key: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}

/** A path that people can read: of one as long as what it leads through is deep, the two ends. */
export function shortened(path: string): string {
  return path.length <= 200 ? path : `${path.slice(0, 90)}…${path.slice(-90)}`;
}
