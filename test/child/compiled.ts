// What tests run in processes of their own, compiled once for whatever the files say now, by whichever test file asks first; the others
// wait for it: programs with the sources they import, and the package as it is built.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { type BuildOptions, buildSync } from "esbuild";

const root = fileURLToPath(new URL("../..", import.meta.url));
const cache = join(root, "node_modules/.cache/ringback-child");
const tsc = join(root, "node_modules/typescript/bin/tsc");
const dayMs = 86_400_000;
/** Compiling takes two seconds; a process that died over it holds up no other for long. */
const patienceMs = 30_000;

const bundling = { bundle: true, platform: "node", format: "esm", packages: "external", target: "node20" } satisfies BuildOptions;

const made = new Map<string, string>();

/** The compiled form of a program under `test/`, given by its place there without the ending: such a process is up in a quarter of a second. */
export function compiledChild(name: string): string {
  const folder = once("child", ["src", "test"], (out) =>
    execFileSync(process.execPath, [tsc, "-p", "test/child/tsconfig.json", "--outDir", out], { cwd: root, stdio: "inherit" }),
  );
  return join(folder, "test", `${name}.js`);
}

/** The app that dies, in one file: it begins again and again, and is up in half the time. */
export function bundledApp(): string {
  const folder = once("app", ["src", "test/crash"], (out) =>
    buildSync({
      ...bundling,
      entryPoints: [join(root, "test/crash/app.ts")],
      outfile: join(out, "app.mjs"),
    }),
  );
  return join(folder, "app.mjs");
}

/** What `npm run build` makes, unchecked: `dist` of the package. Not to be changed; who wants to takes a copy. */
export function compiledPackage(): string {
  return once("package", ["src"], (out) =>
    execFileSync(process.execPath, [tsc, "-p", "tsconfig.build.json", "--noCheck", "--outDir", out], { cwd: root, stdio: "inherit" }),
  );
}

/**
 * The same with each entry, and the command line, in one file and what they share: a process has it loaded in half the time. `ringback dev`
 * and what compiles directives find their files only in the other one. `npm run test:long` takes that one everywhere.
 */
export function bundledPackage(): string {
  if (process.env["RINGBACK_LONG"] === "1") return compiledPackage();
  const whole = compiledPackage();
  const entries = readdirSync(join(root, "src")).filter((name) => name.endsWith(".ts") && name !== "register.ts");
  return once("bundled", ["src"], (out) => {
    cpSync(whole, out, { recursive: true });
    buildSync({
      ...bundling,
      entryPoints: [...entries, "cli/main.ts"].map((name) => join(root, "src", name)),
      outdir: out,
      outbase: join(root, "src"),
      splitting: true,
      // As deep as the folders that look for the manifest from where they are.
      chunkNames: "bundled/[hash]",
      allowOverwrite: true,
    });
  });
}

/** The folder that `make` has made of the files in these folders, as they are. */
function once(name: string, sources: readonly string[], make: (out: string) => void): string {
  const known = made.get(name);
  if (known !== undefined) return known;
  const out = join(cache, `${name}-${versionOf(sources)}`);
  mkdirSync(cache, { recursive: true });
  for (const began = Date.now(); !existsSync(out); ) {
    if (Date.now() - began > patienceMs) rmSync(`${out}-lock`, { recursive: true, force: true });
    try {
      mkdirSync(`${out}-lock`);
    } catch {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
      continue;
    }
    try {
      if (existsSync(out)) break;
      removeOld();
      make(`${out}-new`);
      renameSync(`${out}-new`, out);
    } finally {
      rmSync(`${out}-lock`, { recursive: true, force: true });
    }
  }
  made.set(name, out);
  return out;
}

function removeOld(): void {
  for (const name of readdirSync(cache))
    if (Date.now() - statSync(join(cache, name)).mtimeMs > dayMs) rmSync(join(cache, name), { recursive: true, force: true });
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
