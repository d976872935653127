// What ids begin with: a module's path within its package. It depends on nothing but the files, so every tool gives the same.

import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { RingbackError } from "../../../core/errors.ts";

export interface Identity {
  /**
   * The path within the package, `/` between its parts, without the ending and without `src`, `dist`, `build` or `out` at its head;
   * before it the package's name, if it is a dependency.
   */
  readonly module: string;
  /** From `"ringback": { "ids": { … } }` in the package's `package.json`: which id is used in place of which. */
  readonly ids: { readonly [derived: string]: string };
}

/** A file keeps its id from the folder of sources to that of what a compiler makes of them, where both are in use: at home and at work. */
const sourceFolders = /^(?:(?:dist|build|out)\/)?(?:src\/)?/;

interface Package {
  readonly folder: string;
  readonly name: string | null;
  readonly ids: { readonly [derived: string]: string };
}

/** Packages are looked up once in a build or a process. */
export class Identities {
  readonly #packages = new Map<string, Package | null>();

  of(file: string): Identity {
    const owner = this.#packageOf(dirname(file));
    const path = relative(owner?.folder ?? process.cwd(), file)
      .split(sep)
      .join("/");
    const module = path.replace(/\.[cm]?[jt]sx?$/, "").replace(sourceFolders, "");
    const isDependency = owner !== null && owner.name !== null && owner.folder.split(sep).includes("node_modules");
    return { module: isDependency ? `${owner.name}/${module}` : module, ids: owner?.ids ?? {} };
  }

  /** The nearest package with a name; one without, such as `{ "type": "module" }` in a folder, says how files are read, no more. */
  #packageOf(folder: string): Package | null {
    const known = this.#packages.get(folder);
    if (known !== undefined) return known;
    const own = readPackage(folder);
    const parent = dirname(folder);
    const found = own?.name != null || parent === folder ? own : (this.#packageOf(parent) ?? own);
    this.#packages.set(folder, found);
    return found;
  }
}

function readPackage(folder: string): Package | null {
  const path = join(folder, "package.json");
  if (!existsSync(path)) return null;
  const { name, ringback } = read(path);
  return { folder, name: typeof name === "string" ? name : null, ids: checkIds(path, ringback?.ids) };
}

function read(path: string): { readonly name?: unknown; readonly ringback?: { readonly ids?: unknown } } {
  try {
    const found: unknown = JSON.parse(readFileSync(path, "utf8"));
    return typeof found === "object" && found !== null ? found : {};
  } catch {
    return {}; // npm and node say what is wrong with it
  }
}

function checkIds(path: string, ids: unknown): Package["ids"] {
  if (ids === undefined) return {};
  const isTable = typeof ids === "object" && ids !== null && Object.values(ids).every((id) => typeof id === "string" && id !== "");
  if (isTable) return ids as Package["ids"];
  const message = `"ringback": { "ids" } in ${path} must lead from ids to ids, such as { "pay//checkout": "order//checkout" }.`;
  throw new RingbackError("bad_argument", message, { details: { argument: "ids", value: JSON.stringify(ids) } });
}
