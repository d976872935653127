// `ringback/errors`: the classes to catch, and the codes to tell them apart by. Values are the first copy's (RT1).

import { errors } from "./runtime/first.ts";
import type * as own from "./runtime/errors.ts";

export type * from "./runtime/errors.ts";

export const RingbackError: typeof own.RingbackError = errors.RingbackError;
export type RingbackError<C extends own.ErrorCode = own.ErrorCode> = own.RingbackError<C>;
export const FatalError: typeof own.FatalError = errors.FatalError;
export type FatalError = own.FatalError;
export const HookClosedError: typeof own.HookClosedError = errors.HookClosedError;
export type HookClosedError = own.HookClosedError;
export const HookConflictError: typeof own.HookConflictError = errors.HookConflictError;
export type HookConflictError = own.HookConflictError;
export const HookDisposedError: typeof own.HookDisposedError = errors.HookDisposedError;
export type HookDisposedError = own.HookDisposedError;
export const HookNotFoundError: typeof own.HookNotFoundError = errors.HookNotFoundError;
export type HookNotFoundError<C extends "hook_not_found" | "hook_closed" = "hook_not_found" | "hook_closed"> = own.HookNotFoundError<C>;
export const HookTimeoutError: typeof own.HookTimeoutError = errors.HookTimeoutError;
export type HookTimeoutError = own.HookTimeoutError;
export const InvalidPayloadError: typeof own.InvalidPayloadError = errors.InvalidPayloadError;
export type InvalidPayloadError = own.InvalidPayloadError;
export const RetryableError: typeof own.RetryableError = errors.RetryableError;
export type RetryableError = own.RetryableError;
export const RunCancelledError: typeof own.RunCancelledError = errors.RunCancelledError;
export type RunCancelledError = own.RunCancelledError;
export const RunFailedError: typeof own.RunFailedError = errors.RunFailedError;
export type RunFailedError = own.RunFailedError;
export const RunNotFoundError: typeof own.RunNotFoundError = errors.RunNotFoundError;
export type RunNotFoundError = own.RunNotFoundError;
export const StepTimeoutError: typeof own.StepTimeoutError = errors.StepTimeoutError;
export type StepTimeoutError = own.StepTimeoutError;
export const SignalTimeoutError: typeof own.SignalTimeoutError = errors.SignalTimeoutError;
export type SignalTimeoutError = own.SignalTimeoutError;
export const StepNotRegisteredError: typeof own.StepNotRegisteredError = errors.StepNotRegisteredError;
export type StepNotRegisteredError = own.StepNotRegisteredError;
export const WorkflowNotRegisteredError: typeof own.WorkflowNotRegisteredError = errors.WorkflowNotRegisteredError;
export type WorkflowNotRegisteredError = own.WorkflowNotRegisteredError;
export const RUN_ERROR_CODES: typeof own.RUN_ERROR_CODES = errors.RUN_ERROR_CODES;

// The Workflow DevKit's names: the same classes, then names for codes.
export const WorkflowError: typeof own.WorkflowError = errors.WorkflowError;
export type WorkflowError<C extends own.ErrorCode = own.ErrorCode> = own.WorkflowError<C>;
export const WorkflowRunCancelledError: typeof own.WorkflowRunCancelledError = errors.WorkflowRunCancelledError;
export type WorkflowRunCancelledError = own.WorkflowRunCancelledError;
export const WorkflowRunFailedError: typeof own.WorkflowRunFailedError = errors.WorkflowRunFailedError;
export type WorkflowRunFailedError = own.WorkflowRunFailedError;
export const WorkflowRunNotFoundError: typeof own.WorkflowRunNotFoundError = errors.WorkflowRunNotFoundError;
export type WorkflowRunNotFoundError = own.WorkflowRunNotFoundError;
export const CorruptedEventLogError: typeof own.CorruptedEventLogError = errors.CorruptedEventLogError;
export const EntityConflictError: typeof own.EntityConflictError = errors.EntityConflictError;
export const MaxEventsExceededError: typeof own.MaxEventsExceededError = errors.MaxEventsExceededError;
export const PreconditionFailedError: typeof own.PreconditionFailedError = errors.PreconditionFailedError;
export const ReplayDivergenceError: typeof own.ReplayDivergenceError = errors.ReplayDivergenceError;
export const RunExpiredError: typeof own.RunExpiredError = errors.RunExpiredError;
export const RunNotSupportedError: typeof own.RunNotSupportedError = errors.RunNotSupportedError;
export const RuntimeDecryptionError: typeof own.RuntimeDecryptionError = errors.RuntimeDecryptionError;
export const SerializationError: typeof own.SerializationError = errors.SerializationError;
export const ThrottleError: typeof own.ThrottleError = errors.ThrottleError;
export const TooEarlyError: typeof own.TooEarlyError = errors.TooEarlyError;
export const WorkflowRunNotCompletedError: typeof own.WorkflowRunNotCompletedError = errors.WorkflowRunNotCompletedError;
export const WorkflowRuntimeError: typeof own.WorkflowRuntimeError = errors.WorkflowRuntimeError;
export const WorkflowWorldError: typeof own.WorkflowWorldError = errors.WorkflowWorldError;
