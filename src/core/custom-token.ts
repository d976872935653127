// Tokens that authors choose: what may stand in every store, and cannot pass for a minted one.

import { HookConflictError, RingbackError } from "./errors.ts";
import { limits, tooLarge } from "./limits.ts";

/** Refuses what no author may choose as a token: `bad_argument`, or `too_large` above 255 bytes. */
export function checkCustomToken(token: string): void {
  if (typeof token !== "string" || token === "") throw badToken(token, "is empty or no text");
  if (token.startsWith("wh:")) throw badToken(token, 'begins with "wh:", as only minted tokens do');
  if (unkeepable.test(token)) throw badToken(token, "holds a NUL or half a character, which not every store can keep");
  const bytes = bytesOf(token);
  if (bytes > limits.tokenBytes) throw tooLarge("A custom token", limits.tokenBytes, bytes);
}

/** The same for a token that a run is to be started with. `sealText` tells whether a minted one is in it. */
export function checkClaim(token: string, sealText: (text: string) => string): void {
  checkCustomToken(token);
  if (sealText(token) !== token) throw holdsSecret(sealText(token));
}

/** What an author calls a hook by is no secret. */
export function holdsSecret(token: string): RingbackError<"bad_argument"> {
  const message = `${JSON.stringify(token)} holds a minted token, and what you call a hook by is no secret: it stands in lists, logs and messages. Choose another, such as "order:42".`;
  return new RingbackError("bad_argument", message, { details: { argument: "token", value: token } });
}

/** Whoever asks for a token that is another run's. */
export function tokenTaken(token: string, holder: string): HookConflictError {
  const message = `Token "${token}" is run ${holder}'s, by an open hook or a reservation. Leave the work to that run, or use another token.`;
  return new HookConflictError(message, { details: { token, holder } });
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
