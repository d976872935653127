// The compile step as a plugin: one, for every bundler that unplugin knows.

import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { createUnplugin, type UnpluginInstance } from "unplugin";
import { Identities } from "./transform/identity.ts";
import { placeText } from "./transform/notice.ts";
import { compile } from "./transform.ts";

/** How the compile step is set. */
export interface PluginOptions {
  /** Names under which the package is installed, beside `workflow` and `ringback`. */
  readonly packages?: readonly string[];
}

/** Where compiled code finds its runtime in a file that imports nothing of the package: the copy that the plugin is of. */
const runtime: string = fileURLToPath(new URL(`../../compiled${extname(new URL(import.meta.url).pathname)}`, import.meta.url));
const compilable = /\.[cm]?[jt]sx?$/;

export const unplugin: UnpluginInstance<PluginOptions | undefined> = createUnplugin((options) => {
  const identities = new Identities();
  const packages = ["workflow", "ringback", ...(options?.packages ?? [])];
  return {
    name: "ringback",
    enforce: "pre",
    transformInclude: (id) => compilable.test(plain(id)),
    transform(code, id) {
      const file = plain(id);
      const compiled = compile({ code, file, ...identities.of(file), runtime, packages });
      if (!compiled) return null;
      for (const warning of compiled.warnings) this.warn(`${placeText(warning)}: ${warning.message}`);
      return { code: compiled.code, map: compiled.map };
    },
  };
});

/** A module's file, without what a bundler puts behind it. */
function plain(id: string): string {
  return id.replace(/[?#].*$/, "");
}
