// Every error the engine raises: one base class, stable codes, one page per code under `docs/errors/`. Subclasses exist only for names
// that people catch; they add no logic. `FatalError` and `RetryableError` are the author's own and stand outside the table of codes.

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
  not_yet: { feature: string };
  workflow_called_directly: { workflow: string };
  workflow_not_registered: { workflow: string };
  duplicate_name: { kind: "workflow" | "hook"; name: string };
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
  invalid_payload: { issues: readonly Issue[] };
  key_reused: { key: string };
  schema_unavailable: { run: string };
  no_public_url: { token: string };
  base_url_required: Record<never, never>;
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

  /** Whether a value is an error of the engine, of this code where one is given, from whatever copy of the package. Never throws. */
  static is<C extends ErrorCode = ErrorCode>(value: unknown, code?: C): value is RingbackError<C> {
    return holds(
      () =>
        typeof value === "object" &&
        value !== null &&
        (value as { [brand]?: unknown })[brand] === true &&
        (code === undefined || (value as { code?: unknown }).code === code),
    );
  }
}

/** No such hook, or a token that does not verify. */
export class HookNotFoundError extends RingbackError<"hook_not_found"> {
  static {
    this.prototype.name = "HookNotFoundError";
  }
  constructor(message: string, options: Options<"hook_not_found">) {
    super("hook_not_found", message, options);
  }
}

/** The hook was disposed, timed out, or its run was cancelled or ended. */
export class HookClosedError extends RingbackError<"hook_closed"> {
  static {
    this.prototype.name = "HookClosedError";
  }
  constructor(message: string, options: Options<"hook_closed">) {
    super("hook_closed", message, options);
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
}

/** The run's code threw; `cause` is what it threw. */
export class RunFailedError extends RingbackError<"run_failed"> {
  static {
    this.prototype.name = "RunFailedError";
  }
  constructor(message: string, options: Options<"run_failed">) {
    super("run_failed", message, options);
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

/** Throw it in a step to end the step at once, without another attempt. `code` is yours. */
export class FatalError extends Error {
  static {
    this.prototype.name = "FatalError";
  }
  /** What `FatalError.is` looks for. */
  readonly fatal: true = true;
  /** Yours. */
  readonly code?: string;
  constructor(message: string, options?: string | { code?: string; cause?: unknown }) {
    const { code, ...rest } = typeof options === "string" ? { code: options } : (options ?? {});
    super(message, rest);
    if (code !== undefined) this.code = code;
  }
  /** Whether a value is one, from whatever copy of the package. Never throws. */
  static is(value: unknown): value is FatalError {
    return holds(() => value instanceof Error && (value as { fatal?: unknown }).fatal === true);
  }
}

/** Throw it in a step to choose when the next attempt starts: a duration ("5m"), milliseconds, or a `Date`. Attempts still count. */
export class RetryableError extends Error {
  static {
    this.prototype.name = "RetryableError";
  }
  /** When the next attempt starts; the step's backoff where it is absent. */
  readonly retryAfter?: string | number | Date;
  /** Yours. */
  readonly code?: string;
  constructor(message: string, options: { retryAfter?: string | number | Date; code?: string; cause?: unknown } = {}) {
    const { code, retryAfter, ...rest } = options;
    super(message, rest);
    if (code !== undefined) this.code = code;
    if (retryAfter !== undefined) this.retryAfter = retryAfter;
  }
  /** Whether a value is one, from whatever copy of the package. Never throws. */
  static is(value: unknown): value is RetryableError {
    return holds(() => value instanceof Error && value.name === "RetryableError");
  }
}

/** What throws when it is looked at is nothing we know. */
function holds(question: () => boolean): boolean {
  try {
    return question();
  } catch {
    return false;
  }
}
