// What the rules about sizes, names and texts must refuse and allow.

import { bad, good, many, type Canary } from "./canary.ts";
import { fileLengthRule, fileNameRule, functionLengthRule, headerRule, laterRule, machineRule, ratchetFile } from "./rule-size.ts";

const long = (count: number): string => "f();\n".repeat(count);
const commented = (count: number): string => "// why\n\n/* and\n   why */\n".repeat(count);
const wrapped = (count: number): string => `function big() {\n${long(count - 2)}}\n`;
const machinePath = ["/wo", "rk/main/src"].join("");
const laterWord = ["TO", "DO"].join("");

export const sizeCanaries: readonly Canary[] = [
  many(fileLengthRule, "401 lines", { "src/core/a.ts": long(401), "test/a.test.ts": long(401) }, ["src/core/a.ts:1", "test/a.test.ts:1"]),
  many(fileLengthRule, "400 lines and many comments", { "src/core/a.ts": commented(500) + long(400) }, []),
  many(fileLengthRule, "text that looks like a comment", { "src/core/a.ts": "const x = `\n" + "// a\n".repeat(400) + "`;" }, [
    "src/core/a.ts:1",
  ]),
  many(fileLengthRule, "data", { "src/store/sqlite/migration/001.ts": long(500), "src/store/sqlite/migration.ts": long(401) }, [
    "src/store/sqlite/migration.ts:1",
  ]),

  many(functionLengthRule, "71 lines", { "src/core/a.ts": `\n${wrapped(71)}` }, ["src/core/a.ts:2"]),
  many(functionLengthRule, "an arrow", { "src/core/a.ts": `export const big = () => {\n${long(69)}};` }, ["src/core/a.ts:1"]),
  many(functionLengthRule, "a method", { "src/core/a.ts": `class A {\n  #big() {\n${long(69)}}\n}` }, ["src/core/a.ts:2"]),
  many(functionLengthRule, "70 lines and comments", { "src/core/a.ts": `function big() {\n${commented(9)}${long(68)}}` }, []),
  many(functionLengthRule, "in the ratchet", { "src/core/a.ts": wrapped(80), [ratchetFile]: '{ "src/core/a.ts#big": 80 }' }, []),
  many(functionLengthRule, "grown", { "src/core/a.ts": wrapped(81), [ratchetFile]: '{ "src/core/a.ts#big": 80 }' }, ["src/core/a.ts:1"]),
  many(functionLengthRule, "shrunk", { "src/core/a.ts": wrapped(79), [ratchetFile]: '{ "src/core/a.ts#big": 80 }' }, ["src/core/a.ts:1"]),
  many(functionLengthRule, "short enough now", { "src/core/a.ts": wrapped(70), [ratchetFile]: '{ "src/core/a.ts#big": 80 }' }, [
    "src/core/a.ts:1",
  ]),
  many(functionLengthRule, "gone", { "src/core/a.ts": wrapped(9), [ratchetFile]: '{ "src/core/a.ts#other": 80 }' }, [`${ratchetFile}:1`]),
  many(
    functionLengthRule,
    "named by where it stands",
    { "src/core/a.ts": `class A {\n  b() {\n${long(80)}}\n}`, [ratchetFile]: '{ "src/core/a.ts#A.b": 82 }' },
    [],
  ),

  ...["utils", "helpers", "common", "lib", "types", "misc", "shared", "manager"].flatMap((word) => [
    bad(fileNameRule, `src/core/${word}.ts`, ""),
    bad(fileNameRule, `test/${word}/a.test.ts`, ""),
    bad(fileNameRule, `src/engine/run-${word}.ts`, ""),
  ]),
  bad(fileNameRule, "src/core/HookReader.ts", ""),
  bad(fileNameRule, "src/core/hook_reader.ts", ""),
  good(fileNameRule, "src/core/hook-reader.test.ts", ""),
  good(fileNameRule, "src/engine/delivery.ts", ""),
  bad(fileNameRule, "examples/next/app/[runId]/route.ts", ""),
  good(fileNameRule, "examples/next/app/[run]/route.ts", ""),
  good(fileNameRule, "examples/sveltekit/src/routes/+server.js", ""),

  bad(headerRule, "src/core/a.ts", "export const a = 1; // late"),
  bad(headerRule, "src/core/a.ts", "export const a = 1;"),
  good(headerRule, "src/core/a.ts", "// What it owns.\nexport const a = 1;"),
  good(headerRule, "src/cli/a.ts", "#!/usr/bin/env node\n// What it owns.\n"),

  many(laterRule, "in a comment", { "src/core/a.ts": `const a = 1;\n/* one\n ${laterWord}: two */` }, ["src/core/a.ts:3"]),
  many(laterRule, "in a document", { "docs/a.md": `one\n- ${laterWord} two` }, ["docs/a.md:2"]),
  many(laterRule, "with an issue, or in a string", { "src/core/a.ts": `// ${laterWord}(#12): one\nconst a = "${laterWord}";` }, []),

  many(machineRule, "in a document", { "docs/a.md": `# a\n\nsee \`${machinePath}\`` }, ["docs/a.md:3"]),
  many(machineRule, "in a program", { "src/core/a.ts": `const a = "${machinePath}";` }, ["src/core/a.ts:1"]),
  many(machineRule, "a home", { "a.json": `{ "a": "${["/ro", "ot/x"].join("")}" }` }, ["a.json:1"]),
  many(machineRule, "a registry's host", { "package-lock.json": `\n"resolved": "https://${["registry.n", "pmjs.org"].join("")}/a"` }, [
    "package-lock.json:2",
  ]),
  many(machineRule, "a relative path", { "docs/a.md": "see ./work/a, src/root/b and patchwork/c" }, []),
];
