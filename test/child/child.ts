// Runs a program of this folder in a process of its own, for what would end the test's: as a user's process would, in plain Node.

import { execFile } from "node:child_process";
import { compiledChild } from "./compiled.ts";

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function runChild(name: string, ...args: readonly string[]): Promise<Ended> {
  const file = compiledChild(`child/${name}`);
  const { NODE_OPTIONS: _, VITEST: __, NODE_ENV: ___, ...env } = process.env;
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [file, ...args], { env, timeout: 15_000 }, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode, stdout, stderr }),
    );
  });
}
