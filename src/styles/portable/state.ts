// What a run has done so far, as a value: plain JSON, to be kept wherever its owner likes. It only ever grows.
//
// PS1. A state holds everything since the run began: what a later run adds comes behind what it was given.
// PS2. Injecting answers a wait that the state holds, once. Anything else is refused, with a type.

import type { Serialised } from "../../core/event.ts";
import type { StepEnded, StepSettled, StepWaits } from "../../core/portable.ts";
import { type ErrorClass, TaggedError, type TaggedErrorBase } from "./tagged-error.ts";

/** A step, by its key. */
interface Named {
  readonly name: string;
}
type OnTime<E> = E extends { readonly value: unknown } ? never : E;

/** One fact, in the engine's words. `name` is the key of a step; instants are milliseconds since 1970. */
export type StateEvent =
  /** The run's id, its workflow's name where it has one, and what it was given. */
  | { readonly kind: "run_started"; readonly id: string; readonly workflow: string | null; readonly input?: Serialised | undefined }
  | (StepEnded & Named)
  /** A step waits; `step` is its id. */
  | (Omit<StepWaits, "timeoutMs"> & Named & { readonly step: string; readonly expiresAt?: number | undefined })
  | (OnTime<Extract<StepSettled, { readonly kind: "hook_received" | "hook_failed" }>> & Named)
  | ({ readonly kind: "timer_set"; readonly dueAt: number } & Named)
  | ({ readonly kind: "timer_fired" } & Named);

/** How a step has ended. */
export type Outcome = Exclude<StateEvent, { readonly kind: "run_started" | "hook_created" | "timer_set" }>;

export function isOutcome(event: StateEvent): event is Outcome {
  return !["run_started", "hook_created", "timer_set"].includes(event.kind);
}

/** What a run has done so far. Plain JSON: keep it as it is. */
export interface ResumeState {
  readonly kind: "ResumeState";
  readonly version: 1;
  readonly events: readonly StateEvent[];
}

export const emptyState: ResumeState = { kind: "ResumeState", version: 1, events: [] };

/** A state that cannot be read here. */
export interface BadState extends TaggedErrorBase {
  readonly _tag: "BadState";
  readonly reason: string;
}
export const BadState: ErrorClass<BadState> = TaggedError("BadState") as never;

/** A state as text. */
export function serialize(state: ResumeState): string {
  return JSON.stringify(state);
}

/** A state from text or from parsed JSON. Throws `BadState` where it is none, or one that a newer version has written. */
export function parse(text: unknown): ResumeState {
  let value = text;
  try {
    if (typeof text === "string") value = JSON.parse(text);
  } catch {
    throw badState("it is no JSON");
  }
  const { kind, version, events } = Object(value) as { readonly kind?: unknown; readonly version?: unknown; readonly events?: unknown };
  if (kind !== "ResumeState") throw badState('it has no kind "ResumeState"');
  if (version !== 1) throw badState(`it is of version ${JSON.stringify(version)}, and this package knows version 1`);
  if (!Array.isArray(events) || !events.every(isEvent)) throw badState("its events are not what this version writes");
  return value as ResumeState;
}

/** What each fact has: text, but for instants. */
const fields: { readonly [kind in StateEvent["kind"]]: readonly string[] } = {
  run_started: ["id"],
  step_completed: ["name", "result"],
  step_failed: ["name", "error"],
  hook_created: ["name", "step"],
  hook_received: ["name", "payload"],
  hook_failed: ["name"],
  timer_set: ["name", "dueAt"],
  timer_fired: ["name"],
};

function isEvent(value: unknown): boolean {
  const event = Object(value) as { readonly [field: string]: unknown };
  const kind = String(event["kind"]);
  return (
    Object.hasOwn(fields, kind) &&
    fields[kind as StateEvent["kind"]].every((field) => typeof event[field] === (field === "dueAt" ? "number" : "string"))
  );
}

function badState(reason: string): BadState {
  return new BadState({ reason }, { message: `This state cannot be read here: ${reason}.` });
}
