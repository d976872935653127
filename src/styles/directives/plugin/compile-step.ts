// The compile step as any tool may take it: options read, names and ids found, one module after the other.

import { existsSync } from "node:fs";
import { Identities } from "../transform/identity.ts";
import { defaultPackages } from "../transform/import.ts";
import { type Compiled, compile } from "../transform.ts";
import type { PluginOptions } from "./option.ts";
import { RuntimeNames } from "./runtime-name.ts";

/** What a tool says of the build that a module is in. */
export interface Build {
  readonly isForBrowser: boolean;
  /** Modules that have changed are loaded again in the same process. */
  readonly isReloading: boolean;
}

/** No bundler can take these in: they load binaries from beside their own files. */
const native: readonly string[] = ["@photostructure/sqlite", "oxc-parser"];

export class CompileStep {
  readonly packages: readonly string[];
  /** What stays outside of servers' bundles. */
  readonly outside: readonly string[];
  readonly #target: PluginOptions["target"];
  readonly #identities = new Identities();
  readonly #runtimes: RuntimeNames;

  constructor(options: PluginOptions = {}) {
    this.packages = [...new Set([...defaultPackages, ...(options.packages ?? [])])];
    this.outside = [...((options.external ?? true) ? this.packages : []), ...native];
    this.#target = options.target;
    this.#runtimes = new RuntimeNames(this.packages);
  }

  /** Compiles the module that a tool knows by `id`; null where there is nothing to compile. Throws `bad_directive`. */
  compile(code: string, id: string, { isForBrowser, isReloading }: Build): Compiled | null {
    const file = fileOf(id);
    const runtime = this.#runtimes.of(file);
    const { packages } = this;
    return compile({
      code,
      file,
      ...this.#identities.of(file),
      runtime,
      packages,
      isReloading,
      isForBrowser: this.isForBrowser(isForBrowser),
    });
  }

  /** The option, or what the tool says. */
  isForBrowser(isSaid: boolean): boolean {
    return this.#target === undefined ? isSaid : this.#target === "browser";
  }
}

/** A module's file, without what a bundler puts behind it. */
function fileOf(id: string): string {
  return existsSync(id) ? id : id.replace(/[?#].*$/, "");
}
