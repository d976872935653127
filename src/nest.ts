// `ringback/nest`: the context style in a NestJS app, with all that `ringback/context` exports.

export * from "./context.ts";
export { DurableModule } from "./adapters/nest/module.ts";
export type {
  DurableAdminOptions,
  DurableModuleAsyncOptions,
  DurableModuleOptions,
  DurableOptionsFactory,
} from "./adapters/nest/option.ts";
export { DURABLE_ENGINE } from "./adapters/nest/token.ts";
