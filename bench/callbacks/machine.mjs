// What the figures were measured on.

import { closeSync, fsyncSync, openSync, rmSync, writeSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { loadDriver } from "../../dist/store/sqlite/driver.js";
import { median } from "./order.mjs";

export async function machine(folder) {
  const driver = await loadDriver();
  const database = new driver(":memory:");
  const { version } = database.prepare("select sqlite_version() as version").get();
  database.close();
  const isBuiltIn = driver === process.getBuiltinModule?.("node:sqlite")?.DatabaseSync;
  return {
    cpus: `${cpus().length} × ${cpus()[0]?.model.trim() ?? "unknown"}`,
    node: process.version,
    driver: `${isBuiltIn ? "node:sqlite" : "@photostructure/sqlite"} (SQLite ${version})`,
    fsyncMs: fsyncMs(join(folder, "fsync")),
  };
}

/** What it takes to overwrite and sync one page of a file that has its size. */
function fsyncMs(path) {
  const page = Buffer.alloc(4_096, 1);
  const file = openSync(path, "w");
  try {
    for (let at = 0; at < 64; at++) writeSync(file, page, 0, page.length, at * page.length);
    fsyncSync(file);
    const times = Array.from({ length: 200 }, (_, turn) => {
      const began = performance.now();
      writeSync(file, page, 0, page.length, (turn % 64) * page.length);
      fsyncSync(file);
      return performance.now() - began;
    });
    return median(times);
  } finally {
    closeSync(file);
    rmSync(path);
  }
}
