// What the package says of itself.

import { readFileSync } from "node:fs";

const manifest = new URL("../../package.json", import.meta.url);

export function version(): string {
  return (JSON.parse(readFileSync(manifest, "utf8")) as { readonly version: string }).version;
}
