// A real file that is locked, full, damaged, read-only, newer or no database at all: who sends is told 503 and never 404, who calls gets
// an error that says what, which and what to do, the process lives, and what was acknowledged is there (G1).

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { compiledChild } from "./child/compiled.ts";
import { RingbackError } from "../src/core/errors.ts";
import { ask, loadDriver } from "../src/store/sqlite/driver.ts";
import type { Engine } from "../src/wiring.ts";
import { settled } from "../src/testing/settled.ts";
import { acknowledged, asked, collects, engineOn, has, marks, newFolder, other, parked, refusedWith, request, token } from "./outage.ts";

describe("locked by another process", () => {
  async function locked(path: string): Promise<ChildProcess> {
    const child = spawn(process.execPath, [compiledChild("child/sqlite-locker"), path], { stdio: ["pipe", "pipe", "inherit"] });
    onTestFinished(() => void child.kill("SIGKILL"));
    await once(child.stdout!, "data");
    return child;
  }
  const freed = async (child: ChildProcess): Promise<void> => {
    const exit = once(child, "exit");
    child.stdin!.write("let go");
    await exit;
  };

  test("for long: one wait, then 503 at once on every door and a clear error elsewhere; free again, it goes on by itself", async () => {
    const { world, path, runId } = await parked();
    const child = await locked(path);
    const took = async <T>(call: Promise<T>): Promise<[number, T]> => {
      const begun = performance.now();
      const result = await call;
      return [performance.now() - begun, result];
    };
    const [full, first] = await took(world.engine.ingress(request("refused")));
    const [brief, doors] = await took(asked(world.engine, "c"));
    expect(first.status).toBe(503);
    expect(doors).toEqual(refusedWith("store_unavailable"));
    expect(brief).toBeLessThan(full); // five that wait in full would take five times as long
    await expect(world.engine.resumeHook("c", "x")).rejects.toThrow(
      `${path} is locked: another process has been writing for more than 5 s`,
    );
    // Reading needs no lock.
    expect(await world.engine.getRun(runId).state).toBe("waiting");
    expect(world.lines.filter((line) => line.includes("is locked"))).toHaveLength(1);
    await freed(child);
    await acknowledged(world.engine, "c", "after");
    await has(world.engine, runId, marks("after", "before"));
  });

  test("for a moment: the commit waits, and nobody is told", async () => {
    const { world, path, runId } = await parked();
    const child = await locked(path);
    // The commit holds this thread up, so what frees the file has been asked before.
    const exit = once(child, "exit");
    child.stdin!.write("let go");
    await acknowledged(world.engine, "c", "while");
    await exit;
    await has(world.engine, runId, marks("before", "while"));
    expect(world.lines).toEqual([]);
  });

  test("when the engine opens: it says so, and opens once the file is free", async () => {
    const path = join(newFolder(), "a.db");
    const { engine } = engineOn(path);
    await engine.open();
    await engine.close();
    const child = await locked(path);
    const again = engineOn(path).engine;
    await expect(again.start(other, [])).rejects.toMatchObject({
      code: "store_unavailable",
      message: expect.stringContaining("is locked"),
    });
    await freed(child);
    expect(await (await again.start(other, [])).returnValue).toBe(1);
  });
});

describe("full", () => {
  /** A disk of 2 MB where this process may mount one; else SQLite's own cap on pages, which fails as a disk does. */
  function smallDisk(): { path: string; maxBytes?: number; free: () => void } {
    const folder = newFolder();
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], { stdio: "ignore" });
    } catch {
      return { path: join(folder, "a.db"), maxBytes: 300_000, free: () => {} };
    }
    onTestFinished(() => void execFileSync("umount", ["-l", folder], { stdio: "ignore" }));
    const ballast = join(folder, "ballast");
    return { path: join(folder, "a.db"), free: () => rmSync(ballast, { force: true }) };
  }

  test("503 with Retry-After and store_full while it is; what was acknowledged is there, and all goes on when there is room", async () => {
    const { path, maxBytes, free } = smallDisk();
    const { engine, lines } = engineOn(path, maxBytes);
    const { runId } = await engine.start(collects, ["c"]);
    await settled(engine);
    await acknowledged(engine, "c", "before");
    if (maxBytes === undefined) fill(join(path, "..", "ballast"));
    const large = "x".repeat(900_000);
    let taken = 0;
    let status = 202;
    while (status === 202) {
      status = (await engine.ingress(request(`large ${taken} ${large}`))).status;
      if (status === 202) taken++;
    }
    const refused = await engine.ingress(request(large));
    expect([refused.status, refused.headers.get("retry-after"), await refused.json()]).toMatchObject([503, "5", { code: "store_full" }]);
    await expect(engine.resumeHook("c", large)).rejects.toMatchObject({
      code: "store_full",
      message: expect.stringMatching(/no space left for sqlite:.*Free some/),
    });
    await expect(engine.start(collects, [large])).rejects.toMatchObject({ code: "store_full" });
    expect((await engine.resumeWebhook(token(), request(large))).status).toBe(503);
    expect(lines.join()).toContain("no space left");
    free();
    if (maxBytes === undefined) await acknowledged(engine, "c", "after");
    const { engine: next } = await reopened(engine, path);
    await next.resumeHook("c", "end");
    const got = ((await next.getRun(runId).returnValue) as string[]).map((text) => text.slice(0, 10).trim());
    expect(got.filter((text) => !text.startsWith("large"))).toEqual(maxBytes === undefined ? marks("after", "before") : marks("before"));
    expect(got.filter((text) => text.startsWith("large"))).toHaveLength(taken);
  });

  /** Takes all that is left. */
  function fill(path: string): void {
    const file = openSync(path, "w");
    try {
      for (;;) writeSync(file, Buffer.alloc(65_536));
    } catch (error) {
      expect((error as NodeJS.ErrnoException).code).toBe("ENOSPC");
    } finally {
      closeSync(file);
    }
  }
});

async function reopened(engine: Engine, path: string): Promise<{ engine: Engine; lines: string[] }> {
  await engine.close({ graceMs: 0 });
  const next = engineOn(path);
  await next.engine.open();
  await settled(next.engine);
  return next;
}

describe("damaged", () => {
  const overwrite = (path: string, at: number, length: number): void => {
    const file = openSync(path, "r+");
    writeSync(file, Buffer.alloc(length, 7), 0, length, at);
    closeSync(file);
  };

  test("its header: store_corrupt at every door and call, and nothing is written over what is left", async () => {
    const { world, path } = await parked();
    await world.engine.close();
    overwrite(path, 0, 100);
    const bytes = readFileSync(path);
    const { engine } = engineOn(path);
    expect(await asked(engine, "c")).toEqual(refusedWith("store_corrupt"));
    await expect(engine.open()).rejects.toMatchObject({
      message: expect.stringMatching(/damaged or is no SQLite file.*Restore it from a backup/),
    });
    expect(readFileSync(path).equals(bytes)).toBe(true);
  });

  test("pages in its middle: whoever meets them is told, from then on nothing is written, and a restored copy has all", async () => {
    const { world, path, runId } = await parked({ hotRuns: 0 });
    for (let run = 0; run < 200; run++) await world.engine.start(other, []);
    await world.settled();
    await world.engine.close();
    const backup = `${path}.backup`;
    copyFileSync(path, backup);
    const pages = statSync(path).size / 4096;
    for (let page = 2; page < pages; page++) overwrite(path, page * 4096, 4096);
    const { engine } = engineOn(path);
    for (const code of Object.values(await asked(engine, "c"))) expect(["503 later", "store_corrupt"]).toContain(code);
    expect(await asked(engine, "c")).toEqual(refusedWith("store_corrupt"));
    await expect(engine.getRun(runId).state).rejects.toMatchObject({ code: "store_corrupt" });
    await engine.close().catch(() => {});
    renameSync(backup, path);
    const { engine: restored } = engineOn(path);
    await has(restored, runId, marks("before"));
  });
});

describe("not to be used", () => {
  test.each<[string, string, RegExp, (path: string) => void]>([
    ["a folder in its place", "store_unavailable", /no folder stands in its place/, (path) => mkdirSync(path)],
    ["text", "store_corrupt", /no SQLite file/, (path) => writeFileSync(path, "this is no database. ".repeat(500))],
    [
      "a file where its folder should be",
      "store_unavailable",
      /its folder exists/,
      (path) => (rmSync(join(path, ".."), { recursive: true }), writeFileSync(join(path, ".."), "")),
    ],
  ])("%s: every door and call says so, until it is gone", async (_name, code, message, put) => {
    const { world, path, runId } = await parked();
    await world.engine.close();
    const safe = join(newFolder(), "safe.db");
    copyFileSync(path, safe);
    for (const name of readdirSync(join(path, ".."))) rmSync(join(path, "..", name));
    put(path);
    const { engine } = engineOn(path);
    expect(await asked(engine, "c")).toEqual(refusedWith(code));
    await expect(engine.open()).rejects.toThrow(message);
    rmSync(join(path, ".."), { recursive: true });
    mkdirSync(join(path, ".."));
    copyFileSync(safe, path);
    await has(engine, runId, marks("before"));
  });

  test("a file of a later version: store_newer, with both versions, and it is left alone", async () => {
    const { world, path } = await parked();
    await world.engine.close();
    const database = new (await loadDriver())(path);
    const [known] = ask(database, "pragma user_version");
    database.exec("pragma user_version=99");
    database.close();
    const { engine } = engineOn(path);
    expect(await asked(engine, "c")).toEqual(refusedWith("store_newer"));
    await expect(engine.open()).rejects.toThrow(`(format 99; this one knows ${String(known)}). Run that version, or a newer one.`);
    const after = new (await loadDriver())(path);
    expect(ask(after, "pragma user_version")).toEqual([99]);
    after.close();
  });

  test("a file that another worker has: store_in_use, with its process, and callbacks are refused, not lost", async () => {
    const { world, path, runId } = await parked();
    const { engine } = engineOn(path);
    expect(await asked(engine, "c")).toEqual(refusedWith("store_in_use"));
    await expect(engine.open()).rejects.toMatchObject({
      details: { pid: process.pid },
      message: expect.stringContaining("RINGBACK_ROLE=ingress"),
    });
    await has(world.engine, runId, marks("before"));
  });

  // Root may write anywhere, so there the test asks as another user.
  test.each([
    ["a read-only file", 0o444, 0o777],
    ["a read-only folder", 0o644, 0o555],
  ])("%s: store_unavailable, and what to change; writable again, it opens", async (_name, ofFile, ofFolder) => {
    const { world, path, runId } = await parked();
    await world.engine.close();
    const folder = newFolder();
    const copy = join(folder, "copy.db");
    copyFileSync(path, copy);
    chmodSync(copy, ofFile);
    chmodSync(folder, ofFolder);
    const { engine } = engineOn(copy);
    const isRoot = process.getuid?.() === 0;
    if (isRoot) process.seteuid!(65_534);
    try {
      expect(await asked(engine, "c")).toEqual(refusedWith("store_unavailable"));
      await expect(engine.open()).rejects.toThrow(/read-only for this process|this process may write there/);
    } finally {
      if (isRoot) process.seteuid!(0);
      chmodSync(copy, 0o644);
      chmodSync(folder, 0o777);
    }
    await has(engine, runId, marks("before"));
  });
});

test("who waits for a run goes on waiting while the store is away", async () => {
  const { world, runId } = await parked();
  const waiting = world.engine.getRun(runId).returnValue;
  await world.settled();
  const read = world.store.run.bind(world.store);
  world.store.run = () => Promise.reject(new RingbackError("store_unavailable", "It is away.", { details: { store: "test" } }));
  await expect(world.engine.getRun(runId).returnValue).rejects.toMatchObject({ code: "store_unavailable" });
  await world.advance(10_000);
  world.store.run = read;
  await world.engine.resumeHook("c", "end");
  expect(await waiting).toEqual(marks("before"));
});
