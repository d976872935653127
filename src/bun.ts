// `ringback/bun`: the compile step of directives in Bun.

export { type SetupPlugin, type PluginOptions, bun as default, bun as workflow } from "./styles/directives/bundler.ts";
