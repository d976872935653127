// A name stands for one workflow, and one schema: another of the same name is refused where it is declared, and both places are named.

import { describe, expect, test } from "vitest";
import { isAlike } from "../src/core/alike.ts";
import type { StandardSchema, WorkflowDefinition } from "../src/core/definition.ts";
import { allowReloading, Registry } from "../src/engine/registry.ts";
import { createHook, defineHook, workflow } from "../src/index.ts";
import { createWorld, testKeys } from "./harness.ts";
import { createEngine } from "../src/wiring.ts";

/** A schema as a library makes it: an instance with what was asked for in plain members, and functions. */
class Schema<T = unknown> implements StandardSchema<T, T> {
  readonly def: object;
  cache?: object;
  readonly "~standard": StandardSchema<T, T>["~standard"];
  constructor(def: object) {
    this.def = def;
    this["~standard"] = { version: 1, vendor: "test", validate: (value) => ({ value: value as T }) };
  }
}
const text = (): Schema => new Schema({ type: "object", shape: { a: new Schema({ type: "text", pattern: /x/ }) } });
const here = String.raw`\S*test/one-name-one-meaning\.test\.ts:\d+`;

function refusal(declare: () => unknown): { code: string; message: string; details: unknown } {
  try {
    declare();
  } catch (error) {
    return error as { code: string; message: string; details: unknown };
  }
  throw new Error("It was not refused.");
}

test("a second hook definition with another schema is refused where it stands; the first one goes on judging", async () => {
  const number = new Schema<number>({ type: "number" });
  const first = defineHook<number>("one name", { schema: number });
  const error = refusal(() => defineHook("one name", { schema: new Schema({ type: "text" }) }));
  expect(error).toMatchObject({ code: "duplicate_name", details: { kind: "hook", name: "one name" } });
  const message = `^Two hooks with different schemas are called "one name": one at ${here}, one at ${here}. Give each its own name; every door finds the schema by it, also in other processes.$`;
  expect(error.message).toMatch(new RegExp(message));
  const [one, other] = [...error.message.matchAll(/\.ts:(\d+)/g)].map(([, line]) => Number(line));
  expect(other as number).toBe((one as number) + 1);
  expect(() => defineHook("one name")).toThrow(expect.objectContaining({ code: "duplicate_name" }));
  expect(() => defineHook("one name", { schema: number })).not.toThrow();

  const wf = workflow("judged", async () => first.create({ token: "n" }));
  const world = await createWorld([wf]); // an engine opened later finds no conflict left over
  const run = await world.start(wf);
  await world.engine.resumeHook("n", 7);
  expect(await run.returnValue).toBe(7);
});

test("a module that is loaded twice declares nothing twice, though its schema was used meanwhile", () => {
  const declare = (): unknown => defineHook("loaded twice", { schema: declared.at(-1) as Schema });
  const declared = [text()];
  declare();
  (declared[0] as Schema).cache = { parsed: 1 };
  declared.push(text());
  expect(declare).not.toThrow();
  declared.push(new Schema({ type: "object", shape: { a: new Schema({ type: "text", pattern: /y/ }) } }));
  expect(declare).toThrow(expect.objectContaining({ code: "duplicate_name" }));
});

test("two workflows of one name are refused with both places", () => {
  const workflows = [
    workflow("two of one name", async () => createHook({ token: "a" })),
    workflow("two of one name", async () => createHook({ token: "b" })),
  ];
  const error = refusal(() => createEngine({ store: "memory:", keys: testKeys, baseUrl: null, workflows }));
  const message = `^Two workflows with different code are called "two of one name": one at ${here}, one at ${here}. Give each its own name; a run finds its code by it.$`;
  expect(error.message).toMatch(new RegExp(message));
});

describe("what can be seen of a schema", () => {
  const cyclic = (value: unknown): object => {
    const made: { self?: object; value: unknown } = { value };
    made.self = made;
    return made;
  };
  const thrower = (): object => ({
    get a(): never {
      throw new Error("Not yet.");
    },
  });
  test.each<[string, unknown, unknown, boolean]>([
    ["one written once, twice", text(), text(), true],
    ["another member", { a: 1 }, { a: 1, b: 2 }, false],
    ["one member less", { a: 1, b: 2 }, { a: 1 }, false],
    ["another value", [1, { a: [2] }], [1, { a: [3] }], false],
    ["another function", (x: number) => x, (x: number) => -x, false],
    ["another class", new Schema({}), { def: {} }, false],
    ["nothing and something", null, text(), false],
    ["a cycle", cyclic(1), cyclic(1), true],
    ["a cycle with another value", cyclic(1), cyclic(2), false],
    ["what was computed meanwhile", { a: 1, _cached: 2 }, { a: 1 }, true],
    ["a constructor that is none", { constructor: null, a: 1 }, { constructor: null, a: 2 }, false],
    ["what throws when it is looked at", thrower(), thrower(), true],
    ["no prototype", Object.create(null), Object.create(null), true],
  ])("%s", (_, one, other, expected) => {
    expect([isAlike(one, other), isAlike(other, one)]).toEqual([expected, expected]);
  });
});

test("under a watcher, and only there, a workflow that is declared again takes the place of the first", () => {
  const registry = new Registry(false);
  const declared = (version: string): WorkflowDefinition => ({ name: "watched", body: async () => version, codeId: version });
  const heard: [string, boolean][] = [];
  registry.onWorkflow(({ codeId }, isReplacing) => heard.push([codeId, isReplacing]));
  registry.addWorkflow(declared("v1"));
  expect(refusal(() => registry.addWorkflow(declared("v2")))).toMatchObject({ code: "duplicate_name" });
  allowReloading(true);
  try {
    registry.addWorkflow(declared("v2"));
  } finally {
    allowReloading(false);
  }
  expect(refusal(() => registry.addWorkflow(declared("v1")))).toMatchObject({ code: "duplicate_name" });
  expect(heard).toEqual([
    ["v1", false],
    ["v2", true],
  ]);
});
