// Which fields of the journal hold what users and senders wrote, and at which place each of them stands.
//
// VM1. Every kind of event is named here: a new one does not compile until it is said which of its fields are values.
// VM2. A place is the same wherever its value is carried: arguments and outcomes go from run to run under the id of the run whose they
//     are, a hook under its run's key and its position, a payload under the address that it came to.

import type { Answer, HookCreated, Payload, RunEvent, RunOutcome } from "./event.ts";

/** What is made of each value. A place tells two values of a store apart. */
export interface ValueMap {
  /** Serialised text. */
  value(text: string, place: string): string;
  /** Arguments: two of the same run that are equal stay so. */
  args(text: string, place: string): string;
  /** A message, or a digest: no serialised text. */
  prose(text: string, place: string): string;
  payload(payload: Payload, place: () => string | null): Payload;
  answer(answer: Answer, place: string): Answer;
  /** How another run ended. */
  outcome(text: string, place: () => string | null): string;
}

/** Whose events they are, and where what came to it did. */
export interface EventPlaces {
  readonly id: string;
  readonly key: string;
  /** The address of the hook at a position, as `keyScope` writes it; null where it is not known. */
  readonly scope: (position: number) => string | null;
  /** The run whose end is awaited at a position. */
  readonly awaited: (position: number) => string | null;
}

export function argsPlace(runId: string): string {
  return `args:${runId}`;
}
export function payloadPlace(scope: string): string {
  return `payload:${scope}`;
}
export function detailPlace(scope: string): string {
  return `detail:${scope}`;
}
export function answerPlace(delivery: number): string {
  return `answer:${delivery}`;
}
/** Of a hook's static answer: it outlives run and hook, with the keys of what they took. */
export const staticPlace = "answer:static";
/** Of every chunk of a stream: which number it gets is known once it is committed. */
export function chunkPlace(runKey: string, stream: string): string {
  return `stream:${runKey}:${stream}`;
}
export function outcomePlace(runId: string): string {
  return `outcome:${runId}`;
}

/** The event with each of its values put through `map`; the same event where it has none. */
export function mapEvent<E extends RunEvent>(event: E, places: EventPlaces, map: ValueMap): E {
  return mapped(event, places, map) as E;
}

function mapped(event: RunEvent, places: EventPlaces, map: ValueMap): RunEvent {
  const { id, key } = places;
  switch (event.kind) {
    case "run_started":
      return { ...event, args: map.args(event.args, argsPlace(id)) };
    case "run_continued":
      return {
        ...event,
        args: map.value(event.args, `chapter:${event.lastPosition}:${id}`),
        carried: event.carried.map((hook) => ({ ...hook, created: mapHook(hook.created, key, map) })),
        warnings: warnings(event.warnings, key, map),
      };
    case "hook_created":
      return mapHook(event, key, map);
    case "hook_received":
      return { ...event, payload: map.payload(event.payload, () => scopePlace(places.scope(event.position))) };
    case "step_scheduled":
      return { ...event, input: map.value(event.input, field(key, event.position, "input")), digest: digestOf(event, key, map) };
    case "step_completed":
      return { ...event, result: map.value(event.result, field(key, event.position, "result")) };
    case "step_failed":
      return { ...event, error: map.value(event.error, field(key, event.position, "error")) };
    case "step_retrying":
      return { ...event, error: map.value(event.error, field(key, event.position, `retry:${event.attempt}`)) };
    case "signal_aborted":
      return { ...event, reason: map.value(event.reason, field(key, event.position, "reason")), digest: digestOf(event, key, map) };
    case "value_published":
      return { ...event, value: map.value(event.value, field(key, event.position, "value")), digest: digestOf(event, key, map) };
    case "child_scheduled":
      return {
        ...event,
        start: { ...event.start, args: map.args(event.start.args, argsPlace(event.start.id)) },
        digest: digestOf(event, key, map),
      };
    case "child_ended":
      return { ...event, outcome: mapOutcome(event.outcome, () => runPlace(places.awaited(event.position)), map) };
    case "run_ended":
      return {
        ...event,
        outcome: mapOutcome(event.outcome, () => outcomePlace(id), map),
        warnings: warnings(event.warnings, key, map),
      };
    case "run_blocked":
      return { ...event, message: map.prose(event.message, `run:${key}:blocked`) };
    // Names, numbers, spans and dates; the digests of these are of nothing else.
    case "hook_registered":
    case "hook_conflicted":
    case "hook_failed":
    case "timer_fired":
    case "child_started":
    case "child_refused":
    case "cancel_requested":
    case "conflict_asked":
    case "hook_disposed":
    case "timer_set":
    case "timer_cancelled":
    case "child_awaited":
    case "patch_taken":
    case "url_read":
    // Labels, which lists are filtered by.
    case "attributes_set":
    case "step_attributes_set":
    case "step_restarted":
    case "run_unblocked":
      return event;
    default:
      return unknownKind(event);
  }
}

/** Of a hook: what its author said of it, and what its senders are answered. */
export function mapHook<H extends HookCreated>(created: H, key: string, map: ValueMap): H {
  const { position, turn, metadata, response } = created;
  return {
    ...created,
    digest: digestOf(created, key, map),
    metadata: metadata === null ? null : map.value(metadata, field(key, position, `metadata:${turn}`)),
    response: response.mode === "static" ? { mode: "static", answer: map.answer(response.answer, staticPlace) } : response,
  };
}

/** How a run ended, at the place of the run whose end it is. */
export function mapOutcome(outcome: RunOutcome, place: () => string | null, map: ValueMap): RunOutcome {
  switch (outcome.type) {
    case "completed":
      return { type: outcome.type, result: map.outcome(outcome.result, place) };
    case "failed":
      return { type: outcome.type, error: map.outcome(outcome.error, place) };
    case "cancelled":
      return outcome;
  }
}

function warnings(texts: readonly string[], key: string, map: ValueMap): string[] {
  return texts.map((text, index) => map.prose(text, `run:${key}:warning:${index}`));
}

interface Digested {
  readonly position: number;
  readonly turn: number;
  readonly digest: string;
}

/** Two openings of one named hook differ by their turn. */
function digestOf({ position, turn, digest }: Digested, key: string, map: ValueMap): string {
  return map.prose(digest, field(key, position, `digest:${turn}`));
}

function field(key: string, position: number, name: string): string {
  return `run:${key}:${position}:${name}`;
}

function scopePlace(scope: string | null): string | null {
  return scope === null ? null : payloadPlace(scope);
}

function runPlace(runId: string | null): string | null {
  return runId === null ? null : outcomePlace(runId);
}

function unknownKind(event: never): never {
  throw new TypeError(`There is no event kind "${String((event as { kind?: unknown }).kind)}".`);
}
