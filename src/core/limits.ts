// Every limit, with its reason. Sizes are bytes unless the name says otherwise.

import { RingbackError } from "./errors.ts";

export type Limit =
  | "bodyBytes"
  | "headBytes"
  | "valueBytes"
  | "metadataBytes"
  | "publishedBytes"
  | "tokenBytes"
  | "reserveMs"
  | "attributes"
  | "attributeNameBytes"
  | "attributeBytes"
  | "runIdBytes"
  | "nameBytes"
  | "hookNames"
  | "deliveryKeyBytes"
  | "depth"
  | "journalEvents"
  | "callsPerEvent"
  | "refusals"
  | "loadsWithoutProgress"
  | "stepRestarts"
  | "answerBytes"
  | "rowsListed"
  | "tokenPerSecond"
  | "tokenBurst"
  | "forgedPerSecond"
  | "forgedBurst"
  | "rateBuckets"
  | "schemaMs"
  | "lookEvents"
  | "lookMs"
  | "issuesTold"
  | "healthRows"
  | "healthMs"
  | "earlyPerToken"
  | "earlyRows"
  | "earlyBytes"
  | "earlyMs"
  | "refusedRows"
  | "refusedBytes"
  | "keysMs"
  | "purgedRows"
  | "warnings"
  | "warningCharacters"
  | "streamChunkBytes"
  | "streamChunks"
  | "streamBufferedBytes";

export const limits: {
  readonly [name in Limit]: number;
} = {
  /** A request body at a door. The common providers stay far below; GitHub's largest (25 MB) needs a raised cap. */
  bodyBytes: 1024 * 1024,
  /** A request's URL and headers. Node takes 16 KiB from a socket; other servers, and code that hands a request over, may take any amount. */
  headBytes: 64 * 1024,
  /** One serialised value, whatever it is: arguments, a result, a payload, an error. Journals are read whole on replay. */
  valueBytes: 4 * 1024 * 1024,
  /** Hook metadata: it is read by doors and lists. */
  metadataBytes: 64 * 1024,
  /** A value that a run publishes: some publish with every turn, each value stays in the journal, and whoever asks often gets it whole. */
  publishedBytes: 64 * 1024,
  /** A custom token: it is an index key in every store. */
  tokenBytes: 255,
  /** How long a token may be reserved: its run is kept as long. */
  reserveMs: 30 * 24 * 3_600_000,
  /** Attributes of a run, and the sizes of a name and a value: they are labels, in an index and in every list. */
  attributes: 64,
  attributeNameBytes: 256,
  attributeBytes: 256,
  /** A run id: likewise. */
  runIdBytes: 255,
  /** The name of a workflow, its version, a step, a hook or a hook definition; the key of a published value. */
  nameBytes: 255,
  /** Names that one run gives to hooks: each keeps its address, which every chapter of the run carries on. */
  hookNames: 100,
  /** A delivery key: the longest in use by the known providers is 64. */
  deliveryKeyBytes: 255,
  /** Nesting of a value or a JSON body. `JSON.stringify` and most code that walks a value overflow the stack from about 10,000. */
  depth: 256,
  /** Events of one run after which its code may ask for nothing new. A run is replayed from them all: 20,000 take 13 ms, so these a second. */
  journalEvents: 1_000_000,
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
  /** Requests at one public token, in a second and at once: ten times what the busiest providers send to one address; journals are read whole. */
  tokenPerSecond: 100,
  tokenBurst: 1_000,
  /** Requests whose token is not ours, all of them together: old links and mistakes are few, and who guesses is slowed down. */
  forgedPerSecond: 100,
  forgedBurst: 1_000,
  /** Addresses whose rate is remembered: some 200 bytes each. */
  rateBuckets: 20_000,
  /** How long a door waits for a schema: most senders give up after 10 s. */
  schemaMs: 5_000,
  /** Events of a run that a door replays for the sake of a schema, and for how long: some 20 ms of the process, and its sender waits. */
  lookEvents: 20_000,
  lookMs: 2_000,
  /** Issues that the answer to a refused payload lists: whoever sends nonsense is not sent a book. */
  issuesTold: 50,
  /** Rows that each look of `health()` reads: a probe that asks every few seconds must not be felt. */
  healthRows: 200,
  /** How long `health()` waits for the store: a probe gives up sooner or later, and then knows nothing. */
  healthMs: 5_000,
  /** Early deliveries at one token: a hook that is late by more than this many is not coming. */
  earlyPerToken: 32,
  /** Early deliveries in a store, and their bytes: what a mistyped pattern may cost. Beyond either a sender is told to come again. */
  earlyRows: 10_000,
  earlyBytes: 64 * 1024 * 1024,
  /** How long an early delivery waits for its hook: who is an hour late has another reason. */
  earlyMs: 3_600_000,
  /** Refused deliveries that are kept, and their bytes: a sender that repeats a refused one all day costs no more. The oldest go. */
  refusedRows: 10_000,
  refusedBytes: 64 * 1024 * 1024,
  /** How long a delivery's key is known at least, also where its run is gone: no provider repeats for as long (G2). */
  keysMs: 30 * 24 * 3_600_000,
  /** Rows that one portion of a purge removes: some 5 ms of a commit that callbacks wait for. */
  purgedRows: 500,
  /** Warnings of one run: they stand in its last event, and each is a line in the log. */
  warnings: 100,
  /** One warning, and why one delivery was refused. They quote what was thrown, or sent, and that may be anything. */
  warningCharacters: 1_000,
  /** One chunk of a stream, serialised: a commit that callbacks wait for writes it whole. Files come in pieces of 64 KiB. */
  streamChunkBytes: 1024 * 1024,
  /** Chunks of one stream: a day and more of ten in a second. */
  streamChunks: 1_000_000,
  /** What one attempt of a step has written to a stream and is not committed, and what `start` reads of streams: it is in memory. */
  streamBufferedBytes: 16 * 1024 * 1024,
};

/** `what` is over a limit, in bytes. */
export function tooLarge(what: string, limit: number, actual: number): RingbackError<"too_large"> {
  return new RingbackError(
    "too_large",
    `${what} has ${actual} bytes, and the limit is ${limit}. Make it smaller, or keep it elsewhere and pass a reference.`,
    { details: { what, limit, actual } },
  );
}
