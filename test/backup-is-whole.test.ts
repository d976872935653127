// A copy that SQLite makes of a database in use is whole: an engine opens it, and its runs go on.

import { expect, test } from "vitest";
import { createHook, step, workflow } from "../src/index.ts";
import { loadDriver } from "../src/store/sqlite/driver.ts";
import { sqliteStore } from "../src/store/sqlite/store.ts";
import { createEngine } from "../src/wiring.ts";
import { createWorld, testKeys } from "./harness.ts";

test("a copy made under a running engine, with runs parked and others under way, goes on where it was made", async () => {
  const note = step("note", async (text: string) => text.toUpperCase());
  const wf = workflow("backed up", async (id: number) => {
    const hook = createHook<string>({ token: `backup:${id}` });
    const log = [await note("begun")];
    for (;;) {
      const text = await hook;
      if (text === "end") return log;
      log.push(await note(text));
    }
  });
  const world = await createWorld([wf], { mode: "hot" });
  for (let id = 0; id < 20; id++) await world.start(wf, id);
  await world.engine.resumeHook("backup:0", "before", { key: "k" });
  const copy = `${world.path}.copy`;
  // The engine's own library: two copies of SQLite in one process must not share a file.
  const Database = await loadDriver();
  const under = Array.from({ length: 20 }, (_, id) => world.engine.resumeHook(`backup:${id}`, "meanwhile"));
  const database = new Database(world.path as string);
  database.exec(`vacuum into '${copy}'`);
  database.close();
  await Promise.all(under);
  await world.settled();

  const restored = createEngine({
    store: sqliteStore({ path: copy, clock: world.clock }),
    baseUrl: null,
    keys: testKeys,
    clock: world.clock,
    workflows: [wf],
  });
  try {
    const runs = await restored.listRuns();
    expect(runs).toHaveLength(20);
    expect((await restored.resumeHook("backup:0", "before", { key: "k" })).delivery.disposition).toBe("duplicate");
    for (let id = 0; id < 20; id++) await restored.resumeHook(`backup:${id}`, "end");
    for (const { runId } of runs) expect((await restored.getRun<string[]>(runId).returnValue)[0]).toBe("BEGUN");
  } finally {
    await restored.close();
  }
});
