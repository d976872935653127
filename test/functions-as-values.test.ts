// Steps, workflows and classes may be values: they are stored by their names, and the ones of those names are given back.

import { describe, expect, test, vi } from "vitest";
import { start } from "../src/api.ts";
import { createSerialiser } from "../src/core/serialise.ts";
import { References, referTo } from "../src/core/reference.ts";
import { noSeal } from "../src/core/seal.ts";
import { createClasses } from "../src/core/serialise-class.ts";
import { processReferences, registerClass } from "../src/engine/registry.ts";
import { StepNotRegisteredError, WorkflowNotRegisteredError } from "../src/errors.ts";
import { createHook, sleep, step, type Step, type Workflow, workflow } from "../src/index.ts";
import { createWorld, modes } from "./harness.ts";

const byMail = step("by mail", async (text: string) => `mailed ${text}`);
const byChat = step("by chat", async (text: string) => `chatted ${text}`);
type How = Step<[string], string>;

const child = workflow("child", async (how: How) => how("from a child"));
const choose = step("choose", async () => ({ how: byChat, again: byChat }));
const inBody = step("in body", async (how: How) => [how === byMail, await how("inside")]);
const passes = workflow("passes", async (how: How, other: Workflow<[How], string>) => {
  const chosen = await choose();
  const hook = createHook<How>({ token: "how" });
  const sent = await hook;
  await sleep("1m");
  const run = await start(other, [how]);
  return {
    same: [how === byMail, chosen.how === byChat, chosen.how === chosen.again, sent === byChat, other === child],
    said: [await how("a"), await chosen.how("b"), await sent("c"), await run.returnValue],
    body: await inBody(how),
    how,
  };
});

test.each(modes)("steps and workflows pass through arguments, results, payloads and children (%s)", async (mode) => {
  const world = await createWorld([passes, child], { mode });
  const run = await world.start(passes, byMail, child);
  await world.engine.resumeHook("how", byChat);
  await world.settled();
  await world.restart();
  await world.advance(60_000);
  expect(await world.engine.getRun(run.runId).returnValue).toEqual({
    same: [true, true, true, true, true],
    said: ["mailed a", "chatted b", "chatted c", "mailed from a child"],
    body: [true, "mailed inside"],
    how: byMail,
  });
});

test("a step of the workflow's own run is refused, with what to do", async () => {
  const take = step("take", async (_value: unknown) => 1);
  const wf = workflow("passes its own", async () => {
    const own = step("own", async () => 1);
    try {
      return await take(own);
    } catch (error) {
      return (error as Error).message;
    }
  });
  const world = await createWorld([wf]);
  expect(await (await world.start(wf)).returnValue).toBe(
    "the arguments of step take cannot be stored: $[0] is a step made within a run. Declare it at the top level of a module, where it is found by its name, and pass that.",
  );
});

test.each(modes)("a name that is not known here sets the run aside, and it goes on once it is declared (%s)", async (mode) => {
  const { find } = processReferences;
  const wf = workflow("late", async (how: How) => {
    await sleep("1m");
    return how("late");
  });
  const world = await createWorld([wf], { mode });
  const late = step("late step", async (text: string) => `got ${text}`);
  const run = await world.start(wf, late);
  // Another process, whose modules do not declare it.
  const hidden = vi.spyOn(processReferences, "find").mockImplementation((said, closure) => {
    if (said.name !== "late step") return find.call(processReferences, said, closure);
    throw new StepNotRegisteredError('A stored value refers to step "late step", which is not declared.', { details: { step: said.name } });
  });
  await world.restart();
  await world.advance(60_000);
  expect(await world.engine.getRun(run.runId).state).toBe("blocked");
  expect(await world.engine.getRun(run.runId).blocked).toMatchObject({ reason: "misuse", message: expect.stringContaining("late step") });
  hidden.mockRestore();
  step("one that comes later", async () => 1);
  await world.advance(1_000);
  expect(await world.engine.getRun(run.runId).returnValue).toBe("got late");
});

describe("in a value", () => {
  const classes = createClasses();
  const references = new References();
  const serialiser = createSerialiser({ seal: noSeal, classes, references });
  const trip = (value: unknown): any => serialiser.parse(serialiser.serialise(value, "The value"));

  test("what a function has closed over goes with it", () => {
    const make = (closure: unknown) => {
      const { by } = closure as { by: number };
      return referTo((n: number) => n * by, { kind: "step", name: "times", closure: () => ({ by }) });
    };
    references.add({ kind: "step", name: "times", source: "", make });
    const [first, second] = trip([make({ by: 3 }), make({ by: 4 })]) as ((n: number) => number)[];
    expect([first?.(2), second?.(2), trip(first)(5)]).toEqual([6, 8, 15]);
    const endless = (): unknown => null;
    referTo(endless, { kind: "step", name: "times", closure: () => ({ endless }) });
    expect(() => trip([endless])).toThrow("$[0] closed over .endless is a reference to the function that has closed over it");
    const unstorable = referTo(() => null, { kind: "step", name: "times", closure: () => ({ socket: new WeakMap() }) });
    expect(() => trip([unstorable])).toThrow("$[0] closed over .socket is a WeakMap");
  });

  test("a name that stands for two is refused, both ways; the same module loaded twice is one", () => {
    const one = referTo(() => 1, { kind: "step", name: "two" });
    references.add({ kind: "step", name: "two", source: "1", make: () => one });
    const text = serialiser.serialise(one, "x");
    const twice = referTo(() => 1, { kind: "step", name: "two" });
    references.add({ kind: "step", name: "two", source: "1", make: () => twice });
    expect(trip(one)).toBe(twice);
    references.add({ kind: "step", name: "two", source: "2", make: () => () => 2 });
    expect(() => trip(one)).toThrow('Two steps with different code are called "two"');
    expect(() => serialiser.parse(text)).toThrow('Two steps with different code are called "two"');
  });

  test("an unknown name is told", () => {
    const step = referTo(() => 1, { kind: "step", name: "gone" });
    const flow = referTo(() => 1, { kind: "workflow", name: "gone" });
    const thrown = (value: unknown): unknown => {
      try {
        return trip(value);
      } catch (error) {
        return error;
      }
    };
    expect([StepNotRegisteredError.is(thrown(step)), WorkflowNotRegisteredError.is(thrown(flow))]).toEqual([true, true]);
  });

  test("a class itself, where it is registered", () => {
    class Point {
      static readonly origin = 0;
      static [Symbol.for("workflow-serialize")](): number {
        return 1;
      }
    }
    expect(() => trip({ Point })).toThrow("$.Point is a function");
    classes.refer("Point", Point);
    expect(trip({ Point }).Point).toBe(Point);
    expect(() => trip(new Point())).toThrow("$ is a Point");
    expect(() => createSerialiser({ seal: noSeal }).parse(serialiser.serialise(Point, "x"))).toThrow('class "Point"');
  });
});

describe("classes with the static methods of @workflow/serde", () => {
  class Point {
    readonly x: number;
    constructor(x: number) {
      this.x = x;
    }
    static [Symbol.for("workflow-serialize")](point: Point): object {
      return { x: point.x, at: new Date(point.x) };
    }
    static [Symbol.for("workflow-deserialize")](data: { x: number }): Point {
      return new Point(data.x);
    }
  }
  const wf = workflow("points", async (point: Point) => {
    const doubled = await step.run("double", async () => new Point(point.x * 2));
    await sleep("1m");
    return [point instanceof Point, doubled instanceof Point, doubled];
  });

  test.each(modes)("are registered with the engine, by a name alone (%s)", async (mode) => {
    const world = await createWorld([wf], { mode, classes: { Point } });
    const run = await world.start(wf, new Point(4));
    await world.restart();
    await world.advance(60_000);
    expect(await world.engine.getRun(run.runId).returnValue).toEqual([true, true, new Point(8)]);
  });

  test("or for the process, by what the transform calls; then a run that wants one goes on", async () => {
    const world = await createWorld([wf], { classes: { "class//./point//Point": Point } });
    const run = await world.start(wf, new Point(4));
    await world.restart({ classes: {} });
    await world.advance(60_000);
    expect(await world.engine.getRun(run.runId).blocked).toMatchObject({ message: expect.stringContaining("class//./point//Point") });
    registerClass("class//./point//Point", Point);
    await world.advance(1_000);
    expect(await world.engine.getRun(run.runId).returnValue).toEqual([true, true, new Point(8)]);
  });

  test("one of the two methods is not enough", async () => {
    class Half {
      static [Symbol.for("workflow-serialize")](): number {
        return 1;
      }
    }
    await expect(createWorld([wf], { classes: { Half } })).rejects.toThrow("@workflow/serde");
  });
});
