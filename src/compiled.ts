// `ringback/compiled`: what the output of the compile step imports. Nobody else does. Values are the first copy's (RT1).

import { compiled } from "./runtime/first.ts";
import type * as own from "./runtime/compiled.ts";

export type * from "./runtime/compiled.ts";

export const allowReloading: typeof own.allowReloading = compiled.allowReloading;
export const branch: typeof own.branch = compiled.branch;
export const callsOf: typeof own.callsOf = compiled.callsOf;
export const goOn: typeof own.goOn = compiled.goOn;
export const instanceStep: typeof own.instanceStep = compiled.instanceStep;
export const registerClass: typeof own.registerClass = compiled.registerClass;
export const schema: typeof own.schema = compiled.schema;
export const schemaOf: typeof own.schemaOf = compiled.schemaOf;
export const step: typeof own.step = compiled.step;
export const stepMethod: typeof own.stepMethod = compiled.stepMethod;
export const stepOf: typeof own.stepOf = compiled.stepOf;
export const workflow: typeof own.workflow = compiled.workflow;
export const workflowMethod: typeof own.workflowMethod = compiled.workflowMethod;
