// `ringback/next`: the compile step, the webhook route and the start of the engine in a Next.js app.

export { withWorkflow } from "./adapters/framework/next.ts";
export type { FrameworkOptions } from "./adapters/framework/app.ts";
