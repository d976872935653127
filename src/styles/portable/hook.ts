// What a step returns that waits for the outside: a hook, or somebody's approval. It is told apart by its type, and is never an error to
// anything within the workflow: the code stands at the step until it is answered.

import { type Err, err } from "./result.ts";

/** A step waits for a callback. */
export interface PendingHook {
  readonly type: "PENDING_HOOK";
  readonly hookId: string;
  /** `"hook:" + hookId`. */
  readonly stepKey: string;
  readonly metadata?: { readonly [name: string]: unknown };
}

/** A step waits for somebody's word. */
export interface PendingApproval {
  readonly type: "PENDING_APPROVAL";
  readonly stepKey: string;
  readonly reason?: string;
  readonly metadata?: { readonly [name: string]: unknown };
}

/** What steps' keys begin with that wait for a callback. */
export const HOOK_STEP_KEY_PREFIX = "hook:";

/** An id for one wait, and the key of the step that waits. The id is a secret to whoever may call back. */
export function createHook(): { readonly hookId: string; readonly stepKey: string } {
  const hookId = crypto.randomUUID();
  return { hookId, stepKey: HOOK_STEP_KEY_PREFIX + hookId };
}

/**
 * Says that a step waits for the callback with this id; `injectHook` answers it. `pendingHook<Payment>(hookId)` says what comes: the step's
 * value is of that type then.
 */
// oxlint-disable-next-line typescript/no-explicit-any -- who names no type reads what he likes, as with the engine's hooks
export function pendingHook<T = any>(
  hookId: string,
  options: { readonly metadata?: { readonly [name: string]: unknown } } = {},
): Err<PendingHook, T> {
  return err({ type: "PENDING_HOOK", hookId, stepKey: HOOK_STEP_KEY_PREFIX + hookId, ...optional("metadata", options.metadata) });
}

/** Says that a step waits for an approval under this key; `injectApproval` answers it. */
export function pendingApproval(
  stepKey: string,
  options: { readonly reason?: string; readonly metadata?: { readonly [name: string]: unknown } } = {},
): Err<PendingApproval> {
  return err({ type: "PENDING_APPROVAL", stepKey, ...optional("reason", options.reason), ...optional("metadata", options.metadata) });
}

export function isPendingHook(error: unknown): error is PendingHook {
  return hasType(error, "PENDING_HOOK");
}

export function isPendingApproval(error: unknown): error is PendingApproval {
  return hasType(error, "PENDING_APPROVAL");
}

function hasType(error: unknown, type: string): boolean {
  return typeof error === "object" && error !== null && (error as { readonly type?: unknown }).type === type;
}

function optional<K extends string, V>(name: K, value: V | undefined): { readonly [P in K]?: V } {
  return (value === undefined ? {} : { [name]: value }) as { readonly [P in K]?: V };
}
