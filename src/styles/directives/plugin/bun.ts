// The compile step in Bun, at run time as in builds. Bun takes no map with a module; lines are the author's all the same (TR1).

import { readFile } from "node:fs/promises";
import { concern } from "../transform/directive.ts";
import { placeText } from "../transform/notice.ts";
import { CompileStep } from "./compile-step.ts";
import type { PluginOptions } from "./option.ts";

interface Loaded {
  readonly contents: string;
  readonly loader: string;
}

interface BunBuild {
  /** Absent at run time. */
  readonly config?: { readonly target?: string; external?: string[] };
  onLoad(filter: { readonly filter: RegExp }, load: (file: { readonly path: string; readonly loader: string }) => Promise<Loaded>): void;
}

export function bunPlugin(options?: PluginOptions): { readonly name: string; readonly setup: (build: BunBuild) => void } {
  const step = new CompileStep(options);
  const setup = ({ config, onLoad }: BunBuild): void => {
    const build = { isForBrowser: config?.target === "browser", isReloading: process.execArgv.includes("--hot") };
    if (config && !step.isForBrowser(build.isForBrowser)) config.external = [...(config.external ?? []), ...step.outside];
    onLoad({ filter: /^(?!.*[/\\]node_modules[/\\]).*\.[cm]?[jt]sx?$/ }, async ({ path, loader }) => {
      const code = await readFile(path, "utf8");
      const compiled = concern.test(code) ? step.compile(code, path, build) : null;
      for (const warning of compiled?.warnings ?? []) process.emitWarning(`${placeText(warning)}: ${warning.message}`, "Ringback");
      return { contents: compiled?.code ?? code, loader };
    });
  };
  return { name: "ringback", setup };
}
