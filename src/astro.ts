// `ringback/astro`: the compile step, the webhook route and the start of the engine in an Astro app.

export { type AstroIntegration, type AstroSetup, workflow } from "./adapters/framework/astro.ts";
export type { FrameworkOptions } from "./adapters/framework/app.ts";
export type { VitePlugin } from "./adapters/framework/vite.ts";
