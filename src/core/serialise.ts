// Values as text and back: the one way by which anything enters or leaves a run.
//
// V1. `parse(serialise(x))` equals `x`, with references inside one value kept, cycles too. What code keeps of `x` is never shared with it.
// V2. Nothing here awaits, but for bodies of the author's requests and responses: what leaves is written in the tick it was given.
// V3. Equal values give equal text up to the first line break. After it stand the stacks of errors, which differ where code is equal.
//     What JSON carries exactly is written as JSON behind a `=`, all else by devalue, whose texts begin with `[` or `-`.
// V4. The text is sealed (S1, S2); bytes are sealed before they become base64, where no token could be found.
//
// A view of bytes is written with the bytes it shows, not with the buffer behind it: two views of one buffer come back apart.

import { defaultStringifyOperations, parse as parseText, stringify } from "devalue";
import { RingbackError } from "./errors.ts";
import { envelopeOf, unreadable } from "./envelope.ts";
import type { Serialised } from "./event.ts";
import { limits, tooLarge } from "./limits.ts";
import { CapturedRequest, pairs, type ResponseRecord, storedResponse } from "./request.ts";
import type { Seal } from "./seal.ts";
import { type Reference, References } from "./reference.ts";
import { SecretReference } from "./secret.ts";
import { type Classes, createClasses } from "./serialise-class.ts";
import { bareError, createError, type ErrorData, fillError } from "./serialise-error.ts";
import { bodyNotInHand, isJson, protoKey, refusal, type Survey, survey, type Tag, type TakeStream } from "./serialise-survey.ts";
import type { SignalData } from "./signal.ts";
import { readReference, type StreamReference } from "./stream.ts";
import { textOf } from "./thrown.ts";

/** A value whose bodies are still being read. */
export interface Unfinished {
  /** Settles in microtasks where the bodies are in hand. */
  readonly text: Promise<Serialised>;
  /** What to say when the turn ends first. */
  refusal(): RingbackError<"body_not_in_hand">;
}

export interface Serialiser {
  /** `what` names the value in errors: `unserialisable`, `too_deep`, `too_large`, and `body_not_in_hand` for an author's request or response with a body. */
  serialise(value: unknown, what: string, limitBytes?: number): Serialised;
  /**
   * As `serialise`, but bodies are cloned now and read as they come; `Unfinished` only where there is one. Signals that may still be aborted
   * are added to `signals`, in the order of their places; without it they are refused. Streams go to `takeStream`.
   */
  serialiseWithBodies(
    value: unknown,
    what: string,
    limitBytes?: number,
    signals?: AbortSignal[],
    takeStream?: TakeStream,
  ): Serialised | Unfinished;
  /** Something thrown; never refuses it. What cannot be stored of it is left out. */
  serialiseThrown(thrown: unknown, what: string): Serialised;
  /** A new value at each call. Throws `unknown_class`, `delivery_not_loaded`, `missing_key`, `value_corrupt`. */
  parse(text: Serialised, reviveSignal?: (signal: SignalData) => AbortSignal): unknown;
}

export interface SerialiserOptions {
  readonly seal: Seal;
  readonly classes?: Classes;
  readonly references?: References;
  /** The request of a delivery, loaded before: see `deliveriesIn`. */
  readonly revive?: (delivery: number) => CapturedRequest | undefined;
  /** Whose deliveries may be referred to. */
  readonly store?: object;
  /** A stream of a run, for whoever asks for the value. */
  readonly reviveStream?: (reference: StreamReference) => object;
}

export function createSerialiser(options: SerialiserOptions): Serialiser {
  const { seal, classes = createClasses(), references = new References(), store } = options;
  const looking = { classes, references, store, sealText: seal.sealText };
  const sealBytes = (bytes: Uint8Array): ArrayBuffer => new Uint8Array(seal.sealBytes(bytes)).buffer;
  const write = (value: unknown, what: string, found: Survey): string => {
    const text =
      found.tags.size === 0 && !found.hasBytes && !found.hasProtoKey
        ? stringifyOr(value, what)
        : stringifyWith(value, what, found, sealBytes);
    return found.stacks.length === 0 ? text : `${text}\n${JSON.stringify(found.stacks)}`;
  };
  const finish = (text: string, what: string, limitBytes: number): Serialised => {
    const bytes = text.length * 3 <= limitBytes ? 0 : new TextEncoder().encode(text).length;
    if (bytes > limitBytes) throw tooLarge(what, limitBytes, bytes);
    return seal.sealText(text);
  };
  const names = { classes, references, revive: options.revive ?? noRequests, reviveStream: options.reviveStream ?? noStreams };
  const revivers = createRevivers(names, []);
  const operations = {
    fromArrayBuffer: (buffer: ArrayBuffer): ArrayBuffer => new Uint8Array(seal.revealBytes(new Uint8Array(buffer))).buffer,
    set: setOwn,
  };

  const serialise = (value: unknown, what: string, limitBytes: number = limits.valueBytes): Serialised =>
    finish(asJson(value) ?? write(value, what, survey(value, what, {}, looking)), what, limitBytes);
  return {
    serialise,
    serialiseWithBodies(value, what, limitBytes = limits.valueBytes, signals, takeStream) {
      const json = asJson(value);
      if (json !== null) return finish(json, what, limitBytes);
      const found = survey(value, what, { mayWait: true, signals }, { ...looking, takeStream });
      const text = write(value, what, found);
      const { coming } = found;
      const [first] = coming;
      if (first === undefined) return finish(text, what, limitBytes);
      const finished = Promise.all(coming.map((one) => one.bytes)).then(
        (bodies) =>
          finish(
            fillBodies(
              text,
              bodies.map((body) => sealBytes(new Uint8Array(body))),
            ),
            what,
            limitBytes,
          ),
        (cause: unknown) => {
          throw bodyNotInHand(what, first.path, cause);
        },
      );
      finished.catch(() => {});
      return { text: finished, refusal: () => bodyNotInHand(what, first.path) };
    },
    serialiseThrown(thrown, what) {
      try {
        return serialise(thrown, what);
      } catch {
        return serialise(bareError(thrown, classes), what);
      }
    },
    parse(text, reviveSignal) {
      const refused = unreadable(text);
      if (refused !== null) throw refused;
      const revealed = seal.revealText(text);
      if (revealed.startsWith("=")) return JSON.parse(revealed.slice(1));
      const [values, stacks] = partsOf(revealed);
      const isPlain = stacks === null && (reviveSignal === undefined || !values.includes('["AbortSignal",'));
      const own = isPlain ? revivers : createRevivers(names, stacks === null ? [] : (JSON.parse(stacks) as string[]), reviveSignal);
      return parseText(values, own, values.includes('["ArrayBuffer",') || values.includes("__proto__") ? { operations } : undefined);
    },
  };
}

/** The part of a value's text that equal values have in common: without the stacks of errors. */
export function comparable(text: Serialised): string {
  return partsOf(text)[0];
}

/** The deliveries a text refers to, each once, in order. */
export function deliveriesIn(text: Serialised): number[] {
  const envelope = text.startsWith("#") ? envelopeOf(text) : null;
  if (envelope !== null) return envelope.deliveries === "" ? [] : envelope.deliveries.split(",").map(Number);
  return taggedIn<number>(text, "Delivery");
}

/** The ids of the runs whose streams a text gives to read, each once, in order. */
export function streamOwnersIn(text: Serialised): string[] {
  const references = taggedIn<string>(text, "Stream").map(readReference);
  return [...new Set(references.filter(({ kind }) => kind === "readable").map(({ run }) => run))];
}

function taggedIn<T>(text: Serialised, tag: Tag): T[] {
  if (text.startsWith("=") || !text.includes(`["${tag}",`)) return [];
  const entries = JSON.parse(comparable(text)) as unknown[];
  const found = new Set<T>();
  for (const entry of entries) if (Array.isArray(entry) && entry[0] === tag) found.add(entries[entry[1] as number] as T);
  return [...found];
}

function noRequests(): undefined {
  return undefined;
}

function noStreams({ run }: StreamReference): never {
  throw new TypeError(`A stored value refers to a stream of run ${run}, and nobody here knows of streams.`);
}

function partsOf(text: string): [values: string, stacks: string | null] {
  const end = text.indexOf("\n");
  return end === -1 ? [text, null] : [text.slice(0, end), text.slice(end + 1)];
}

/** The value behind a `=`; null where JSON would lose something, or where reading the value throws: the survey says where. */
function asJson(value: unknown): string | null {
  try {
    return isJson(value) ? `=${JSON.stringify(value)}` : null;
  } catch {
    return null;
  }
}

function stringifyOr(
  value: unknown,
  what: string,
  ...rest: [reducers?: Record<string, (value: unknown) => unknown>, options?: object]
): string {
  try {
    return stringify(value, ...rest);
  } catch (cause) {
    // A value that answers otherwise at the second look: a getter, a proxy, a false tag.
    const path = (cause as { path?: unknown } | null)?.path;
    throw refusal(what, `$${typeof path === "string" ? path : ""}`, "value that cannot be read twice alike", cause);
  }
}

function stringifyWith(value: unknown, what: string, found: Survey, sealBytes: (bytes: Uint8Array) => ArrayBuffer): string {
  const reducers: Record<string, (value: unknown) => unknown> = {};
  for (const tag of found.tags) {
    reducers[tag] = (one) => {
      const standIn = found.standIns.get(one);
      return standIn?.tag === tag && standIn.data;
    };
  }
  const operations = {
    shapeOf: (one: object) => {
      const shape = defaultStringifyOperations.shapeOf(one);
      return "keys" in shape ? { ...shape, keys: shape.keys.map((key) => (protoKey.test(key) ? `~${key}` : key)) } : shape;
    },
    get: (one: Record<string | number, unknown>, key: string | number) =>
      one[typeof key === "string" && protoKey.test(key) ? key.slice(1) : key],
    viewInfo: (view: ArrayBufferView & { length?: number }) => {
      const { buffer, byteLength } = new Uint8Array(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
      return {
        buffer,
        byteOffset: 0,
        byteLength,
        bufferByteLength: byteLength,
        ...(view.length === undefined ? {} : { length: view.length }),
      };
    },
    toArrayBuffer: (buffer: ArrayBuffer) => sealBytes(new Uint8Array(buffer)),
  };
  return stringifyOr(value, what, reducers, { operations });
}

/** Puts bodies where their places are; a place is named by its order alone. A quotation mark inside a value's own text is escaped. */
function fillBodies(text: string, bodies: readonly ArrayBuffer[]): string {
  let next = 0;
  return text.replace(/\["Body",\d+\]/g, () => stringify(bodies[next++]).slice(1, -1));
}

/** Undoes the escape of keys; an own `__proto__` becomes a property, not a prototype. */
function setOwn(target: object, key: string | number, value: unknown): void {
  if (typeof key !== "string" || !protoKey.test(key)) {
    (target as Record<string | number, unknown>)[key] = value;
    return;
  }
  Object.defineProperty(target, key.slice(1), { value, writable: true, enumerable: true, configurable: true });
}

/** One that nobody is there to abort stays as it is. */
function signalOf(data: SignalData): AbortSignal {
  return "reason" in data ? AbortSignal.abort(data.reason) : new AbortController().signal;
}

function bytesOf(body: ArrayBuffer | null): Uint8Array {
  return body === null ? new Uint8Array() : new Uint8Array(body);
}

interface RequestData {
  readonly method: string;
  readonly url: string;
  readonly headers: string[];
  readonly body: ArrayBuffer | null;
}

function instanceOf(classes: Classes, name: string, data: unknown): object {
  const registered = classes.byName(name);
  if (!registered.parse) {
    const message = `A stored instance of class "${name}" cannot be read: the class has no Symbol.for("workflow-deserialize") any more.`;
    throw new RingbackError("unknown_class", message, { details: { name } });
  }
  try {
    return registered.parse(data) as object;
  } catch (cause) {
    const message = `A stored instance of class "${name}" cannot be read: its parse() in createEngine({ classes }) threw ${textOf(cause)}. Let it read every form that serialise() ever gave.`;
    throw new RingbackError("unknown_class", message, { details: { name }, cause });
  }
}

function createRevivers(
  { classes, references, revive, reviveStream }: Required<Pick<SerialiserOptions, "classes" | "references" | "revive" | "reviveStream">>,
  stacks: readonly string[],
  reviveSignal: (signal: SignalData) => AbortSignal = signalOf,
): NonNullable<Parameters<typeof parseText>[1]> {
  /** An error in a cycle is asked for twice: before it is complete, and after. */
  const errors = new WeakMap<ErrorData, Error>();
  return {
    Error: (data: ErrorData) => {
      const error = errors.get(data) ?? createError(data, classes);
      errors.set(data, error);
      fillError(error, data, stacks);
      return error;
    },
    Class: ({ name, data }: { name: string; data: unknown }) => instanceOf(classes, name, data),
    ClassItself: (name: string) => classes.byName(name).class,
    Reference: ({ kind, name, closure }: Reference) => references.find({ kind, name }, closure),
    AbortSignal: reviveSignal,
    Secret: (name: string) => new SecretReference(name),
    Stream: (text: string) => reviveStream(readReference(text)),
    Headers: (headers: readonly string[]) => new Headers(pairs(headers)),
    Request: ({ method, url, headers, body }: RequestData) => new CapturedRequest({ method, url, headers, body: bytesOf(body) }),
    Response: ({ body, ...record }: ResponseRecord & { readonly body: ArrayBuffer | null }) => storedResponse(record, body),
    Delivery: (delivery: number) => {
      const request = revive(delivery);
      if (request !== undefined) return request;
      throw new RingbackError(
        "delivery_not_loaded",
        `A stored value refers to the request of delivery ${delivery}, which has not been loaded. Load all of deliveriesIn(text) before parse().`,
        { details: { delivery } },
      );
    },
  };
}
