// `ringback/rolldown`: the compile step of directives in Rolldown.

export { type NamedPlugin, type PluginOptions, rolldown as default, rolldown as workflow } from "./styles/directives/bundler.ts";
