// What `ringback/nest` exports, as users' types have it. At run time `src/nest.ts` does: the module is each copy's own, the style the first's.

export * from "./context.ts";
export { DurableModule } from "../adapters/nest/module.ts";
export type {
  DurableAdminOptions,
  DurableModuleAsyncOptions,
  DurableModuleOptions,
  DurableOptionsFactory,
} from "../adapters/nest/option.ts";
export { DURABLE_ENGINE } from "../adapters/nest/token.ts";
