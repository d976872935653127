// Next.js, built by webpack or Turbopack. What Next has no place for in its configuration is made as files: the route, and what it loads at
// start, below `app/.well-known/workflow/` (which git is told to leave out), and an `instrumentation.js` where the app has none.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, extname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { concern } from "../../styles/directives/transform/directive.ts";
import { bootModule, callBoot, driverBinaries, externalPackages, type FrameworkOptions, majorOf } from "./app.ts";
import { type NextLoaderOptions, register } from "./next-loader.ts";

type NextConfigFunction<C> = (phase: string, context: { defaultConfig: C }) => C | Promise<C>;

/** What is read and set of Next's configuration. */
interface NextConfig {
  outputFileTracingIncludes?: Readonly<Record<string, readonly string[]>>;
  pageExtensions?: readonly string[];
  serverExternalPackages?: readonly string[];
  turbopack?: { rules?: Readonly<Record<string, unknown>> };
  webpack?: ((config: WebpackConfig, context: WebpackContext) => unknown) | null;
}

interface WebpackConfig {
  module: { rules: unknown[] };
}

interface WebpackContext {
  readonly isServer: boolean;
  readonly nextRuntime?: string;
}

interface Use {
  readonly loader: string;
  readonly options: NextLoaderOptions;
}

const loader: string = fileURLToPath(new URL(`./next-loader${extname(new URL(import.meta.url).pathname)}`, import.meta.url));
const verbs = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"];
const phases: ReadonlyMap<string, { readonly isBuilt: boolean }> = new Map([
  ["phase-development-server", { isBuilt: false }],
  ["phase-production-build", { isBuilt: true }],
]);

/**
 * `export default withWorkflow(nextConfig)` in `next.config.ts`: compiles directives, serves the webhook route, and takes up parked runs
 * when the server starts. In production `RINGBACK_BASE_URL`, or `baseUrl` here, says where callbacks reach the app, with its `basePath`.
 */
export function withWorkflow<C extends object>(
  nextConfig: C | NextConfigFunction<C>,
  options: FrameworkOptions = {},
): (phase: string, context: { defaultConfig: C }) => Promise<C> {
  return async (phase, context) => {
    const config = typeof nextConfig === "function" ? await nextConfig(phase, context) : nextConfig;
    const building = phases.get(phase);
    return building ? ({ ...config, ...additions(config as NextConfig, building.isBuilt, options) } as C) : config;
  };
}

function additions(config: NextConfig, isBuilt: boolean, options: FrameworkOptions): NextConfig {
  const root = process.cwd();
  const files = makeFiles(root, config, isBuilt, options);
  const { packages = [] } = options;
  const use = (isForBrowser: boolean): Use => ({ loader, options: { packages, isReloading: !isBuilt, isForBrowser, ...files } });
  const { outputFileTracingIncludes: traced = {} } = config;
  return {
    // For `output: "standalone"`, which copies what it sees that code loads.
    outputFileTracingIncludes: { ...traced, "/**": [...(traced["/**"] ?? []), `${relative(root, driverBinaries())}/*`] },
    serverExternalPackages: [...(config.serverExternalPackages ?? []), ...externalPackages(options)],
    turbopack: { ...config.turbopack, rules: turbopackRules(root, config.turbopack?.rules ?? {}, use) },
    webpack: (webpack, context) => {
      const isForBrowser = !context.isServer || context.nextRuntime === "edge";
      webpack.module.rules.push({ test: /\.[cm]?[jt]sx?$/, enforce: "pre", use: [use(isForBrowser)] });
      return config.webpack ? config.webpack(webpack, context) : webpack;
    },
  };
}

/** An engine runs in Node alone: for browsers and the edge, functions with directives are stubs. */
function turbopackRules(
  root: string,
  rules: Readonly<Record<string, unknown>>,
  use: (isForBrowser: boolean) => Use,
): Record<string, unknown> {
  // Before 16 there are no conditions: then the loader looks at every file, and passes on what it finds nothing in.
  const hasConditions = majorOf("next", root) >= 16;
  const content = { any: [{ content: concern }, { content: register }] };
  const inNode = { loaders: [use(false)], condition: { all: ["node", content] } };
  const elsewhere = { loaders: [use(true)], condition: { all: [{ not: "node" }, content] } };
  const ours = hasConditions ? [inNode, elsewhere] : [use(false)];
  const added = ["ts", "tsx", "mts", "cts", "js", "jsx", "mjs", "cjs"].map((ending) => {
    const there = rules[`*.${ending}`];
    return [`*.${ending}`, [...(there === undefined ? [] : [there].flat()), ...ours]];
  });
  return { ...rules, ...Object.fromEntries(added) };
}

/** Writes what stands as files. Returns the app's own instrumentation, into which the loader puts the boot. */
function makeFiles(
  root: string,
  config: NextConfig,
  isBuilt: boolean,
  options: FrameworkOptions,
): Pick<NextLoaderOptions, "instrumentation" | "boot"> {
  const extensions = config.pageExtensions ?? ["tsx", "ts", "jsx", "js"];
  const ending = extensions.find((each) => /(^|\.)js$/.test(each)) ?? extensions.find((each) => /(^|\.)ts$/.test(each)) ?? "js";
  const base = existsSync(join(root, "src/app")) || existsSync(join(root, "src/pages")) ? join(root, "src") : root;
  const folder = join(base, "app/.well-known/workflow");
  const boot = join(folder, `boot.${ending}`);
  write(join(folder, ".gitignore"), "*\n");
  write(boot, head + bootModule({ ...options, root, isBuilt, folder }));
  const exported = verbs.map((verb) => `export const ${verb} = ingress;\n`).join("");
  write(join(folder, `v1/webhook/[token]/route.${ending}`), `${head}import { ingress } from "../../../boot.${ending}";\n\n${exported}`);
  const own = extensions.map((each) => join(base, `instrumentation.${each}`)).find((file) => existsSync(file));
  if (own !== undefined && !readFileSync(own, "utf8").startsWith(head)) return { instrumentation: own, boot };
  const file = own ?? join(base, `instrumentation.${ending}`);
  const path = `./${relative(base, boot).split(sep).join("/")}`;
  write(file, `${head}export async function register() {\n  ${callBoot(path)}\n}\n`);
  return {};
}

const head = `// Made by withWorkflow() of ringback/next.\n// @ts-nocheck\n/* eslint-disable */\n`;

/** Files that are as they should be are left alone: dev servers watch them. */
function write(file: string, text: string): void {
  if (existsSync(file) && readFileSync(file, "utf8") === text) return;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
