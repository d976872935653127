// `ringback/esbuild`: the compile step of directives in esbuild.

export { type SetupPlugin, type PluginOptions, esbuild as default, esbuild as workflow } from "./styles/directives/bundler.ts";
