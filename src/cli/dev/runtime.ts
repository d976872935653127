// How a file is run: JavaScript as it is, TypeScript by the user's own tsx, else by a Node that strips types.

import { existsSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { extname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { plain } from "../columns.ts";
import { CliError, exitCode, usage } from "../failure.ts";

export interface Runtime {
  /** The file, in full. */
  readonly file: string;
  /** What Node is told before the program. */
  readonly nodeOptions: readonly string[];
}

const typeScript: ReadonlySet<string> = new Set([".ts", ".mts", ".cts", ".tsx"]);

export function runtimeFor(given: string): Runtime {
  const file = resolve(given);
  if (!existsSync(file)) throw usage(`There is no file ${plain(given)}. Give the file that declares your workflows.`);
  if (!statSync(file).isFile()) throw usage(`${plain(given)} is a folder. Give the file that declares your workflows.`);
  if (!typeScript.has(extname(file))) return { file, nodeOptions: [] };
  const tsx = tsxFor(file);
  if (tsx !== null) return { file, nodeOptions: ["--import", pathToFileURL(tsx).href] };
  if ("typescript" in process.features && process.features.typescript !== false) return { file, nodeOptions: [] };
  const message = `${plain(given)} is TypeScript, and Node ${process.versions.node} cannot run it by itself. Run "npm install --save-dev tsx", or use Node 22.18 or newer.`;
  throw new CliError(message, exitCode.failed);
}

/** As the app itself would find it. */
function tsxFor(file: string): string | null {
  try {
    return createRequire(file).resolve("tsx");
  } catch {
    return null;
  }
}
