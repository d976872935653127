// Code as it leaves a bundler that knows of no platform.

import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";

/** One file with all that `code` imports; paths are from the root of the repository. */
export function bundle(code: string, format: "esm" | "iife"): string {
  const { outputFiles } = buildSync({
    stdin: { contents: code, resolveDir: fileURLToPath(new URL("../..", import.meta.url)), loader: "ts" },
    bundle: true,
    minify: true,
    write: false,
    format,
    platform: "neutral",
    mainFields: ["module", "main"],
    logLevel: "silent",
  });
  return outputFiles[0]?.text ?? "";
}

/** The package and a program that uses it, in one file; `use` has both as `portable` and `goOn`. */
export function program(use: string): string {
  return bundle(`import * as portable from "./src/portable.ts"; import { goOn } from "./test/portable/order.ts"; ${use}`, "iife");
}
