// AES-256-GCM over values, each bound to its place.
//
// CI1. Of 24 bytes that are drawn anew for each value the first twelve, under the key, give the value's own key, the others its nonce: one
//      key is good for more values than there will ever be (a nonce of twelve bytes under the key itself is not, beyond 2³²).
// CI2. Place, key id and what stands outside the ciphertext are authenticated with it: cut, changed or moved, it does not open.
// CI3. Arguments draw nothing: equal ones of one run under one key are the same text, and nothing else is told of them by that. A store
//      compares them so, when a run is started twice.
// CI4. A digest that a store compares is a MAC under the key: it tells nobody without the key whether a guess is right.

import { createCipheriv, createDecipheriv, createHmac, type KeyObject } from "node:crypto";
import type { RandomBytes } from "../core/clock.ts";
import { encryptedHead, envelopeOf, envelopeText, marker, secretMarker } from "../core/envelope.ts";
import { type Answer, isCredential, type Payload, type RequestHead, removed } from "../core/event.ts";
import { deliveriesIn } from "../core/serialise.ts";

export interface EncryptionKey {
  readonly kid: string;
  readonly secret: KeyObject;
}

type Request = Payload & { readonly type: "request" };

const saltLength = 12;
const headLength = 24;
const tagLength = 16;

/** Tells keys apart, and nothing else about them. */
export function fingerprintOf(secret: KeyObject): string {
  return createHmac("sha256", secret).update("ringback encryption key").digest("base64url").slice(0, 22);
}

/** CI4. `scope` is where the store compares it. */
export function keyedDigest({ kid, secret }: EncryptionKey, scope: string, digest: string): string {
  return `#${kid}:${createHmac("sha256", secret).update(`ringback digest\n${scope}\n${digest}`).digest("base64url").slice(0, 22)}`;
}

export function encryptText(key: EncryptionKey, random: RandomBytes, text: string, place: string, deliveries: readonly number[]): string {
  const numbers = deliveries.join(",");
  const bytes = encrypt(key, random(headLength), Buffer.from(text), `${place}\n${key.kid}\n${numbers}`);
  return envelopeText({ kid: key.kid, deliveries: numbers, data: bytes.toString("base64url") });
}

/** CI3 */
export function encryptArgs(key: EncryptionKey, text: string, place: string): string {
  const head = createHmac("sha256", key.secret).update(`ringback arguments\n${place}\n${text}`).digest().subarray(0, headLength);
  return encryptText(key, () => head, text, place, deliveriesIn(text));
}

/** Throws where it is not what was written. */
export function decryptText(secret: KeyObject, text: string, place: string): string {
  const envelope = envelopeOf(text);
  if (envelope === null) throw new TypeError("not an encrypted text");
  const { kid, deliveries, data } = envelope;
  return decrypt(secret, Buffer.from(data, "base64url"), `${place}\n${kid}\n${deliveries}`).toString();
}

/** Method and shape stay readable: doors and lists go by them. Credentials stand apart, for a store to strike out. */
export function encryptRequest(key: EncryptionKey, random: RandomBytes, { head, body }: Request, place: string): Request {
  const { method, url, search, headers } = head;
  const credentials = headers.filter((_, at) => isCredential(headers, at));
  const others = headers.map((text, at) => (isCredential(headers, at) ? "" : text));
  const text = encryptText(key, random, JSON.stringify([url, search, others]), place, []);
  const secrets =
    credentials.length === 0 ? [] : [secretMarker, encryptText(key, random, JSON.stringify(credentials), `${place}:secret:${text}`, [])];
  return {
    type: "request",
    head: { method, url: null, search: "", headers: [marker, text, ...secrets] },
    body: encrypt(key, random(headLength), body, `${place}:body:${method}:${text}`),
  };
}

/** Throws where it is not what was written. */
export function decryptRequest(secret: KeyObject, { head, body }: Request, place: string): Request {
  const { method, headers } = head;
  const text = encryptedHead(headers) ?? "";
  const [url, search, others] = JSON.parse(decryptText(secret, text, place)) as [string | null, string, string[]];
  const struck = headers[3] ?? "";
  const credentials: string[] | null =
    struck === "" || struck === removed ? null : (JSON.parse(decryptText(secret, struck, `${place}:secret:${text}`)) as string[]);
  let next = 0;
  const whole = others.map((each, at) => (isCredential(others, at) ? (credentials?.[next++] ?? removed) : each));
  const plain: RequestHead = { method, url, search, headers: whole };
  return { type: "request", head: plain, body: plainBytes(decrypt(secret, body, `${place}:body:${method}:${text}`)) };
}

export function encryptAnswer(key: EncryptionKey, random: RandomBytes, { status, headers, body }: Answer, place: string): Answer {
  const text = encryptText(key, random, JSON.stringify(headers), place, []);
  return { status, headers: [marker, text], body: encrypt(key, random(headLength), body, `${place}:body:${status}:${text}`) };
}

/** Throws where it is not what was written. */
export function decryptAnswer(secret: KeyObject, { status, headers, body }: Answer, place: string): Answer {
  const text = encryptedHead(headers) ?? "";
  const plain = JSON.parse(decryptText(secret, text, place)) as string[];
  return { status, headers: plain, body: plainBytes(decrypt(secret, body, `${place}:body:${status}:${text}`)) };
}

function encrypt({ secret }: EncryptionKey, head: Uint8Array, bytes: Uint8Array, bound: string): Buffer {
  const cipher = createCipheriv("aes-256-gcm", ownKey(secret, head), head.subarray(saltLength), { authTagLength: tagLength });
  cipher.setAAD(Buffer.from(bound));
  return Buffer.concat([head, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
}

function decrypt(secret: KeyObject, bytes: Uint8Array, bound: string): Buffer {
  if (bytes.length < headLength + tagLength) throw new TypeError("too short");
  const head = bytes.subarray(0, headLength);
  const end = bytes.length - tagLength;
  const decipher = createDecipheriv("aes-256-gcm", ownKey(secret, head), head.subarray(saltLength), { authTagLength: tagLength });
  decipher.setAAD(Buffer.from(bound)).setAuthTag(bytes.subarray(end));
  return Buffer.concat([decipher.update(bytes.subarray(headLength, end)), decipher.final()]);
}

/** CI1 */
function ownKey(secret: KeyObject, head: Uint8Array): Buffer {
  return createHmac("sha256", secret).update("ringback value").update(head.subarray(0, saltLength)).digest();
}

/** Of their own: small buffers share one. */
function plainBytes(bytes: Buffer): Uint8Array {
  return new Uint8Array(bytes);
}
