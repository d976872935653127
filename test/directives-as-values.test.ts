// Steps and classes of compiled modules are values: passed on, stored, and given back.

import { expect, test } from "vitest";
import { continueAsNew, sleep } from "workflow";
import { start } from "workflow/api";
import { processReferences } from "../src/engine/registry.ts";
import { stepOf } from "../src/styles/directives/compiled.ts";
import { createWorld, modes } from "./harness.ts";

class Point {
  readonly x: number;
  constructor(x: number) {
    this.x = x;
  }
  async moved(by: number) {
    "use step";
    return new Point(this.x + by);
  }
  static [Symbol.for("workflow-serialize")](point: Point) {
    return { x: point.x };
  }
  static [Symbol.for("workflow-deserialize")](data: { x: number }) {
    return new Point(data.x);
  }
}

async function twice(n: number) {
  "use step";
  return n * 2;
}
async function thrice(n: number) {
  "use step";
  return n * 3;
}
type Factor = (n: number) => Promise<number>;

async function choose(name: string) {
  "use step";
  return { twice, thrice }[name] as Factor;
}
async function inside(factor: Factor, n: number) {
  "use step";
  return factor(n);
}

async function computes(first: Factor, start: Point) {
  "use workflow";
  const by = 5;
  async function times(n: number) {
    "use step";
    return n * by;
  }
  const second = await choose("thrice");
  const nested = await inside(times, 2);
  await sleep("1m");
  const moved = await start.moved(1);
  return [await first(1), await second(1), nested, moved instanceof Point, moved.x, await inside(first, 10), second === thrice];
}

test.each(modes)("steps pass by their ids, nested ones with what they have closed over, instances by their class (%s)", async (mode) => {
  const world = await createWorld([computes], { mode });
  const run = await world.start(computes, twice, new Point(41));
  await world.restart();
  await world.advance(60_000);
  expect(await world.engine.getRun(run.runId).returnValue).toEqual([2, 3, 10, true, 42, 20, true]);
});

async function child(step: Factor) {
  "use workflow";
  return step(1);
}

async function handsOn(how: string) {
  "use workflow";
  const by = 2;
  async function times(n: number) {
    "use step";
    return n * by;
  }
  async function plain() {
    "use step";
    return 1;
  }
  if (how === "child") return (await start(child, [times])).returnValue;
  if (how === "chapter") return continueAsNew([plain]);
  if (how === "step") return inside(times, 3);
  return how === "nested" ? times : plain;
}

// A process that has not run the workflow's code would not know them, and whoever got one would wait.
test.each(["child", "chapter", "nested", "plain"])("a step within a workflow is refused where others would get it (%s)", async (how) => {
  const world = await createWorld([handsOn, child]);
  const run = await world.start(handsOn, how);
  await world.settled();
  await expect(run.returnValue).rejects.toMatchObject({
    cause: expect.objectContaining({
      code: "unserialisable",
      message: expect.stringContaining("step made within a run. Declare it at the top level"),
    }),
  });
});

test("a step within a workflow goes to steps of that workflow", async () => {
  const world = await createWorld([handsOn]);
  const run = await world.start(handsOn, "step");
  await world.settled();
  expect(await run.returnValue).toBe(6);
});

test("a step is not made of fewer or more values than its code closes over", async () => {
  const priced = { kind: "step", name: "app//main/priced" } as const;
  stepOf(
    priced.name,
    (by: number, plus: number) => async (n: number) => n * by + plus,
    () => [3, 1],
  );
  expect(await processReferences.find(priced, [5, 2])(4 as never)).toBe(22);
  for (const [closure, count] of [
    [[5], 1],
    [[5, 2, 1], 3],
    [undefined, 0],
  ] as const) {
    expect(() => processReferences.find(priced, closure)).toThrow(
      expect.objectContaining({ code: "step_not_registered", message: expect.stringContaining(`closed over ${count} values`) }),
    );
  }
});
