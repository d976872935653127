// The compile step as a plugin: one, for every bundler that unplugin knows.

import { createUnplugin, type UnpluginInstance } from "unplugin";
import { CompileStep } from "./plugin/compile-step.ts";
import type { PluginOptions } from "./plugin/option.ts";
import { esbuild, rolldown, rollup, type Tool, type ToolOptions, vite, webpack } from "./plugin/tool.ts";
import { concern } from "./transform/directive.ts";
import { placeText } from "./transform/notice.ts";

const tools: { readonly [framework: string]: (options: ToolOptions) => Tool } = {
  vite,
  rollup,
  rolldown,
  esbuild,
  webpack,
  rspack: webpack,
};

export const unplugin: UnpluginInstance<PluginOptions | undefined, false> = createUnplugin((options, { framework }) => {
  const step = new CompileStep(options);
  const tool = (tools[framework] ?? rollup)(step);
  return {
    name: "ringback",
    // It takes the author's text: other compilers would have moved what is in it, and minifiers leave directives out.
    enforce: "pre",
    transform: {
      filter: { id: /^[^\0?#]+\.[cm]?[jt]sx?(?:$|[?#])/, code: concern },
      handler(code, id, ...more: unknown[]) {
        const build = tool.build(this, more[0]);
        const compiled = step.compile(code, id, build);
        if (!compiled) return null;
        for (const warning of compiled.warnings) this.warn(`${placeText(warning)}: ${warning.message}`);
        const { map } = compiled;
        // A module that does nothing but declare workflows is used, whatever its package says.
        return step.isForBrowser(build.isForBrowser) ? { code: compiled.code, map } : { code: compiled.code, map, moduleSideEffects: true };
      },
    },
    ...tool.hooks,
  };
});
