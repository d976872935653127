// What the compile step asks of each tool, and what it sets there: what a build is for, whether modules are loaded again, and that the package
// stays outside the bundle. Its SQLite driver is native code, and one process is to have one engine.

import type { UnpluginOptions } from "unplugin";
import type { Build, CompileStep } from "./compile-step.ts";
import { isRuntimeModule } from "../transform/import.ts";
import { declares, keepDeclaring } from "./side-effect.ts";

/** A tool: its own hooks, and how it is asked. */
export interface Tool {
  readonly hooks: Partial<UnpluginOptions>;
  /** `context` and `options` are what the tool gives to the hook that transforms. */
  build(context: unknown, options: unknown): Build;
}

/** What a tool is told. */
export type ToolOptions = Pick<CompileStep, "packages" | "outside">;

interface ViteContext {
  readonly environment?: { readonly mode: string; readonly config: { readonly consumer: string } };
}

interface ViteConfig {
  readonly command: string;
  readonly test?: { readonly browser?: { readonly enabled?: boolean } };
}

export function vite({ packages, outside }: ToolOptions): Tool {
  let config: ViteConfig = { command: "build" };
  const external = [...outside];
  const isServer = (context: unknown, options: unknown): boolean => {
    const { environment } = context as ViteContext;
    return environment ? environment.config.consumer !== "client" : (options as { readonly ssr?: boolean } | undefined)?.ssr === true;
  };
  return {
    hooks: {
      vite: {
        config: () => ({ ssr: { external }, optimizeDeps: { exclude: [...packages] } }),
        configEnvironment: (name, { consumer, resolve }) => {
          const isServers = (consumer ?? (name === "client" ? "client" : "server")) === "server";
          return isServers && resolve?.external !== true ? { resolve: { external } } : {};
        },
        configResolved: (resolved) => {
          config = resolved as ViteConfig;
        },
        // A build would refuse what it cannot find from the file, such as a file beside the project. The server's loader finds it as Node does.
        resolveId(id, _importer, options) {
          const isOurs = config.command === "build" && isServer(this, options) && isRuntimeModule(id, outside);
          return isOurs ? { id, external: true } : null;
        },
      },
    },
    build: (context, options) => {
      // Vitest calls it a client where tests have a DOM, and runs them on Node.
      const isTest = process.env["VITEST"] !== undefined && config.test?.browser?.enabled !== true;
      return { isForBrowser: !isServer(context, options) && !isTest, isReloading: config.command === "serve" };
    },
  };
}

interface RollupContext {
  readonly meta: { readonly watchMode?: boolean };
}

export function rollup({ outside }: ToolOptions): Tool {
  const resolveId = (id: string): { id: string; external: true } | null => (isRuntimeModule(id, outside) ? { id, external: true } : null);
  return {
    hooks: { rollup: { resolveId } },
    build: (context) => ({ isForBrowser: false, isReloading: (context as RollupContext).meta.watchMode === true }),
  };
}

export function rolldown({ outside }: ToolOptions): Tool {
  let isForBrowser = false;
  const resolveId = (id: string): { id: string; external: true } | null =>
    !isForBrowser && isRuntimeModule(id, outside) ? { id, external: true } : null;
  return {
    hooks: {
      rolldown: {
        options: ({ platform }) => {
          isForBrowser = platform === "browser";
        },
        resolveId,
      },
    },
    build: (context) => ({ isForBrowser, isReloading: (context as RollupContext).meta.watchMode === true }),
  };
}

export function esbuild({ outside }: ToolOptions): Tool {
  let isForBrowser = false;
  return {
    hooks: {
      esbuild: {
        onLoadFilter: /\.[cm]?[jt]sx?$/,
        // What the build says of the file's ending, or esbuild itself.
        loader: "default",
        config: (options) => {
          // It says so itself where nothing is said, and then many a server is meant.
          isForBrowser = options.platform === "browser";
          if (!isForBrowser && options.bundle === true) options.external = [...(options.external ?? []), ...outside];
        },
        setup: (build) => {
          if (!isForBrowser) keepDeclaring(build);
        },
      },
    },
    build: () => ({ isForBrowser, isReloading: false }),
  };
}

/** As much of a compiler as webpack and Rspack have alike. */
interface Compiler {
  readonly options: {
    externals?: unknown;
    readonly output?: { readonly module?: boolean };
    readonly module: { readonly rules: unknown[] };
  };
  readonly platform?: { readonly web?: boolean | null; readonly node?: boolean | null };
  readonly watchMode?: boolean;
}

export function webpack({ outside }: ToolOptions): Tool {
  let compiler: Compiler | null = null;
  const isForBrowser = (): boolean => compiler?.platform?.web === true && compiler.platform.node !== true;
  const externalOf = async ({ request = "" }: { readonly request?: string }): Promise<string | undefined> => {
    if (isForBrowser() || !isRuntimeModule(request, outside)) return undefined;
    return `${compiler?.options.output?.module === true ? "module" : "commonjs"} ${request}`;
  };
  const apply = (given: unknown): void => {
    compiler = given as Compiler;
    const { options } = compiler;
    options.module.rules.unshift({ include: declares, sideEffects: true });
    options.externals = [...(options.externals === undefined ? [] : [options.externals].flat()), externalOf];
  };
  return {
    hooks: { webpack: apply, rspack: apply },
    build: () => ({ isForBrowser: isForBrowser(), isReloading: compiler?.watchMode === true }),
  };
}
