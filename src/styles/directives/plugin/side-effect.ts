// A module that does nothing but declare workflows is used, whatever its package says of side effects: parked runs find their code in it.

import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { PluginBuild } from "esbuild";
import { mayConcern } from "../transform/directive.ts";

const asked: unique symbol = Symbol("asked");

/** Whether a file may declare workflows or steps. */
export function declares(file: string): boolean {
  if (!/\.[cm]?[jt]sx?$/.test(file)) return false;
  try {
    return mayConcern(readFileSync(file, "utf8"));
  } catch {
    return false;
  }
}

/** esbuild leaves such modules out before it reads them, so the answer must be there where an import is resolved. */
export function keepDeclaring(build: PluginBuild): void {
  const packages = new Map<string, boolean>();
  build.onResolve({ filter: /.*/ }, async ({ path, pluginData, kind, importer, resolveDir, namespace, with: attributes }) => {
    if (kind !== "import-statement" || pluginData === asked || /[/\\]node_modules[/\\]/.test(importer)) return undefined;
    if (path.startsWith(".") && !saysOfSideEffects(resolveDir, packages)) return undefined;
    const found = await build.resolve(path, { kind, importer, resolveDir, namespace, with: attributes, pluginData: asked });
    if (found.sideEffects || found.external || found.errors.length > 0 || !declares(found.path)) return undefined;
    return { path: found.path, namespace: found.namespace, suffix: found.suffix, sideEffects: true };
  });
}

/** Whether the package of a folder says which of its modules have side effects. */
function saysOfSideEffects(folder: string, known: Map<string, boolean>): boolean {
  const answer = known.get(folder);
  if (answer !== undefined) return answer;
  const manifest = join(folder, "package.json");
  const parent = dirname(folder);
  const found = existsSync(manifest)
    ? readFileSync(manifest, "utf8").includes('"sideEffects"')
    : parent !== folder && saysOfSideEffects(parent, known);
  known.set(folder, found);
  return found;
}
