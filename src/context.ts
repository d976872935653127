// `ringback/context`: workflows that are given a context. Values are the first copy's (RT1).

import { context } from "./runtime/first.ts";
import type * as own from "./runtime/context.ts";

export type * from "./runtime/context.ts";

export const FatalError: typeof own.FatalError = context.FatalError;
export type FatalError = own.FatalError;
export const SignalTimeoutError: typeof own.SignalTimeoutError = context.SignalTimeoutError;
export type SignalTimeoutError = own.SignalTimeoutError;
export const Step: typeof own.Step = context.Step;
export const Workflow: typeof own.Workflow = context.Workflow;
export const WorkflowEngine: typeof own.WorkflowEngine = context.WorkflowEngine;
export type WorkflowEngine = own.WorkflowEngine;
export const defineWorkflow: typeof own.defineWorkflow = context.defineWorkflow;
export const remoteStep: typeof own.remoteStep = context.remoteStep;
