// By which name compiled code finds its runtime: a bundler may put the output anywhere, and keeps packages outside by their names.

import { realpathSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The runtime of the copy that this file is part of. */
const own: string = fileURLToPath(new URL(`../../../compiled${extname(new URL(import.meta.url).pathname)}`, import.meta.url));

export class RuntimeNames {
  readonly #packages: readonly string[];
  readonly #known = new Map<string, string>();

  constructor(packages: readonly string[]) {
    this.#packages = packages;
  }

  /** For a file that imports nothing of the package itself: the name that this copy has there, or in the project, or any that leads to one. */
  of(file: string): string {
    const folder = dirname(file);
    const known = this.#known.get(folder);
    if (known !== undefined) return known;
    const found = [file, join(process.cwd(), "package.json")].flatMap((from) => this.#resolved(from));
    const name = (found.find(({ path }) => path === realpathSync(own)) ?? found[0])?.name ?? own;
    this.#known.set(folder, name);
    return name;
  }

  #resolved(from: string): readonly { readonly name: string; readonly path: string }[] {
    const require = createRequire(from);
    return this.#packages.flatMap((own) => {
      const name = `${own}/compiled`;
      try {
        return [{ name, path: realpathSync(require.resolve(name)) }];
      } catch {
        return [];
      }
    });
  }
}
