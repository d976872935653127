// What is made of each value on its way into a store, and out of it.

import type { RandomBytes } from "../core/clock.ts";
import { asSpoiled, encryptedHead, envelopeOf, isEncrypted, unreadable, unreadText } from "../core/envelope.ts";
import type { Answer, Payload } from "../core/event.ts";
import { deliveriesIn } from "../core/serialise.ts";
import type { ValueMap } from "../core/value-map.ts";
import {
  decryptAnswer,
  decryptRequest,
  decryptText,
  encryptAnswer,
  encryptArgs,
  encryptRequest,
  encryptText,
  type EncryptionKey,
} from "./cipher.ts";
import type { EncryptionKeys } from "./encryption-keys.ts";

/** Encrypts, and remembers what it was given. Without a key values stay plain; what is encrypted already stays what it is. */
export class Encrypting implements ValueMap {
  readonly given: (string | Payload | Answer)[] = [];
  readonly #key: EncryptionKey | null;
  readonly #random: RandomBytes;

  constructor(key: EncryptionKey | null, random: RandomBytes) {
    this.#key = key;
    this.#random = random;
  }

  value(text: string, place: string): string {
    return this.#text(text, (key) => encryptText(key, this.#random, text, place, deliveriesIn(text)));
  }

  args(text: string, place: string): string {
    return this.#text(text, (key) => encryptArgs(key, text, place));
  }

  prose(text: string, place: string): string {
    return this.#text(text, (key) => encryptText(key, this.#random, text, place, []));
  }

  outcome(text: string, place: () => string | null): string {
    return this.value(text, place() ?? "");
  }

  payload(payload: Payload, place: () => string | null): Payload {
    if (payload.type === "value") {
      const value = this.value(payload.value, place() ?? "");
      this.given[this.given.length - 1] = payload;
      return { type: "value", value };
    }
    this.given.push(payload);
    const { head } = payload;
    if (encryptedHead(head.headers) !== null) return { ...payload, head: { ...head, headers: unread(head.headers) } };
    return this.#key === null ? payload : encryptRequest(this.#key, this.#random, payload, place() ?? "");
  }

  answer(answer: Answer, place: string): Answer {
    this.given.push(answer);
    if (encryptedHead(answer.headers) !== null) return { ...answer, headers: unread(answer.headers) };
    return this.#key === null ? answer : encryptAnswer(this.#key, this.#random, answer, place);
  }

  #text(text: string, encrypted: (key: EncryptionKey) => string): string {
    this.given.push(text);
    return unreadText(text) ?? (this.#key === null ? text : encrypted(this.#key));
  }
}

/** Puts back what `Encrypting` was given, in the same order. */
export class Restoring implements ValueMap {
  readonly #given: readonly (string | Payload | Answer)[];
  #next = 0;

  constructor(given: Encrypting["given"]) {
    this.#given = given;
  }

  value = (): string => this.#given[this.#next++] as string;
  args: ValueMap["args"] = this.value;
  prose: ValueMap["prose"] = this.value;
  outcome: ValueMap["outcome"] = this.value;
  payload = (): Payload => this.#given[this.#next++] as Payload;
  answer = (): Answer => this.#given[this.#next++] as Answer;
}

/** Decrypts. What it lacks for that it names, and leaves the value as it is. */
export class Decrypting implements ValueMap {
  /** Keys that may be had. */
  wanted: Set<string> | null = null;
  /** A value's place is not known. */
  isLost = false;
  readonly #keys: EncryptionKeys;

  constructor(keys: EncryptionKeys) {
    this.#keys = keys;
  }

  value(text: string, place: string): string {
    return isEncrypted(text) ? this.#open(text, (key) => decryptText(key.secret, text, place), asSpoiled) : text;
  }

  args(text: string, place: string): string {
    return this.value(text, place);
  }

  prose(text: string, place: string): string {
    return this.value(text, place);
  }

  outcome(text: string, place: () => string | null): string {
    return isEncrypted(text) ? this.#placed(place, text, (known) => this.value(text, known)) : text;
  }

  payload(payload: Payload, place: () => string | null): Payload {
    if (payload.type === "value") {
      const value = this.outcome(payload.value, place);
      return value === payload.value ? payload : { type: "value", value };
    }
    if (encryptedHead(payload.head.headers) === null) return payload;
    const spoil = (): Payload => ({ ...payload, head: { ...payload.head, headers: payload.head.headers.map(asSpoiled) } });
    return this.#placed(place, payload, (known) =>
      this.#open(payload.head.headers[1] ?? "", (key) => decryptRequest(key.secret, payload, known), spoil, payload),
    );
  }

  answer(answer: Answer, place: string): Answer {
    const text = encryptedHead(answer.headers);
    if (text === null) return answer;
    const spoil = (): Answer => ({ ...answer, headers: answer.headers.map(asSpoiled) });
    return this.#open(text, (key) => decryptAnswer(key.secret, answer, place), spoil, answer);
  }

  #placed<T>(place: () => string | null, kept: T, open: (place: string) => T): T {
    const known = place();
    if (known === null) this.isLost = true;
    return known === null ? kept : open(known);
  }

  #open<T>(text: string, open: (key: EncryptionKey) => T, spoil: (text: string) => T, kept: T = text as T): T {
    const kid = envelopeOf(text)?.kid;
    if (kid === undefined) return spoil(text);
    const key = this.#keys.get(kid);
    if (key === null) {
      if (this.#keys.isWanted(kid)) (this.wanted ??= new Set()).add(kid);
      return kept;
    }
    try {
      return open(key);
    } catch {
      return spoil(text);
    }
  }
}

function unread(headers: readonly string[]): string[] {
  return headers.map((text) => unreadText(text) ?? text);
}

/** An answer that could not be opened as it was tried. */
export function isSpoiled({ headers }: Answer): boolean {
  return unreadable(encryptedHead(headers) ?? "")?.code === "value_corrupt";
}

export function isSealed(payload: Payload): boolean {
  return payload.type === "value" ? isEncrypted(payload.value) : encryptedHead(payload.head.headers) !== null;
}
