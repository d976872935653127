// `ringback/nest`: the context style in a NestJS app, with all that `ringback/context` exports.

export type * from "./runtime/nest.ts";
export { FatalError, SignalTimeoutError, Step, Workflow, WorkflowEngine, defineWorkflow, remoteStep } from "./context.ts";
export { DurableModule } from "./adapters/nest/module.ts";
export { DURABLE_ENGINE } from "./adapters/nest/token.ts";
