// The versions of Node that tests of loading run on: this one, and in the long length a newer one, where it can be had.

import { execFileSync } from "node:child_process";

export interface Node {
  readonly name: string;
  readonly program: string;
}

const newer = "24";

/** Says why where the newer one is not there. */
export function nodes(): Node[] {
  const own: Node = { name: `Node ${process.versions.node}`, program: process.execPath };
  if (process.env["RINGBACK_LONG"] !== "1" || Number(process.versions.node.split(".")[0]) >= Number(newer)) return [own];
  try {
    const found = execFileSync("npx", ["-y", "-p", `node@${newer}`, "node", "-p", "process.execPath"], {
      encoding: "utf8",
      timeout: 120_000,
    });
    const program = found.trim().split("\n").at(-1) as string;
    return [own, { name: `Node ${newer}`, program }];
  } catch (error) {
    console.warn(`Not tested on Node ${newer}, which npx does not bring here: ${String(error).split("\n")[0]}`);
    return [own];
  }
}
