// The documentation is true: every block of code compiles against the package as it is built, every example runs, and those with a proof
// do what the page says; commands exist; links lead somewhere. What cannot be checked says why.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { anchorsOf, type Block, linksOf, readPage } from "./doc-samples/page.ts";
import { checkShell, type Surroundings } from "./doc-samples/shell.ts";
import { openWorkshop, type Ran, type Workshop } from "./doc-samples/workshop.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const text = (path: string): string => readFileSync(join(root, path), "utf8");
const files = [
  "README.md",
  "ARCHITECTURE.md",
  "CONTRIBUTING.md",
  "bench/README.md",
  "examples/checkout/README.md",
  "examples/register/README.md",
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".md"))
    .map((path) => `docs/${path.replaceAll("\\", "/")}`)
    .sort(),
];
const pages = files.map((file) => ({ file, ...readPage(file, text(file)) }));
const programs = pages.flatMap((page) => page.blocks).filter(isProgram);

/** Blocks that show what a program prints, or how files lie. */
const prose = new Set(["", "text"]);

function isProgram(block: Block): boolean {
  return (block.language === "ts" || block.language === "js") && block.mark !== "unchecked";
}

/** It declares, and asks no engine for anything: many such blocks can be run in one process. */
function isQuiet({ proof, lines }: Block): boolean {
  return (
    proof === null &&
    !lines.some((line) => /^await\b|^(?:const|let) .*= await\b|createEngine\(|"ringback\/api"|^throw\b|^console\b/.test(line.text))
  );
}

function nameOf({ file, line }: Block): string {
  return `${file}:${line}`;
}

/** What is wrong with a block that is no program. */
function faultsOf(block: Block, around: Surroundings): string[] {
  const lines = block.lines.map((line) => line.text);
  if (block.mark === "unchecked" || prose.has(block.language) || isProgram(block)) return [];
  if (block.language === "sh")
    return checkShell(lines, around).map(({ index, message }) => `${block.file}:${block.line + index} ${message}`);
  if (block.language === "json") {
    try {
      JSON.parse(lines.join("\n"));
      return [];
    } catch (error) {
      return [`${nameOf(block)} ${String(error)}`];
    }
  }
  return [`${nameOf(block)} cannot be checked: say why, in a mark before it`];
}

const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".ts"))
  .map((path) => text(`src/${path}`))
  .join("\n");
const manifest = JSON.parse(text("package.json")) as { scripts: Record<string, string> };
let workshop: Workshop;
beforeAll(async () => {
  workshop = await openWorkshop(root);
});
afterAll(() => workshop.over());

const around: Surroundings = {
  scripts: new Set(Object.keys(manifest.scripts)),
  get commands() {
    return workshop.commands;
  },
  hasFile: (path) => existsSync(join(root, path)),
  readsVariable: (name) => sources.includes(`"${name}"`),
};

/** At most so many processes at a time. */
function queue(count: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let free = count;
  return async (work) => {
    if (free > 0) free--;
    else await new Promise<void>((go) => waiting.push(go));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free++;
    }
  };
}

describe("pages", () => {
  test.each(pages)("$file: marks, commands and links", ({ file, blocks, faults }) => {
    const found = [...faults, ...blocks.flatMap((block) => faultsOf(block, around))];
    for (const { at, path, anchor, isFromRoot } of linksOf(text(file))) {
      const target = path === "" ? file : normalize(join(isFromRoot ? "." : dirname(file), path)).replaceAll("\\", "/");
      if (!existsSync(join(root, target))) found.push(`${file}:${at} leads to ${target}, which is not there`);
      else if (anchor !== null && !anchorsOf(text(target)).has(anchor))
        found.push(`${file}:${at} leads to no heading of ${target}: #${anchor}`);
    }
    expect(found).toEqual([]);
  });
});

test("each error has its row in the list of errors, and its first sentence there", () => {
  const list = text("docs/errors/README.md");
  const missing = files.flatMap((file) => {
    const code = /^docs\/errors\/([a-z_]+)\.md$/.exec(file)?.[1];
    if (code === undefined) return [];
    const [, , first = ""] = text(file).split("\n");
    const row = list.split("\n").find((line) => line.startsWith(`| [${code}](${code}.md) | `));
    return row !== undefined && first.startsWith(row.slice(row.indexOf(") | ") + 4, -2)) ? [] : [`${code}: ${first}`];
  });
  expect(missing).toEqual([]);
});

// Blocks that must fail, each in its own way, and one that must not.
const canary = readPage(
  "canary.md",
  [
    '```ts\nimport { sleep } from "ringback";\n\nawait sleep(true);\n```\n',
    '```ts\nimport { nothing } from "ringback";\n\nnothing();\n```\n',
    '```ts\nthrow new Error("as it runs");\n```\n',
    "```ts\nexport const sum = (a: number, b: number) => a + b;\n```\n",
    '<!-- proof\nimport { sum } from "sample";\nimport { equal } from "proof";\n\nequal(sum(1, 1), 3);\n-->\n',
    "```ts\nawait new Promise(() => {});\n```\n",
    "<!-- sample: compiled only, it is half of one -->\n```ts\nconst half: number = 1;\n```\n",
    "<!-- sample: goes on -->\n```ts\nconsole.log(half + 1);\n```\n",
  ].join("\n"),
);

describe("blocks", { timeout: 120_000 }, () => {
  let faults: ReadonlyMap<Block, readonly string[]>;
  const ran = new Map<Block, Promise<Ran>>();

  beforeAll(async () => {
    faults = await workshop.compile([...programs, ...canary.blocks]);
    const inTurn = queue(Math.min(4, availableParallelism()));
    const runIt = (block: Block): Promise<Ran> => inTurn(() => workshop.run(block));
    const running = [...canary.blocks, ...programs].filter((block) => block.mark === "run");
    const quiet = new Set(running.filter((block) => programs.includes(block) && isQuiet(block)));
    const all = inTurn(() => workshop.run(...quiet));
    // Where one of the quiet ones fails, each shows for itself which it is.
    const alone = (block: Block): Promise<Ran> => all.then((together) => (together.code === 0 ? together : runIt(block)));
    for (const block of running) ran.set(block, quiet.has(block) ? alone(block) : runIt(block));
  });

  test.each(programs.map((block) => [nameOf(block), block] as const))("%s", async (_, block) => {
    expect((faults.get(block) ?? []).map((fault) => `${block.file}:${fault}`)).toEqual([]);
    const { code, output } = (await ran.get(block)) ?? { code: 0, output: "" };
    expect(code, output).toBe(0);
  });

  describe("the checker", () => {
    const [mistyped, unknown, throwing, disproven, stuck, half, whole] = canary.blocks as [Block, Block, Block, Block, Block, Block, Block];

    test("refuses what does not compile, at its line", () => {
      expect(faults.get(mistyped)).toEqual([expect.stringMatching(/^4 error TS2345/)]);
      expect(faults.get(unknown)).toEqual([expect.stringMatching(/^8 error TS2305/)]);
    });

    test("refuses what throws, what is disproven and what never ends", async () => {
      expect(await ran.get(throwing)).toMatchObject({ code: 1, output: expect.stringContaining("as it runs") });
      expect(await ran.get(disproven)).toMatchObject({ code: 1, output: expect.stringContaining("ERR_ASSERTION") });
      expect(await ran.get(stuck)).toMatchObject({ code: 13 });
    });

    test("allows a block that goes on from another, and runs no half", async () => {
      expect([faults.get(half), faults.get(whole), ran.get(half)]).toEqual([[], [], undefined]);
      expect(await ran.get(whole)).toEqual({ code: 0, output: "2\n" });
    });
  });
});

describe("the checker", () => {
  test("refuses marks that say nothing", () => {
    const faultsIn = (page: string): readonly string[] => readPage("a.md", page).faults;
    expect(faultsIn("<!-- sample: unchecked -->\n```ts\n```")).toEqual(["a.md:1 a mark that is not known, or has no reason"]);
    expect(faultsIn("<!-- sample: goes on -->\n```ts\n```")).toEqual(["a.md:1 goes on from no block"]);
    expect(faultsIn("<!-- sample: compiled only, a reason -->\ntext")).toEqual(["a.md:1 a mark without a block"]);
    expect(faultsIn("text\n<!-- proof\n-->")).toEqual(["a.md:2 a proof of no block"]);
    expect(faultsIn("```ts\nopen")).toEqual(["a.md:1 a block without an end"]);
    expect(faultsIn("<!-- sample: unchecked, needs a cluster -->\n\n```ts\n```\n<!-- proof\n-->")).toEqual([]);
  });

  test("refuses languages that it cannot check, and JSON that is none", () => {
    const [block, json] = readPage("a.md", "```nginx\nlisten 80;\n```\n```json\n{]\n```").blocks as [Block, Block];
    expect(faultsOf(block, around)).toEqual([expect.stringContaining("a.md:2 cannot be checked")]);
    expect(faultsOf(json, around)).toHaveLength(1);
  });

  test.each([
    ["npm run demo && npm test # both", []],
    ["npm run nothing", ["package.json has no script nothing"]],
    ["npm install other", ["npm install other: this package is ringback"]],
    ["npm install workflow@npm:ringback", []],
    ["node --import ringback/register src/server.ts", []],
    ["node --import ringback/register test/gone.ts", ["test/gone.ts is not there"]],
    ["RINGBACK_ROLE=ingress node server.js", []],
    ["RINGBACK_ROLL=ingress node server.js", ["nothing reads RINGBACK_ROLL"]],
    ["node script/gone.mjs", ["script/gone.mjs is not there"]],
    ["node -e 'console.log(1'", [expect.stringContaining("SyntaxError")]],
    ['curl -X POST \\\n  -d \'{"a": "b && c"}\' "$URL"', []],
    ["npx ringback runs", ["the package has no command line"]],
    ["frobnicate", ["frobnicate is no command that is known here"]],
  ])("judges %j", (line, expected) => {
    expect(checkShell(line.split("\n"), { ...around, commands: null }).map(({ message }) => message)).toEqual(expected);
  });

  test("knows the commands of the command line", () => {
    const withCommands = { ...around, commands: new Set(["runs"]) };
    expect(checkShell(["npx ringback runs --json", "npx ringback --help", "npx ringback walks"], withCommands)).toEqual([
      { index: 2, message: "ringback has no command walks" },
    ]);
  });

  test("knows headings as anchors, and no links in code", () => {
    expect(anchorsOf("# Two words, `code`\n")).toEqual(new Set(["two-words-code"]));
    expect(linksOf("[a](b.md#c)\n```ts\n[x](y)\n```\n[e](https://e.example) `test/gone.ts`")).toEqual([
      { at: 1, path: "b.md", anchor: "c", isFromRoot: false },
      { at: 5, path: "test/gone.ts", anchor: null, isFromRoot: true },
    ]);
  });
});
