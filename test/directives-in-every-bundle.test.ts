// What bundlers make of files with directives, by the plugin that their users have: the same workflows under the same ids, none left out,
// the package outside; for a browser nothing of them but their names.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { build as esbuild, type PluginBuild } from "esbuild";
import { build as vite, createServer, type InlineConfig, type Rollup } from "vite";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { workflow as forEsbuild } from "../src/esbuild.ts";
import { workflow as forVite } from "../src/vite.ts";

const folder = mkdtempSync(join(tmpdir(), "ringback-bundle-"));
const path = (name: string): string => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const files = {
  // What says so of all of its modules, and of none that it has workflows.
  "package.json": '{ "name": "shop", "type": "module", "sideEffects": false }',
  "src/main.ts": 'import "./approval.ts";\nimport { limit } from "./approval.ts";\nconsole.log(limit);\n',
  "src/approval.ts": `import { readFileSync } from "node:fs";
import { createHook, type Hook } from "workflow";
import { shelf } from "./shelf.ts";

export const limit: number = 3;
const books = new Map([["one", shelf]]);

function whereIs(book: string): string {
  return books.get(book) + "/" + book;
}

export async function approve(book: string): Promise<string | null> {
  "use workflow";
  const hook: Hook<boolean> = createHook({ token: book });
  return (await hook) ? lend(book) : null;
}

const lend = async (book: string): Promise<string> => {
  "use step";
  return readFileSync(whereIs(book), "utf8");
};

export class Desk {
  static async close(): Promise<void> {
    "use step";
    books.clear();
  }
}
`,
  "src/page.ts": `import { approve, limit } from "./approval.ts";
approve("one").catch(({ message }: Error) => console.log(message, limit));
`,
  "src/shelf.ts": 'export const shelf = "the-hidden-shelf";\nconsole.log("the shelf is open");\n',
  "src/declares.ts": 'export async function remind(): Promise<void> {\n  "use workflow";\n}\n',
  "src/only-declares.ts": 'import "./declares.ts";\nimport { nothing } from "./plain.ts";\nconsole.log("started");\n',
  "src/plain.ts": 'console.log("left out");\nexport const nothing = 0;\n',
  "src/element.js":
    'import { createHook } from "workflow";\nexport async function show() {\n  "use workflow";\n  return <b>{await createHook()}</b>;\n}\n',
  "src/markup.js": "export const markup = <i />;\n",
};

beforeAll(() => {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(path(name)), { recursive: true });
    writeFileSync(path(name), text);
  }
});

type Target = "server" | "browser";
type Bundle = (entry: string, options?: { readonly target?: Target; readonly isMinified?: boolean }) => Promise<string>;

const bundles: { readonly [tool: string]: Bundle } = {
  async vite(entry, { target = "server", isMinified = false } = {}) {
    const input = path(entry);
    // Called a test, Vite would be taken for vitest.
    vi.stubEnv("VITEST", undefined);
    onTestFinished(() => void vi.unstubAllEnvs());
    const made = (await vite({
      ...quiet,
      build: {
        ...(target === "server" ? { ssr: input } : { rolldownOptions: { input } }),
        minify: isMinified,
        write: false,
        modulePreload: false,
      },
    })) as Rollup.RollupOutput;
    return made.output.map((output) => ("code" in output ? output.code : "")).join("\n");
  },
  async esbuild(entry, { target = "server", isMinified = false } = {}) {
    const made = await esbuild({
      entryPoints: [path(entry)],
      bundle: true,
      format: "esm",
      platform: target === "server" ? "node" : "browser",
      minify: isMinified,
      write: false,
      logLevel: "silent",
      plugins: [forEsbuild()],
    });
    return made.outputFiles[0]?.text ?? "";
  },
};

const quiet: InlineConfig = { root: folder, configFile: false, logLevel: "silent", plugins: [forVite()] };

/** Ids and code hashes, which runs find their code by. */
function declared(code: string): readonly string[] {
  return [...code.matchAll(/["'`]([\w/]*\w\/\/[A-Za-z][\w.]*|[\da-f]{16})["'`]/g)].map((match) => match[1] as string).sort();
}

describe.each(Object.entries(bundles))("%s", (_, bundle) => {
  test("gives every workflow and step the same id, also where names are mangled", async () => {
    const ids = ["approval//Desk.close", "approval//approve", "approval//lend"];
    const plain = declared(await bundle("src/main.ts"));
    expect(plain.filter((id) => id.includes("//"))).toEqual(ids);
    expect(plain).toHaveLength(ids.length + 1); // and one hash of a workflow's code
    expect(declared(await bundle("src/main.ts", { isMinified: true }))).toEqual(plain);
    expect(declared((await bundles["vite"]?.("src/main.ts")) as never)).toEqual(plain);
  });

  test("leaves out no module that declares workflows, though its package has no side effects", async () => {
    const code = await bundle("src/only-declares.ts");
    expect(code).toContain("declares//remind");
    expect(code).not.toContain("left out");
  });

  test("leaves the package outside", async () => {
    const code = await bundle("src/main.ts");
    const imported = new Set([...code.matchAll(/from ["'](workflow[^"']*)["']/g)].map((match) => match[1]));
    expect(imported).toEqual(new Set(["workflow", "workflow/compiled"]));
  });

  test("builds nothing of workflows and steps for a browser, where calling one throws", async () => {
    const code = await bundle("src/page.ts", { target: "browser" });
    expect(code).not.toMatch(/the-hidden-shelf|node:fs|createHook|whereIs|workflow["']/);
    const shown = execFileSync(process.execPath, ["--input-type=module", "-e", code], { encoding: "utf8" });
    expect(shown).toMatch(/^approve is a workflow: it runs on the server, .* starts it\. 3\n$/);
  });
});

test("esbuild reads each file as the build says for its ending", async () => {
  const made = await esbuild({
    stdin: { contents: 'export * from "./element.js"; export * from "./markup.js";', resolveDir: path("src") },
    bundle: true,
    format: "esm",
    jsx: "preserve",
    loader: { ".js": "jsx" },
    write: false,
    plugins: [forEsbuild()],
  });
  expect(made.outputFiles[0]?.text).toContain("<b>{await createHook()}</b>");
});

test("a server of Vite says that modules come again, and takes code for tests with a DOM as what runs on Node", async () => {
  const alias = [{ find: /^workflow.*/, replacement: path("src/shelf.ts") }];
  const server = await createServer({
    ...quiet,
    resolve: { alias },
    server: { middlewareMode: true, ws: false, watch: null },
    appType: "custom",
  });
  onTestFinished(() => server.close());
  const code = (await server.transformRequest("/src/approval.ts", { ssr: true }))?.code ?? "";
  expect(code).toContain("allowReloading()");
  expect((await server.transformRequest("/src/approval.ts"))?.code).toContain("allowReloading()");
  vi.stubEnv("VITEST", undefined);
  onTestFinished(() => void vi.unstubAllEnvs());
  server.moduleGraph.invalidateAll();
  expect((await server.transformRequest("/src/approval.ts"))?.code).toContain("it runs on the server");
});

test("what has been built may pass through the plugin once more", async () => {
  const built = await bundles["esbuild"]?.("src/main.ts", { isMinified: true });
  writeFileSync(path("src/built.js"), built as string);
  expect(declared((await bundles["vite"]?.("src/built.js")) as string)).toEqual(declared(built as string));
});

test("a linked package stays outside in Vite, under a name of its own as well", async () => {
  mkdirSync(path("linked/dist"), { recursive: true });
  writeFileSync(
    path("linked/package.json"),
    '{ "name": "linked", "type": "module", "exports": { ".": "./dist/index.js", "./compiled": "./dist/index.js" } }',
  );
  writeFileSync(path("linked/dist/index.js"), "export const createHook = () => {};\n");
  mkdirSync(path("node_modules"), { recursive: true });
  symlinkSync(path("linked"), path("node_modules/linked"), "junction");
  writeFileSync(
    path("src/own-name.ts"),
    'import { createHook } from "linked";\nexport async function wait() {\n  "use workflow";\n  return createHook();\n}\n',
  );
  const made = (await vite({
    ...quiet,
    plugins: [forVite({ packages: ["linked"] })],
    build: { ssr: path("src/own-name.ts"), write: false },
  })) as Rollup.RollupOutput;
  expect(made.output[0].code).toMatch(/from ["']linked\/compiled["']/);
  expect(made.output[0].code).toMatch(/from ["']linked["']/);
});

test("where the package is to be bundled, its native driver stays outside", async () => {
  const inside = {
    name: "inside",
    setup: ({ onResolve }: PluginBuild) => onResolve({ filter: /^workflow/ }, () => ({ path: path("src/driver.ts") })),
  };
  writeFileSync(path("src/driver.ts"), 'export const createHook = () => import("@photostructure/sqlite");\n');
  const made = await esbuild({
    entryPoints: [path("src/approval.ts")],
    bundle: true,
    format: "esm",
    platform: "node",
    write: false,
    logLevel: "silent",
    plugins: [inside, forEsbuild({ external: false })],
  });
  expect(made.outputFiles[0]?.text).toContain('import("@photostructure/sqlite")');
  expect(made.outputFiles[0]?.text).not.toContain('"workflow');
});
