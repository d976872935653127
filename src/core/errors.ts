// Every error the engine raises: one base class, stable codes, one page per code under `docs/errors/`. Subclasses exist only for names
// that people catch; beside other names for their details they add nothing.

/** What a schema finds wrong with a payload, as a sender may have it. */
export interface Issue {
  readonly message: string;
  /** Names and numbers that lead to what is wrong. */
  readonly path?: readonly PropertyKey[];
}

/** Every `code`, with the shape of its `details`. A code has a page `docs/errors/<code>.md`. */
export interface ErrorDetails {
  outside_turn: { run?: string; workflow?: string; call: string; suspect?: string };
  other_run: { call: string; run: string; workflow: string; other: string; otherWorkflow: string };
  nothing_pending: { run: string; workflow: string; suspect?: string };
  too_many_calls: { run: string; limit: number };
  too_many_requests: Record<never, never>;
  forbidden_in_workflow: { call: string };
  body_not_in_hand: { path: string };
  body_consumed: Record<never, never>;
  changed_code: { run: string };
  crash_loop: { run: string; loads: number };
  missing_key: { kid: string };
  key_mismatch: { kid: string };
  value_corrupt: { kid: string };
  bad_keys: { reason: string };
  secret_missing: { name: string };
  unserialisable: { path: string; type: string };
  unknown_class: { name: string };
  delivery_not_loaded: { delivery: number };
  too_large: { what: string; limit: number; actual: number };
  too_deep: { what: string; limit: number };
  bad_directive: { file: string; line: number; column: number };
  not_compiled: { function: string; directive: string; file: string | null };
  bad_argument: { argument: string; value: string };
  delivery_not_found: { delivery: string };
  early_full: Record<string, never>;
  workflow_called_directly: { workflow: string };
  workflow_not_registered: { workflow: string };
  step_not_registered: { step: string };
  duplicate_name: { kind: "workflow" | "step" | "hook"; name: string };
  run_not_found: { run: string };
  run_open: { run: string };
  run_conflict: { run: string; workflow: string };
  run_failed: { run: string };
  run_cancelled: { run: string };
  hook_not_found: { token: string };
  hook_closed: { token: string; run: string; by: string; at: Date };
  hook_conflict: { token: string; holder: string };
  hook_disposed: { position: number };
  hook_timeout: { position: number };
  signal_timeout: { timeout: string };
  invalid_payload: { issues: readonly Issue[] };
  key_reused: { key: string };
  schema_unavailable: { run: string };
  no_public_url: { token: string };
  base_url_required: Record<never, never>;
  stream_closed: { run: string; namespace: string; by: "closed" | "ended" | "attempt" };
  step_timeout: { step: string; timeoutMs: number; attempt: number };
  store_in_use: { path: string; pid: number | null };
  store_not_found: { store: string };
  store_unavailable: { store: string };
  store_full: { store: string };
  store_corrupt: { store: string };
  store_newer: { store: string; found: number; known: number };
  unsafe_durability: { store: string; setting: string };
  bad_store_url: { url: string };
  engine_closed: Record<never, never>;
  internal_error: { run: string; workflow: string };
  unknown_protocol: { found: number; known: number };
  runtime_too_old: { name: string; runtime: string; copy: string };
}
/** The stable name of an error; each has a page under `docs/errors/`. */
export type ErrorCode = keyof ErrorDetails;

interface Options<C extends ErrorCode> {
  details: ErrorDetails[C];
  cause?: unknown;
}

const brand: unique symbol = Symbol.for("ringback/error") as never;

/**
 * Base of all errors of the engine. `code` is stable and has a page of its own; `details` belongs to the code. Recognise one with
 * `RingbackError.is(error, code?)`, which also holds across two copies of the package.
 */
export class RingbackError<C extends ErrorCode = ErrorCode> extends Error {
  static {
    Object.defineProperty(this.prototype, brand, { value: true });
    this.prototype.name = "RingbackError";
  }
  /** Which error it is. */
  readonly code: C;
  /** What it is about; the shape belongs to the code. */
  readonly details: ErrorDetails[C];

  constructor(code: C, message: string, options: Options<C>) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.details = options.details;
  }

  /** Where the code is explained. */
  get docs(): string {
    return `https://github.com/ringback/ringback/blob/main/docs/errors/${this.code}.md`;
  }

  /** Whether a value is an error of the engine with this code, from whatever copy of the package or realm. Never throws. */
  static is<C extends ErrorCode>(value: unknown, code: C): value is RingbackError<C>;
  /** Whether a value is an error of the class this is asked of; of `RingbackError` itself, any error of the engine. */
  static is<E>(this: abstract new (...args: never[]) => E, value: unknown): value is E;
  static is(value: unknown, code?: ErrorCode): boolean {
    // biome-ignore lint/complexity/noThisInStatic: what it is asked of is the question
    return holds(() => isOf(this, value) && (code === undefined || value.code === code));
  }
}

/** By brand, and by the name of the class, which minifying leaves alone: two copies of the package have two classes. */
function isOf(asked: { readonly prototype: unknown } | undefined, value: unknown): value is RingbackError {
  if (typeof value !== "object" || value === null || (value as { [brand]?: unknown })[brand] !== true) return false;
  const { name } = (asked?.prototype as { readonly name?: unknown } | undefined) ?? {};
  if (typeof name !== "string" || name === "RingbackError") return true;
  for (let at = Object.getPrototypeOf(value) as object | null; at !== null; at = Object.getPrototypeOf(at) as object | null)
    if (Object.hasOwn(at, "name") && (at as { readonly name: unknown }).name === name) return true;
  return false;
}

/** No open hook has this token: there never was one, it does not verify, or, as a `HookClosedError` says, there was one. */
export class HookNotFoundError<C extends "hook_not_found" | "hook_closed" = "hook_not_found" | "hook_closed"> extends RingbackError<C> {
  static {
    this.prototype.name = "HookNotFoundError";
  }
  constructor(message: string, options: Options<C>, code: C = "hook_not_found" as C) {
    super(code, message, options);
  }
  /** As far as it may be shown. */
  get token(): string {
    return this.details.token;
  }
}

/** The hook was disposed, timed out, or its run was cancelled or ended; a `HookNotFoundError` that knows which. */
export class HookClosedError extends HookNotFoundError<"hook_closed"> {
  static {
    this.prototype.name = "HookClosedError";
  }
  constructor(message: string, options: Options<"hook_closed">) {
    super(message, options, "hook_closed");
  }
}

/** Another run holds the token this hook asked for; its readers reject with this. */
export class HookConflictError extends RingbackError<"hook_conflict"> {
  static {
    this.prototype.name = "HookConflictError";
  }
  constructor(message: string, options: Options<"hook_conflict">) {
    super("hook_conflict", message, options);
  }
  /** The token both ask for. */
  get token(): string {
    return this.details.token;
  }
  /** The run that holds it. */
  get conflictingRunId(): string {
    return this.details.holder;
  }
}

/** A read of a hook that was disposed, after its unread payloads. */
export class HookDisposedError extends RingbackError<"hook_disposed"> {
  static {
    this.prototype.name = "HookDisposedError";
  }
  constructor(message: string, options: Options<"hook_disposed">) {
    super("hook_disposed", message, options);
  }
}

/** A read of a hook whose `timeout` has passed, after its unread payloads. */
export class HookTimeoutError extends RingbackError<"hook_timeout"> {
  static {
    this.prototype.name = "HookTimeoutError";
  }
  constructor(message: string, options: Options<"hook_timeout">) {
    super("hook_timeout", message, options);
  }
}

/** A wait for so long, at which nothing came; what was waited for stays open. */
export class SignalTimeoutError extends RingbackError<"signal_timeout"> {
  static {
    this.prototype.name = "SignalTimeoutError";
  }
  constructor(message: string, options: Options<"signal_timeout">) {
    super("signal_timeout", message, options);
  }
}

/** The hook's schema, or the content, refused the payload; the wait stays open. */
export class InvalidPayloadError extends RingbackError<"invalid_payload"> {
  static {
    this.prototype.name = "InvalidPayloadError";
  }
  constructor(message: string, options: Options<"invalid_payload">) {
    super("invalid_payload", message, options);
  }
}

/** The run was cancelled: what its pending calls, and its `returnValue`, reject with. */
export class RunCancelledError extends RingbackError<"run_cancelled"> {
  static {
    this.prototype.name = "RunCancelledError";
  }
  constructor(message: string, options: Options<"run_cancelled">) {
    super("run_cancelled", message, options);
  }
  /** The run's id. */
  get runId(): string {
    return this.details.run;
  }
}

/** The run's code threw; `cause` is what it threw. */
export class RunFailedError extends RingbackError<"run_failed"> {
  static {
    this.prototype.name = "RunFailedError";
  }
  constructor(message: string, options: Options<"run_failed">) {
    super("run_failed", message, options);
  }
  /** The run's id. */
  get runId(): string {
    return this.details.run;
  }
  /** What kind of failure it was: the author's own, unless the engine refused what the code asked for. */
  get errorCode(): RunErrorCode {
    const { cause } = this;
    if (!RingbackError.is(cause)) return RUN_ERROR_CODES.USER_ERROR;
    return isJournalFull(cause) ? RUN_ERROR_CODES.MAX_EVENTS_EXCEEDED : RUN_ERROR_CODES.RUNTIME_ERROR;
  }
}

/** No run has this id. */
export class RunNotFoundError extends RingbackError<"run_not_found"> {
  static {
    this.prototype.name = "RunNotFoundError";
  }
  constructor(message: string, options: Options<"run_not_found">) {
    super("run_not_found", message, options);
  }
  /** The run's id. */
  get runId(): string {
    return this.details.run;
  }
}

/** An attempt of a step took longer than its `timeout`. */
export class StepTimeoutError extends RingbackError<"step_timeout"> {
  static {
    this.prototype.name = "StepTimeoutError";
  }
  constructor(message: string, options: Options<"step_timeout">) {
    super("step_timeout", message, options);
  }
}

/** The engine that is to start a run of this workflow, or the process that reads a reference to it, does not know it. */
export class WorkflowNotRegisteredError extends RingbackError<"workflow_not_registered"> {
  static {
    this.prototype.name = "WorkflowNotRegisteredError";
  }
  constructor(message: string, options: Options<"workflow_not_registered">) {
    super("workflow_not_registered", message, options);
  }
  /** As given to `workflow()`. */
  get workflowName(): string {
    return this.details.workflow;
  }
}

/** A stored value refers to a step that this process does not know. */
export class StepNotRegisteredError extends RingbackError<"step_not_registered"> {
  static {
    this.prototype.name = "StepNotRegisteredError";
  }
  constructor(message: string, options: Options<"step_not_registered">) {
    super("step_not_registered", message, options);
  }
  /** As given to `step()`. */
  get stepName(): string {
    return this.details.step;
  }
}

/** Is it the journal's limit that was come to? */
export function isJournalFull(error: RingbackError): boolean {
  return error.code === "too_large" && (error as RingbackError<"too_large">).details.what === "journal";
}

/** Kinds of a run's failure, by the names that the Workflow DevKit has for them. Only the first three occur: other faults set a run aside. */
export const RUN_ERROR_CODES = {
  USER_ERROR: "USER_ERROR",
  RUNTIME_ERROR: "RUNTIME_ERROR",
  MAX_EVENTS_EXCEEDED: "MAX_EVENTS_EXCEEDED",
  CORRUPTED_EVENT_LOG: "CORRUPTED_EVENT_LOG",
  REPLAY_DIVERGENCE: "REPLAY_DIVERGENCE",
  MAX_DELIVERIES_EXCEEDED: "MAX_DELIVERIES_EXCEEDED",
  REPLAY_TIMEOUT: "REPLAY_TIMEOUT",
  WORLD_CONTRACT_ERROR: "WORLD_CONTRACT_ERROR",
} as const;
/** One of `RUN_ERROR_CODES`. */
export type RunErrorCode = keyof typeof RUN_ERROR_CODES;

/** What throws when it is looked at is nothing we know. */
export function holds(question: () => boolean): boolean {
  try {
    return question();
  } catch {
    return false;
  }
}
