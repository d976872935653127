// A file that is deleted, moved or replaced while it is in use takes nothing more, and what was acknowledged before is not lost to that (G1).

import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { asked, engineOn, has, marks, newFolder, other, parked, refusedWith } from "./outage.ts";

const gone = /was deleted or replaced while it was in use.*start the process again/;

test.each<[string, (path: string) => void]>([
  ["deleted", (path) => rmSync(path)],
  ["moved away", (path) => renameSync(path, `${path}.old`)],
  ["replaced by a copy", (path) => (copyFileSync(path, `${path}.copy`), renameSync(`${path}.copy`, path))],
  ["deleted with its whole folder", (path) => rmSync(join(path, ".."), { recursive: true })],
])("a file that is %s while it is in use takes nothing more", async (_name, lose) => {
  const { world, path } = await parked();
  lose(path);
  expect(await asked(world.engine, "c")).toEqual(refusedWith("store_unavailable"));
  await expect(world.engine.resumeHook("c", "x")).rejects.toThrow(gone);
  expect(world.lines.filter((line) => gone.test(line))).toHaveLength(1);
  mkdirSync(join(path, ".."), { recursive: true });
  await world.engine.close();
});

test("one that was moved away has all that was acknowledged", async () => {
  const { world, path, runId } = await parked();
  renameSync(path, `${path}.old`);
  for (const part of ["-wal", "-shm"]) renameSync(path + part, `${path}.old${part}`);
  await asked(world.engine, "c");
  await world.engine.close({ graceMs: 0 });
  for (const part of ["", "-wal", "-shm"]) if (existsSync(`${path}.old${part}`)) renameSync(`${path}.old${part}`, path + part);
  const { engine } = engineOn(path);
  // What was refused as the file went may be there: its sender was told to come again.
  await has(engine, runId, expect.arrayContaining(marks("before")));
});

test("a log that is deleted while in use is saved into the file, and nothing more is taken", async () => {
  const { world, path, runId } = await parked();
  world.clock.advance(100);
  await world.settled();
  expect(statSync(`${path}-wal`).size).toBeGreaterThan(0);
  rmSync(`${path}-wal`);
  world.clock.advance(100);
  await world.settled();
  expect(await asked(world.engine, "c")).toEqual(refusedWith("store_unavailable"));
  const copy = join(newFolder(), "copy.db");
  copyFileSync(path, copy);
  const { engine } = engineOn(copy);
  await has(engine, runId, marks("before"));
});

test("a log that is deleted after the engine was closed takes nothing with it", async () => {
  const { world, path, runId } = await parked();
  await world.engine.close();
  for (const part of ["-wal", "-shm", "-owner"]) rmSync(path + part, { force: true });
  const { engine } = engineOn(path);
  await has(engine, runId, marks("before"));
});

test("a process that changes its directory has lost nothing", async () => {
  const folder = newFolder();
  const home = process.cwd();
  process.chdir(folder);
  try {
    const { engine } = engineOn("relative.db");
    await engine.open();
    process.chdir(home);
    expect(await (await engine.start(other, [])).returnValue).toBe(1);
  } finally {
    process.chdir(home);
  }
});
