// `ringback/api`: what host code asks of the default engine, which the environment configures and the first call opens.

import { defaultApi } from "./wiring.ts";
import type { HostApi } from "./engine/host-api.ts";

export type { HookInfo, ResumedHook, ResumeOptions, RunInfo, StartOptions } from "./engine/host-api.ts";
export { RunHandle as Run, type RunStatus } from "./engine/run-handle.ts";
export type { Disposition, Receipt } from "./core/receipt.ts";
export type { TimelineEntry } from "./core/timeline.ts";

/** See `HostApi.start`. */
export const start: HostApi["start"] = (workflow, args, options) => defaultApi().start(workflow, args, options);
export const getRun: HostApi["getRun"] = (runId) => defaultApi().getRun(runId);
export const resumeHook: HostApi["resumeHook"] = (target, payload, options) => defaultApi().resumeHook(target, payload, options);
export const resumeWebhook: HostApi["resumeWebhook"] = (token, request) => defaultApi().resumeWebhook(token, request);
export const getHookByToken: HostApi["getHookByToken"] = (token) => defaultApi().getHookByToken(token);
export const listRuns: HostApi["listRuns"] = (filter) => defaultApi().listRuns(filter);
export const listHooks: HostApi["listHooks"] = (filter) => defaultApi().listHooks(filter);
