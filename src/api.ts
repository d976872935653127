// `ringback/api`: what host code asks of the default engine, which the environment configures and the first call opens.

import { defaultApi } from "./wiring.ts";
import type { EngineApi } from "./engine/engine-api.ts";

export type { HookInfo, ResumedHook, ResumeOptions, RunInfo, StartOptions } from "./engine/engine-api.ts";
export { RunHandle as Run, type RunStatus } from "./engine/run-handle.ts";
export type { Disposition, Receipt } from "./core/receipt.ts";
export type { TimelineEntry } from "./core/timeline.ts";

/** See `EngineApi.start`. */
export const start: EngineApi["start"] = (workflow, args, options) => defaultApi().start(workflow, args, options);
export const getRun: EngineApi["getRun"] = (runId) => defaultApi().getRun(runId);
export const resumeHook: EngineApi["resumeHook"] = (target, payload, options) => defaultApi().resumeHook(target, payload, options);
export const resumeWebhook: EngineApi["resumeWebhook"] = (token, request) => defaultApi().resumeWebhook(token, request);
export const getHookByToken: EngineApi["getHookByToken"] = (token) => defaultApi().getHookByToken(token);
export const listRuns: EngineApi["listRuns"] = (filter) => defaultApi().listRuns(filter);
export const listHooks: EngineApi["listHooks"] = (filter) => defaultApi().listHooks(filter);
