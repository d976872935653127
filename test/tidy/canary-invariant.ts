// What the rule about invariants must refuse and allow.

import { many, type Canary } from "./canary.ts";
import { invariantRule } from "./rule-invariant.ts";

const files = {
  "README.md": "- **G1 Kept.** Always.\n",
  "ARCHITECTURE.md": "| G1 `README.md` | |\n| E1–E3 `core/event.ts` · T1 `core/turn.ts` | |\n",
  "src/core/event.ts": "// Events.\n//\n// E1. One (G1).\n// E2. Two.\n// E3. Three.\n",
  "src/core/turn.ts": '// Turns.\n//\n// T1. One, see E2.\n\nimport "./event.ts";\n/** T1 */\nexport const a = "X1";\n',
  "test/event.test.ts": '// E1–E3.\ntest("E1, E2: in order", () => {});\n',
};

export const invariantCanaries: readonly Canary[] = [
  many(invariantRule, "all stated, listed and cited", files, []),
  many(
    invariantRule,
    "one number for two",
    {
      ...files,
      "src/core/run.ts": "// Runs.\n//\n// T1. Another.\n",
      "ARCHITECTURE.md": `${files["ARCHITECTURE.md"]}| T1 \`core/run.ts\` | |`,
    },
    ["src/core/turn.ts:3"],
  ),
  many(invariantRule, "one that is not listed", { ...files, "src/core/run.ts": "// Runs.\n//\n// U1. New.\n" }, ["src/core/run.ts:3"]),
  many(
    invariantRule,
    "one listed with another file",
    { ...files, "ARCHITECTURE.md": "| G1 `README.md` | |\n| E1–E3 `core/event.ts` | |\n| T1 `core/event.ts` | |\n" },
    ["src/core/turn.ts:3", "ARCHITECTURE.md:3"],
  ),
  many(
    invariantRule,
    "one listed that nobody states",
    { ...files, "ARCHITECTURE.md": `${files["ARCHITECTURE.md"]}| T2 \`core/turn.ts\` | |` },
    ["ARCHITECTURE.md:3"],
  ),
  many(
    invariantRule,
    "one cited that nobody states",
    { ...files, "src/core/run.ts": "// Runs.\n\n/** Holds U7. */\nexport const a = 1;\n" },
    ["src/core/run.ts:3"],
  ),
  many(invariantRule, "one in a test's name that nobody states", { ...files, "test/a.test.ts": 'test("E1, E9: all", () => {});\n' }, [
    "test/a.test.ts:1",
  ]),
  many(invariantRule, "one in a document that nobody states", { ...files, "docs/a.md": "As\nE8 says.\n" }, ["docs/a.md:2"]),
];
