// The keys that minted tokens are made with: from `RINGBACK_KEYS`, or from a file made once beside a SQLite store.
//
// K1. No secret stands in a message, in what is printed, or in a store; a store keeps `fingerprint(kid)`.
// K2. A key file appears whole or not at all, with owner-only rights; of two processes that make it at once, both read the one that won.
// K3. A rotation keeps every key there is. It replaces the file in one move, and of two at once the second is refused.

import { createHmac, createSecretKey, type KeyObject, randomBytes } from "node:crypto";
import { closeSync, fsyncSync, linkSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import type { RandomBytes } from "../core/clock.ts";
import { RingbackError } from "../core/errors.ts";
import { tokenParts } from "../core/seal.ts";

export interface Key {
  readonly kid: string;
  /** Prints as an empty object. */
  readonly secret: KeyObject;
}

export interface KeyRing {
  /** What new tokens are made with. */
  readonly current: Key;
  readonly kids: readonly string[];
  get(kid: string): Key | undefined;
  /** Tells whether two rings have the same key under this kid, and nothing else about it. Throws `missing_key`. */
  fingerprint(kid: string): string;
}

const secretBytes = 32;
const kidOnly = new RegExp(`^${tokenParts.kid}$`);

/** Reads `kid=secret,kid=secret`: the first is the current one; secrets are ≥ 32 bytes in hex, base64 or base64url. Throws `bad_keys`. */
export function parseKeys(text: string): KeyRing {
  const keys = new Map<string, Key>();
  for (const [index, entry] of text.trim().split(",").entries()) {
    const key = parseKey(entry.trim(), index + 1);
    if (keys.has(key.kid)) throw badKeys(`kid "${key.kid}" stands twice`);
    keys.set(key.kid, key);
  }
  return createRing([...keys.values()]);
}

/** Reads the key file, and makes it when there is none: one random key. Throws `bad_keys` where others may read it. */
export function loadKeyFile(path: string, random: RandomBytes = randomBytes): KeyRing {
  const text = readKeyFile(path);
  if (text !== null) return parseKeys(text);
  makeKeyFile(path, random);
  return parseKeys(readKeyFile(path) ?? "");
}

/** Reads the key file where there is one, and makes none: without it the ring has no key, for who only looks. */
export function readKeyRing(path: string): KeyRing {
  const text = readKeyFile(path);
  if (text !== null) return parseKeys(text);
  const current = { kid: "none", secret: createSecretKey(randomBytes(secretBytes)) };
  const ring: KeyRing = { current, kids: [], get: () => undefined, fingerprint: (kid) => keyOf(ring, kid).kid };
  return ring;
}

/** The same keys behind a new one, which is then the current one. Throws `bad_keys`. */
export function withNewKey(text: string, random: RandomBytes = randomBytes): { readonly kid: string; readonly text: string } {
  parseKeys(text);
  const { kid, entry } = newKey(random);
  return { kid, text: `${entry},${text.trim()}` };
}

/** Puts a new key before those of the key file (K3); gives its kid. Throws `bad_keys` where there is no such file. */
export function rotateKeyFile(path: string, random: RandomBytes = randomBytes): string {
  const next = `${path}.next`;
  const draft = openDraft(next);
  try {
    const known = readKeyFile(path);
    if (known === null) throw badKeys(`there is no key file at ${path}; the app makes it when it first starts`);
    const { kid, text } = withNewKey(known, random);
    writeSync(draft, `${text}\n`);
    fsyncSync(draft);
    renameSync(next, path);
    syncDirectory(dirname(path));
    return kid;
  } catch (error) {
    rmSync(next, { force: true });
    throw error;
  } finally {
    closeSync(draft);
  }
}

/** The key, or `missing_key`. */
export function keyOf(ring: KeyRing, kid: string): Key {
  const key = ring.get(kid);
  if (key !== undefined) return key;
  const message = `Key "${kid}" is not in the key ring (it has ${ring.kids.map((known) => `"${known}"`).join(", ")}). Add it to RINGBACK_KEYS, or bring back the key file of this store.`;
  throw new RingbackError("missing_key", message, { details: { kid } });
}

function createRing(keys: readonly Key[]): KeyRing {
  const [current] = keys;
  if (current === undefined) throw badKeys("it is empty");
  const ring: KeyRing = {
    current,
    kids: keys.map((key) => key.kid),
    get: (kid) => keys.find((key) => key.kid === kid),
    fingerprint: (kid) => createHmac("sha256", keyOf(ring, kid).secret).update("ringback key fingerprint").digest("base64url").slice(0, 22),
  };
  return ring;
}

function parseKey(entry: string, place: number): Key {
  const at = entry.indexOf("=");
  if (at === -1) throw badKeys(entry === "" ? `entry ${place} is empty` : `entry ${place} has no "="`);
  const kid = entry.slice(0, at);
  if (!kidOnly.test(kid)) throw badKeys(`the kid of entry ${place} is not 1 to 16 of a-z and 0-9`);
  const secret = decode(entry.slice(at + 1));
  if (secret === null) throw badKeys(`the secret of kid "${kid}" is neither hex nor base64`);
  if (secret.length < secretBytes) throw badKeys(`the secret of kid "${kid}" has ${secret.length} bytes, and ${secretBytes} are needed`);
  return { kid, secret: createSecretKey(secret) };
}

function decode(text: string): Buffer | null {
  if (/^(?:[0-9a-fA-F]{2})+$/.test(text)) return Buffer.from(text, "hex");
  return /^[A-Za-z0-9+/_-]+={0,2}$/.test(text) ? Buffer.from(text, "base64") : null;
}

function badKeys(reason: string): RingbackError<"bad_keys"> {
  const message = `The key ring cannot be read: ${reason}. Write kid=secret, several with commas, the current one first; "openssl rand -hex 32" makes a secret.`;
  return new RingbackError("bad_keys", message, { details: { reason } });
}

function readKeyFile(path: string): string | null {
  try {
    const { mode } = statSync(path);
    if (process.platform !== "win32" && (mode & 0o077) !== 0) throw badKeys(`others may read ${path}; run "chmod 600" on it`);
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

/** The draft is the lock: only one process can make it. */
function openDraft(path: string): number {
  try {
    return openSync(path, "wx", 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    throw badKeys(`${path} is there: another rotation is under way, or one was killed and the file is to be deleted`);
  }
}

function newKey(random: RandomBytes): { readonly kid: string; readonly entry: string } {
  const kid = Buffer.from(random(4)).toString("hex");
  return { kid, entry: `${kid}=${Buffer.from(random(secretBytes)).toString("base64url")}` };
}

/** Written beside its place and linked there: a link, unlike a rename, does not replace what another process has just put. */
function makeKeyFile(path: string, random: RandomBytes): void {
  mkdirSync(dirname(path), { recursive: true });
  const draft = `${path}.${Buffer.from(random(8)).toString("hex")}`;
  try {
    writeDurably(draft, `${newKey(random).entry}\n`);
    linkSync(draft, path);
    syncDirectory(dirname(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

function writeDurably(path: string, text: string): void {
  const file = openSync(path, "wx", 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Else the file's name may be lost with the power. Windows cannot, and need not. */
function syncDirectory(path: string): void {
  if (process.platform === "win32") return;
  const directory = openSync(path, "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
