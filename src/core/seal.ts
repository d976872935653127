// Keeps minted tokens out of everything at rest: the MAC of each one that verifies is replaced by a reference, and made again on reading.
//
// S1. `reveal(seal(x))` is `x`, char for char and byte for byte, whatever `x` holds.
// S2. What is sealed holds no MAC that verifies. The reference keeps a MAC's last two characters: another token may begin in them, and so
//     every token header stands at the same place in both forms. Of 144 bits 132 stay secret.
// S3. A header that was followed by `~` gets a second one, so nothing that is written can be mistaken for a reference.
//
// A token is `wh:<kid>:<runKey>:<position>.<generation>:<mac>`; all of it up to the MAC is its header. Percent-encoding, however often it
// was applied, changes its colons only.

import { assertReadable } from "./envelope.ts";
import type { Answer } from "./event.ts";

/** What a minted token is for: a `hook` token is refused by the public URL. */
export type TokenPurpose = "webhook" | "hook";

/** The MACs of minted tokens, as whoever holds the keys computes them. */
export interface TokenMacs {
  /** What the token was minted for; null where the MAC is not ours. */
  verify(kid: string, runKey: string, position: number, generation: number, mac: string): TokenPurpose | null;
  /** Throws `missing_key` where the ring lacks `kid`. */
  mac(kid: string, runKey: string, position: number, generation: number, purpose: TokenPurpose): string;
}

/** A way into the form at rest, and back. */
export interface Seal {
  sealText(text: string): string;
  revealText(text: string): string;
  /** The same array where it holds no token. */
  sealBytes(bytes: Uint8Array): Uint8Array;
  revealBytes(bytes: Uint8Array): Uint8Array;
}

/** The parts of a token, as sources of regular expressions. */
export const tokenParts: { readonly kid: string; readonly runKey: string; readonly number: string; readonly mac: string } = {
  kid: "[a-z0-9]{1,16}",
  runKey: "[A-Za-z0-9_-]{1,64}",
  number: "(?:0|[1-9][0-9]{0,8})",
  /** 18 bytes: base64url of a multiple of three has no spare bits, so each MAC is written in one way only. */
  mac: "[A-Za-z0-9_-]{24}",
};

const colon = "(?::|%(?:25)*3[Aa])";
const { kid, runKey, number } = tokenParts;
const header = new RegExp(`wh${colon}(${kid})${colon}(${runKey})${colon}(${number})\\.(${number})${colon}`, "g");
const macAt = new RegExp(tokenParts.mac, "y");
const macLength = 24;
const keptLength = 2;
const marks: { readonly [purpose in TokenPurpose]: string } = { webhook: "~1", hook: "~2" };

/** Leaves everything as it is: for values that never hold a minted token. */
export const noSeal: Seal = { sealText: same, revealText: same, sealBytes: same, revealBytes: same };

export function createSeal(macs: TokenMacs): Seal {
  return {
    sealText: (text) => (mayHoldToken(text) ? editText(text, sealing(text, macs)) : text),
    revealText: (text) => (text.includes("~") && mayHoldToken(text) ? editText(text, revealing(text, macs)) : text),
    sealBytes: (bytes) => (mayHoldTokenBytes(bytes) ? editBytes(bytes, sealing(charPerByte(bytes), macs)) : bytes),
    revealBytes: (bytes) => (mayHoldTokenBytes(bytes) ? editBytes(bytes, revealing(charPerByte(bytes), macs)) : bytes),
  };
}

/** An answer as it stands at rest. */
export function sealAnswer(seal: Seal, { status, headers, body }: Answer): Answer {
  return { status, headers: headers.map(seal.sealText), body: seal.sealBytes(body) };
}

/** An answer as its sender gets it. Throws `missing_key`, `value_corrupt`. */
export function revealAnswer(seal: Seal, answer: Answer): Answer {
  assertReadable(answer);
  const { status, headers, body } = answer;
  return { status, headers: headers.map(seal.revealText), body: seal.revealBytes(body) };
}

function same<T>(value: T): T {
  return value;
}

/** Takes `drop` characters out at `at` and puts `put` there. */
interface Edit {
  readonly at: number;
  readonly drop: number;
  readonly put: string;
}

function sealing(text: string, macs: TokenMacs): Edit[] {
  const edits: Edit[] = [];
  for (const found of text.matchAll(header)) {
    const at = found.index + found[0].length;
    if (text[at] === "~") {
      edits.push({ at, drop: 0, put: "~" });
      continue;
    }
    macAt.lastIndex = at;
    const mac = macAt.exec(text)?.[0];
    if (mac === undefined) continue;
    const purpose = macs.verify(found[1] as string, found[2] as string, Number(found[3]), Number(found[4]), mac);
    if (purpose !== null) edits.push({ at, drop: macLength - keptLength, put: marks[purpose] });
  }
  return edits;
}

function revealing(text: string, macs: TokenMacs): Edit[] {
  const edits: Edit[] = [];
  for (const found of text.matchAll(header)) {
    const at = found.index + found[0].length;
    const mark = text.slice(at, at + 2);
    if (mark === "~~") edits.push({ at, drop: 1, put: "" });
    const purpose = mark === marks.webhook ? "webhook" : mark === marks.hook ? "hook" : null;
    if (purpose === null) continue;
    const mac = macs.mac(found[1] as string, found[2] as string, Number(found[3]), Number(found[4]), purpose);
    edits.push({ at, drop: mark.length, put: mac.slice(0, -keptLength) });
  }
  return edits;
}

function mayHoldToken(text: string): boolean {
  const at = text.indexOf("wh");
  return at !== -1 && (text.includes("wh:", at) || text.includes("wh%", at));
}

/** Not a `Buffer`'s own, which takes five times as long to find a byte. */
const { indexOf } = Uint8Array.prototype;

function mayHoldTokenBytes(bytes: Uint8Array): boolean {
  for (let at = indexOf.call(bytes, 0x77); at !== -1; at = indexOf.call(bytes, 0x77, at + 1)) {
    if (bytes[at + 1] === 0x68 && (bytes[at + 2] === 0x3a || bytes[at + 2] === 0x25)) return true;
  }
  return false;
}

/** One character per byte, ASCII as itself: positions in it are positions in the bytes. */
function charPerByte(bytes: Uint8Array): string {
  return new TextDecoder("latin1").decode(bytes);
}

function editText(text: string, edits: readonly Edit[]): string {
  if (edits.length === 0) return text;
  const pieces: string[] = [];
  let from = 0;
  for (const edit of edits) {
    pieces.push(text.slice(from, edit.at), edit.put);
    from = edit.at + edit.drop;
  }
  pieces.push(text.slice(from));
  return pieces.join("");
}

function editBytes(bytes: Uint8Array, edits: readonly Edit[]): Uint8Array {
  if (edits.length === 0) return bytes;
  const out = new Uint8Array(edits.reduce((length, edit) => length + edit.put.length - edit.drop, bytes.length));
  let from = 0;
  let to = 0;
  for (const edit of edits) {
    out.set(bytes.subarray(from, edit.at), to);
    to += edit.at - from;
    for (let i = 0; i < edit.put.length; i++) out[to++] = edit.put.charCodeAt(i);
    from = edit.at + edit.drop;
  }
  out.set(bytes.subarray(from), to);
  return out;
}
