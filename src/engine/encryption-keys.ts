// The keys that values at rest are encrypted with: asked for outside every turn, kept in memory, never printed and never stored.
//
// EK1. What is at hand is answered at once; what is not is asked for once for all who need it, and not waited for longer than `askMs`.
// EK2. A key that is not there now may be later: it is asked for again, at most every `againMs`.
// EK3. An id stands for one key for ever. The store knows a fingerprint of each that was written with; another key under its id is refused.

import { createSecretKey, KeyObject, type webcrypto } from "node:crypto";
import { badArgument, checkOptions, kindOf } from "../core/argument.ts";
import type { Clock } from "../core/clock.ts";
import { isKeyId } from "../core/envelope.ts";
import { RingbackError } from "../core/errors.ts";
import { Recent } from "../core/recent.ts";
import { type KeyRing, parseKeys } from "../ingress/key-ring.ts";
import { type EncryptionKey, fingerprintOf } from "./cipher.ts";

/** 256 bits, as bytes or as a key of the platform. */
export type EncryptionSecret = Uint8Array | KeyObject | webcrypto.CryptoKey;

/** Where the keys for what is stored come from. */
export interface EncryptionOptions {
  /** The id of the key that new values are encrypted with; null: they are not, and what was encrypted before is still read. */
  readonly current: string | null;
  /**
   * The key of this id (1 to 64 of letters, digits, `.`, `_` and `-`), or null where there is none. Asked when the id is first met, in the
   * journal or as `current`, and never while a workflow's code runs; kept in memory then. It may ask a key management service.
   */
  readonly key: (id: string) => EncryptionSecret | null | undefined | Promise<EncryptionSecret | null | undefined>;
}

const askMs = 5_000;
const againMs = 4_000;
const secretBytes = 32;
const foreignKept = 1_000;
const encryptionOptions = { current: true, key: true } as const;

/** Told of what a provider threw, and of keys that are not the ones they were. */
type Failed = (kid: string, error: unknown) => void;

/** Fingerprints of encryption keys stand apart from those of the keys of tokens. */
export const rememberedAs = "encryption:";

/** The ids of the encryption keys that a store has been used with, and their fingerprints. */
export function encryptionIds(fingerprints: ReadonlyMap<string, string>): Map<string, string> {
  const own = [...fingerprints].filter(([kid]) => kid.startsWith(rememberedAs));
  return new Map(own.map(([kid, fingerprint]) => [kid.slice(rememberedAs.length), fingerprint]));
}

export class EncryptionKeys {
  /** What new values are encrypted with. */
  readonly currentId: string | null;
  readonly #ask: EncryptionOptions["key"];
  readonly #clock: Clock;
  readonly #known = new Map<string, EncryptionKey>();
  /** Given for one payload each. */
  readonly #foreign: Recent<string, EncryptionKey> = new Recent(foreignKept);
  readonly #missing = new Map<string, number>();
  readonly #why = new Map<string, unknown>();
  readonly #asked = new Map<string, Promise<void>>();
  #hasCome = false;
  #fingerprints: ReadonlyMap<string, string> = new Map();
  /** Set by whoever has a log. */
  failed: Failed = () => {};

  constructor({ current, key }: EncryptionOptions, clock: Clock) {
    this.currentId = current;
    this.#ask = key;
    this.#clock = clock;
  }

  /** What the store knows of the keys that were used there (EK3). */
  remember(fingerprints: ReadonlyMap<string, string>): void {
    this.#fingerprints = fingerprints;
  }

  get(kid: string): EncryptionKey | null {
    return this.#known.get(kid) ?? this.#foreign.get(kid) ?? null;
  }

  /** The key of new values; null where they stay plain. It was loaded when the engine was opened. */
  get current(): EncryptionKey | null {
    if (this.currentId === null) return null;
    const key = this.get(this.currentId);
    if (key === null) throw this.lackOf(this.currentId);
    return key;
  }

  /** Those at hand but for `kid`, and but for those that were given for one payload. */
  others(kid: string | null): EncryptionKey[] {
    return [...this.#known.values()].filter((key) => key.kid !== kid);
  }

  /** Ids that were met and have no key here. */
  get missing(): string[] {
    return [...this.#missing.keys()];
  }

  /** Why there is no such key. */
  lackOf(kid: string): RingbackError {
    const why = this.#why.get(kid);
    if (RingbackError.is(why)) return why;
    const error = lacking(kid);
    return why === undefined ? error : new RingbackError("missing_key", error.message, { details: { kid }, cause: why });
  }

  /** Whether it is worth asking for: it is not at hand, and was not refused just now. */
  isWanted(kid: string): boolean {
    const refusedAt = this.#missing.get(kid);
    return this.get(kid) === null && (refusedAt === undefined || this.#clock.now() - refusedAt >= againMs);
  }

  /** EK1. Never rejects: what did not come is missing. */
  async load(kids: Iterable<string>): Promise<void> {
    await Promise.all([...kids].map((kid) => this.#load(kid)));
  }

  /** Asks again for what is missing (EK2); true where something has come since it was last asked. */
  async retry(): Promise<boolean> {
    await this.load(this.missing.filter((kid) => this.isWanted(kid)));
    const hasCome = this.#hasCome;
    this.#hasCome = false;
    return hasCome;
  }

  /** A key that was given for one payload: the id to encrypt under. One that is known goes by its own. Throws `bad_argument`. */
  adopt(secret: unknown): EncryptionKey {
    const object = secretOf(secret, "encryptionKey");
    const fingerprint = fingerprintOf(object);
    for (const key of this.#known.values()) if (fingerprintOf(key.secret) === fingerprint) return key;
    const key = { kid: foreignId(fingerprint), secret: object };
    this.#foreign.set(key.kid, key);
    if (this.#missing.delete(key.kid)) this.#hasCome = true;
    return key;
  }

  #load(kid: string): Promise<void> {
    if (this.get(kid) !== null) return Promise.resolve();
    const under = this.#asked.get(kid);
    if (under) return under;
    const asked = this.#within(kid, this.#fetch(kid)).finally(() => this.#asked.delete(kid));
    this.#asked.set(kid, asked);
    return asked;
  }

  async #fetch(kid: string): Promise<void> {
    try {
      const given = await this.#ask(kid);
      if (given == null) return this.#lacks(kid);
      const secret = secretOf(given, `encryption key "${kid}"`);
      const fingerprint = fingerprintOf(secret);
      const known = this.#fingerprints.get(kid) ?? (isForeign(kid) ? kid.slice(foreignPrefix.length) : fingerprint);
      if (known !== fingerprint) throw mismatch(kid);
      if (this.#missing.delete(kid)) this.#hasCome = true;
      this.#why.delete(kid);
      this.#known.set(kid, { kid, secret });
    } catch (error) {
      this.#lacks(kid);
      this.#why.set(kid, error);
      this.failed(kid, error);
    }
  }

  #lacks(kid: string): void {
    this.#missing.set(kid, this.#clock.now());
  }

  async #within(kid: string, fetching: Promise<void>): Promise<void> {
    let takeBack = (): void => {};
    const late = new Promise<void>((resolve) => {
      takeBack = this.#clock.alarm(this.#clock.now() + askMs, () => {
        this.#lacks(kid); // until it comes after all
        resolve();
      });
    });
    await Promise.race([fetching, late]);
    takeBack();
  }
}

const foreignPrefix = "key-";

function foreignId(fingerprint: string): string {
  return foreignPrefix + fingerprint;
}

function isForeign(kid: string): boolean {
  return kid.startsWith(foreignPrefix) && kid.length === foreignPrefix.length + 22;
}

/**
 * The id under which a payload is stored that was given to `resumeHook()` with a key of its own: `createEngine({ encryption })` is asked for
 * it when the run is next read from the store. Tells keys apart, and nothing else about them. Throws `bad_argument`.
 */
export function encryptionKeyId(key: EncryptionSecret): string {
  return foreignId(fingerprintOf(secretOf(key, "key")));
}

function lacking(kid: string): RingbackError<"missing_key"> {
  const message = `The encryption key "${kid}" is not there, and new values are to be encrypted with it. Add it to RINGBACK_ENCRYPTION_KEYS, or let createEngine({ encryption: { key } }) give it.`;
  return new RingbackError("missing_key", message, { details: { kid } });
}

export function mismatch(kid: string): RingbackError<"key_mismatch"> {
  const message = `Encryption key "${kid}" differs from the one that values in this store were encrypted with. Give a new key a new id, and keep the old one.`;
  return new RingbackError("key_mismatch", message, { details: { kid } });
}

/** What `createEngine({ encryption })` and `RINGBACK_ENCRYPTION_KEYS` say; null for no encryption. Throws `bad_argument`, `bad_keys`. */
export function encryptionFrom(option: string | EncryptionOptions | false | undefined, clock: Clock): EncryptionKeys | null {
  if (option === undefined || option === false || option === "" || option === "off") return null;
  if (typeof option === "string") return new EncryptionKeys(fromText(option), clock);
  checkOptions("createEngine({ encryption })", option, encryptionOptions);
  const { current, key } = option;
  if (typeof key !== "function")
    throw badArgument("encryption.key", key, `createEngine({ encryption: { key } }) takes a function, got ${kindOf(key)}.`);
  if (current !== null && (typeof current !== "string" || !isKeyId(current)))
    throw badArgument(
      "encryption.current",
      current,
      "createEngine({ encryption: { current } }) takes the id of a key, 1 to 64 of letters, digits, dots, dashes and underscores, or null.",
    );
  return new EncryptionKeys(option, clock);
}

/** `kid=secret,…`, the current one first; `off` in its place: new values stay plain. */
function fromText(text: string): EncryptionOptions {
  const isOff = /^\s*off\s*,/.test(text);
  const ring = ringOf(isOff ? text.slice(text.indexOf(",") + 1) : text);
  return { current: isOff ? null : ring.current.kid, key: (id) => ring.get(id)?.secret };
}

/** Of two variables of the same form, it is told which one is meant. */
function ringOf(text: string): KeyRing {
  try {
    return parseKeys(text);
  } catch (error) {
    if (!RingbackError.is(error, "bad_keys")) throw error;
    const { reason } = error.details;
    const message = `The encryption keys cannot be read: ${reason}. Let RINGBACK_ENCRYPTION_KEYS, or createEngine({ encryption }), be kid=secret, several with commas, the current one first; "openssl rand -hex 32" makes a secret.`;
    throw new RingbackError("bad_keys", message, { details: { reason } });
  }
}

function secretOf(given: unknown, argument: string): KeyObject {
  const secret = given instanceof Uint8Array ? bytesAsKey(given) : given instanceof KeyObject ? given : fromCryptoKey(given);
  if (secret?.type === "secret" && (secret.symmetricKeySize ?? 0) >= secretBytes) return secret;
  throw badArgument(
    argument,
    given,
    `The ${argument} must be 256 bits: 32 bytes, a secret KeyObject, or an AES-GCM CryptoKey of that length.`,
  );
}

function bytesAsKey(given: Uint8Array): KeyObject | null {
  return given.length === secretBytes ? createSecretKey(given) : null;
}

function fromCryptoKey(given: unknown): KeyObject | null {
  try {
    const { algorithm } = given as webcrypto.CryptoKey;
    return algorithm.name === "AES-GCM" ? KeyObject.from(given as webcrypto.CryptoKey) : null;
  } catch {
    return null;
  }
}
