// What this copy has for `ringback/runtime`: what an app written for the Workflow DevKit calls at boot.

export { getWorld, type World } from "../wiring.ts";
