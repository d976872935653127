// `ringback/api`: what host code asks of the default engine. Values are the first copy's (RT1).

import { api } from "./runtime/first.ts";
import type * as own from "./runtime/api.ts";

export type * from "./runtime/api.ts";

export const Run: typeof own.Run = api.Run;
export type Run<R = unknown> = own.Run<R>;
export const defaultEngine: typeof own.defaultEngine = api.defaultEngine;
export const encryptionKeyId: typeof own.encryptionKeyId = api.encryptionKeyId;
export const getHookByToken: typeof own.getHookByToken = api.getHookByToken;
export const getRun: typeof own.getRun = api.getRun;
export const listHooks: typeof own.listHooks = api.listHooks;
export const listRefused: typeof own.listRefused = api.listRefused;
export const listRuns: typeof own.listRuns = api.listRuns;
export const purge: typeof own.purge = api.purge;
export const redeliver: typeof own.redeliver = api.redeliver;
export const resumeHook: typeof own.resumeHook = api.resumeHook;
export const resumeWebhook: typeof own.resumeWebhook = api.resumeWebhook;
export const start: typeof own.start = api.start;
