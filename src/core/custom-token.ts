// Tokens that authors choose: what may stand in every store, and cannot pass for a minted one.

import { RingbackError } from "./errors.ts";
import { limits, tooLarge } from "./limits.ts";

/** Refuses what no author may choose as a token: `bad_argument`, or `too_large` above 255 bytes. */
export function checkCustomToken(token: string): void {
  if (typeof token !== "string" || token === "") throw badToken(token, "is empty or no text");
  if (token.startsWith("wh:")) throw badToken(token, 'begins with "wh:", as only minted tokens do');
  if (unkeepable.test(token)) throw badToken(token, "holds a NUL or half a character, which not every store can keep");
  const bytes = bytesOf(token);
  if (bytes > limits.tokenBytes) throw tooLarge("A custom token", limits.tokenBytes, bytes);
}

/** The same as an answer, for a door that is given anything. */
export function isCustomToken(token: string): boolean {
  return token !== "" && !token.startsWith("wh:") && !unkeepable.test(token) && bytesOf(token) <= limits.tokenBytes;
}

const unkeepable = /[\0\p{Surrogate}]/u;

function bytesOf(token: string): number {
  return new TextEncoder().encode(token).length;
}

function badToken(token: unknown, why: string): RingbackError<"bad_argument"> {
  const shown = typeof token === "string" ? token.replace(/^(wh:[^:]*(?::[^:]*)?).*/s, "$1…") : null; // a minted one is a secret
  const value = shown === null ? typeof token : JSON.stringify(shown);
  return new RingbackError("bad_argument", `Token ${value} ${why}. Choose another, such as "order:42".`, {
    details: { argument: "token", value },
  });
}
