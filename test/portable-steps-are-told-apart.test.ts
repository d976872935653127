// Which step is which follows from what their author wrote, whatever it is: no two steps share a record, in the first run and in every later
// one. Numbers in brackets are those of docs/coming-from-awaitly.md, "Thirty-eight weaknesses".

import { expect, test } from "vitest";
import { createHook, createWorkflow, err, ok, pendingHook } from "../src/portable.ts";
import { createWorld, modes } from "./harness.ts";
import { type Body, bound, once, play } from "./portable/play.ts";

const is = (value: unknown) => () => ok(value);
const waits = (id: string) => async () => pendingHook<string>(id);

test("the same id twice is two steps, also after a resume: a transfer from A to B stays one (22)", async () => {
  const moved: string[] = [];
  const { result } = await play(async ({ step }) => {
    const from = await step("getUser", is("A"));
    const to = await step("getUser", is("B"));
    const paid = await step("confirm", waits("h"));
    return step("move", () => ok(void moved.push([from, "to", to, paid].join(" "))));
  });
  expect([result.ok, moved]).toEqual([true, ["A to B for h"]]);
});

/** Steps whose ids are the keys of others. */
const alike: Body = async ({ step, child }) => {
  const values = [
    await step("a#2", is(1)),
    await step("a", is(2)),
    await step("a", is(3)),
    await step("a", is(4)),
    (await step.all("all", { b: is(5) })).b,
    await step("all.b", is(6)),
    ...(await step.map("map", [7, 8], (n) => ok(n))),
    await step("map[1]", is(9)),
    await step("child/x", is(10)),
    await step.workflow(
      "child",
      child(({ step: own }) => own("x", is(11))),
    ),
    await step.withFallback("first", () => err("no"), { fallback: is(12) }),
    await step("first.fallback", is(13)),
    await step.race("all", { b: is(14) }),
    await step("hook:w", is(15)),
    await step("w", waits("w"), { key: "hook:w#1" }),
    await step("", is(17)),
    await step("", is(18)),
    await step("__proto__", is(19)),
    await step("constructor", is(20)),
    Object.entries(await step.all("toString", { constructor: is(21), ["__proto__"]: is(22) })),
    await step("undo:a", is(23)),
  ];
  await step("wait", waits("h"));
  return values;
};
/** What they give. */
const numbers = [
  1,
  2,
  3,
  4,
  5,
  6,
  7,
  8,
  9,
  10,
  11,
  12,
  13,
  14,
  15,
  "for w",
  17,
  18,
  19,
  20,
  [
    ["constructor", 21],
    ["__proto__", 22],
  ],
  23,
];

test("ids that look like the keys of other steps take nobody's record (22)", async () => {
  const { result, runs } = await play(alike);
  expect([result, runs.length]).toEqual([ok(numbers), 3]);
  expect(await once(alike, { resumeState: runs.at(-1)?.resumeState })).toEqual(runs.at(-1));
});

test.each(modes)("nor do they on an engine (22, %s)", async (mode) => {
  const { engine } = await createWorld([], { mode });
  const run = await engine.run(createWorkflow("alike", {}), bound(alike) as never);
  for (const id of ["w", "h"]) expect((await engine.signal(`hook:${id}`, `for ${id}`)).disposition).toMatch(/accepted|buffered/);
  expect(await run.result()).toEqual(ok(numbers));
});

test("a step is undone once, also beside one whose id is that of its undoing, and where it was asked for twice (3)", async () => {
  const undone: string[] = [];
  const undo = (what: string) => ({ compensate: () => void undone.push(what) });
  const { result } = await play(async ({ step }) => {
    await step("a", is(1), undo("a"));
    await step("undo:a", is(2), undo("undo:a"));
    await step("x", is(3), { key: "shared", ...undo("shared") });
    await step("y", is(4), { key: "shared", ...undo("shared") });
    await step("wait", waits("h"));
    await step("fail", () => err("NO"));
  });
  expect([result.error, undone]).toEqual(["NO", ["shared", "undo:a", "a"]]);
});

test("hooks made anew in each process keep their place beside a step called like their keys (7)", async () => {
  const body: Body = async ({ step }) => {
    const { hookId, stepKey } = createHook();
    await step("hook:pay", is(1));
    return step("pay", async () => pendingHook(hookId), { key: stepKey });
  };
  expect((await play(body, { answer: () => "paid" })).result).toEqual(ok("paid"));
});

test("a hook waits where it stands in the code, whatever its step's key: forgotten, mistyped, or that of another hook's (7)", async () => {
  for (const key of [undefined, "wait", "hook:h", "hook:other"]) {
    const { result, runs } = await play(({ step }) => step("wait", waits("h"), { key }));
    expect([result, runs.length]).toEqual([ok("for h"), 2]);
  }
});

test("parallel chains go on in whatever order their steps end, and their answers come (23)", async () => {
  for (const order of [
    [0, 1, 2],
    [2, 1, 0],
    [1, 2, 0],
  ]) {
    const done: string[] = [];
    const gates = new Map<number, () => void>();
    const body: Body = ({ step }) => {
      const chain = async (n: number) => {
        await step("first", async () => {
          await new Promise<void>((open) => gates.set(n, open));
          return ok(void done.push(`first ${n}`));
        });
        const said = await step("wait", waits(`h${n}`));
        return step("last", () => ok((done.push(`last ${n}`), `${n} ${said}`)));
      };
      setImmediate(() => order.forEach((n) => setImmediate(() => gates.get(n)?.())));
      return Promise.all([0, 1, 2].map(chain));
    };
    const { result } = await play(body, { pick: (ids) => ids.at(-1) as string });
    expect(result).toEqual(ok([0, 1, 2].map((n) => `${n} for h${n}`)));
    expect(done.slice(0, 3)).toEqual(order.map((n) => `first ${n}`));
    expect(done.slice(3)).toEqual(order.toReversed().map((n) => `last ${n}`));
  }
});

test("a thousand hooks at once, with a megabyte of payloads, are each answered with their own", async () => {
  const ids = Array.from({ length: 1000 }, (_, n) => `h${n}`);
  const body: Body = ({ step }) => Promise.all(ids.map((id) => step("wait", waits(id))));
  const first = await once(body);
  let { events } = first.resumeState;
  events = [
    ...events,
    ...ids.map(
      (id, n) => ({ kind: "hook_received", name: n === 0 ? "wait" : `wait#${n + 1}`, payload: `["${id.padEnd(1000)}"]` }) as const,
    ),
  ];
  const text = JSON.stringify({ ...first.resumeState, events });
  expect(text.length).toBeGreaterThan(1_000_000);
  const { result } = await once(body, { resumeState: JSON.parse(text) });
  expect(result.value).toEqual(ids.map((id) => id.padEnd(1000)));
});
