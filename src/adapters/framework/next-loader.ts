// The compile step as a webpack loader, which Turbopack takes as well. Into the app's own instrumentation it puts what opens the engine.

import { dirname, relative, sep } from "node:path";
import { type Build, CompileStep } from "../../styles/directives/plugin/compile-step.ts";
import type { PluginOptions } from "../../styles/directives/plugin/option.ts";
import { placeText } from "../../styles/directives/transform/notice.ts";
import { callBoot } from "./app.ts";

/** Plain data: Turbopack hands it to another process. */
export interface NextLoaderOptions extends Pick<PluginOptions, "packages">, Build {
  /** The app's own instrumentation, if it has one, and the module to load from there. */
  readonly instrumentation?: string;
  readonly boot?: string;
}

interface LoaderContext {
  readonly resourcePath: string;
  getOptions(): NextLoaderOptions;
  emitWarning(warning: Error): void;
  callback(error: null, code: string, map?: unknown): void;
}

let step: CompileStep | null = null;

export default function compileForNext(this: LoaderContext, code: string, map?: unknown): void {
  const options = this.getOptions();
  const file = this.resourcePath;
  if (file === options.instrumentation) return this.callback(null, withBoot(code, file, options.boot as string), map);
  step ??= new CompileStep(options);
  const compiled = step.compile(code, file, options);
  for (const warning of compiled?.warnings ?? []) this.emitWarning(new Error(`${placeText(warning)}: ${warning.message}`));
  if (compiled) this.callback(null, compiled.code, compiled.map);
  else this.callback(null, code, map);
}

/** Where Next calls an app's instrumentation. */
export const register: RegExp = /\bexport\s+(?:async\s+)?function\s+register\s*\([^)]*\)[^{]*\{/;

/** On the line that is there, so that all others keep their numbers. */
function withBoot(code: string, file: string, boot: string): string {
  const path = `./${relative(dirname(file), boot).split(sep).join("/")}`;
  const [found] = register.exec(code) ?? [];
  if (found === undefined) {
    throw new Error(
      `${file} must have "export async function register() { … }": ringback/next opens the engine there, before any route is called.`,
    );
  }
  const head = found.replace(/export\s+function/, "export async function");
  return code.replace(found, () => `${head} ${callBoot(path)}`);
}
