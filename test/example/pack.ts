// The package as it is built now, and copies of examples that have it installed.

import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { compiledPackage } from "../child/compiled.ts";

const root: string = fileURLToPath(new URL("../..", import.meta.url));

/** A folder of its own with the built package, and copies of examples beside it. */
export class Workshop {
  readonly folder: string = mkdtempSync(join(tmpdir(), "ringback-example-"));
  readonly #package: string = join(this.folder, "package");
  #tarball: string | null = null;

  constructor() {
    cpSync(compiledPackage(), join(this.#package, "dist"), { recursive: true });
    for (const name of ["package.json", "README.md", "LICENSE"]) cpSync(join(root, name), join(this.#package, name));
    cpSync(join(root, "examples", "order-app"), join(this.folder, "order-app"), { recursive: true });
  }

  /** With what its lock file says, and the package from a tarball under the name that it imports, as users have both. */
  installed(example: string, name: "ringback" | "workflow" = "workflow"): string {
    const isThere = existsSync(join(this.folder, `${example}-installed`));
    const copy = this.#copied(example, "installed");
    if (isThere) return copy;
    this.#tarball ??= this.#packed();
    const quiet = ["--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"];
    execFileSync("npm", ["install", ...quiet, `${name}@file:${this.#tarball}`], { cwd: copy, stdio: "pipe" });
    return copy;
  }

  /** With the package and these tools as they are in this repository: in a moment, and without a network. */
  linked(example: string, tools: readonly string[]): string {
    const copy = this.#copied(example, "linked");
    const modules = join(copy, "node_modules");
    mkdirSync(modules, { recursive: true });
    if (!existsSync(join(this.#package, "node_modules")))
      symlinkSync(join(root, "node_modules"), join(this.#package, "node_modules"), "junction");
    symlinkSync(this.#package, join(modules, "workflow"), "junction");
    for (const tool of tools) symlinkSync(join(root, "node_modules", tool), join(modules, tool), "junction");
    return copy;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #copied(example: string, how: string): string {
    const copy = join(this.folder, `${example}-${how}`);
    const isSource = (path: string): boolean => !/[/\\](?:node_modules|dist|order-app|\.ringback)$/.test(path);
    cpSync(join(root, "examples", example), copy, { recursive: true, filter: isSource });
    return copy;
  }

  #packed(): string {
    const [{ filename }] = JSON.parse(
      execFileSync("npm", ["pack", "--json", "--ignore-scripts", "--loglevel=error"], { cwd: this.#package, encoding: "utf8" }),
    ) as [{ filename: string }];
    return join(this.#package, filename);
  }
}
