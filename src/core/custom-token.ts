// Tokens that authors choose: what may stand in every store, and cannot pass for a minted one.

import { RingbackError } from "./errors.ts";
import { limits, tooLarge } from "./limits.ts";

/** Refuses what no author may choose as a token: `bad_argument`, or `too_large` above 255 bytes. */
export function checkCustomToken(token: string): void {
  if (typeof token !== "string" || token === "") throw badToken(token, "is empty or no text");
  if (token.startsWith("wh:")) throw badToken(token, 'begins with "wh:", as only minted tokens do');
  if (/[\0\p{Surrogate}]/u.test(token)) throw badToken(token, "holds a NUL or half a character, which not every store can keep");
  const bytes = new TextEncoder().encode(token).length;
  if (bytes > limits.tokenBytes) throw tooLarge("A custom token", limits.tokenBytes, bytes);
}

function badToken(token: unknown, why: string): RingbackError<"bad_argument"> {
  const shown = typeof token === "string" ? token.replace(/^(wh:[^:]*(?::[^:]*)?).*/s, "$1…") : null; // a minted one is a secret
  const value = shown === null ? typeof token : JSON.stringify(shown);
  return new RingbackError("bad_argument", `Token ${value} ${why}. Choose another, such as "order:42".`, {
    details: { argument: "token", value },
  });
}
