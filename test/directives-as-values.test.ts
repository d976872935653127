// Steps and classes of compiled modules are values: passed on, stored, and given back.

import { expect, test } from "vitest";
import { sleep } from "workflow";
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
