// Minted tokens: addresses that carry their own proof.
//
// I1. A minted token is a function of (kid, run key, position, generation, purpose) and the key: the same on every replay, not stored.
// I2. It is written in one way only: whatever else parses to the same parts is refused.
// I3. A forgery is refused without a look at the store, in time that does not depend on where it is wrong.

import { createHmac, hash, timingSafeEqual } from "node:crypto";
import { RingbackError } from "../core/errors.ts";
import { type TokenMacs, type TokenPurpose, tokenParts } from "../core/seal.ts";
import { type KeyRing, keyOf } from "./key-ring.ts";

/** What a minted token says; nothing of it is proven before `verify`. */
export interface TokenParts {
  readonly kid: string;
  readonly runKey: string;
  readonly position: number;
  readonly generation: number;
  readonly mac: string;
}

export interface NewToken {
  /** The current key's, unless a replay asks for the one that was used. */
  readonly kid?: string;
  readonly runKey: string;
  readonly position: number;
  readonly generation: number;
  readonly purpose: TokenPurpose;
}

/** Also what `createSeal` asks for. */
export interface Tokens {
  /** The key new tokens are minted with. */
  readonly current: { readonly kid: string };
  /** Throws `missing_key`. */
  mint(token: NewToken): string;
  /** The parts of a minted token; null for anything else. */
  parse(text: string): TokenParts | null;
  /** What a token was minted for; null where the MAC, or the key, is not ours. */
  verify(parts: TokenParts): TokenPurpose | null;
  readonly macs: TokenMacs;
}

const version = 1;
const macBytes = 18;
const { kid, runKey, number, mac } = tokenParts;
const minted = new RegExp(`^wh:(${kid}):(${runKey}):(${number})\\.(${number}):(${mac})$`);

export function createTokens(ring: KeyRing): Tokens {
  const macOf = (token: NewToken & { kid: string }): Buffer =>
    createHmac("sha256", keyOf(ring, token.kid).secret).update(signedBytes(token)).digest().subarray(0, macBytes);
  const verify = (parts: TokenParts): TokenPurpose | null => {
    if (ring.get(parts.kid) === undefined) return null;
    const given = Buffer.from(parts.mac, "base64url");
    const isFor = (purpose: TokenPurpose): boolean => given.length === macBytes && timingSafeEqual(macOf({ ...parts, purpose }), given);
    return isFor("webhook") ? "webhook" : isFor("hook") ? "hook" : null;
  };
  return {
    current: ring.current,
    mint(token) {
      const named = { ...token, kid: token.kid ?? ring.current.kid };
      const text = `wh:${named.kid}:${named.runKey}:${named.position}.${named.generation}:${macOf(named).toString("base64url")}`;
      if (minted.test(text)) return text;
      throw new RingbackError(
        "bad_argument",
        "A token's run key is 1 to 64 characters of base64url, its position and generation are whole numbers below 10⁹.",
        {
          details: { argument: "token", value: JSON.stringify({ ...named }) },
        },
      );
    },
    parse,
    verify,
    macs: {
      verify: (kid, runKey, position, generation, mac) => verify({ kid, runKey, position, generation, mac }),
      mac: (kid, runKey, position, generation, purpose) => macOf({ kid, runKey, position, generation, purpose }).toString("base64url"),
    },
  };
}

function parse(text: string): TokenParts | null {
  const found = minted.exec(text);
  if (found === null) return null;
  const [, kid, runKey, position, generation, mac] = found as unknown as [string, string, string, string, string, string];
  return { kid, runKey, position: Number(position), generation: Number(generation), mac };
}

/** What a hook row keeps of its token: enough to find it, not to use it. */
export function hashToken(token: string): string {
  return hash("sha256", token, "base64url");
}

/** 64 bits of a text's hash, 16 hex digits: enough to tell one input of a replay from another, not to hold against an attacker. */
export function digest(text: string): string {
  return hash("sha256", text, "hex").slice(0, 16);
}

/** Each part behind its length, so that no two tokens sign the same bytes. */
function signedBytes({ kid, runKey, position, generation, purpose }: NewToken & { kid: string }): string {
  return [String(version), kid, runKey, String(position), String(generation), purpose].map((part) => `${part.length}:${part}`).join("");
}
