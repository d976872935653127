// The layers: who may import whom, and which modules and globals are out of bounds where. Data; `rule-layer.ts` and `rule-global.ts` hold it.
//
// A pattern is a path from the root: a trailing `/` means everything below, `*` stands for one segment. The first row that fits a file
// counts. What lies under the same match as the importing file is always in reach.

export interface Layer {
  readonly files: string;
  /** What it may import. */
  readonly imports: readonly string[];
  /** What it may import with `import type` alone. */
  readonly types?: readonly string[];
  readonly packages: readonly string[];
  /** Packages of which only types may be used; `*` is any. */
  readonly typePackages?: readonly string[];
  /** Modules of the runtime (`node:…`): none, or all but those named. */
  readonly node: "none" | { readonly not: readonly string[] };
  /** An entry: what it imports by value beyond `imports`, it must export again. */
  readonly isEntry?: boolean;
  /** Whether `import(path)` with a path made at run time is allowed: a program that loads its user's code. */
  readonly canImportComputed?: boolean;
}

const anyNode = { not: [] };
const servers = ["node:http", "node:https", "node:http2", "node:net", "node:tls"];
const testRunners = ["node:test"];

export const layers: readonly Layer[] = [
  { files: "src/core/", imports: [], packages: ["devalue"], node: "none" },

  { files: "src/store/*.ts", imports: ["src/core/", "src/store/*.ts"], packages: [], node: "none" },
  { files: "src/store/memory/", imports: ["src/core/", "src/store/*.ts"], packages: [], node: "none" },
  { files: "src/store/sqlite/", imports: ["src/core/", "src/store/*.ts"], packages: ["@photostructure/sqlite"], node: anyNode },
  { files: "src/store/postgres/", imports: ["src/core/", "src/store/*.ts"], packages: ["pg"], node: anyNode },
  { files: "src/store/*/", imports: ["src/core/", "src/store/*.ts"], packages: [], node: anyNode },

  { files: "src/ingress/", imports: ["src/core/"], packages: [], node: { not: servers } },
  { files: "src/engine/", imports: ["src/core/", "src/store/port.ts", "src/ingress/"], packages: [], node: { not: servers } },
  { files: "src/http/", imports: ["src/core/", "src/engine/", "src/ingress/"], packages: [], node: { not: servers } },

  { files: "src/styles/portable/", imports: ["src/core/"], packages: ["devalue"], node: "none" },
  {
    files: "src/styles/directives/transform/",
    imports: ["src/core/", "src/styles/directives/transform.ts"],
    packages: ["oxc-parser", "oxc-walker", "magic-string"],
    node: { not: servers },
  },
  { files: "src/styles/directives/transform.ts", imports: ["src/styles/directives/transform/"], packages: [], node: "none" },
  {
    files: "src/styles/directives/plugin/",
    imports: ["src/styles/directives/transform/", "src/styles/directives/transform.ts"],
    packages: [],
    typePackages: ["unplugin", "esbuild"],
    node: { not: servers },
  },
  {
    files: "src/styles/directives/plugin.ts",
    imports: ["src/styles/directives/plugin/", "src/styles/directives/transform/", "src/styles/directives/transform.ts"],
    packages: ["unplugin"],
    node: { not: servers },
  },
  // Compiles what Node loads: it runs beside the app, and knows nothing of engines.
  {
    files: "src/styles/directives/register/",
    imports: ["src/styles/directives/transform/", "src/styles/directives/transform.ts"],
    packages: ["@jridgewell/remapping", "esbuild", "oxc-parser"],
    node: { not: servers },
  },
  { files: "src/styles/directives/register.ts", imports: ["src/styles/directives/register/"], packages: [], node: { not: servers } },
  {
    files: "src/styles/directives/bundler.ts",
    imports: ["src/styles/directives/plugin/", "src/styles/directives/plugin.ts"],
    packages: [],
    node: "none",
  },
  // An object over the plain form.
  { files: "src/styles/context/", imports: ["src/core/", "src/engine/", "src/styles/plain/"], packages: [], node: { not: servers } },
  // Portable workflows on an engine: joins the two styles.
  {
    files: "src/styles/bridge/",
    imports: ["src/core/", "src/engine/", "src/styles/plain/", "src/styles/portable/"],
    packages: [],
    node: { not: servers },
  },
  { files: "src/styles/*/", imports: ["src/core/", "src/engine/"], packages: [], node: { not: servers } },

  // Its injection token is the class that users import, which is the first copy's (RT1): it takes style and engine from the entries.
  {
    files: "src/adapters/nest/",
    imports: ["src/context.ts", "src/index.ts", "src/adapters/*.ts", "src/core/argument.ts"],
    types: ["src/core/", "src/engine/", "src/http/"],
    packages: ["@nestjs/common", "@nestjs/core"],
    node: "none",
  },
  // What a framework's build is given runs in the build, beside no engine; what it makes imports the package by its name.
  { files: "src/adapters/framework/", imports: ["src/styles/directives/"], packages: [], node: { not: servers } },
  {
    files: "src/adapters/",
    imports: [],
    types: ["src/core/", "src/engine/", "src/http/"],
    packages: [],
    typePackages: ["*"],
    node: anyNode,
  },

  { files: "src/testing/", imports: ["src/core/", "src/store/", "src/engine/"], packages: [], node: { not: testRunners } },
  { files: "src/cli/", imports: ["src/*.ts"], types: ["src/http/"], packages: ["commander"], node: anyNode, canImportComputed: true },

  { files: "src/wiring.ts", imports: ["src/"], packages: [], node: anyNode },
  // The compile step runs in build tools, which need no engine.
  { files: "src/transform.ts", imports: ["src/styles/directives/"], packages: [], node: "none" },
  { files: "src/register.ts", imports: ["src/runtime/first.ts", "src/styles/directives/register.ts"], packages: [], node: "none" },
  // Runs in browsers and at the edge, where there is no engine.
  { files: "src/portable.ts", imports: ["src/styles/portable/"], packages: [], node: "none" },
  { files: "src/workflow.ts", imports: ["src/styles/portable/"], packages: [], node: "none" },
  { files: "src/runtime/first.ts", imports: ["src/runtime/", "src/core/", "src/engine/"], packages: [], node: { not: servers } },
  { files: "src/runtime/", imports: ["src/wiring.ts"], types: ["src/"], packages: [], node: "none", isEntry: true },
  { files: "src/*.ts", imports: ["src/runtime/first.ts"], types: ["src/"], packages: [], node: "none", isEntry: true },
];

export const wiring = "src/wiring.ts";
export const realm: readonly string[] = ["src/engine/realm.ts", "src/engine/realm/"];

/** Names, members (`a.b`) and forms (`new a()`, `a()` : without arguments) of the global scope that some files must not touch. */
export interface Ban {
  readonly files: string;
  readonly except?: readonly string[];
  readonly names: readonly string[];
  readonly instead: string;
}

const clocks = ["Date.now", "new Date()", "Date()", "performance"];
const timers = ["setTimeout", "setInterval", "setImmediate", "clearTimeout", "clearInterval", "clearImmediate"];
const host = [
  "process",
  "console",
  "Buffer",
  "require",
  "__dirname",
  "__filename",
  "import.meta",
  "globalThis",
  "global",
  "eval",
  "Function",
];
const reach = [
  "fetch",
  "WebSocket",
  "EventSource",
  "MessageChannel",
  "BroadcastChannel",
  "Worker",
  "navigator",
  "Atomics",
  "SharedArrayBuffer",
];

export const bans: readonly Ban[] = [
  { files: "src/core/", names: clocks, instead: "take `now`, or a `Clock`, as an argument" },
  { files: "src/core/", names: ["Math.random", "crypto"], instead: "take `RandomBytes`, or what was drawn, as an argument" },
  { files: "src/core/", names: timers, instead: "return a command; the engine sets alarms" },
  { files: "src/core/", except: ["src/core/reader.ts"], names: ["queueMicrotask"], instead: "only core/reader.ts may queue a microtask" },
  { files: "src/core/", names: host, instead: "core runs anywhere: take what is needed as an argument" },
  { files: "src/core/", names: reach, instead: "core reaches nothing outside: leave it to the engine" },
  {
    files: "src/store/memory/",
    names: [...clocks, ...timers, "Math.random"],
    instead: "`apply` is pure: `now` is an argument, alarms belong to a `Clock`",
  },
  { files: "src/ingress/", names: [...clocks, ...timers, "Math.random"], instead: "`now` is an argument at the door" },
  {
    files: "src/",
    except: ["src/cli/"],
    names: ["process.exit", "process.abort", "process.reallyExit"],
    instead: "a library never exits the process",
  },
];
