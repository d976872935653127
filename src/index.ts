// `ringback`: what workflow code is written with. Values are the first copy's (RT1).

import { index } from "./runtime/first.ts";
import type * as own from "./runtime/index.ts";

export type * from "./runtime/index.ts";

export const FatalError: typeof own.FatalError = index.FatalError;
export type FatalError = own.FatalError;
export const RetryableError: typeof own.RetryableError = index.RetryableError;
export type RetryableError = own.RetryableError;
export const branch: typeof own.branch = index.branch;
export const continueAsNew: typeof own.continueAsNew = index.continueAsNew;
export const createEngine: typeof own.createEngine = index.createEngine;
export const createHook: typeof own.createHook = index.createHook;
export const createWebhook: typeof own.createWebhook = index.createWebhook;
export const defineHook: typeof own.defineHook = index.defineHook;
export const env: typeof own.env = index.env;
export const fetch: typeof own.fetch = index.fetch;
export const getStepMetadata: typeof own.getStepMetadata = index.getStepMetadata;
export const getWorkflowMetadata: typeof own.getWorkflowMetadata = index.getWorkflowMetadata;
export const getWritable: typeof own.getWritable = index.getWritable;
export const patched: typeof own.patched = index.patched;
export const race: typeof own.race = index.race;
export const random: typeof own.random = index.random;
export const setAttributes: typeof own.setAttributes = index.setAttributes;
export const sleep: typeof own.sleep = index.sleep;
export const step: typeof own.step = index.step;
export const uuid: typeof own.uuid = index.uuid;
export const workflow: typeof own.workflow = index.workflow;
