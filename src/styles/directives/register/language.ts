// What a file's ending, and the package it lies in, say about how Node is to read it.

import { readFileSync } from "node:fs";
import { dirname, extname, join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { parseSync } from "oxc-parser";

export type Format = "module" | "commonjs";

export interface Language {
  readonly loader: "js" | "jsx" | "ts" | "tsx";
  /** Node does not read it, or strips its types only: it is always compiled here. */
  readonly isForeign: boolean;
  /** What the ending alone says; null where it is the package, or the syntax, that says. */
  readonly format: Format | null;
}

const languages: ReadonlyMap<string, Language> = new Map([
  [".ts", { loader: "ts", isForeign: true, format: null }],
  [".tsx", { loader: "tsx", isForeign: true, format: null }],
  [".mts", { loader: "ts", isForeign: true, format: "module" }],
  [".cts", { loader: "ts", isForeign: true, format: "commonjs" }],
  [".jsx", { loader: "jsx", isForeign: true, format: null }],
  [".js", { loader: "js", isForeign: false, format: null }],
  [".mjs", { loader: "js", isForeign: false, format: "module" }],
  [".cjs", { loader: "js", isForeign: false, format: "commonjs" }],
]);

/** Endings that Node knows nothing of, or not enough. */
export const foreignEndings: readonly string[] = [...languages].filter(([, { isForeign }]) => isForeign).map(([ending]) => ending);

/** Null for what is none of our business: JSON, addons, WebAssembly. */
export function languageOf(file: string): Language | null {
  return languages.get(extname(file)) ?? null;
}

export function isTypeScript(file: string): boolean {
  return /\.[cm]?tsx?$/.test(file);
}

export function isInstalled(file: string): boolean {
  return file.includes(`${sep}node_modules${sep}`);
}

/** The file of a module; null for what is none. Loaders and dev servers put queries behind. */
export function fileOf(url: string | undefined): string | null {
  return url?.startsWith("file:") ? fileURLToPath(url.replace(/[?#].*$/, "")) : null;
}

const packageTypes = new Map<string, Format | null>();

/** As Node decides it for JavaScript: by the ending, by the nearest `package.json`, by the syntax. */
export function formatOf(file: string, text: string, language: Language): Format {
  return language.format ?? packageType(dirname(file)) ?? (hasModuleSyntax(file, text) ? "module" : "commonjs");
}

function packageType(folder: string): Format | null {
  const known = packageTypes.get(folder);
  if (known !== undefined) return known;
  const parent = dirname(folder);
  const own = readType(folder);
  const type = own !== undefined ? own : parent === folder ? null : packageType(parent);
  packageTypes.set(folder, type);
  return type;
}

/** Undefined where the folder has no `package.json`; null where that says nothing. */
function readType(folder: string): Format | null | undefined {
  let text: string;
  try {
    text = readFileSync(join(folder, "package.json"), "utf8");
  } catch {
    return undefined;
  }
  try {
    const { type } = JSON.parse(text) as { readonly type?: unknown };
    return type === "module" || type === "commonjs" ? type : null;
  } catch {
    return null; // npm and node say what is wrong with it
  }
}

function hasModuleSyntax(file: string, text: string): boolean {
  return parseSync(file, text, { sourceType: "unambiguous" }).module.hasModuleSyntax;
}
