// What the frameworks' integrations read of an app, and make for it. Whole apps are in framework-apps-outlive-a-kill.test.ts.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { workflow as astro } from "../src/astro.ts";
import nitro from "../src/nitro.ts";
import { withWorkflow } from "../src/next.ts";
import nuxt from "../src/nuxt.ts";
import { workflowPlugin } from "../src/sveltekit.ts";
import compileForNext from "../src/adapters/framework/next-loader.ts";

const pay = 'export async function pay() {\n  "use workflow";\n}\n';
const home = process.cwd();
let project = "";

beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), "ringback-project-"));
  process.chdir(project);
  project = process.cwd();
  put("package.json", "{}");
  put("node_modules/next/package.json", '{"version":"16.4.0"}');
  put("node_modules/@sveltejs/kit/package.json", '{"version":"3.2.0"}');
});
afterEach(() => {
  process.chdir(home);
  rmSync(project, { recursive: true, force: true });
});

function put(path: string, text: string): string {
  const file = join(project, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}
const text = (path: string): string => readFileSync(join(project, path), "utf8");

/** What is looked at of a plugin. */
interface Hooks {
  readonly name: string;
  configResolved?(config: object): void;
  load?(id: string): string | null;
  transform?: (this: unknown, code: string, id: string) => { readonly code: string } | null;
}

function bootOf(plugins: readonly { readonly name: string }[], command: string): string {
  const hooks = plugins.find(({ name }) => name === "ringback:boot") as Hooks;
  hooks.configResolved?.({ root: project, command });
  return hooks.load?.("\0virtual:ringback/boot") ?? "";
}

test("every module with a workflow is loaded at the start, and none that is a test, a build's or a dependency's, or speaks of one", () => {
  const found = ["workflows/pay.ts", "src/deep/a.mjs", "app/b.tsx"].map((path) => put(path, pay));
  for (const path of ["dist/a.js", ".next/a.js", "node_modules/a/a.js", "test/a.ts", "src/a.test.ts", "src/a.d.ts"]) put(path, pay);
  put("src/prose.ts", 'export const text = `"use workflow"`;\n// "use workflow"\n');
  put("src/step.ts", 'export async function send() {\n  "use step";\n}\n');
  const imported = bootOf(workflowPlugin(), "build").matchAll(/^import "(.*)";$/gm);
  expect([...imported].map(([, file]) => file)).toEqual(found.sort());
});

test("a built app is told to be in production, where a base URL is asked for; a dev server is not", () => {
  expect(bootOf(workflowPlugin(), "build")).toContain('env.NODE_ENV ||= "production";');
  expect(bootOf(workflowPlugin(), "serve")).not.toContain("NODE_ENV");
  expect(bootOf(workflowPlugin({ baseUrl: "https://shop.example" }), "build")).toContain(
    'env.RINGBACK_BASE_URL ||= "https://shop.example";',
  );
});

const phase = "phase-production-build";
const context = { defaultConfig: {} as never };

test("Next.js: the route, the boot and the instrumentation are made once, and git leaves out what can stand elsewhere", async () => {
  put("workflows/pay.ts", pay);
  const config = (await withWorkflow({ serverExternalPackages: ["pg"] })(phase, context)) as Record<string, unknown>;
  expect(config["serverExternalPackages"]).toEqual(["pg", "workflow", "ringback", "@photostructure/sqlite"]);
  expect(config["outputFileTracingIncludes"]).toEqual({
    "/**": [expect.stringContaining(`prebuilds/${process.platform}-${process.arch}/*`)],
  });
  expect(text("app/.well-known/workflow/.gitignore")).toBe("*\n");
  expect(text("app/.well-known/workflow/boot.js")).toContain('import "../../../workflows/pay.ts";');
  expect(text("app/.well-known/workflow/v1/webhook/[token]/route.js")).toContain("export const POST = ingress;");
  expect(text("instrumentation.js")).toContain('import("./app/.well-known/workflow/boot.js")');
  const made = statSync(join(project, "instrumentation.js")).mtimeMs;
  await withWorkflow({})(phase, context);
  expect(statSync(join(project, "instrumentation.js")).mtimeMs).toBe(made);
});

test("Next.js: a server that starts reads no source and writes nothing", async () => {
  const config = { poweredByHeader: false };
  expect(await withWorkflow(() => config)("phase-production-server", { defaultConfig: config })).toBe(config);
  expect(existsSync(join(project, "app"))).toBe(false);
});

test("Next.js: rules of the app's own stay, and ours come with them; before 16 there are no conditions", async () => {
  const own = { loaders: ["own-loader"] };
  const rulesOf = async (): Promise<Record<string, unknown[]>> => {
    const config = (await withWorkflow({ turbopack: { rules: { "*.js": own, "*.svg": own } } })(phase, context)) as never;
    return (config as { turbopack: { rules: Record<string, unknown[]> } }).turbopack.rules;
  };
  const rules = await rulesOf();
  expect(rules["*.svg"]).toBe(own);
  expect(rules["*.js"]?.[0]).toBe(own);
  expect(rules["*.js"]).toHaveLength(3);
  put("node_modules/next/package.json", '{"version":"15.5.0"}');
  expect(JSON.stringify((await rulesOf())["*.ts"])).not.toContain("condition");
});

/** What the loader makes of a file of the app. */
async function loaded(file: string, code: string): Promise<string> {
  const config = (await withWorkflow({})(phase, context)) as { webpack(config: object, context: object): unknown };
  const webpack = { module: { rules: [] as { use: { options: object }[] }[] } };
  config.webpack(webpack, { isServer: true, nextRuntime: "nodejs" });
  const options = webpack.module.rules[0]?.use[0]?.options;
  let made = "";
  const loader = {
    resourcePath: file,
    getOptions: () => options as never,
    emitWarning() {},
    callback: (_: null, code: string) => void (made = code),
  };
  compileForNext.call(loader, code);
  return made;
}

test("Next.js: an instrumentation of the app's own stays as it is, and opens the engine when it registers", async () => {
  const code = "// ours\nexport function register(): void {\n  watch();\n}\n";
  const file = put("src/instrumentation.ts", code);
  put("src/app/page.tsx", "");
  expect((await loaded(file, code)).split("\n")).toEqual([
    "// ours",
    expect.stringMatching(
      /^export async function register\(\): void \{ if \(.*\) await \(await import\("\.\/app\/.*boot\.js"\)\)\.open\(\);$/,
    ),
    "  watch();",
    "}",
    "",
  ]);
  expect(text("src/instrumentation.ts")).toBe(code);
  await expect(loaded(file, 'export { register } from "./other";')).rejects.toThrow("must have");
});

test("Nitro and Nuxt: the module adds the route and the start, and brings the driver's binaries along", () => {
  const hooks: Record<string, (...given: never[]) => void> = {};
  const options = {
    rootDir: project,
    dev: false,
    virtual: {} as Record<string, unknown>,
    plugins: [],
    handlers: [],
    externals: { external: [] as ((id: string) => boolean)[] },
    output: { serverDir: join(project, "server") },
  };
  nitro.setup({ options, hooks: { hook: (name: string, listener: () => void) => void (hooks[name] = listener) } } as never);
  expect(options.handlers).toEqual([{ route: "/.well-known/workflow/v1/webhook/:token", handler: "#ringback/webhook" }]);
  expect(options.plugins).toEqual(["#ringback/plugin"]);
  const [isOurs] = options.externals.external;
  expect(["workflow/api", "/a/node_modules/workflow/dist/api.js"].map((id) => isOurs?.(id))).toEqual([true, true]);
  expect(["workflows/pay", "/a/workflow/api.ts", "/a/node_modules/workflow-x/a.js"].map((id) => isOurs?.(id))).toEqual([
    false,
    false,
    false,
  ]);
  put("server/node_modules/@photostructure/sqlite/package.json", "{}");
  hooks["compiled"]?.();
  expect(existsSync(join(project, "server/node_modules/@photostructure/sqlite/prebuilds", `${process.platform}-${process.arch}`))).toBe(
    true,
  );

  const config: { modules?: unknown[] } = {};
  nuxt(undefined, { options: {}, hook: (_: string, listener: (config: object) => void) => listener(config) } as never);
  expect(config.modules).toEqual([nitro]);
});

test("SvelteKit: the app's hooks are wrapped; an app without any is given a file of them", () => {
  put("src/app.html", "");
  const hooks = workflowPlugin().find(({ name }) => name === "ringback:sveltekit") as Hooks;
  expect(text("src/hooks.server.js")).toContain("export {};");
  hooks.configResolved?.({ root: project });
  expect(hooks.load?.("\0ringback/hooks")).toContain(`import * as hooks from ${JSON.stringify(join(project, "src/hooks.server.js"))};`);
});

test("Astro: where callbacks come is told by the app's site, and its base", () => {
  let plugins: readonly { readonly name: string }[] = [];
  let route: object = {};
  const setup = {
    config: { site: "https://shop.example", base: "/app" },
    injectRoute: (given: object) => void (route = given),
    updateConfig: ({ vite }: { vite: { plugins: typeof plugins } }) => void (plugins = vite.plugins),
    createCodegenDir: () => new URL(`file://${project}/`),
  };
  astro().hooks["astro:config:setup"](setup);
  expect(route).toMatchObject({ pattern: "/.well-known/workflow/v1/webhook/[token]", prerender: false });
  expect(bootOf(plugins, "build")).toContain('env.RINGBACK_BASE_URL ||= "https://shop.example/app";');
});

test("a framework's check on forms of other sites lets callbacks through, and stays for everything else", async () => {
  const hooks = workflowPlugin().find(({ name }) => name === "ringback:boot") as Hooks;
  hooks.configResolved?.({ root: project, command: "build", base: "/app/" });
  const guardedAt = async (module: string, head: string): Promise<(path: string) => boolean> => {
    const code = `export function ${head}() { return true; }`;
    const made = hooks.transform?.call({}, code, join(project, "node_modules", module))?.code as string;
    const { [head]: isForbidden } = (await import(`data:text/javascript,${encodeURIComponent(made)}`)) as Record<
      string,
      (given: object) => boolean
    >;
    return (path) => isForbidden?.(new Request(`https://shop.example${path}`, { method: "POST" })) ?? false;
  };
  const svelte = await guardedAt("@sveltejs/kit/src/runtime/server/csrf.js", "is_csrf_forbidden");
  const astro = await guardedAt("astro/dist/core/app/origin-check.js", "isForbiddenCrossOriginRequest");
  for (const isForbidden of [svelte, astro]) {
    expect(isForbidden("/app/.well-known/workflow/v1/webhook/t")).toBe(false);
    expect(isForbidden("/login")).toBe(true);
    expect(isForbidden("/login?next=/.well-known/workflow/v1/webhook/t")).toBe(true);
  }
  expect(astro("/any/.well-known/workflow/v1/webhook/t")).toBe(true);
  expect(hooks.transform?.call({}, "function is_csrf_forbidden() {}", "/app/src/csrf.js")).toBe(null);
});
