// What may stand in a run's journal. A new kind of durable fact starts here; the exhaustive switches lead the rest of the way.
//
// E1. Input events advance code, in `seq` order. Output events are what code asked for; they are matched on replay, never applied.
// E2. An output belongs to the turn that asked for it, and all outputs of one turn are appended together.
// E3. Every value in an event is already serialised and sealed: no minted token is in any of these fields.

import type { AttributeChanges, Attributes } from "./attribute.ts";

/** Text written by the serialiser, sealed: minted tokens in it stand as references. */
export type Serialised = string;

/** A captured HTTP request. `search` is the query with its `?`; the path is the hook's own and is not repeated. */
export interface RequestHead {
  readonly method: string;
  /** Full URL, sealed, or null where it was the hook's own URL plus `search`. */
  readonly url: string | null;
  readonly search: string;
  /** Names and values in turn, as received. */
  readonly headers: readonly string[];
}

/** What a delivery carries. Bodies are the received bytes, sealed. */
export type Payload =
  | { readonly type: "value"; readonly value: Serialised }
  | { readonly type: "request"; readonly head: RequestHead; readonly body: Uint8Array };

/** About what it takes at rest: the bytes of its body, or the characters of its text. */
export function payloadSize(payload: Payload): number {
  return payload.type === "value" ? payload.value.length : payload.body.length;
}

const secretHeader = /^(proxy-)?authorization$|^cookie$|api-?key|secret|password|token/i;

/** What stands for a credential that was struck out. */
export const removed = "[removed]";

/** Whether `headers[at]` is the value of a sender's credential; signatures prove nothing without their key. */
export function isCredential(headers: readonly string[], at: number): boolean {
  return at % 2 === 1 && secretHeader.test(headers[at - 1] as string);
}

/** The same with the values of its sender's credentials struck out. */
export function withoutSecrets(payload: Payload): Payload {
  if (payload.type === "value") return payload;
  const { headers } = payload.head;
  return { ...payload, head: { ...payload.head, headers: headers.map((text, at) => (isCredential(headers, at) ? removed : text)) } };
}

/** An HTTP answer at rest. */
export interface Answer {
  readonly status: number;
  /** Names and values in turn. */
  readonly headers: readonly string[];
  readonly body: Uint8Array;
}

/** Who answers the sender, and with what. */
export type ResponsePolicy =
  | { readonly mode: "accepted" }
  | { readonly mode: "static"; readonly answer: Answer }
  /** The workflow answers within `withinMs` of the commit; after that the answer is 202. */
  | { readonly mode: "manual"; readonly withinMs: number };

/** A deadline as its author wrote it. The store turns a span into an instant when it commits the event. */
export type Due = { readonly afterMs: number } | { readonly at: number };

/** Who may address a hook: a token the engine minted, or one the author chose. */
export type HookAddress =
  | { readonly type: "minted"; readonly kid: string; readonly generation: number; readonly hash: string }
  | { readonly type: "custom"; readonly token: string; readonly hash: string };

/** An operation as replay recognises it: the turn that asked, its position, and what it was (kind is the event's). */
interface Asked {
  readonly turn: number;
  readonly position: number;
  readonly name: string;
  /** 64-bit digest of the serialised input, 16 hex digits. */
  readonly digest: string;
}

export interface HookCreated extends Asked {
  readonly kind: "hook_created";
  readonly purpose: "hook" | "webhook";
  readonly address: HookAddress;
  /** The public URL as it was built, sealed; null where the hook has none. */
  readonly url: string | null;
  readonly payload: "request" | "json";
  readonly methods: readonly string[];
  readonly response: ResponsePolicy;
  readonly metadata: Serialised | null;
  /** The name given to `defineHook`; null where only the live code holds the schema, or there is none. */
  readonly definition: string | null;
  readonly hasSchema: boolean;
  readonly timeout: Due | null;
  /** Set by the store at commit. */
  readonly expiresAt?: number | null;
  /** How long at least the custom token is its run's, as the author wrote it; absent where it is free with its hook. */
  readonly reserve?: Due;
  /** Set by the store at commit. */
  readonly reservedUntil?: number;
}

/** A value of the run for others to read: the last one under its key, which is its name, until the run is removed. */
export interface ValuePublished extends Asked {
  readonly kind: "value_published";
  readonly value: Serialised;
}

/** The address that a hook's name stands for, in all chapters of its run. */
export interface NamedAddress {
  readonly name: string;
  readonly position: number;
  readonly purpose: "hook" | "webhook";
  readonly address: HookAddress;
  /** Sealed. */
  readonly url: string | null;
}

/** A hook that stays open from one chapter to the next. */
export interface CarriedHook {
  /** As it was asked for; a static answer stands where the hook was created. */
  readonly created: HookCreated;
  /** What came for it and no reader took: the store's numbers of the deliveries. */
  readonly unread: readonly number[];
}

/** Ends a chapter of a run and begins the next one: its code starts again, with these arguments. */
export interface RunContinued {
  readonly kind: "run_continued";
  readonly codeId: string;
  readonly args: Serialised;
  readonly seed: string;
  /** The highest position taken so far: those of the new chapter are above. */
  readonly lastPosition: number;
  /** `seq` of the last input that the old chapter's code saw. */
  readonly seen: number;
  readonly carried: readonly CarriedHook[];
  /** Every name that the run has given to a hook. */
  readonly names: readonly NamedAddress[];
  /** Positions of the open hooks that are not carried: they are closed by this. */
  readonly closed: readonly number[];
  /** Ids of the runs whose ends the old chapter awaited. */
  readonly awaited: readonly string[];
  /** `seq` of the payloads up to `seen` that no reader took, at hooks that are not carried. */
  readonly unread: readonly number[];
  /** Positions of the steps and timers that were asked for and have no outcome. */
  readonly abandoned: readonly number[];
  readonly warnings: readonly string[];
  /** The names of the attributes that code has set so far, where there are any. */
  readonly attributes?: readonly string[];
}

export type InputEvent =
  | RunContinued
  | {
      readonly kind: "run_started";
      readonly workflow: string;
      readonly codeId: string;
      readonly args: Serialised;
      readonly seed: string;
      /** The custom token that is the run's from its start on. */
      readonly token?: string;
      /** Those of its starter, and where it comes from. */
      readonly attributes?: Attributes;
    }
  /** Only where code asked `getConflict()`, or a claim was lost, does the outcome of a claim advance code. */
  | { readonly kind: "hook_registered"; readonly position: number }
  | { readonly kind: "hook_conflicted"; readonly position: number; readonly holder: string }
  | {
      readonly kind: "hook_received";
      readonly position: number;
      readonly payload: Payload;
      readonly key: string | null;
      /** The store's number of the delivery, set at commit. */
      readonly delivery?: number;
    }
  | { readonly kind: "hook_failed"; readonly position: number; readonly reason: "timeout" }
  | { readonly kind: "timer_fired"; readonly position: number }
  | { readonly kind: "step_completed"; readonly position: number; readonly attempt: number; readonly result: Serialised }
  | { readonly kind: "step_failed"; readonly position: number; readonly attempt: number; readonly error: Serialised }
  | { readonly kind: "child_started"; readonly position: number; readonly runId: string }
  | {
      readonly kind: "child_refused";
      readonly position: number;
      readonly runId: string;
      readonly reason: "run_conflict" | "run_not_found" | "hook_conflict";
      /** Of `hook_conflict`: the token that was asked for, and the run that has it. */
      readonly token?: string;
      readonly holder?: string;
    }
  | { readonly kind: "child_ended"; readonly position: number; readonly outcome: RunOutcome }
  /** `compensate`: the run is to undo what it did before it ends. */
  | { readonly kind: "cancel_requested"; readonly compensate?: true };

export type OutputEvent =
  | HookCreated
  | (Asked & { readonly kind: "conflict_asked"; readonly hook: number })
  | (Asked & { readonly kind: "hook_disposed"; readonly hook: number })
  | (Asked & { readonly kind: "timer_set"; readonly due: Due /** Set by the store at commit. */; readonly dueAt?: number })
  | (Asked & { readonly kind: "timer_cancelled"; readonly timer: number })
  | (Asked & { readonly kind: "step_scheduled"; readonly input: Serialised })
  | (Asked & { readonly kind: "child_scheduled"; readonly start: NewRun })
  | (Asked & { readonly kind: "child_awaited"; readonly runId: string })
  /** Code aborted a signal that these steps were given: each by its position, with the signal's place in its input. */
  | (Asked & {
      readonly kind: "signal_aborted";
      readonly steps: readonly (readonly [position: number, place: number])[];
      readonly reason: Serialised;
    })
  /** The engine's base URL, as it was where code first asked for it. */
  | (Asked & { readonly kind: "url_read"; readonly url: string })
  /** The run takes the new code behind `patched(name)`. */
  | (Asked & { readonly kind: "patch_taken" })
  | (Asked & { readonly kind: "attributes_set"; readonly changes: AttributeChanges })
  | ValuePublished;

/** How a run ended. */
export type RunOutcome =
  | { readonly type: "completed"; readonly result: Serialised }
  | { readonly type: "failed"; readonly error: Serialised }
  | { readonly type: "cancelled" };

/** Facts that neither advance code nor answer to a call: attempts, ends, and being set aside. */
export type NoteEvent =
  /** The attempt before `attempt` failed; this one starts at `dueAt`. */
  | {
      readonly kind: "step_retrying";
      readonly position: number;
      readonly attempt: number;
      readonly error: Serialised;
      readonly dueAt: number;
    }
  /** The body of a step has changed its run's attributes. */
  | { readonly kind: "step_attributes_set"; readonly position: number; readonly attempt: number; readonly changes: AttributeChanges }
  /** A later process takes the step up again: the attempt it starts. */
  | { readonly kind: "step_restarted"; readonly position: number; readonly attempt: number }
  | {
      readonly kind: "run_blocked";
      readonly reason: BlockedReason;
      readonly codeId: string;
      readonly message: string;
      readonly diff: Divergence | null;
    }
  | { readonly kind: "run_unblocked" }
  | {
      readonly kind: "run_ended";
      readonly turn: number;
      readonly outcome: RunOutcome;
      /** `seq` of the last input code saw; every payload after it is unread. */
      readonly seen: number;
      /** `seq` of the payloads up to `seen` that no reader took. */
      readonly unread: readonly number[];
      /** Positions of what was first asked for in the turn that ended the run, and never started. */
      readonly abandoned: readonly number[];
      readonly warnings: readonly string[];
    };

/** Why a run is set aside: its code no longer fits, it did what no replay can follow, it ended process after process, a key is gone. */
export type BlockedReason = "changed_code" | "misuse" | "crash_loop" | "missing_key";

/** Where code and journal part: what the journal holds, what the code asked for. */
export interface Divergence {
  /** The turn they part in, from 1. */
  readonly turn: number;
  /** The operation that the journal has there; null where it has none. */
  readonly position: number | null;
  /** What the journal has: `step charge`, `timer`, `hook order:42`. */
  readonly expected: string | null;
  /** What the code has in its place. */
  readonly found: string | null;
  /** `file:line` of the call that was found, or else of the workflow; null where the platform does not tell. */
  readonly site: string | null;
}

export type RunEvent = InputEvent | OutputEvent | NoteEvent;
export type EventKind = RunEvent["kind"];

/** An event as the journal holds it. `seq` counts from 1 within the run, without gaps; `at` is the store's clock at commit. */
export type Recorded<E extends RunEvent = RunEvent> = E & { readonly seq: number; readonly at: number };

/** What it takes to begin a run. The store adds a number of its own. */
export interface NewRun {
  /** The public id, ≤ 255 bytes. */
  readonly id: string;
  /** Random, internal, part of every minted token of the run; never shown as an id. */
  readonly key: string;
  readonly workflow: string;
  readonly codeId: string;
  readonly args: Serialised;
  /** 128 random bits, 32 hex digits. */
  readonly seed: string;
  /** A custom token that is to be the run's from its start on. */
  readonly token?: string;
  readonly attributes?: Attributes;
}

const inputKinds: ReadonlySet<EventKind> = new Set<InputEvent["kind"]>([
  "run_started",
  "run_continued",
  "hook_registered",
  "hook_conflicted",
  "hook_received",
  "hook_failed",
  "timer_fired",
  "step_completed",
  "step_failed",
  "child_started",
  "child_refused",
  "child_ended",
  "cancel_requested",
]);
const outputKinds: ReadonlySet<EventKind> = new Set<OutputEvent["kind"]>([
  "hook_created",
  "conflict_asked",
  "hook_disposed",
  "timer_set",
  "timer_cancelled",
  "step_scheduled",
  "child_scheduled",
  "child_awaited",
  "patch_taken",
  "signal_aborted",
  "url_read",
  "attributes_set",
  "value_published",
]);

export function isInput<E extends RunEvent>(event: E): event is E & InputEvent {
  return inputKinds.has(event.kind);
}

export function isOutput<E extends RunEvent>(event: E): event is E & OutputEvent {
  return outputKinds.has(event.kind);
}

/** The value that code is given with an event. */
export function valueIn(event: Recorded): Serialised | null {
  switch (event.kind) {
    case "run_started":
    case "run_continued":
      return event.args;
    case "step_completed":
      return event.result;
    case "step_failed":
      return event.error;
    case "child_ended":
      return event.outcome.type === "completed" ? event.outcome.result : event.outcome.type === "failed" ? event.outcome.error : null;
    case "hook_received":
      return event.payload.type === "value" ? event.payload.value : null;
    default:
      return null;
  }
}
