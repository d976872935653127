// All that workflows outside the engine are written with, for the entries that hand it on.

export { createResumeStateCollector, type ResumeStateCollector } from "./collector.ts";
export {
  createHook,
  HOOK_STEP_KEY_PREFIX,
  isPendingApproval,
  isPendingHook,
  type PendingApproval,
  pendingApproval,
  type PendingHook,
  pendingHook,
} from "./hook.ts";
export {
  type AsyncResult,
  type Err,
  err,
  type ErrorOf,
  type ErrorsOf,
  isErr,
  isOk,
  match,
  type Ok,
  ok,
  type Result,
  type ValueOf,
} from "./result.ts";
export {
  BadState,
  type Fact,
  getPendingHooks,
  hasPendingHook,
  HookNotPending,
  injectApproval,
  injectHook,
  parse,
  type ResumeState,
  serialize,
  type StateEvent,
  tryInjectHook,
} from "./state.ts";
export type { RetryOptions, Step, StepOptions } from "./step.ts";
export { TaggedError, type TaggedErrorBase, type TaggedErrorClass, UnexpectedError } from "./tagged-error.ts";
export {
  createWorkflow,
  type RunOptions,
  type RunWithState,
  type Workflow,
  type WorkflowContext,
  type WorkflowOptions,
} from "./workflow.ts";
