// Which file an import means: TypeScript's authors write the `.js` that their file will become, or no ending at all.

import { statSync } from "node:fs";
import { join } from "node:path";

const typed: ReadonlyMap<string, readonly string[]> = new Map([
  [".js", [".ts", ".tsx"]],
  [".jsx", [".tsx"]],
  [".mjs", [".mts"]],
  [".cjs", [".cts"]],
]);
const endings = [".ts", ".tsx", ".js", ".jsx", ".mts", ".mjs", ".cts", ".cjs"];

/** Paths and what begins with a dot. */
export function isPath(specifier: string): boolean {
  return /^\.{1,2}(?:[\\/]|$)|^[\\/]|^file:|^[a-z]:[\\/]/i.test(specifier);
}

/** The TypeScript file that a path with a JavaScript ending stands for; null where there is none. */
export function typedFor(path: string): string | null {
  const [, stem = "", ending = ""] = /^(.*)(\.[cm]?jsx?)$/s.exec(path) ?? [];
  return firstFile((typed.get(ending) ?? []).map((other) => stem + other));
}

/** The file that a path stands for which leads to none. */
export function fileFor(path: string): string | null {
  return typedFor(path) ?? firstFile([...endings.map((ending) => path + ending), ...endings.map((ending) => join(path, `index${ending}`))]);
}

function firstFile(paths: readonly string[]): string | null {
  return paths.find((path) => statSync(path, { throwIfNoEntry: false })?.isFile()) ?? null;
}
