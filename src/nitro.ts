// `ringback/nitro`: the compile step, the webhook route and the start of the engine in a Nitro app.

export { nitroModule as default } from "./adapters/framework/nitro.ts";
export type { FrameworkOptions as ModuleOptions } from "./adapters/framework/app.ts";
