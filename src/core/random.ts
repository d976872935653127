// Chance inside a run: xoshiro128** (Blackman and Vigna, 2018) over the 128 bits drawn at `start`. Replay draws the same numbers.
// Public, not secret: whoever sees a few outputs can compute the rest.

import { RingbackError } from "./errors.ts";

export interface Random {
  /** In [0, 1), with 53 bits, as `Math.random`. */
  next(): number;
  /** A version 4 UUID. */
  uuid(): string;
}

/** `seed` is 32 hex digits. */
export function createRandom(seed: string): Random {
  if (!/^[0-9a-fA-F]{32}$/.test(seed)) {
    throw new RingbackError("bad_argument", `The seed of a run is 32 hex digits, not ${JSON.stringify(seed)}.`, {
      details: { argument: "seed", value: seed },
    });
  }
  const word = xoshiro(seed);
  return {
    next: () => ((word() >>> 5) * 2 ** 26 + (word() >>> 6)) / 2 ** 53,
    uuid: () => {
      const hex = [word(), (word() & 0xffff0fff) | 0x4000, (word() & 0x3fffffff) | 0x80000000, word()].map(hexOf).join("");
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
    },
  };
}

/** The generator itself: a 32-bit word a call. State of nothing but zeros would stay so, and is replaced. */
function xoshiro(seed: string): () => number {
  let [a, b, c, d] = [0, 8, 16, 24].map((at) => Number.parseInt(seed.slice(at, at + 8), 16)) as [number, number, number, number];
  if ((a | b | c | d) === 0) a = 1;
  return () => {
    const out = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotate(d, 11);
    return out;
  };
}

function rotate(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}

function hexOf(word: number): string {
  return (word >>> 0).toString(16).padStart(8, "0");
}
