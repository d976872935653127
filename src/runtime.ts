// `ringback/runtime`: what an app written for the Workflow DevKit calls at boot. Values are the first copy's (RT1).

import { runtime } from "./runtime/first.ts";
import type * as own from "./runtime/runtime.ts";

export type * from "./runtime/runtime.ts";

export const getWorld: typeof own.getWorld = runtime.getWorld;
