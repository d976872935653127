// What this copy has for `ringback/api`: what host code asks of the default engine, which the environment configures and the first call opens.

import { askDefault, defaultApi } from "../wiring.ts";
import type { EngineApi } from "../engine/engine-api.ts";

export type {
  BufferedHook,
  ListHooksOptions,
  ListRefusedOptions,
  ListRunsOptions,
  PurgeOptions,
  ResumedHook,
  ResumeOptions,
  SignalWithStartOptions,
  StartArguments,
  StartedWithSignal,
  StartOptions,
} from "../engine/engine-api.ts";
export type { HookInfo, RefusedDelivery, RunInfo } from "../engine/info.ts";
export type { Purged } from "../engine/retention.ts";
export {
  type Blocked,
  type CancelOptions,
  type WorkflowReadableStreamOptions,
  RunHandle as Run,
  type RunStatus,
  type StopSleepOptions,
  type StopSleepResult,
} from "../engine/run-handle.ts";
export type { WorkflowReadableStream } from "../engine/stream-value.ts";
export type { Diagnosis, KeyState, StandingRun } from "../engine/diagnosis.ts";
export type { Disposition, Receipt } from "../core/receipt.ts";
export type { RunEnding, UnreadPayload } from "../core/ending.ts";
export type { Difference, TimelineEntry } from "../core/timeline.ts";
export { encryptionKeyId, type EncryptionSecret } from "../engine/encryption-keys.ts";
export { defaultEngine, type RotatedKeys } from "../wiring.ts";

/**
 * Starts a run; resolves when it is committed. With an `id` that is taken by a run of the same workflow, arguments and token it resolves
 * with that run, else rejects `run_conflict`. In workflow code it starts a child, durably. Arguments are serialised, ≤ 4 MiB.
 */
export const start: EngineApi["start"] = (workflow, ...rest) => askDefault((api) => api.start(workflow, ...rest));
/** A run by its id, at once and without asking the store: whether there is one shows when it is asked something. */
export const getRun: EngineApi["getRun"] = (runId) => defaultApi().getRun(runId);
/**
 * Delivers a value to the hook with this token; resolves when it is committed (G1), also for a repeat of a `key` (G2). Rejects
 * `HookNotFoundError`, `HookClosedError`, `InvalidPayloadError`, `schema_unavailable`.
 */
export const resumeHook: EngineApi["resumeHook"] = (target, payload, options) =>
  askDefault((api) => api.resumeHook(target, payload, options));
/**
 * Hands a request to a webhook, and gives back what its sender is to be told; for your own route, and for webhooks with a custom token.
 * Never rejects for what became of it: statuses say that. The body is read up to the cap, 1 MiB.
 */
export const resumeWebhook: EngineApi["resumeWebhook"] = (token, request) => askDefault((api) => api.resumeWebhook(token, request));
/** The hook that has this token, or had it last. Rejects `HookNotFoundError`. */
export const getHookByToken: EngineApi["getHookByToken"] = (token) => askDefault((api) => api.getHookByToken(token));
/** Runs, newest first: at most `limit` (1 to 1,000; 100 unless told), of one `workflow` or `state` where asked; those `before` a run, to read on. */
export const listRuns: EngineApi["listRuns"] = (options) => askDefault((api) => api.listRuns(options));
/** Hooks, those of the newest run first: open ones, or `all`; of one run where `runId` is given; 100 unless `limit` says otherwise. */
export const listHooks: EngineApi["listHooks"] = (options) => askDefault((api) => api.listHooks(options));
/** Deliveries that were refused, or that no hook claimed in time, newest first, while they are kept: at most `limit` (1 to 1,000; 100). */
export const listRefused: EngineApi["listRefused"] = (options) => askDefault((api) => api.listRefused(options));
/** Delivers a refused delivery once more, to the hook that has its address now. Rejects `delivery_not_found`. */
export const redeliver: EngineApi["redeliver"] = (deliveryId) => askDefault((api) => api.redeliver(deliveryId));
/** Removes what is over, now: runs that ended more than `olderThan` ago, else as the engine's `retention` says; expired keys; held deliveries. */
export const purge: EngineApi["purge"] = (options) => askDefault((api) => api.purge(options));
