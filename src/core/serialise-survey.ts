// Looks a value over before it is written: refuses what cannot be stored, naming the path to it, and finds stand-ins for what is stored as
// something else (errors, requests, registered classes). It visits in the order the writer will, so both see the same depth.

import { RingbackError } from "./errors.ts";
import { pieceOf, shortened } from "./json.ts";
import { limits } from "./limits.ts";
import { bodyOf, CapturedRequest, flatten, type ResponseRecord } from "./request.ts";
import { type AnyFunction, referenceOf, type References } from "./reference.ts";
import { SecretReference } from "./secret.ts";
import { type StreamReference, streamReferenceOf, writeReference } from "./stream.ts";
import type { Classes } from "./serialise-class.ts";
import { errorData, isError } from "./serialise-error.ts";
import type { SignalData } from "./signal.ts";

/** What the written text calls a stand-in. */
export type Tag =
  | "Error"
  | "Class"
  | "ClassItself"
  | "Reference"
  | "AbortSignal"
  | "Headers"
  | "Request"
  | "Response"
  | "Delivery"
  | "Secret"
  | "Stream"
  | "Body";

interface StandIn {
  readonly tag: Tag;
  /** Never falsy. */
  readonly data: unknown;
}

/** A body whose bytes are still coming, at its place in the text. */
export interface Coming {
  readonly path: string;
  readonly bytes: Promise<ArrayBuffer>;
}

export interface Survey {
  readonly standIns: ReadonlyMap<unknown, StandIn>;
  readonly tags: ReadonlySet<Tag>;
  readonly stacks: readonly string[];
  readonly coming: readonly Coming[];
  readonly hasBytes: boolean;
  readonly hasProtoKey: boolean;
}

/** What the serialiser looks with. */
export interface Looking {
  readonly classes: Classes;
  readonly references: References;
  /** Whose deliveries may be referred to. */
  readonly store: object | undefined;
  /** Paths are shown, and a key may be a URL with a token. */
  readonly sealText: (text: string) => string;
  /** Takes a stream of the author's, to be read into the one that is referred to. */
  readonly takeStream?: TakeStream | undefined;
}

export type TakeStream = (stream: ReadableStream) => StreamReference;

interface State extends Looking {
  readonly what: string;
  /** Whether bodies may come later; else one that is not in hand is refused. */
  readonly mayWait: boolean;
  /** Where signals go that may still be aborted; without it they are refused. */
  readonly signals: AbortSignal[] | null;
  readonly seen: Set<object>;
  /** Keys, indices, and pieces of path in arrays of one. */
  readonly path: (string | number | readonly [string])[];
  /** Instances of registered classes that are being looked into. */
  readonly within: Set<object>;
  standIns: Map<unknown, StandIn>;
  tags: Set<Tag>;
  stacks: string[];
  coming: Coming[];
  hasBytes: boolean;
  hasProtoKey: boolean;
}

/** An own key that would set a prototype if it were assigned, or one that stands for such a key in the text. */
export const protoKey: RegExp = /^~*__proto__$/;
const leaves: ReadonlySet<string> = new Set(["Date", "RegExp", "URL", "URLSearchParams", "Number", "String", "Boolean", "BigInt"]);
const nothing = {
  standIns: new Map<unknown, StandIn>(),
  tags: new Set<Tag>(),
  stacks: [],
  coming: [],
  hasBytes: false,
  hasProtoKey: false,
} as const;

/**
 * Whether JSON can carry `value` exactly: plain objects and full arrays, each in one place, text, booleans, null and finite numbers but -0.
 * Most values are such, and JSON writes and reads them two to five times as fast.
 */
export function isJson(value: unknown): boolean {
  return typeof value === "object" && value !== null ? isJsonTree(value, new Set(), limits.depth) : isJsonLeaf(value);
}

function isJsonTree(value: object, seen: Set<object>, depth: number): boolean {
  if (depth === 0 || seen.has(value)) return false;
  seen.add(value);
  const isArray = Array.isArray(value);
  if (Object.getPrototypeOf(value) !== (isArray ? Array.prototype : Object.prototype) || "toJSON" in value) return false;
  if (isArray) {
    for (let index = 0; index < value.length; index++) if (!isJsonPart(value[index], seen, depth)) return false;
    return true;
  }
  for (const key of Object.keys(value)) {
    if (key === "__proto__" || !isJsonPart((value as Record<string, unknown>)[key], seen, depth)) return false;
  }
  return Object.getOwnPropertySymbols(value).length === 0;
}

function isJsonPart(value: unknown, seen: Set<object>, depth: number): boolean {
  return typeof value === "object" && value !== null ? isJsonTree(value, seen, depth - 1) : isJsonLeaf(value);
}

function isJsonLeaf(value: unknown): boolean {
  if (typeof value === "number") return Number.isFinite(value) && !Object.is(value, -0);
  return typeof value === "string" || typeof value === "boolean" || value === null;
}

/** Throws `unserialisable`, `too_deep` or, unless `mayWait`, `body_not_in_hand`. */
export function survey(
  value: unknown,
  what: string,
  { mayWait = false, signals = null }: { readonly mayWait?: boolean; readonly signals?: AbortSignal[] | null | undefined },
  looking: Looking,
): Survey {
  if (value === null || (typeof value !== "object" && typeof value !== "function" && typeof value !== "symbol")) return nothing;
  const state: State = {
    ...looking,
    what,
    mayWait,
    signals,
    seen: new Set(),
    path: [],
    within: new Set(),
    standIns: new Map(),
    tags: new Set(),
    stacks: [],
    coming: [],
    hasBytes: false,
    hasProtoKey: false,
  };
  try {
    look(state, value, 0);
  } catch (error) {
    if (RingbackError.is(error)) throw error;
    throw refusal(what, pathOf(state), "value that throws when it is read", error);
  }
  return state;
}

const advice: ReadonlyMap<string, string> = new Map([
  ["function", "Pass plain data, or a step() or workflow() that is declared at the top level of a module."],
  ["step made within a run", "Declare it at the top level of a module, where it is found by its name, and pass that."],
  ["Promise", "Await it first."],
  ["Hook", "A step gets what it needs of a hook: pass hook.token, also where a nested step reads the hook of its workflow."],
  ["Webhook", "A step gets what it needs of a webhook: pass webhook.url, also where a nested step reads the webhook of its workflow."],
  ["AbortController", "Pass its signal to the step, and abort in workflow code."],
  ["AbortSignal", "Workflow code may pass one to a step. To stop a run, or a child, from outside give it a hook, or cancel it."],
  ["Blob", "Pass its bytes: await blob.arrayBuffer()."],
  ["File", "Pass its name and its bytes: await file.arrayBuffer()."],
  ["FormData", "Pass its fields: Object.fromEntries(form)."],
]);

/** `what` holds something that cannot be stored. */
export function refusal(what: string, path: string, type: string, cause?: unknown): RingbackError<"unserialisable"> {
  const message = `${what} cannot be stored: ${path} is a ${type}. ${advice.get(type) ?? 'Pass plain data, or let the class say how it is stored: static methods [Symbol.for("workflow-serialize")] and [Symbol.for("workflow-deserialize")], or createEngine({ classes }).'}`;
  return new RingbackError("unserialisable", message, { details: { path, type }, ...(cause === undefined ? {} : { cause }) });
}

function look(state: State, value: unknown, depth: number): void {
  if (typeof value === "symbol") throw refusal(state.what, pathOf(state), "symbol");
  if (typeof value === "function") return lookIntoFunction(state, value as AnyFunction, depth);
  if (typeof value !== "object" || value === null) return;
  if (state.seen.has(value)) {
    if (state.within.has(value)) throw refusal(state.what, pathOf(state), "reference to the registered instance that holds it");
    return;
  }
  state.seen.add(value);
  if (depth >= limits.depth) {
    const message = `${state.what} cannot be stored: it is nested more than ${limits.depth} deep, at ${pathOf(state)}. Flatten it.`;
    throw new RingbackError("too_deep", message, { details: { what: state.what, limit: limits.depth } });
  }
  const prototype = Object.getPrototypeOf(value) as object | null;
  if (prototype === Object.prototype || prototype === null) lookIntoPlain(state, value as Record<string, unknown>, depth + 1);
  else if (Array.isArray(value)) lookIntoArray(state, value, depth + 1);
  else lookIntoInstance(state, value, prototype, depth + 1);
}

function lookIntoFunction(state: State, value: AnyFunction, depth: number): void {
  if (state.standIns.has(value)) {
    if (state.within.has(value)) throw refusal(state.what, pathOf(state), "reference to the function that has closed over it");
    return;
  }
  const said = referenceOf(value);
  const className = said === null ? state.classes.nameOf((value as { prototype?: object }).prototype ?? null) : undefined;
  if (className !== undefined) return standIn(state, value, "ClassItself", className);
  if (said === null) throw refusal(state.what, pathOf(state), "function");
  if (said.isNested === true && !state.signals) throw refusal(state.what, pathOf(state), "step made within a run"); // RF3
  if (said.isWithinRun === true) throw refusal(state.what, pathOf(state), `${said.kind} made within a run`);
  state.references.check(said);
  const { kind, name, closure } = said;
  if (closure === undefined) return standIn(state, value, "Reference", { kind, name });
  const closed = closure();
  standIn(state, value, "Reference", { kind, name, closure: closed });
  state.within.add(value);
  state.path.push([" closed over "]);
  look(state, closed, depth + 1);
  state.path.pop();
  state.within.delete(value);
}

function lookIntoPlain(state: State, value: Record<string, unknown>, depth: number): void {
  const { path } = state;
  for (const symbol of Object.getOwnPropertySymbols(value)) {
    if (Object.prototype.propertyIsEnumerable.call(value, symbol))
      throw refusal(state.what, `${pathOf(state)}[${String(symbol)}]`, "property named by a symbol");
  }
  for (const key of Object.keys(value)) {
    if (key.endsWith("__proto__") && protoKey.test(key)) state.hasProtoKey = true;
    path.push(key);
    look(state, value[key], depth);
    path.pop();
  }
}

function lookIntoArray(state: State, value: readonly unknown[], depth: number): void {
  const { path } = state;
  for (let index = 0; index < value.length; index++) {
    const item = value[index];
    if (item === undefined && !Object.hasOwn(value, index)) return lookIntoSparse(state, value, index, depth);
    path.push(index);
    look(state, item, depth);
    path.pop();
  }
}

/** From the first hole on only what is there is visited: a length says little about the work. */
function lookIntoSparse(state: State, value: readonly unknown[], from: number, depth: number): void {
  for (const key of Object.keys(value)) {
    const index = Number(key);
    if (!(index >= from)) continue;
    state.path.push(index);
    look(state, value[index], depth);
    state.path.pop();
  }
}

function lookIntoInstance(state: State, value: object, prototype: object, depth: number): void {
  const className = state.classes.nameOf(prototype);
  const registered = className === undefined ? null : state.classes.byName(className);
  if (className !== undefined && registered?.serialise) {
    return lookIntoRegistered(state, value, { name: className, data: registered.serialise(value) }, depth);
  }
  const reference = streamReferenceOf(value);
  if (reference !== null) return standIn(state, value, "Stream", writeReference(reference));
  if (value instanceof SecretReference) return standIn(state, value, "Secret", value.name);
  if (CapturedRequest.isCaptured(value)) return standInForCaptured(state, value);
  if (isError(value)) return lookIntoError(state, value, depth);
  const tag = Object.prototype.toString.call(value).slice(8, -1);
  if (ArrayBuffer.isView(value) || tag === "ArrayBuffer") {
    state.hasBytes = true;
    return;
  }
  if (leaves.has(tag) || tag.startsWith("Temporal.")) return;
  if (tag === "Map") return lookIntoMap(state, value as Map<unknown, unknown>, depth);
  if (tag === "Set") return lookIntoSet(state, value as Set<unknown>, depth);
  if (tag === "AbortSignal") return lookIntoSignal(state, value as AbortSignal, depth);
  if (tag === "Headers") return standIn(state, value, "Headers", flatten(value as Headers));
  if (tag === "Request") return standInForRequest(state, value as Request);
  if (tag === "Response") return standInForResponse(state, value as Response);
  if (tag === "ReadableStream") return standInForStream(state, value as ReadableStream);
  if (Object.getPrototypeOf(prototype) === null && tag === "Object") return lookIntoPlain(state, value as Record<string, unknown>, depth);
  throw refusal(state.what, pathOf(state), nameOf(value, prototype, tag));
}

/** AB2 */
function lookIntoSignal(state: State, signal: AbortSignal, depth: number): void {
  const { signals } = state;
  if (!signal.aborted) {
    if (signals === null) throw refusal(state.what, pathOf(state), "AbortSignal");
    return standIn(state, signal, "AbortSignal", { place: signals.push(signal) - 1 } satisfies SignalData);
  }
  standIn(state, signal, "AbortSignal", { reason: signal.reason } satisfies SignalData);
  state.path.push("reason");
  look(state, signal.reason, depth);
  state.path.pop();
}

function lookIntoMap(state: State, map: Map<unknown, unknown>, depth: number): void {
  let index = 0;
  Map.prototype.forEach.call(map, (value, key) => {
    state.path.push([`.keys()[${index}]`]);
    look(state, key, depth);
    state.path[state.path.length - 1] = [
      typeof key === "string" ? `.get(${JSON.stringify(key)})` : typeof key === "number" ? `.get(${key})` : `.values()[${index}]`,
    ];
    look(state, value, depth);
    state.path.pop();
    index++;
  });
}

function lookIntoSet(state: State, set: Set<unknown>, depth: number): void {
  let index = 0;
  Set.prototype.forEach.call(set, (value) => {
    state.path.push([`.values()[${index++}]`]);
    look(state, value, depth);
    state.path.pop();
  });
}

function lookIntoRegistered(state: State, value: object, stored: { readonly name: string; readonly data: unknown }, depth: number): void {
  standIn(state, value, "Class", stored);
  state.within.add(value);
  look(state, stored.data, depth);
  state.within.delete(value);
}

function lookIntoError(state: State, error: Error, depth: number): void {
  const data = errorData(error, state.classes, (stack) => state.stacks.push(stack) - 1);
  standIn(state, error, "Error", data);
  for (const part of ["cause", "errors"] as const) {
    state.path.push(part);
    look(state, data[part], depth);
    state.path.pop();
  }
  if (data.fields !== undefined) lookIntoPlain(state, data.fields, depth);
}

function standInForCaptured(state: State, request: CapturedRequest): void {
  const delivery = CapturedRequest.delivery(request, state.store);
  if (delivery !== null) return standIn(state, request, "Delivery", delivery);
  const { method, url, headers, body } = CapturedRequest.record(request);
  state.hasBytes = true;
  standIn(state, request, "Request", { method, url, headers, body: new Uint8Array(body).buffer });
}

function standInForRequest(state: State, request: Request): void {
  const { method, url } = request;
  standIn(state, request, "Request", { method, url, headers: flatten(request.headers), body: body(state, request) });
}

function standInForResponse(state: State, response: Response): void {
  const { status, statusText, url, redirected } = response;
  if (status < 200) throw refusal(state.what, pathOf(state), `Response of status ${status}`);
  const record: ResponseRecord = { status, statusText, headers: flatten(response.headers), ...(url === "" ? {} : { url, redirected }) };
  standIn(state, response, "Response", { ...record, body: body(state, response) });
}

/** A stream of the author's. What takes it reads it; elsewhere there is nobody to. */
function standInForStream(state: State, stream: ReadableStream): void {
  const path = pathOf(state);
  if (state.takeStream === undefined) throw streamNotInHand(state.what, path);
  if (stream.locked) throw refusal(state.what, path, "ReadableStream that somebody is reading already");
  standIn(state, stream, "Stream", writeReference(state.takeStream(stream)));
}

/** The place of a body in its stand-in. Bytes come in microtasks at best, so they are filled in afterwards. */
function body(state: State, owner: Request | Response): object | null {
  if (owner.body === null) return null;
  const path = pathOf(state);
  if (!state.mayWait) throw bodyNotInHand(state.what, path);
  const place = {};
  state.coming.push({ path, bytes: Promise.resolve(bodyOf(owner, state.what, path)) });
  standIn(state, place, "Body", 1);
  return place;
}

/** A body of the author's that cannot be read where it must be. */
export function bodyNotInHand(what: string, path: string, cause?: unknown): RingbackError<"body_not_in_hand"> {
  const message = `${what} cannot be stored: the body of ${path} is not in hand. Read it first (await response.text()) and pass the result, or make the response in a step.`;
  return new RingbackError("body_not_in_hand", message, { details: { path }, ...(cause === undefined ? {} : { cause }) });
}

function streamNotInHand(what: string, path: string): RingbackError<"body_not_in_hand"> {
  const message = `${what} cannot be stored: ${path} is a stream, which cannot be read here. Read it first and pass what it holds, or make it in a step and return it from there.`;
  return new RingbackError("body_not_in_hand", message, { details: { path } });
}

function standIn(state: State, value: object, tag: Tag, data: unknown): void {
  state.standIns.set(value, { tag, data });
  state.tags.add(tag);
}

function nameOf(value: object, prototype: object, tag: string): string {
  const { constructor } = prototype as { constructor?: { name?: unknown } };
  const name = typeof constructor?.name === "string" ? constructor.name : "";
  if (name !== "" && name !== "Object") return name;
  return typeof (value as { then?: unknown }).then === "function" ? "thenable" : tag === "Object" ? "instance of an unnamed class" : tag;
}

function pathOf(state: State): string {
  return shortened(state.sealText(`$${state.path.map(pathPiece).join("")}`));
}

function pathPiece(piece: string | number | readonly [string]): string {
  if (typeof piece === "number") return `[${piece}]`;
  return typeof piece === "string" ? pieceOf(piece) : piece[0];
}
