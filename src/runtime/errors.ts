// What this copy has for `ringback/errors`: the classes to catch, and the codes to tell them apart by; then the names that the Workflow
// DevKit has for them.

export {
  type ErrorCode,
  type ErrorDetails,
  HookClosedError,
  HookConflictError,
  HookDisposedError,
  HookNotFoundError,
  HookTimeoutError,
  InvalidPayloadError,
  type Issue,
  RingbackError,
  RUN_ERROR_CODES,
  RunCancelledError,
  type RunErrorCode,
  RunFailedError,
  RunNotFoundError,
  SignalTimeoutError,
  StepNotRegisteredError,
  StepTimeoutError,
  WorkflowNotRegisteredError,
} from "../core/errors.ts";
export { FatalError, RetryableError } from "../core/own-error.ts";

export {
  RingbackError as WorkflowError,
  RunCancelledError as WorkflowRunCancelledError,
  RunFailedError as WorkflowRunFailedError,
  RunNotFoundError as WorkflowRunNotFoundError,
} from "../core/errors.ts";
export {
  CorruptedEventLogError,
  EntityConflictError,
  MaxEventsExceededError,
  type NamedError,
  PreconditionFailedError,
  ReplayDivergenceError,
  RunExpiredError,
  RunNotSupportedError,
  RuntimeDecryptionError,
  SerializationError,
  ThrottleError,
  TooEarlyError,
  WorkflowRunNotCompletedError,
  WorkflowRuntimeError,
  WorkflowWorldError,
} from "../core/named-error.ts";
