// A run's journal as people read it: what happened and when, errors by their messages, without payloads and without any token.

import { unreadIn } from "./ending.ts";
import { legible } from "./envelope.ts";
import type { Divergence, EventKind, HookCreated, Payload, Recorded, RunContinued, Serialised } from "./event.ts";
import { deliveryId } from "./receipt.ts";

/** One fact of a run's journal. */
export interface TimelineEntry {
  /** By the store's clock. */
  readonly at: Date;
  /** What happened, in the past tense: `run_started`, `hook_received`, `step_completed` … */
  readonly event: EventKind;
  /** The operation it belongs to: the position of the step, hook, timer or child within its run. */
  readonly position?: number;
  /** What the author called it: the workflow's, the step's or the defined hook's name, a child's workflow, a published value's key. */
  readonly name?: string;
  /** The rest in a few words, for people; the wording may change. */
  readonly detail?: string;
  /** Of a step: the attempt that ended or began, from 1; of `step_retrying` the one that comes next. */
  readonly attempt?: number;
  /** When what was set is due: a timer, a hook's timeout, a step's next attempt. */
  readonly dueAt?: Date;
  /** The id of the delivery, as its sender was told it. */
  readonly delivery?: string;
  /** What was thrown: its class and message. */
  readonly error?: string;
  /** Where code and journal part, of a run that is set aside because its code has changed. */
  readonly difference?: Difference;
}

/** What a run's journal holds at a place, and what its code asks for there. */
export interface Difference {
  /** The turn they part in, from 1. */
  readonly turn: number;
  /** The operation that the journal holds there; null where it holds none. */
  readonly position: number | null;
  /** What the journal holds, in words. */
  readonly expected: string;
  /** What the code asked for. */
  readonly found: string;
  /** `file:line` of that call, or else of the workflow; null where the platform does not tell. */
  readonly site: string | null;
}

/** The entries of a journal, or of its beginning, in order. `wordsOf` reads a recorded error. */
export function timelineOf(journal: readonly Recorded[], wordsOf: (error: Serialised) => string): TimelineEntry[] {
  const names = new Map<number, string>();
  let chapter = 1;
  return journal.map((event) => {
    if (event.kind === "run_continued") chapter++;
    const position = subject(event);
    const name = nameOf(event) ?? (position === undefined ? undefined : names.get(position));
    if (position !== undefined && name !== undefined) names.set(position, name);
    const detail =
      event.kind === "run_continued"
        ? chapterDetail(event, chapter)
        : detailOf(event, event.kind === "run_ended" ? unreadIn(journal, event).length : 0);
    return {
      at: new Date(event.at),
      event: event.kind,
      ...(position === undefined ? {} : { position }),
      ...(name ? { name } : {}),
      ...(detail ? { detail } : {}),
      ...factsOf(event, wordsOf),
    };
  });
}

type Facts = Pick<TimelineEntry, "attempt" | "dueAt" | "delivery" | "error" | "difference">;

/** What programs read of an event, beside what each has. */
function factsOf(event: Recorded, wordsOf: (error: Serialised) => string): Facts {
  switch (event.kind) {
    case "hook_created":
      return event.expiresAt == null ? {} : { dueAt: new Date(event.expiresAt) };
    case "hook_received":
      return event.delivery === undefined ? {} : { delivery: deliveryId(event.delivery) };
    case "timer_set":
      return event.dueAt === undefined ? {} : { dueAt: new Date(event.dueAt) };
    case "step_completed":
    case "step_restarted":
      return { attempt: event.attempt };
    case "step_failed":
      return { attempt: event.attempt, error: wordsOf(event.error) };
    case "step_retrying":
      return { attempt: event.attempt, dueAt: new Date(event.dueAt), error: wordsOf(event.error) };
    case "child_ended":
      return event.outcome.type === "failed" ? { error: wordsOf(event.outcome.error) } : {};
    case "run_blocked":
      return { error: legible(event.message), ...(event.diff ? { difference: differenceOf(event.diff) } : {}) };
    case "run_ended":
      return event.outcome.type === "failed" ? { error: wordsOf(event.outcome.error) } : {};
    default:
      return {};
  }
}

/** A divergence in words that stand on their own. */
export function differenceOf({ turn, position, expected, found, site }: Divergence): Difference {
  return { turn, position, expected: expected ?? "nothing", found: found ?? "nothing", site };
}

/** What ends a hook or a timer, or asks about one, belongs to that hook or timer. */
function subject(event: Recorded): number | undefined {
  if (event.kind === "conflict_asked" || event.kind === "hook_disposed") return event.hook;
  if (event.kind === "timer_cancelled") return event.timer;
  return "position" in event ? event.position : undefined;
}

/** A hook's recorded name is its custom token where it has one. */
function nameOf(event: Recorded): string | undefined {
  if (event.kind === "run_started") return event.workflow;
  if (event.kind === "step_scheduled" || event.kind === "patch_taken" || event.kind === "value_published") return event.name;
  if (event.kind === "hook_created") return event.definition ?? (event.address.type === "minted" ? event.name : undefined);
  if (event.kind === "child_scheduled") return event.start.workflow;
  return undefined;
}

function detailOf(event: Recorded, unread: number): string | undefined {
  switch (event.kind) {
    case "hook_created":
      return hookDetail(event);
    case "run_started":
      return event.token === undefined ? undefined : `has the token ${event.token}`;
    case "hook_received":
      return receivedDetail(event.payload, event.delivery);
    case "hook_failed":
      return event.reason;
    case "cancel_requested":
      return event.compensate ? "to undo what was done" : undefined;
    case "hook_conflicted":
      return `run ${event.holder} holds the token`;
    case "timer_set":
      return event.dueAt === undefined ? undefined : `due ${new Date(event.dueAt).toISOString()}`;
    case "step_completed":
    case "step_failed":
      return event.attempt === 1 ? undefined : `at attempt ${event.attempt}`;
    case "step_retrying":
      return `attempt ${event.attempt} due ${new Date(event.dueAt).toISOString()}`;
    case "step_restarted":
      return `attempt ${event.attempt}`;
    case "attributes_set":
    case "step_attributes_set":
      return Object.keys(event.changes).join(", ");
    case "child_scheduled":
      return `run ${event.start.id}`;
    case "child_started":
    case "child_awaited":
      return `run ${event.runId}`;
    case "child_refused":
      return `run ${event.runId}: ${event.reason}`;
    case "child_ended":
      return event.outcome.type;
    case "url_read":
      return event.url;
    case "signal_aborted":
      return `to ${several(event.steps.length, "step").join("")}`;
    case "run_blocked":
      return event.reason;
    case "run_ended":
      return endDetail(event, unread);
    default:
      return undefined;
  }
}

function endDetail({ outcome, abandoned, warnings }: Recorded & { readonly kind: "run_ended" }, unread: number): string {
  return [outcome.type, ...left(unread, abandoned), ...several(warnings.length, "warning")].join(", ");
}

function chapterDetail({ carried, unread, abandoned }: RunContinued, chapter: number): string {
  const kept = several(carried.length, "hook").map((hooks) => `${hooks} carried`);
  return [`chapter ${chapter}`, ...kept, ...left(unread.length, abandoned)].join(", ");
}

function left(unread: number, { length }: readonly number[]): string[] {
  return [...several(unread, "payload").map((payloads) => `${payloads} unread`), ...(length === 0 ? [] : [`${length} never started`])];
}

/** `1 hook`, `2 hooks`; of none nothing is said. */
function several(count: number, what: string): string[] {
  return count === 0 ? [] : [count === 1 ? `1 ${what}` : `${count} ${what}s`];
}

function hookDetail({ purpose, expiresAt }: Recorded<HookCreated>): string {
  return expiresAt == null ? purpose : `${purpose}, until ${new Date(expiresAt).toISOString()}`;
}

/** The delivery's id is the one its sender was told. */
function receivedDetail(payload: Payload, delivery: number | undefined): string {
  const what = payload.type === "request" ? payload.head.method : "a value";
  return delivery === undefined ? what : `${what}, ${deliveryId(delivery)}`;
}
