// What workflow code sees of time, chance and the console: the same on every replay. Outside turns, and in steps, nothing is touched (U3).

import crypto, { randomBytes, randomFillSync, randomInt, randomUUID, webcrypto } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance as hooksPerformance } from "node:perf_hooks";
import { nanoid } from "nanoid";
import { describe, expect, onTestFinished, test } from "vitest";
import { createHook, random, sleep, step, uuid, workflow } from "../src/index.ts";
import { runChild } from "./child/child.ts";
import { createWorld, epoch, modes } from "./harness.ts";

const NativeNow = Date.now;

/** Runs the body through three lives or more: sleeps twice, with a restart between. Gives back what each life noted. */
async function lives<T>(mode: (typeof modes)[number], note: () => T): Promise<{ first: T[]; second: T[]; result: T[] }> {
  const first: T[] = [];
  const second: T[] = [];
  const echo = step("echo", async (value: string) => value);
  const wf = workflow("notes", async () => {
    const a = note();
    first.push(a);
    await echo(JSON.stringify(a)); // a replay that saw another value would be blocked here
    await sleep("1h");
    const b = note();
    second.push(b);
    await echo(JSON.stringify(b));
    await sleep("1h");
    return [a, b];
  });
  const world = await createWorld([wf], { mode });
  const run = await world.start(wf);
  await world.advance(3_600_000);
  await world.restart();
  await world.advance(3_600_000);
  const result = (await world.engine.getRun<T[]>(run.runId).returnValue) as T[];
  return { first, second, result };
}

describe.each(modes)("workflow code (%s)", (mode) => {
  test("chance is the same in every life: Math.random, crypto.randomUUID, uuid(), random()", async () => {
    const { first, second, result } = await lives(mode, () => [
      Math.random(),
      crypto.webcrypto.randomUUID(),
      globalThis.crypto.randomUUID(),
      uuid(),
      random(),
    ]);
    expect(first.length).toBeGreaterThan(1);
    for (const values of first) expect(values).toEqual(result[0]);
    for (const values of second) expect(values).toEqual(result[1]);
    expect(new Set(result.flat()).size).toBe(10);
    for (const value of result.flat())
      expect(String(value)).toMatch(/^0\.\d+(e-\d+)?$|^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  test("two runs draw differently", async () => {
    const wf = workflow("draws", async () => [Math.random(), uuid()]);
    const world = await createWorld([wf], { mode });
    const all = await Promise.all([1, 2].map(async () => (await world.start(wf)).returnValue));
    expect(new Set(all.flat()).size).toBe(4);
  });

  test("time is that of the event, in every form, and is the same in every life", async () => {
    class Stamp extends Date {
      get twice(): number {
        return this.getTime() * 2;
      }
    }
    const { first, second, result } = await lives(mode, () => {
      const stamp = new Stamp();
      return [
        Date.now(),
        new Date().getTime(),
        new Date(Date()).getTime(),
        stamp.getTime(),
        stamp.twice / 2,
        epoch + performance.now(),
        epoch + hooksPerformance.now(),
        Reflect.construct(Date, []).getTime(),
        new Date().constructor === Date &&
          stamp instanceof Date &&
          stamp instanceof Stamp &&
          new Date() instanceof Date &&
          !("now" in new Date()),
        [
          new Date(5).getTime(),
          new Date("2020-01-01").getTime(),
          Date.UTC(2020),
          Date.parse("2020-01-01"),
          new Date(2020, 0).getFullYear(),
        ],
      ];
    });
    const at = (instant: number) => [...Array(8).fill(instant), true, [5, 1577836800000, 1577836800000, 1577836800000, 2020]];
    for (const values of first) expect(values).toEqual(at(epoch));
    for (const values of second) expect(values).toEqual(at(epoch + 3_600_000));
    expect(result).toEqual([at(epoch), at(epoch + 3_600_000)]);
  });

  test("time never goes back, though the store's clock does", async () => {
    const seen: number[] = [];
    const wf = workflow("back", async () => {
      const hook = createHook({ token: "tick" });
      for (let i = 0; i < 3; i++) {
        seen.push(Date.now());
        await hook;
      }
      return [Date.now(), performance.now()];
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    for (const at of [epoch + 5_000, epoch - 60_000, epoch + 4_000]) {
      world.clock.set(at);
      await world.engine.resumeHook("tick", null);
      await world.settled();
    }
    expect(await run.returnValue).toEqual([epoch + 5_000, 5_000]);
    if (mode !== "evict") expect(seen).toEqual([epoch, epoch + 5_000, epoch + 5_000]);
  });

  test("secrets are refused with the fix, and what a pool holds is random none the less", async () => {
    const buffer = new Uint8Array(64);
    const calls: Record<string, () => unknown> = {
      "crypto.getRandomValues": () => globalThis.crypto.getRandomValues(buffer),
      "webcrypto.getRandomValues": () => webcrypto.getRandomValues(new Uint8Array(4)),
      "module getRandomValues": () => crypto.getRandomValues(new Uint8Array(4)),
      randomBytes: () => randomBytes(4),
      "randomBytes of the default export": () => crypto.randomBytes(4),
      randomFill: () => crypto.randomFill(new Uint8Array(4), () => {}),
      randomFillSync: () => randomFillSync(new Uint8Array(4)),
      randomInt: () => randomInt(4),
      randomUUID: () => randomUUID(),
      // It draws on a pool that host code may have filled before; the pool is not filled again in a turn.
      nanoid: () => Array.from({ length: 129 }, () => nanoid()),
    };
    const wf = workflow("secrets", async () => {
      const errors: string[] = [];
      for (const [name, call] of Object.entries(calls)) {
        try {
          errors.push(`${name} gave ${String(call())}`);
        } catch (error) {
          errors.push(`${(error as { code: string }).code}: ${(error as Error).message}`);
        }
      }
      return errors;
    });
    const world = await createWorld([wf], { mode });
    const errors = await (await world.start(wf)).returnValue;
    expect(errors.length).toBe(10);
    for (const error of errors)
      expect(error).toMatch(/^forbidden_in_workflow: .* does not work in workflow code.*uuid\(\).*a step for secrets/);
    expect(buffer.some((byte) => byte !== 0)).toBe(true);
    for (const call of Object.values(calls)) expect(call).not.toThrow();
    const ids = Array.from({ length: 1_000 }, () => nanoid());
    expect(new Set(ids).size).toBe(1_000);
    for (const id of ids) expect(id).toMatch(/^[\w-]{21}$/);
  });

  test("steps, and all code outside turns, have the real clock and real chance", async () => {
    const around = step("around", async () => [Date.now(), new Date().getTime(), performance.now(), Math.random(), randomBytes(4).length]);
    const outside: number[] = [];
    const wf = workflow("real", async () => {
      setImmediate(() => outside.push(Date.now(), new Date().getTime(), Math.random()));
      return around();
    });
    const world = await createWorld([wf], { mode });
    const before = NativeNow();
    const [now, date, perf, chance, length] = (await (await world.start(wf)).returnValue) as number[];
    const after = NativeNow();
    for (const time of [now, date, outside[0], outside[1], Date.now()]) {
      expect(time).toBeGreaterThanOrEqual(before);
      expect(time).toBeLessThanOrEqual(after + 1_000);
    }
    expect(perf).toBeLessThan(epoch);
    expect([length, chance === outside[2]]).toEqual([4, false]);
  });
});

test.each([
  ["hot", 100],
  ["evicted after every turn", 0],
])("each line of console is printed once, with a restart between (%s)", async (_, hotRuns) => {
  const folder = mkdtempSync(join(tmpdir(), "ringback-console-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const { code, stdout, stderr } = await runChild("console", folder, String(hotRuns));
  const lines = stdout.trim().split("\n");
  const lives = Number(lines.pop()?.replace("lives ", ""));
  const table = lines.filter((line) => /^[┌│├└]/.test(line));
  expect(lines.filter((line) => !table.includes(line))).toEqual([
    ...["begin", "in a step", "worked", "said 0", "said 1", "said 2", "info", "debug", "'dir'", "count: 1", "end"],
  ]);
  expect(table.filter((line) => line.includes("table")).length).toBe(1);
  expect(stderr.trim().split("\n")).toEqual(["warn", "error", "Assertion failed: assert"]);
  expect(lives).toBeGreaterThanOrEqual(hotRuns === 0 ? 6 : 2);
  expect(code).toBe(0);
});
