// The plugin as each bundler's users know it. The types say no more of a bundler than its configuration asks of a plugin, so that whoever
// uses one need not have the others' types.

import { unplugin } from "./plugin.ts";
import { bunPlugin } from "./plugin/bun.ts";
import type { PluginOptions } from "./plugin/option.ts";

export type { PluginOptions } from "./plugin/option.ts";

/** For `plugins` of Vite, vitest, Rollup and Rolldown. */
export interface NamedPlugin {
  readonly name: string;
}

/** For `plugins` of esbuild and Bun. */
export interface SetupPlugin {
  readonly name: string;
  setup(build: unknown): void | Promise<void>;
}

/** For `plugins` of webpack and Rspack. */
export type CompilerPlugin = {
  apply(compiler: unknown): void;
};

/** For `plugins` in `vite.config.ts` and `vitest.config.ts`. */
export const vite: (options?: PluginOptions) => NamedPlugin = unplugin.vite;
/** For `plugins` in `rollup.config.js`, before what reads TypeScript. */
export const rollup: (options?: PluginOptions) => NamedPlugin = unplugin.rollup;
/** For `plugins` in `rolldown.config.ts`. */
export const rolldown: (options?: PluginOptions) => NamedPlugin = unplugin.rolldown;
/** For `plugins` of `build()` and `context()`, before plugins that load the same files. */
export const esbuild: (options?: PluginOptions) => SetupPlugin = unplugin.esbuild;
/** For `plugin()` in a preloaded file, and for `plugins` of `Bun.build()`. */
export const bun: (options?: PluginOptions) => SetupPlugin = bunPlugin;
/** For `plugins` in `webpack.config.js`; it comes before all loaders. */
export const webpack: (options?: PluginOptions) => CompilerPlugin = unplugin.webpack;
/** For `plugins` in `rspack.config.js`; it comes before all loaders. */
export const rspack: (options?: PluginOptions) => CompilerPlugin = unplugin.rspack;
