// `ringback/rspack`: the compile step of directives in Rspack.

export { type CompilerPlugin, type PluginOptions, rspack as default, rspack as workflow } from "./styles/directives/bundler.ts";
