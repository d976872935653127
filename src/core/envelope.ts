// What an encrypted value looks like at rest, and what is told of one that cannot be read here. Nothing is encrypted in this folder.
//
// EN1. An encrypted text is `#1:<key id>:<deliveries>:<base64url>`. No serialised text begins with `#`, so neither is taken for the other.
// EN2. The deliveries that a value refers to stand outside: a store keeps a delivery while a value refers to it, without reading any.
// EN3. What cannot be read stays what it is: written again it is the same bytes. Asking for its value throws; nobody gets it instead.
// EN4. An encrypted request or answer is one whose first header is `marker`, which no sender can write: header names have no spaces.

import { RingbackError } from "./errors.ts";
import type { Answer, Payload } from "./event.ts";

/** The parts of an encrypted text. */
export interface Envelope {
  readonly kid: string;
  /** Numbers of deliveries, with commas. */
  readonly deliveries: string;
  readonly data: string;
}

const sealed = "#1:";
/** Only in memory: it was encrypted, and what is there now is not what was written. */
const spoiled = "#!1:";

/** The names under which an encrypted head stands among headers: all of it, and the part that is struck out of what was refused. */
export const marker = "ringback encrypted";
export const secretMarker: string = `${marker} secret`;

const idOnly = /^[A-Za-z0-9._-]{1,64}$/;

/** Whether this can be the id of an encryption key. */
export function isKeyId(id: string): boolean {
  return idOnly.test(id);
}

export function isEncrypted(text: string): boolean {
  return text.startsWith(sealed) && envelopeOf(text) !== null;
}

export function envelopeText({ kid, deliveries, data }: Envelope): string {
  return `${sealed}${kid}:${deliveries}:${data}`;
}

export function envelopeOf(text: string): Envelope | null {
  if (!text.startsWith(sealed)) return null;
  const first = text.indexOf(":", sealed.length);
  const second = text.indexOf(":", first + 1);
  const kid = text.slice(sealed.length, first);
  if (first < 0 || second < 0 || !isKeyId(kid)) return null;
  return { kid, deliveries: text.slice(first + 1, second), data: text.slice(second + 1) };
}

/** The same text, as one that was tampered with. */
export function asSpoiled(text: string): string {
  return text.startsWith(sealed) ? `${spoiled}${text.slice(sealed.length)}` : text;
}

/** The text to write again for one that could not be read (EN3); null where it is no such. */
export function unreadText(text: string): string | null {
  if (isEncrypted(text)) return text;
  return text.startsWith(spoiled) ? `${sealed}${text.slice(spoiled.length)}` : null;
}

/** Why a value cannot be read here; null where it can. */
export function unreadable(text: string): RingbackError | null {
  if (text.startsWith(spoiled)) {
    const kid = text.slice(spoiled.length, text.indexOf(":", spoiled.length));
    const message = `A value that was encrypted with key "${kid}" is not what was written: it was changed, cut, moved to another place, or key "${kid}" is another one by now. It is kept as it is; restore the database from a backup, or give the key that "${kid}" was.`;
    return new RingbackError("value_corrupt", message, { details: { kid } });
  }
  const envelope = text.startsWith(sealed) ? envelopeOf(text) : null;
  if (envelope === null) return null;
  const { kid } = envelope;
  const message = `A value is encrypted with key "${kid}", which this engine lacks. Add it to RINGBACK_ENCRYPTION_KEYS, or let createEngine({ encryption }) know it.`;
  return new RingbackError("missing_key", message, { details: { kid } });
}

/** The encrypted head of a request or an answer; null where it is plain. */
export function encryptedHead(headers: readonly string[]): string | null {
  return headers[0] === marker ? (headers[1] ?? "") : null;
}

/** Refuses what could not be read, before anything is made of it. */
export function assertReadable(stored: Payload | Answer): void {
  const headers = "status" in stored ? stored.headers : stored.type === "request" ? stored.head.headers : null;
  const text = headers === null ? (stored as Payload & { readonly type: "value" }).value : encryptedHead(headers);
  const error = text === null ? null : unreadable(text);
  if (error !== null) throw error;
}

/** A text for people, or what stands for one that cannot be read here. */
export function legible(text: string): string {
  const error = unreadable(text);
  if (error === null) return text;
  return error.code === "missing_key"
    ? `(encrypted with key "${(error.details as { readonly kid: string }).kid}", which this process lacks)`
    : "(encrypted, and not what was written: value_corrupt)";
}
