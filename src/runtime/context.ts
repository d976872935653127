// What this copy has for `ringback/context`: workflows that are given a context, and the engine they run on.

export {
  defineWorkflow,
  type FunctionWorkflow,
  Workflow,
  type WorkflowClass,
  type WorkflowDetails,
  type WorkflowInput,
  type WorkflowOutput,
  type WorkflowRef,
} from "../styles/context/definition.ts";
export type {
  AllOptions,
  ChildOptions,
  InlineStepOptions,
  RefStepOptions,
  StepUndo,
  WorkflowChild,
  WorkflowCtx,
} from "../styles/context/ctx.ts";
export type { CtxWebhookOptions, DurableWebhook, WaitOptions } from "../styles/context/durable-webhook.ts";
export type { UpdateOptions } from "../styles/context/signals.ts";
export {
  type CtxStepOptions,
  type RemoteStep,
  type RemoteStepDetails,
  remoteStep,
  Step,
  type StepDecorator,
  type StepDetails,
  type StepRef,
} from "../styles/context/step-ref.ts";
export {
  type PlainEngine,
  WorkflowEngine,
  type WorkflowEngineOptions,
  type WorkflowSignal,
  type WorkflowStart,
  type WorkflowStartOptions,
} from "../styles/context/engine.ts";
export { SignalTimeoutError } from "../core/errors.ts";
export { FatalError } from "../core/own-error.ts";
