// Run ids that authors choose: they are index keys in every store, and stand in lists, logs and messages.

import { badArgument, kindOf } from "./argument.ts";
import { RingbackError } from "./errors.ts";
import { limits, tooLarge } from "./limits.ts";
import { isKeyText } from "./run-row.ts";

/** Refuses what no run may be called: `bad_argument`, or `too_large` above 255 bytes. `sealText` tells whether a minted token is in it. */
export function checkRunId(id: string, sealText: (text: string) => string): void {
  if (typeof id !== "string") throw badArgument("id", id, `A run id is text, such as "order-42", got ${kindOf(id)}.`);
  if (id === "") throw badId("", "is empty");
  if (sealText(id) !== id) throw badId(sealText(id), "holds a minted token, which is a secret");
  if (!isKeyText(id)) throw badId(id, "holds a NUL or half a character, which not every store can keep");
  const bytes = new TextEncoder().encode(id).length;
  if (bytes > limits.runIdBytes) throw tooLarge("A run id", limits.runIdBytes, bytes);
}

/** How the outside knows a hook: the same in every process, and no secret. */
export function hookIdOf(runId: string, position: number): string {
  return `${runId}:${position}`;
}

/** How the outside knows a sleep. */
export function operationId(runId: string, position: number): string {
  return `${runId}:${position}`;
}

function badId(id: string, why: string): RingbackError<"bad_argument"> {
  const value = JSON.stringify(id);
  return new RingbackError("bad_argument", `Run id ${value} ${why}. Choose another, such as "order-42".`, {
    details: { argument: "id", value },
  });
}
