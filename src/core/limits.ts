// Every limit, with its reason. Sizes are bytes unless the name says otherwise.

import { RingbackError } from "./errors.ts";

export type Limit =
  | "bodyBytes"
  | "valueBytes"
  | "metadataBytes"
  | "tokenBytes"
  | "runIdBytes"
  | "nameBytes"
  | "deliveryKeyBytes"
  | "depth"
  | "callsPerEvent"
  | "refusals"
  | "loadsWithoutProgress"
  | "stepRestarts"
  | "answerBytes"
  | "rowsListed";

export const limits: {
  readonly [name in Limit]: number;
} = {
  /** A request body at a door. The common providers stay far below; GitHub's largest (25 MB) needs a raised cap. */
  bodyBytes: 1024 * 1024,
  /** One serialised value: an argument list, a result, a payload, an error. Journals are read whole on replay. */
  valueBytes: 4 * 1024 * 1024,
  /** Hook metadata: it is read by doors and lists. */
  metadataBytes: 64 * 1024,
  /** A custom token: it is an index key in every store. */
  tokenBytes: 255,
  /** A run id: likewise. */
  runIdBytes: 255,
  /** The name of a workflow, step or hook definition. */
  nameBytes: 255,
  /** A delivery key: the longest in use by the known providers is 64. */
  deliveryKeyBytes: 255,
  /** Nesting of a value or a JSON body. `JSON.stringify` and most code that walks a value overflow the stack from about 10,000. */
  depth: 256,
  /** Durable calls and hand-overs after one input event: beyond it a loop waits for nothing. */
  callsPerEvent: 100_000,
  /** Errors that the calls of a misbehaving run get before they get nothing any more: a loop that catches them then comes to rest. */
  refusals: 1_000,
  /** Claims of a run without progress before it is set aside: two crashes may be somebody else's, three are the run's own. */
  loadsWithoutProgress: 3,
  /** Times a step is begun again after its process ended, without one attempt that ended by itself. Deploys may end a long step, too. */
  stepRestarts: 10,
  /** A static or manual answer's body. */
  answerBytes: 1024 * 1024,
  /** Rows of one list: one look at the store keeps no callback waiting. */
  rowsListed: 1_000,
};

/** `what` is over a limit, in bytes. */
export function tooLarge(what: string, limit: number, actual: number): RingbackError<"too_large"> {
  return new RingbackError(
    "too_large",
    `${what} has ${actual} bytes, and the limit is ${limit}. Make it smaller, or keep it elsewhere and pass a reference.`,
    { details: { what, limit, actual } },
  );
}
