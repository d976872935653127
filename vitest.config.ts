// `npm test` is the quick length. `--mode long` (npm run test:long) has the full counts, and runs the suite again in each test mode;
// tests read both from the environment: RINGBACK_LONG, RINGBACK_TEST_MODE.

import { fileURLToPath } from "node:url";
import type { ViteUserConfigFnObject } from "vitest/config";
import { workflow } from "./src/vite.ts";

const modes = ["hot", "evict", "two-workers"];
const report = process.env["RINGBACK_TEST_REPORT"];

const config: ViteUserConfigFnObject = ({ mode }) => {
  const isLong = mode === "long" || process.env["RINGBACK_LONG"] === "1";
  return {
    // Tests may hold directives, and import the package by the names that its users have for it.
    plugins: [workflow()],
    // As NestJS apps are compiled: decorators of TypeScript's older kind, with the types of what constructors take.
    oxc: { decorator: { legacy: true, emitDecoratorMetadata: true } },
    resolve: {
      alias: [
        { find: /^(?:ringback|workflow)$/, replacement: source("index") },
        { find: /^(?:ringback|workflow)\/(\w+)$/, replacement: source("$1") },
      ],
    },
    test: {
      include: ["test/**/*.test.ts"],
      pool: "forks",
      // One process for each core: the default leaves one idle, and no test depends on how fast it gets on.
      maxWorkers: "100%",
      ...(isLong ? patience : { testTimeout: 20_000, hookTimeout: 20_000 }),
      typecheck: { enabled: false },
      reporters: report === undefined ? ["default"] : ["default", ["json", { outputFile: report }]],
      ...(isLong ? { env: { RINGBACK_LONG: "1" }, projects: modes.map(projectOf) } : {}),
    },
  };
};
export default config;

/** For the long counts, and for what installs and builds. A project does not take it over from the configuration around it. */
const patience = { testTimeout: 600_000, hookTimeout: 120_000 };

function source(entry: string): string {
  return fileURLToPath(new URL(`src/${entry}.ts`, import.meta.url).href.replace("%24", "$"));
}

interface TestProject {
  readonly extends: true;
  readonly test: { readonly name: string; readonly env: Record<string, string>; readonly exclude: string[] } & typeof patience;
}

/** The suite under one mode. The rules about the code itself, the documents and how files are loaded do not depend on it, and run once. */
function projectOf(name: string): TestProject {
  const once = [
    "test/tidy.test.ts",
    "test/doc-samples.test.ts",
    "test/register-*.test.ts",
    "test/nest-*.test.ts",
    "test/portable-approvals-are-not-lost.test.ts",
    "test/portable-callbacks-*.test.ts",
    "test/portable-nothing-is-swallowed.test.ts",
    "test/portable-programs-of-chance.test.ts",
    "test/portable-steps-are-told-apart.test.ts",
    "test/portable-suspending-is-no-failure.test.ts",
    "test/portable-time-is-kept.test.ts",
    "test/portable-in-a-browser.test.ts",
    "test/portable-is-small-and-bare.test.ts",
    "test/portable-reads-well-in-an-editor.test.ts",
    "test/portable-stores.test.ts",
    "test/seeds/nest.test.ts",
    "test/seeds/portable.test.ts",
    "test/*-apps-outlive-a-kill.test.ts",
  ];
  const exclude = name === modes[0] ? [] : once;
  return { extends: true, test: { name, env: { RINGBACK_LONG: "1", RINGBACK_TEST_MODE: name }, exclude, ...patience } };
}
