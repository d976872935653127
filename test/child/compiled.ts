// The programs that tests run in processes of their own, compiled, with the sources they import: such a process is up in a sixth of a
// second. Compiled once for whatever the files say now, by whichever test file asks first; the others wait for it.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const cache = join(root, "node_modules/.cache/ringback-child");
const dayMs = 86_400_000;
/** Compiling takes two seconds; a process that died over it holds up no other for long. */
const patienceMs = 30_000;

let folder: string | null = null;

/** The compiled form of a program under `test/`, given by its place there without the ending. */
export function compiledChild(name: string): string {
  folder ??= compiled();
  return join(folder, "test", `${name}.js`);
}

function compiled(): string {
  const out = join(cache, versionOf(["src", "test"]));
  mkdirSync(cache, { recursive: true });
  for (const began = Date.now(); !existsSync(out); ) {
    if (Date.now() - began > patienceMs) rmSync(`${out}-lock`, { recursive: true, force: true });
    try {
      mkdirSync(`${out}-lock`);
    } catch {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
      continue;
    }
    if (!existsSync(out)) compile(out);
    rmSync(`${out}-lock`, { recursive: true, force: true });
  }
  return out;
}

function compile(out: string): void {
  for (const name of readdirSync(cache))
    if (Date.now() - statSync(join(cache, name)).mtimeMs > dayMs) rmSync(join(cache, name), { recursive: true, force: true });
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  execFileSync(process.execPath, [tsc, "-p", "test/child/tsconfig.json", "--outDir", `${out}-new`], { cwd: root, stdio: "inherit" });
  renameSync(`${out}-new`, out);
}

/** Changes with every file in these folders. */
function versionOf(folders: readonly string[]): string {
  const hash = createHash("sha256");
  for (const name of folders)
    for (const entry of readdirSync(join(root, name), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !entry.name.endsWith(".ts")) continue;
      const path = join(entry.parentPath, entry.name);
      const { mtimeMs, size } = statSync(path);
      hash.update(`${relative(root, path)} ${mtimeMs} ${size}\n`);
    }
  return hash.digest("hex").slice(0, 16);
}
