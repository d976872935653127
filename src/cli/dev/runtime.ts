// How a file is run: compiled as it is loaded, by the app's own copy of ringback, so that this one is not the first (RT1); beside the
// user's own tsx, where there is one, which knows the paths of a tsconfig.json.

import { existsSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { extname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { plain } from "../columns.ts";
import { usage } from "../failure.ts";

export interface Runtime {
  /** The file, in full. */
  readonly file: string;
  /** What Node is told before the program. */
  readonly nodeOptions: readonly string[];
}

export function runtimeFor(given: string): Runtime {
  const file = resolve(given);
  if (!existsSync(file)) throw usage(`There is no file ${plain(given)}. Give the file that declares your workflows.`);
  if (!statSync(file).isFile()) throw usage(`${plain(given)} is a folder. Give the file that declares your workflows.`);
  const tsx = /\.[cm]?tsx?$/.test(file) ? foundFrom(file, "tsx") : null;
  const own = new URL(`../../register${extname(new URL(import.meta.url).pathname)}`, import.meta.url).href;
  const register = foundFrom(file, "ringback/register") ?? foundFrom(file, "workflow/register") ?? own;
  return { file, nodeOptions: [...(tsx === null ? [] : ["--import", tsx]), "--import", register] };
}

/** As the app itself would find it. */
function foundFrom(file: string, name: string): string | null {
  try {
    return pathToFileURL(createRequire(file).resolve(name)).href;
  } catch {
    return null;
  }
}
