// An event as a narrow row and back: a kind number, position and turn, a small JSON head, and one body that is bound as it is.
//
// EC1. Kind numbers are in people's files: a new kind takes the next one, none is changed or used again.
// EC2. The body holds what may be large: serialised text, or received bytes, never re-coded.

import type { EventKind, HookCreated, Payload, Recorded, RequestHead, RunEvent, RunOutcome } from "./event.ts";
import type { Entry } from "./run-row.ts";

type Fields = Record<string, unknown>;

/** What of an event goes into columns; number, date and place in the journal are the store's. */
export interface EventRow {
  readonly kind: number;
  readonly position: number | null;
  readonly turn: number | null;
  /** The key of a delivery that has one. */
  readonly key: string | null;
  readonly head: string | null;
  readonly body: string | Uint8Array | null;
}

const kindNumbers: { readonly [kind in EventKind]: number } = {
  run_started: 1,
  hook_created: 2,
  hook_received: 3,
  run_ended: 4,
  step_scheduled: 5,
  step_completed: 6,
  step_failed: 7,
  timer_set: 8,
  timer_fired: 9,
  timer_cancelled: 10,
  hook_disposed: 11,
  hook_failed: 12,
  hook_registered: 13,
  hook_conflicted: 14,
  conflict_asked: 15,
  child_scheduled: 16,
  child_started: 17,
  child_refused: 18,
  child_awaited: 19,
  child_ended: 20,
  cancel_requested: 21,
  step_retrying: 22,
  step_restarted: 23,
  run_blocked: 24,
  run_unblocked: 25,
  patch_taken: 26,
  run_continued: 27,
  signal_aborted: 28,
  url_read: 29,
  attributes_set: 30,
  step_attributes_set: 31,
  value_published: 32,
};
const kinds: ReadonlyMap<number, EventKind> = new Map(Object.entries(kindNumbers).map(([kind, number]) => [number, kind as EventKind]));

/** What a kind is called where a store asks for it without reading the event (EC2). */
export function kindNumber(kind: EventKind): number {
  return kindNumbers[kind];
}

/** The one field of a kind that is serialised text of any size. */
const textFields: { readonly [kind in EventKind]?: string } = {
  run_started: "args",
  run_continued: "args",
  step_scheduled: "input",
  step_completed: "result",
  step_failed: "error",
  step_retrying: "error",
  signal_aborted: "reason",
  value_published: "value",
};

export function encodeEvent(event: RunEvent): EventRow {
  const kind = kindNumbers[event.kind];
  if (kind === undefined) throw new TypeError(`There is no event kind "${String(event.kind)}".`);
  switch (event.kind) {
    case "hook_received":
      return encodeReceived(kind, event.position, event.payload, event.key);
    case "run_ended": {
      const { turn, seen, unread, abandoned, warnings, outcome } = event;
      return {
        kind,
        position: null,
        turn,
        key: null,
        head: JSON.stringify({ seen, unread, abandoned, warnings, outcome: outcome.type }),
        body: outcomeText(outcome),
      };
    }
    case "child_ended":
      return {
        kind,
        position: event.position,
        turn: null,
        key: null,
        head: JSON.stringify({ outcome: event.outcome.type }),
        body: outcomeText(event.outcome),
      };
    case "hook_created": {
      const { response } = event;
      if (response.mode !== "static") return encodePlain(kind, event, null);
      const { body, ...answer } = response.answer;
      return encodePlain(kind, { ...event, response: { mode: "static", answer } }, body);
    }
    case "child_scheduled": {
      const { args, ...start } = event.start;
      return encodePlain(kind, { ...event, start }, args);
    }
    default:
      return encodePlain(kind, event, textOf(event));
  }
}

function encodeReceived(kind: number, position: number, payload: Payload, key: string | null): EventRow {
  const { head, body } = encodePayload(payload);
  return { kind, position, turn: null, key, head, body };
}

/** A request is known by its head; a value has none, so most deliveries by `resumeHook` parse nothing. */
export function encodePayload(payload: Payload): Pick<EventRow, "head" | "body"> {
  return payload.type === "request" ? { head: JSON.stringify(payload.head), body: payload.body } : { head: null, body: payload.value };
}

function outcomeText(outcome: RunOutcome): string | null {
  switch (outcome.type) {
    case "completed":
      return outcome.result;
    case "failed":
      return outcome.error;
    case "cancelled":
      return null;
  }
}

function textOf(event: RunEvent): string | null {
  const field = textFields[event.kind];
  return field === undefined ? null : (event as unknown as Record<string, string>)[field]!;
}

/** All fields but those with columns of their own go into the head. */
function encodePlain(kind: number, event: object, body: string | Uint8Array | null): EventRow {
  const {
    kind: name,
    position = null,
    turn = null,
    seq: _seq,
    at: _at,
    ...head
  } = event as { kind: EventKind; position?: number; turn?: number; seq?: number; at?: number };
  const field = textFields[name];
  if (field !== undefined) delete (head as Record<string, unknown>)[field];
  const text = JSON.stringify(head);
  return { kind, position, turn, key: null, head: text === "{}" ? null : text, body };
}

/** The event back from its row. Fields are put onto what the head parses to: a replay reads tens of thousands, and copies cost as much. */
export function decodeEvent(row: EventRow, { number, seq, at }: Entry): Recorded {
  const kind = kinds.get(row.kind);
  if (kind === undefined) throw new TypeError(`The journal holds an event of the unknown kind ${row.kind}; a later version wrote it.`);
  if (kind === "hook_received") {
    const payload = decodePayload(row);
    return { kind, position: row.position!, payload, key: row.key, delivery: number, seq, at };
  }
  const event: Fields = row.head === null ? {} : JSON.parse(row.head);
  event["kind"] = kind;
  if (row.position !== null) event["position"] = row.position;
  if (row.turn !== null) event["turn"] = row.turn;
  putBody(event, kind, row.body);
  event["seq"] = seq;
  event["at"] = at;
  return event as unknown as Recorded;
}

function putBody(event: Fields, kind: EventKind, body: EventRow["body"]): void {
  switch (kind) {
    case "run_ended":
    case "child_ended":
      event["outcome"] = decodeOutcome(event["outcome"] as RunOutcome["type"], String(body));
      return;
    case "hook_created": {
      const response = event["response"] as HookCreated["response"];
      if (response.mode === "static") event["response"] = { mode: "static", answer: { ...response.answer, body: bytesOf(body) } };
      return;
    }
    case "child_scheduled":
      (event["start"] as Fields)["args"] = body;
      return;
    default: {
      const field = textFields[kind];
      if (field !== undefined) event[field] = body;
    }
  }
}

export function decodePayload({ head, body }: Pick<EventRow, "head" | "body">): Payload {
  return head === null
    ? { type: "value", value: String(body) }
    : { type: "request", head: JSON.parse(head) as RequestHead, body: bytesOf(body) };
}

function decodeOutcome(type: RunOutcome["type"], text: string): RunOutcome {
  switch (type) {
    case "completed":
      return { type, result: text };
    case "failed":
      return { type, error: text };
    case "cancelled":
      return { type };
  }
}

/** Some drivers bind and return an empty body as null. */
function bytesOf(body: EventRow["body"]): Uint8Array {
  return body instanceof Uint8Array ? body : new Uint8Array(0);
}
