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
export type HookNotFoundError = own.HookNotFoundError;
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
