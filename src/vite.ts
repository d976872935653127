// `ringback/vite`: the compile step of directives in Vite and vitest.

export { type NamedPlugin, type PluginOptions, vite as default, vite as workflow } from "./styles/directives/bundler.ts";
