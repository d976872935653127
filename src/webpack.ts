// `ringback/webpack`: the compile step of directives in webpack.

export { type CompilerPlugin, type PluginOptions, webpack as default, webpack as workflow } from "./styles/directives/bundler.ts";
