// All that workflows outside the engine are written with, for the entries that hand it on.

export {
  type ApprovalRejected,
  type ApprovalStatus,
  type ApprovalStepOptions,
  createApprovalStep,
  gatedStep,
  type GatedStepOptions,
  isApprovalRejected,
} from "./approval.ts";
export { createResumeStateCollector, type ResumeStateCollector } from "./collector.ts";
export { RunSuspended, StateMismatch } from "./execution.ts";
export {
  createHook,
  defineHook,
  type DefinedHook,
  HOOK_STEP_KEY_PREFIX,
  HookTimedOut,
  isPendingApproval,
  isPendingHook,
  type PendingApproval,
  pendingApproval,
  type PendingHook,
  pendingHook,
  type PendingHookOptions,
} from "./hook.ts";
export { match } from "./match.ts";
export {
  getPendingApprovals,
  getPendingHooks,
  hasPendingApproval,
  hasPendingHook,
  HookNotPending,
  injectApproval,
  injectHook,
  injectHookAsync,
  type Injection,
  type InjectionError,
  InvalidPayload,
  SchemaUnavailable,
  tryInjectHook,
} from "./injection.ts";
export {
  type AsyncResult,
  type Err,
  err,
  type ErrorOf,
  type ErrorsOf,
  isErr,
  isOk,
  type Ok,
  ok,
  type Result,
  type ValueOf,
} from "./result.ts";
export { BadState, parse, type ResumeState, serialize, type StateEvent } from "./state.ts";
export { type ParentRun, type RetryOptions, type Step, type StepKey, type StepOptions, StepTimedOut } from "./step.ts";
export {
  type ErrorClass,
  TaggedError,
  type TaggedErrorBase,
  type TaggedErrorClass,
  type TaggedErrorOptions,
  UnexpectedError,
} from "./tagged-error.ts";
export { CompensationFailed } from "./undo.ts";
export {
  createWorkflow,
  type Deps,
  type Fact,
  run,
  type RunContext,
  type RunOptions,
  type RunWithState,
  type Workflow,
  type WorkflowContext,
  type WorkflowOptions,
} from "./workflow.ts";
