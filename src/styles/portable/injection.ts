// What a state waits for, and its answers.

import type { SchemaIssue, SchemaResult } from "../../core/definition.ts";
import { schemas } from "./hook.ts";
import { err, ok, type Result } from "./result.ts";
import { isOutcome, parse, type ResumeState, type StateEvent } from "./state.ts";
import { type ErrorClass, TaggedError, type TaggedErrorBase } from "./tagged-error.ts";
import { write } from "./value.ts";

/** No wait of this state has the id. `answered`: it had, and has its answer; `expired`: its time was up. */
export interface HookNotPending extends TaggedErrorBase {
  readonly _tag: "HookNotPending";
  readonly hookId: string;
  readonly reason: "unknown" | "answered" | "expired";
  readonly pending: readonly string[];
}
export const HookNotPending: ErrorClass<HookNotPending> = TaggedError("HookNotPending") as never;

/** The schema of the hook has refused the payload. The state waits on. */
export interface InvalidPayload extends TaggedErrorBase {
  readonly _tag: "InvalidPayload";
  readonly hookId: string;
  readonly issues: readonly SchemaIssue[];
}
export const InvalidPayload: ErrorClass<InvalidPayload> = TaggedError("InvalidPayload") as never;

/** The hook was declared by a `defineHook` that this process has not loaded. The state waits on. */
export interface SchemaUnavailable extends TaggedErrorBase {
  readonly _tag: "SchemaUnavailable";
  readonly definition: string;
}
export const SchemaUnavailable: ErrorClass<SchemaUnavailable> = TaggedError("SchemaUnavailable") as never;

/** Why a payload was not injected. */
export type InjectionError = HookNotPending | InvalidPayload | SchemaUnavailable;

/** What comes for a hook. */
export interface Injection<T = unknown> {
  readonly hookId: string;
  readonly value: T;
  /** When it came, in milliseconds since 1970. Default: now. */
  readonly at?: number | undefined;
}

type Created = StateEvent & { readonly kind: "hook_created" };
type Injected = Result<ResumeState, InjectionError>;

/**
 * The state with the callback's payload. Throws `HookNotPending` where no open wait has the id, `InvalidPayload` where the hook's schema
 * refuses, `SchemaUnavailable` where it is not loaded, `BadState` where there is no state, and a `TypeError` where the schema answers later:
 * `injectHookAsync` waits for it.
 */
export function injectHook<T>(state: ResumeState, injection: Injection<T>): ResumeState {
  const injected = tryInjectHook(state, injection);
  if (!injected.ok) throw injected.error;
  return injected.value;
}

/** The same with its refusal as a value. */
export function tryInjectHook<T>(state: ResumeState, injection: Injection<T>): Injected {
  const injected = inject(state, injection);
  if ("then" in injected) throw new TypeError(`The schema of hook ${injection.hookId} is asynchronous: use injectHookAsync().`);
  return injected;
}

/** The same where the schema may be asynchronous. */
export async function injectHookAsync<T>(state: ResumeState, injection: Injection<T>): Promise<Injected> {
  return inject(state, injection);
}

function inject(given: ResumeState, { hookId, value, at }: Injection): Injected | Promise<Injected> {
  const state = parse(given);
  const asked = openWait(state, { what: "hook", of: tokenOf, id: hookId, at });
  if (!asked.ok) return err(asked.error);
  const { name, definition } = asked.value;
  const put = (payload: unknown): Injected => ok(withPayload(state, name, write(payload, `The payload of hook ${hookId}`)));
  if (definition === undefined) return put(value);
  const schema = schemas.get(definition);
  if (schema === undefined) {
    const message = `No defineHook("${definition}") has run here: load the module that declares hook ${hookId}.`;
    return err(new SchemaUnavailable({ definition }, { message }));
  }
  const judged = schema === null ? { value } : schema["~standard"].validate(value);
  const taken = (found: SchemaResult<unknown>): Injected => (found.issues ? err(invalid(hookId, found.issues)) : put(found.value));
  return "then" in judged ? judged.then(taken) : taken(judged);
}

type IdOf = (created: Created) => string | null;

/** The open wait with this id, or why there is none. */
function openWait(
  state: ResumeState,
  { what, of, id, at = Date.now() }: { readonly what: string; readonly of: IdOf; readonly id: string; readonly at?: number | undefined },
): Result<Created, HookNotPending> {
  const waits = open(state);
  const created = [...waits, ...state.events].find((event): event is Created => event.kind === "hook_created" && of(event) === id);
  const isOpen = waits.includes(created as Created);
  const until = created?.expiresAt ?? Infinity;
  const isOver = isOpen
    ? at >= until
    : state.events.some(({ kind, ...event }) => kind === "hook_failed" && created?.name === (event as Created).name);
  if (isOpen && !isOver) return ok(created as Created);
  const [reason, why] = isOver
    ? (["expired", `waited for ${what} ${id} until ${new Date(until).toISOString()}`] as const)
    : created
      ? (["answered", `has a payload for ${what} ${id}: the first one stands`] as const)
      : (["unknown", `has no ${what} ${id}`] as const);
  const pending = waits.flatMap((wait) => of(wait) ?? []);
  return err(new HookNotPending({ hookId: id, reason, pending }, { message: `This state ${why}. Open waits: ${pending.length}.` }));
}

function invalid(hookId: string, issues: readonly SchemaIssue[]): InvalidPayload {
  const message = `Hook ${hookId} does not take this payload: ${issues.map((issue) => issue.message).join("; ")}`;
  return new InvalidPayload({ hookId, issues }, { message });
}

function withPayload(state: ResumeState, name: string, payload: string): ResumeState {
  return { ...state, events: [...state.events, { kind: "hook_received", name, payload }] };
}

/** The state with somebody's word on the approval under this key. Throws `HookNotPending`, with the key, where no open approval has it. */
export function injectApproval<T>(
  state: ResumeState,
  { stepKey, value, at }: { readonly stepKey: string; readonly value: T; readonly at?: number | undefined },
): ResumeState {
  const asked = openWait(state, { what: "approval", of: keyOf, id: stepKey, at });
  if (!asked.ok) throw asked.error;
  return withPayload(state, asked.value.name, write(value, `The word on approval ${stepKey}`));
}

/** The ids of the callbacks that this state waits for, in the order they were asked for. */
export function getPendingHooks(state: ResumeState): string[] {
  return open(state).flatMap((created) => tokenOf(created) ?? []);
}

/** Whether this state waits for the callback with this id. */
export function hasPendingHook(state: ResumeState, hookId: string): boolean {
  return getPendingHooks(state).includes(hookId);
}

/** The keys of the approvals that this state waits for, in the order they were asked for. */
export function getPendingApprovals(state: ResumeState): string[] {
  return open(state).flatMap((created) => keyOf(created) ?? []);
}

/** Whether this state waits for the approval under this key. */
export function hasPendingApproval(state: ResumeState, stepKey: string): boolean {
  return getPendingApprovals(state).includes(stepKey);
}

/** The waits of a state that have no answer. */
function open(state: ResumeState): Created[] {
  const answered = new Set(state.events.flatMap((event) => (isOutcome(event) ? event.name : [])));
  return state.events.filter((event): event is Created => event.kind === "hook_created" && !answered.has(event.name));
}

/** What a hook is known by; null for an approval. */
function tokenOf({ token }: Created): string | null {
  return token;
}

/** What an approval is known by: its own key, whatever that of its step; null for a hook. */
function keyOf({ token, approval, name }: Created): string | null {
  return token === null ? (approval?.key ?? name) : null;
}
