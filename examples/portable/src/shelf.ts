// Where states are kept: a file for each order. It is yours: a table or a key-value store does as well.

import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse, type ResumeState, serialize } from "ringback/portable";

const folder = process.env["ORDERS"] ?? "orders";
mkdirSync(folder, { recursive: true });

export function kept(): string[] {
  return readdirSync(folder).flatMap((file) => (file.endsWith(".json") ? decodeURIComponent(file.slice(0, -5)) : []));
}

export function load(id: string) {
  try {
    return parse(readFileSync(fileOf(id), "utf8"));
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return null;
    throw error;
  }
}

/** A whole state or the one before: a process may die at any moment. */
export function save(id: string, state: ResumeState): void {
  writeFileSync(`${fileOf(id)}-new`, serialize(state));
  renameSync(`${fileOf(id)}-new`, fileOf(id));
}

function fileOf(id: string): string {
  return join(folder, `${encodeURIComponent(id)}.json`);
}
