// `ringback/rollup`: the compile step of directives in Rollup.

export { type NamedPlugin, type PluginOptions, rollup as default, rollup as workflow } from "./styles/directives/bundler.ts";
