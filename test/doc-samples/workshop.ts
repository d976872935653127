// Where blocks become programs: a folder that has the package installed as a user has it (its own build, found through `exports`), and
// each block as a module there. One compiler call checks and emits all; each module then runs in a process of its own, with
// what compiles directives where it has some. Outside the long tests the others have the package bundled: they are up in half the time.

import { type ChildProcess, spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundledPackage, compiledPackage } from "../child/compiled.ts";
import type { Block, Line } from "./page.ts";

const options = {
  target: "ES2022",
  lib: ["ES2023", "ESNext.Disposable"],
  module: "NodeNext",
  moduleDetection: "force",
  types: ["node"],
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  verbatimModuleSyntax: true,
  experimentalDecorators: true,
  emitDecoratorMetadata: true,
  rewriteRelativeImportExtensions: true,
  skipLibCheck: true,
  allowJs: true,
  checkJs: true,
  sourceMap: true,
  rootDir: "src",
  outDir: "out",
};

export interface Ran {
  readonly code: number | null;
  readonly output: string;
}

export interface Workshop {
  /** What the package's command line says it knows; null where the package has none. */
  readonly commands: ReadonlySet<string> | null;
  /** Compiles the blocks, and gives what is wrong with each: `line message`. */
  compile(blocks: readonly Block[]): Promise<ReadonlyMap<Block, readonly string[]>>;
  /** Runs compiled blocks, or their proofs, one after the other in one process, which ends with the last, whatever they left open. */
  run(...blocks: readonly Block[]): Promise<Ran>;
  /** Ends what still runs, and leaves nothing behind. */
  over(): void;
}

export async function openWorkshop(root: string): Promise<Workshop> {
  const folder = mkdtempSync(join(tmpdir(), "ringback-docs-"));
  mkdirSync(join(folder, "node_modules"));
  const names = new Map<Block, string>();
  const running = new Set<ChildProcess>();
  /** Where blocks with directives run: what compiles them is in the package as it is built alone. */
  const whole = join(folder, "whole");
  const installed = join(folder, "node_modules", "ringback");
  for (const name of readdirSync(join(root, "node_modules")))
    if (name !== "ringback") symlinkSync(join(root, "node_modules", name), join(folder, "node_modules", name), "junction");
  install(root, folder, bundledPackage());
  install(root, whole, compiledPackage());
  mkdirSync(join(folder, "src"));
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: options, include: ["src"] }));
  for (const name of ["proof", "main"]) {
    const text = readFileSync(join(root, "test", "doc-samples", `${name}.ts`), "utf8");
    writeFileSync(
      join(folder, "src", `${name}.ts`),
      text.replaceAll("../../src/index.ts", "ringback").replaceAll(/\.\.\/\.\.\/src\/(\w+)\.ts/g, "ringback/$1"),
    );
  }
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");

  const { bin } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { bin?: Record<string, string> };
  const [main] = Object.values(bin ?? {});
  const help = main === undefined ? null : (await execute([join(installed, main), "--help"], folder)).output;

  return {
    commands: help === null ? null : commandsIn(help),
    async compile(blocks) {
      for (const block of blocks) {
        const name = `block${names.size}`;
        names.set(block, name);
        const ending = block.language === "js" ? "js" : "ts";
        write(folder, `${name}.${ending}`, block.lines, name);
        if (block.proof) write(folder, `${name}.proof.ts`, block.proof, `${name}.${ending}`);
      }
      const { output } = await execute([tsc, "-p", folder, "--pretty", "false"], folder);
      cpSync(join(folder, "out"), join(whole, "out"), { recursive: true });
      return faultsOf(output, blocks, names);
    },
    run(...blocks) {
      const modules = blocks.map((block) => `./${names.get(block)}${block.proof ? ".proof" : ""}.js`);
      const hasDirectives = blocks.some(({ lines }) => lines.some(({ text }) => /^\s*"use (?:workflow|step)";/.test(text)));
      const loader = hasDirectives ? ["--import", "ringback/register"] : [];
      const place = hasDirectives ? whole : folder;
      const home = mkdtempSync(join(place, "run-"));
      return execute(["--enable-source-maps", ...loader, join(place, "out", "main.js"), ...modules], home, running);
    },
    over() {
      for (const child of running) child.kill("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Lays the package out in a folder as npm would, under both of its names. */
function install(root: string, folder: string, dist: string): void {
  const installed = join(folder, "node_modules", "ringback");
  mkdirSync(installed, { recursive: true });
  cpSync(join(root, "package.json"), join(installed, "package.json"));
  cpSync(dist, join(installed, "dist"), { recursive: true });
  symlinkSync(installed, join(folder, "node_modules", "workflow"), "junction");
}

/** The first words of what stands under "Commands:". */
function commandsIn(help: string): Set<string> {
  const listed = help.slice(help.search(/^commands:/im)).matchAll(/^ {2,4}([a-z][\w-]*)/gm);
  return new Set([...listed].map((match) => match[1] as string));
}

function write(folder: string, file: string, lines: readonly Line[], sample: string): void {
  const text = lines.map((line) => line.text).join("\n");
  writeFileSync(join(folder, "src", file), text.replaceAll('"sample"', `"./${sample}"`).replaceAll('"proof"', '"./proof.ts"'));
}

/** The compiler's complaints, at the lines of the pages. What is complained of elsewhere is our own fault, and thrown. */
function faultsOf(output: string, blocks: readonly Block[], names: ReadonlyMap<Block, string>): Map<Block, string[]> {
  const found = new Map<Block, string[]>(blocks.map((block) => [block, []]));
  const byName = new Map(blocks.map((block) => [names.get(block) as string, block]));
  for (const line of output.split("\n")) {
    const [, name = "", proof, at = "", message = ""] = /^src[/\\](\w+)(\.proof)?\.[jt]s\((\d+),\d+\): (.*)$/.exec(line) ?? [];
    const block = byName.get(name);
    if (block) {
      const lines = (proof === undefined ? block.lines : block.proof) ?? [];
      found.get(block)?.push(`${lines[Number(at) - 1]?.at ?? block.line} ${message}`);
    } else if (/error TS/.test(line)) throw new Error(line);
  }
  return found;
}

/** A Node process, to its end, in an environment that says nothing of the engine. */
function execute(args: readonly string[], cwd: string, running: Set<ChildProcess> = new Set()): Promise<Ran> {
  const { PATH, HOME, TMPDIR, SystemRoot } = process.env;
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { cwd, env: { PATH, HOME, TMPDIR, SystemRoot }, stdio: ["ignore", "pipe", "pipe"] });
    running.add(child);
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text: string) => (output += text));
    child.on("close", (code) => {
      running.delete(child);
      resolve({ code, output });
    });
  });
}
