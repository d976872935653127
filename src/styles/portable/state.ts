// What a run has done so far, as a value: plain JSON, to be kept wherever its owner likes. It only ever grows.
//
// PS1. A state holds everything since the run began: what a later run adds comes behind what it was given.
// PS2. Injecting answers a wait that the state holds, once. Anything else is refused, with a type.

import type { Serialised } from "../../core/event.ts";
import { err, ok, type Result } from "./result.ts";
import { TaggedError, type TaggedErrorClass } from "./tagged-error.ts";
import { write } from "./value.ts";

/** One fact, in the engine's words. `name` is the key of a step. */
export type StateEvent =
  | { readonly kind: "step_completed"; readonly name: string; readonly result: Serialised }
  /** `isThrown`: it threw, where it should have returned. */
  | { readonly kind: "step_failed"; readonly name: string; readonly error: Serialised; readonly isThrown?: true }
  /** A step waits: for a callback with this token, or, without one, for somebody's word. `step` is the step's id. */
  | {
      readonly kind: "hook_created";
      readonly name: string;
      readonly step: string;
      readonly token: string | null;
      readonly metadata?: Serialised;
    }
  | { readonly kind: "hook_received"; readonly name: string; readonly payload: Serialised }
  /** Milliseconds since 1970. */
  | { readonly kind: "timer_set"; readonly name: string; readonly dueAt: number }
  | { readonly kind: "timer_fired"; readonly name: string };

/** What listeners are told: that a run begins, with what it was given, and each new fact of it. */
export type Fact = StateEvent | { readonly kind: "run_started"; readonly state: ResumeState };

/** What a run has done so far. Plain JSON: keep it as it is. */
export interface ResumeState {
  readonly kind: "ResumeState";
  readonly version: 1;
  readonly events: readonly StateEvent[];
}

export const emptyState: ResumeState = { kind: "ResumeState", version: 1, events: [] };

const NotPending: TaggedErrorClass<"HookNotPending"> = TaggedError("HookNotPending");
const Bad: TaggedErrorClass<"BadState"> = TaggedError("BadState");

/** No wait of this state has the id. `answered`: it had, and has its answer. */
export class HookNotPending extends NotPending<{
  hookId: string;
  reason: "unknown" | "answered";
  pending: readonly string[];
}> {}

/** A state that cannot be read here. */
export class BadState extends Bad<{ reason: string }> {}

/** The state with the callback's payload. Throws `HookNotPending` where no open wait has the id. */
export function injectHook<T>(state: ResumeState, { hookId, value }: { readonly hookId: string; readonly value: T }): ResumeState {
  const injected = tryInjectHook(state, { hookId, value });
  if (!injected.ok) throw injected.error;
  return injected.value;
}

/** The same with its refusal as a value. */
export function tryInjectHook<T>(
  state: ResumeState,
  { hookId, value }: { readonly hookId: string; readonly value: T },
): Result<ResumeState, HookNotPending> {
  const created = state.events.find((event) => event.kind === "hook_created" && event.token === hookId);
  const pending = getPendingHooks(state);
  if (created === undefined) return err(notPending(hookId, "unknown", pending));
  const { name } = created;
  if (state.events.some((event) => event.kind === "hook_received" && event.name === name))
    return err(notPending(hookId, "answered", pending));
  const payload = write(value, `The payload of hook ${hookId}`);
  return ok({ ...state, events: [...state.events, { kind: "hook_received", name, payload }] });
}

/** The state with somebody's word on the approval under this key. Throws `HookNotPending`, with the key, where no open approval has it. */
export function injectApproval<T>(state: ResumeState, { stepKey, value }: { readonly stepKey: string; readonly value: T }): ResumeState {
  const isAsked = state.events.some((event) => event.kind === "hook_created" && event.token === null && event.name === stepKey);
  const isAnswered = state.events.some((event) => event.kind === "hook_received" && event.name === stepKey);
  if (!isAsked || isAnswered) throw notPending(stepKey, isAsked ? "answered" : "unknown", getPendingHooks(state));
  const payload = write(value, `The word on approval ${stepKey}`);
  return { ...state, events: [...state.events, { kind: "hook_received", name: stepKey, payload }] };
}

/** The ids of the callbacks that this state waits for, in the order they were asked for. */
export function getPendingHooks(state: ResumeState): string[] {
  const answered = new Set(state.events.filter(({ kind }) => kind === "hook_received").map(({ name }) => name));
  return state.events.flatMap((event) =>
    event.kind === "hook_created" && event.token !== null && !answered.has(event.name) ? [event.token] : [],
  );
}

/** Whether this state waits for the callback with this id. */
export function hasPendingHook(state: ResumeState, hookId: string): boolean {
  return getPendingHooks(state).includes(hookId);
}

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
  const { kind, version, events } = (value ?? {}) as { readonly kind?: unknown; readonly version?: unknown; readonly events?: unknown };
  if (kind !== "ResumeState") throw badState('it has no kind "ResumeState"');
  if (version !== 1) throw badState(`it is of version ${JSON.stringify(version)}, and this package knows version 1`);
  if (!Array.isArray(events) || !events.every(isEvent)) throw badState("its events are not what this version writes");
  return value as ResumeState;
}

const fields: { readonly [kind in StateEvent["kind"]]: readonly (readonly [field: string, type: string])[] } = {
  step_completed: [["result", "string"]],
  step_failed: [["error", "string"]],
  hook_created: [["step", "string"]],
  hook_received: [["payload", "string"]],
  timer_set: [["dueAt", "number"]],
  timer_fired: [],
};

function isEvent(value: unknown): boolean {
  const event = (value ?? {}) as { readonly [field: string]: unknown };
  const wanted = Object.hasOwn(fields, String(event["kind"])) ? fields[event["kind"] as StateEvent["kind"]] : null;
  return wanted !== null && typeof event["name"] === "string" && wanted.every(([field, type]) => typeof event[field] === type);
}

function notPending(hookId: string, reason: "unknown" | "answered", pending: readonly string[]): HookNotPending {
  const others =
    pending.length === 0 ? "It waits for nothing." : `It waits for ${pending.length} other ${pending.length === 1 ? "hook" : "hooks"}.`;
  const message =
    reason === "unknown" ? `This state has no hook ${hookId}. ${others}` : `Hook ${hookId} has its payload already: the first one stands.`;
  return new HookNotPending({ hookId, reason, pending }, { message });
}

function badState(reason: string): BadState {
  return new BadState({ reason }, { message: `This is no resume state that can be read here: ${reason}.` });
}
