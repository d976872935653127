// `ringback/nuxt`: the compile step, the webhook route and the start of the engine in a Nuxt app.

export { type Nuxt, nuxtModule as default } from "./adapters/framework/nuxt.ts";
export type { FrameworkOptions as ModuleOptions } from "./adapters/framework/app.ts";
