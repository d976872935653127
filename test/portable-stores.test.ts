// Every store of portable runs keeps the laws of its port (RK1–RK4).

import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { memoryResumeStore } from "../src/store/memory/portable.ts";
import { sqliteResumeStore } from "../src/sqlite.ts";
import { sqliteStore } from "../src/store/sqlite/store.ts";
import { resumeStoreConformance } from "../src/testing/resume-conformance.ts";
import { createManualClock } from "../src/testing/manual-clock.ts";

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "ringback-resume-"));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

describe("memory", () => {
  resumeStoreConformance(test, expect, async (clock) => ({ store: memoryResumeStore({ clock }) }));

  test("10,000 early records are kept, and no more", async () => {
    const store = memoryResumeStore();
    const early = { expected: null, expiresAt: Date.now() + 60_000, isEarly: true };
    for (let index = 0; index < 10_000; index++) await store.save(`e/${index}`, "", early);
    await expect(store.save("e/more", "", early)).rejects.toThrow("No more early callbacks");
  });
});

describe("sqlite", () => {
  resumeStoreConformance(test, expect, async (clock) => {
    const path = join(await folder(), "made/runs.db");
    const stores = [sqliteResumeStore(path, { clock })];
    const another = async () => {
      stores.push(sqliteResumeStore(path, { clock }));
      return stores.at(-1) as (typeof stores)[0];
    };
    return {
      store: stores[0] as (typeof stores)[0],
      another,
      dispose: async () => void (await Promise.all(stores.map((store) => store.close()))),
    };
  });

  test("an engine's file is refused, and left as it is; an engine refuses one of these", async () => {
    const path = join(await folder(), "engine.db");
    const engines = sqliteStore({ path, clock: createManualClock() });
    await engines.open({ role: "worker" });
    await engines.close();
    await expect(sqliteResumeStore(path).load("a")).rejects.toMatchObject({ code: "bad_argument" });
    await engines.open({ role: "worker" });
    await engines.close();
    const own = join(await folder(), "runs.db");
    const store = sqliteResumeStore(own);
    await store.save("a", "1", { expected: null });
    await store.close();
    await expect(sqliteStore({ path: own, clock: createManualClock() }).open({ role: "worker" })).rejects.toMatchObject({
      code: "bad_argument",
    });
  });

  test("what is no database is refused as damaged, and tried anew later", async () => {
    const path = join(await folder(), "runs.db");
    await writeFile(path, "no database ".repeat(1_000));
    const store = sqliteResumeStore(path);
    await expect(store.load("a")).rejects.toMatchObject({ code: "store_corrupt" });
    await rm(path);
    await expect(sqliteResumeStore(path).save("a", "1", { expected: null })).resolves.toBe(1);
  });

  test("a file that was deleted takes nothing more", async () => {
    const path = join(await folder(), "runs.db");
    const store = sqliteResumeStore(path);
    await store.save("a", "1", { expected: null });
    for (const name of await readdir(join(path, ".."))) await rm(join(path, "..", name));
    await expect(store.save("b", "1", { expected: null })).rejects.toMatchObject({ code: "store_unavailable" });
    await expect(store.load("a")).rejects.toMatchObject({ code: "store_unavailable" });
  });
});
