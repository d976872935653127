// Modules of a test's own, written to a folder and loaded as a user's are: compiled by the plugin, then by the test runner.

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { onTestFinished } from "vitest";

const installed = fileURLToPath(new URL("../../node_modules", import.meta.url));

/** Writes the files into a package of their own, which has what the project has installed, and loads the first. */
export async function load<M extends object>(files: { readonly [path: string]: string }, packageJson: object = {}): Promise<M> {
  const folder = mkdtempSync(join(tmpdir(), "ringback-directive-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "app", type: "module", ...packageJson }));
  symlinkSync(installed, join(folder, "node_modules"), "junction");
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  const [first = ""] = Object.keys(files);
  return (await import(/* @vite-ignore */ pathToFileURL(join(folder, first)).href)) as M;
}
