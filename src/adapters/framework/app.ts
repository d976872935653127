// What every framework needs of an app: which of its modules hold workflows, under which name it has the package, and the code that takes
// up parked runs when the built app starts, before anybody calls a route.

import { cpSync, existsSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { CompileStep } from "../../styles/directives/plugin/compile-step.ts";
import { RuntimeNames } from "../../styles/directives/plugin/runtime-name.ts";
import { defaultPackages } from "../../styles/directives/transform/import.ts";
import type { PluginOptions } from "../../styles/directives/plugin/option.ts";

/** How an integration is set; all of it has a default. */
export interface FrameworkOptions extends Pick<PluginOptions, "packages"> {
  /**
   * Folders to look for workflows in, from the project's root. Default: the whole project but `node_modules`, folders with a dot, tests, and
   * what tools make (`build`, `coverage`, `dist`, `out`, `public`, `static`).
   */
  readonly dirs?: readonly string[];
  /** Where the outside reaches the built app, such as `https://api.example.com`; `RINGBACK_BASE_URL` in its environment comes first. */
  readonly baseUrl?: string;
}

/** Where callbacks come in; what follows is the token. */
export const webhookRoute = "/.well-known/workflow/v1/webhook/";

const source = /(?<!\.d)\.[cm]?[jt]sx?$/;
const leftOut = /^\.|^(?:node_modules|build|coverage|dist|out|public|static|tests?|__tests__)$|\.(?:test|spec)\.[cm]?[jt]sx?$/;
const server = { isForBrowser: false, isReloading: false };
const mark = /["']use workflow["']/;

/** The files that declare workflows, in a steady order. Throws `bad_directive`. */
export function workflowFiles(root: string, { dirs = ["."], packages = [] }: FrameworkOptions): string[] {
  const step = new CompileStep({ packages });
  const declares = (file: string): boolean => {
    const code = readFileSync(file, "utf8");
    return mark.test(code) && (step.compile(code, file, server)?.declared.workflows.length ?? 0) > 0;
  };
  return [...new Set(dirs.flatMap((dir) => sourcesBelow(resolve(root, dir))))].sort().filter(declares);
}

function sourcesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (leftOut.test(entry.name)) return [];
    if (entry.isDirectory()) return sourcesBelow(path);
    return entry.isFile() && source.test(entry.name) ? [path] : [];
  });
}

/** How modules of the app import `ringback/api`. */
function apiName(root: string, { packages = [] }: FrameworkOptions): string {
  const compiled = new RuntimeNames([...defaultPackages, ...packages]).of(join(root, "package.json"));
  return compiled.replace(/compiled(?=(?:\.[jt]s)?$)/, "api");
}

/** Which major version of a framework the app has. */
export function majorOf(framework: string, root: string): number {
  const manifest = createRequire(`${root}/`).resolve(`${framework}/package.json`);
  return Number.parseInt((JSON.parse(readFileSync(manifest, "utf8")) as { readonly version: string }).version, 10);
}

/** The names to keep out of bundles: the parts that are not JavaScript do not survive one, and one process needs one engine. */
export function externalPackages({ packages = [] }: FrameworkOptions = {}): string[] {
  return [...defaultPackages, "@photostructure/sqlite", ...packages];
}

/** Where the SQLite driver has its binaries for this platform. */
export function driverBinaries(): string {
  const driver = dirname(createRequire(import.meta.url).resolve("@photostructure/sqlite"));
  return join(driver, "../prebuilds", `${process.platform}-${process.arch}`);
}

/** Adds them to a copy of the app's dependencies: the programs that make one do not see them, since code loads them by a path made at run time. */
export function copyDriver(nodeModules: string): void {
  const copied = join(nodeModules, "@photostructure/sqlite");
  const binaries = driverBinaries();
  if (existsSync(copied) && existsSync(binaries)) cpSync(binaries, join(copied, "prebuilds", basename(binaries)), { recursive: true });
}

/** What the boot module is made of. */
export interface Boot extends FrameworkOptions {
  readonly root: string;
  /** Whether the app is built for production; a dev server may guess that it is called at localhost, a built app must be told. */
  readonly isBuilt: boolean;
  /** Where the file will stand, for imports relative to it; imports are absolute without it. */
  readonly folder?: string;
}

/**
 * The module that loads all workflows. Its `open()` opens the default engine, which takes up what an earlier process left; `ingress` takes
 * callbacks; `close()` lets go before the process ends.
 */
export function bootModule(boot: Boot): string {
  const { root, isBuilt, folder, baseUrl } = boot;
  const from = (file: string): string => (folder === undefined ? file : relative(folder, file)).split(sep).join("/");
  return [
    ...workflowFiles(root, boot).map((file) => `import ${JSON.stringify(from(file))};`),
    `import { defaultEngine } from ${JSON.stringify(apiName(root, boot))};`,
    // Not `process.env`: builds put its values in its place.
    `const { env } = globalThis.process;`,
    ...(isBuilt ? [`env.NODE_ENV ||= "production";`] : []),
    ...(baseUrl === undefined ? [] : [`env.RINGBACK_BASE_URL ||= ${JSON.stringify(baseUrl)};`]),
    `export const open = async () => defaultEngine().open();`,
    `export const close = async () => defaultEngine().close();`,
    `export const ingress = (request) => defaultEngine().ingress(request);`,
    "",
  ].join("\n");
}

/** Code that Next's two runtimes share: the one that is not Node's has no engine, and the condition leaves all of it out there. */
export function callBoot(path: string): string {
  return `if (process.env.NEXT_RUNTIME === "nodejs") await (await import(${JSON.stringify(path)})).open();`;
}
