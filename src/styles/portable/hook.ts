// What a step returns that waits for the outside: a hook, or somebody's word. It is told apart by its type, and is never an error to anything
// within the workflow: the code stands at the step until it is answered.

import type { StandardSchema } from "../../core/definition.ts";
import { spanAdvice, spanMs } from "../../core/span.ts";
import { type Err, err } from "./result.ts";
import type { StateEvent } from "./state.ts";
import { type ErrorClass, TaggedError, type TaggedErrorBase } from "./tagged-error.ts";

type Metadata = { readonly [name: string]: unknown };

/** A step waits for a callback. */
export interface PendingHook {
  readonly type: "PENDING_HOOK";
  readonly hookId: string;
  /** `"hook:" + hookId`. */
  readonly stepKey: string;
  readonly metadata?: Metadata | undefined;
  /** The name given to `defineHook`. */
  readonly definition?: string | undefined;
  /** How long the step waits at most, in milliseconds. */
  readonly timeoutMs?: number | undefined;
  /** When it stops to wait, in milliseconds since 1970, once it has begun. */
  readonly expiresAt?: number | undefined;
}

/** A step waits for somebody's word. */
export interface PendingApproval {
  readonly type: "PENDING_APPROVAL";
  readonly stepKey: string;
  readonly reason?: string | undefined;
  readonly metadata?: Metadata | undefined;
}

/** How a step waits. */
export interface PendingHookOptions {
  /** For who looks the wait up. */
  readonly metadata?: Metadata | undefined;
  /** How long it waits at most, from when it begins: a duration ("3d") or milliseconds. Then the step ends with `HookTimedOut`. */
  readonly timeout?: string | number | undefined;
}

/** Nothing came in the time that a step was to wait. */
export interface HookTimedOut extends TaggedErrorBase {
  readonly _tag: "HookTimedOut";
  readonly step: string;
}
export const HookTimedOut: ErrorClass<HookTimedOut> = TaggedError("HookTimedOut") as never;

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
  options: PendingHookOptions & { readonly timeout: string | number },
): Err<PendingHook | HookTimedOut, T>;
// oxlint-disable-next-line typescript/no-explicit-any -- as above
export function pendingHook<T = any>(hookId: string, options?: PendingHookOptions): Err<PendingHook, T>;
export function pendingHook<T>(hookId: string, options?: PendingHookOptions): Err<PendingHook, T> {
  return waitFor<T>(hookId, options);
}

/** A kind of hook, whose payloads are judged by a schema wherever they are injected. */
export interface DefinedHook<Output> {
  /** An id for one wait, as `createHook()` makes it. */
  create(): { readonly hookId: string; readonly stepKey: string };
  /** Says that a step waits for the callback with this id, as `pendingHook` does. */
  pending(hookId: string, options: PendingHookOptions & { readonly timeout: string | number }): Err<PendingHook | HookTimedOut, Output>;
  pending(hookId: string, options?: PendingHookOptions): Err<PendingHook, Output>;
}

/** What `defineHook` has declared, by name. */
export const schemas: Map<string, StandardSchema | null> = new Map();

/**
 * Declares a kind of hook, at the top of a module that is also loaded where payloads are injected: the state has its name, and `injectHook`
 * finds the schema by it. Declared again, the last one stands.
 */
// oxlint-disable-next-line typescript/no-explicit-any -- as above
export function defineHook<Output = any>(
  name: string,
  { schema = null }: { readonly schema?: StandardSchema<unknown, Output> | null | undefined } = {},
): DefinedHook<Output> {
  schemas.set(name, schema as StandardSchema | null);
  return {
    create: createHook,
    pending: (hookId: string, options?: PendingHookOptions) => waitFor<Output>(hookId, options, name),
  };
}

function waitFor<T>(hookId: string, { metadata, timeout }: PendingHookOptions = {}, definition?: string): Err<PendingHook, T> {
  if (!hookId) throw new TypeError("A hook needs an id.");
  const timeoutMs = timeout === undefined ? timeout : span(hookId, timeout);
  return err({ type: "PENDING_HOOK", hookId, stepKey: HOOK_STEP_KEY_PREFIX + hookId, metadata, definition, timeoutMs });
}

/** Milliseconds of a duration of this step or hook. Throws a `TypeError` where it is none. */
export function span(id: string, duration: unknown): number {
  const found = spanMs(duration);
  if (found !== null) return found;
  throw new TypeError(`The span of time given for "${id}" is ${String(duration)}. ${spanAdvice}`);
}

/** Says that a step waits for an approval under this key; `injectApproval` answers it. */
// oxlint-disable-next-line typescript/no-explicit-any -- as above
export function pendingApproval<T = any>(
  stepKey: string,
  { reason, metadata }: { readonly reason?: string | undefined; readonly metadata?: Metadata | undefined } = {},
): Err<PendingApproval, T> {
  return err({ type: "PENDING_APPROVAL", stepKey, reason, metadata });
}

export function isPendingHook(error: unknown): error is PendingHook {
  return hasType(error, "PENDING_HOOK");
}

export function isPendingApproval(error: unknown): error is PendingApproval {
  return hasType(error, "PENDING_APPROVAL");
}

/** Whether an error is of a type. */
export function hasType(error: unknown, type: string): boolean {
  return (Object(error) as { readonly type?: unknown }).type === type;
}

/** What a wait in a state was asked for as. */
export function pendingOf(
  { name, token, metadata, approval, expiresAt, definition }: StateEvent & { readonly kind: "hook_created" },
  read: (text: string) => unknown,
): PendingHook | PendingApproval {
  const said = metadata === undefined ? metadata : (read(metadata) as Metadata);
  if (token === null) return { type: "PENDING_APPROVAL", stepKey: approval?.key ?? name, reason: approval?.reason, metadata: said };
  return { type: "PENDING_HOOK", hookId: token, stepKey: HOOK_STEP_KEY_PREFIX + token, metadata: said, definition, expiresAt };
}
