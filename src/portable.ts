// `ringback/portable`: workflows whose state is their caller's to keep. Neither an engine nor anything of Node's.

export { createResumeStateCollector, type ResumeStateCollector } from "./styles/portable/collector.ts";
export {
  createHook,
  HOOK_STEP_KEY_PREFIX,
  isPendingApproval,
  isPendingHook,
  type PendingApproval,
  pendingApproval,
  type PendingHook,
  pendingHook,
} from "./styles/portable/hook.ts";
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
} from "./styles/portable/result.ts";
export {
  BadState,
  type Fact,
  getPendingHooks,
  hasPendingHook,
  HookNotPending,
  injectHook,
  parse,
  type ResumeState,
  serialize,
  type StateEvent,
  tryInjectHook,
} from "./styles/portable/state.ts";
export type { RetryOptions, Step, StepOptions } from "./styles/portable/step.ts";
export { TaggedError, type TaggedErrorBase, type TaggedErrorClass, UnexpectedError } from "./styles/portable/tagged-error.ts";
export {
  createWorkflow,
  type RunOptions,
  type RunWithState,
  type Workflow,
  type WorkflowContext,
  type WorkflowOptions,
} from "./styles/portable/workflow.ts";
