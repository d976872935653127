// Names that the Workflow DevKit has for errors, each standing for codes of ours: `instanceof` and `is` hold for errors with one of them.
// A name without codes is one whose error cannot come up here; it is there for imports.

import { type ErrorCode, isJournalFull, RingbackError } from "./errors.ts";

/** A name for errors of some codes. It is looked for, never made. */
export interface NamedError<C extends ErrorCode> {
  /** Whether a value is an error with one of the codes, from whatever copy of the package. Never throws. */
  is(value: unknown): value is RingbackError<C>;
  /** As `is`. */
  [Symbol.hasInstance](value: unknown): value is RingbackError<C>;
}

function named<C extends ErrorCode>(codes: readonly C[], isMeant: (error: RingbackError) => boolean = () => true): NamedError<C> {
  const is = (value: unknown): value is RingbackError<C> =>
    RingbackError.is(value) && (codes as readonly ErrorCode[]).includes(value.code) && isMeant(value);
  return { is, [Symbol.hasInstance]: is };
}

/** The store failed: it is away, full, damaged, or not what it should be. */
export const WorkflowWorldError: NamedError<
  "store_unavailable" | "store_full" | "store_corrupt" | "store_in_use" | "store_not_found" | "unsafe_durability"
> = named(["store_unavailable", "store_full", "store_corrupt", "store_in_use", "store_not_found", "unsafe_durability"]);

/** The engine refused what workflow code, or a call, asked for. */
export const WorkflowRuntimeError: NamedError<
  | "outside_turn"
  | "other_run"
  | "nothing_pending"
  | "too_many_calls"
  | "forbidden_in_workflow"
  | "body_not_in_hand"
  | "unserialisable"
  | "unknown_class"
  | "too_deep"
  | "bad_argument"
  | "workflow_called_directly"
  | "workflow_not_registered"
  | "step_not_registered"
  | "internal_error"
> = named([
  "outside_turn",
  "other_run",
  "nothing_pending",
  "too_many_calls",
  "forbidden_in_workflow",
  "body_not_in_hand",
  "unserialisable",
  "unknown_class",
  "too_deep",
  "bad_argument",
  "workflow_called_directly",
  "workflow_not_registered",
  "step_not_registered",
  "internal_error",
]);

/** A value cannot be stored, or a stored one cannot be read. */
export const SerializationError: NamedError<"unserialisable" | "unknown_class" | "too_deep" | "body_not_in_hand"> = named([
  "unserialisable",
  "unknown_class",
  "too_deep",
  "body_not_in_hand",
]);

/** A run that has not ended is to be treated as one that has. */
export const WorkflowRunNotCompletedError: NamedError<"run_open"> = named(["run_open"]);
/** Something of this name is there, and is another. */
export const EntityConflictError: NamedError<"run_conflict" | "key_reused"> = named(["run_conflict", "key_reused"]);
/** What is asked for was there, and is over. */
export const RunExpiredError: NamedError<"hook_closed"> = named(["hook_closed"]);
/** More came at once than is taken. */
export const ThrottleError: NamedError<"too_many_requests" | "early_full"> = named(["too_many_requests", "early_full"]);
/** The store was written by a newer version. */
export const RunNotSupportedError: NamedError<"store_newer"> = named(["store_newer"]);
/** Code has changed under a run, which is set aside: it never fails for it. */
export const ReplayDivergenceError: NamedError<"changed_code"> = named(["changed_code"]);
/** The database is damaged. */
export const CorruptedEventLogError: NamedError<"store_corrupt"> = named(["store_corrupt"]);
/** A run has come to the limit of its journal, or of a chapter of it. */
export const MaxEventsExceededError: NamedError<"too_large"> = named(["too_large"], isJournalFull);
/** A key that is needed is not in the key ring, or is another. */
export const RuntimeDecryptionError: NamedError<"missing_key" | "key_mismatch"> = named(["missing_key", "key_mismatch"]);
/** Nothing here is asked for too early. */
export const TooEarlyError: NamedError<never> = named([]);
/** A worker that has lost a run's lease is told so by its fence, and nobody sees an error. */
export const PreconditionFailedError: NamedError<never> = named([]);
