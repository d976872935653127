// `ringback/sveltekit`: the compile step, the webhook route and the start of the engine in a SvelteKit app.

export { workflowPlugin } from "./adapters/framework/sveltekit.ts";
export type { FrameworkOptions } from "./adapters/framework/app.ts";
export type { VitePlugin } from "./adapters/framework/vite.ts";
