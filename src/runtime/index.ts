// What this copy has for `ringback`: what workflow code is written with.

export { FatalError, RetryableError, type RetryableErrorOptions } from "../core/own-error.ts";
export type { RequestWithResponse, RespondResult } from "../core/request.ts";
export { env } from "../core/secret.ts";
export type { StandardSchema, StepOptions, WorkflowOptions } from "../core/definition.ts";
export { type Workflow, type WorkflowFunction, workflow } from "../engine/workflow.ts";
export { type SetAttributesOptions, setAttributes } from "../styles/plain/attribute.ts";
export { fetch } from "../styles/plain/fetch.ts";
export {
  createHook,
  createWebhook,
  type DefinedHook,
  type DefineHookOptions,
  defineHook,
  type Hook,
  type HookHandle,
  type HookOptions,
  type TypedHook,
  type Webhook,
  type WebhookOptions,
} from "../styles/plain/hook.ts";
export { getStepMetadata, getWorkflowMetadata, random, type StepMetadata, uuid, type WorkflowMetadata } from "../styles/plain/metadata.ts";
export { patched } from "../styles/plain/patch.ts";
export { getWritable, type WorkflowWritableStreamOptions } from "../styles/plain/stream.ts";
export { type Step, step } from "../styles/plain/step.ts";
export { branch, race, sleep } from "../styles/plain/wait.ts";
export { type ContinueOptions, continueAsNew } from "../styles/plain/chapter.ts";
export type {
  DeliveryFact,
  DoorName,
  EngineEventName,
  EngineEvents,
  EngineListener,
  RunEndFact,
  RunFact,
  StepFact,
} from "../engine/observer.ts";
export type { Health } from "../engine/health.ts";
export type { LogSink } from "../engine/logger.ts";
export type { EncryptionOptions, EncryptionSecret } from "../engine/encryption-keys.ts";
export type { RetentionOptions } from "../engine/retention.ts";
export type { AdminOptions } from "../http/admin-gate.ts";
export type { RateLimitOptions } from "../ingress/rate-limit.ts";
export { createEngine, type Engine, type EngineOptions } from "../wiring.ts";
