// A run that waits has not failed: nothing is undone, retried, told as an error or forgotten for it, wherever in the code the wait stands.
// Numbers in brackets are those of docs/coming-from-awaitly.md, "Thirty-eight weaknesses".

import { describe, expect, test } from "vitest";
import { err, ok, pendingHook } from "../src/portable.ts";
import { type Body, play } from "./portable/play.ts";

const waits = (id: string) => async () => pendingHook<string>(id);

test.each([2, 5])("%i hooks one after another: what was done before the first is done once (2)", async (count) => {
  const done: string[] = [];
  const { result, runs, state } = await play(async ({ step }) => {
    await step("charge", () => ok(void done.push("charge")));
    const said: string[] = [];
    for (let n = 0; n < count; n++) {
      said.push(await step("wait", waits(`h${n}`)));
      await step("note", () => ok(void done.push(`note ${n}`)));
    }
    return said;
  });
  expect(result).toEqual(ok(Array.from({ length: count }, (_, n) => `for h${n}`)));
  expect(done).toEqual(["charge", ...Array.from({ length: count }, (_, n) => `note ${n}`)]);
  expect(runs).toHaveLength(count + 1);
  // A state only grows: each one begins with the one before.
  for (const [at, { resumeState }] of runs.entries())
    expect(state.events.slice(0, resumeState.events.length)).toEqual(JSON.parse(JSON.stringify(runs[at]?.resumeState.events)));
});

/** A program with one hook, "h", and what it comes to. */
interface Place {
  readonly body: Body;
  readonly value: unknown;
}

const places: { readonly [name: string]: Place } = {
  "a part of all": {
    body: ({ step }) => step.all("all", { a: () => ok(1), b: waits("h"), c: () => ok(3) }),
    value: { a: 1, b: "for h", c: 3 },
  },
  "an item of map": {
    body: ({ step }) => step.map("map", [1, 2], (n) => (n === 1 ? pendingHook<string>("h") : ok("2")) as never, { concurrency: 1 }),
    value: ["for h", "2"],
  },
  "a race that it loses": {
    body: async ({ step }) => [await step.race("race", { a: waits("h"), b: () => ok("quick") }), await step("last", waits("h2"))],
    value: ["quick", "for h2"],
  },
  "a race of step.race and its own": {
    body: ({ step }) => Promise.race([step.race("inner", { a: waits("h"), b: waits("h2") }), step.sleep("far", "9d").then(() => "slept")]),
    value: "for h",
  },
  "a child's child": {
    body: ({ step, child }) =>
      step.workflow(
        "one",
        child((own) =>
          own.step.workflow(
            "two",
            own.child(({ step: inner }) => inner("wait", waits("h"))),
          ),
        ),
      ),
    value: "for h",
  },
  "two children at once": {
    body: ({ step, child }) =>
      Promise.all(
        ["h", "h2"].map((id) =>
          step.workflow(
            "child",
            child(({ step: own }) => own("wait", waits(id))),
          ),
        ),
      ),
    value: ["for h", "for h2"],
  },
  "a loop": {
    body: async ({ step }) => {
      let said = "";
      for (let n = 0; said !== "for h2"; n++) said = await step("wait", waits(`h${n}`));
      return said;
    },
    value: "for h2",
  },
  "step.retry": { body: ({ step }) => step.retry("wait", waits("h"), { attempts: 5 }), value: "for h" },
  "a step with retry": { body: ({ step }) => step("wait", waits("h"), { retry: { attempts: 5 } }), value: "for h" },
  withFallback: {
    body: ({ step }) => step.withFallback("wait", waits("h"), { fallback: () => ok("fallback" as never) }),
    value: "for h",
  },
  "the fallback": {
    body: ({ step }) => step.withFallback("first", () => err("NO") as never, { fallback: waits("h") }),
    value: "for h",
  },
  withTimeout: { body: ({ step }) => step.withTimeout("wait", waits("h"), { ms: "9d", error: "LATE" }), value: "for h" },
  "step.try": { body: ({ step }) => step.try("wait", waits("h") as never, { error: "NO" }), value: "for h" },
  "step.fromResult": { body: ({ step }) => step.fromResult("wait", waits("h") as never, { error: "NO" }), value: "for h" },
  "a try": {
    body: async ({ step }) => {
      try {
        return await step("wait", waits("h"));
      } catch {
        return "caught";
      }
    },
    value: "for h",
  },
  "a catch, after a step that failed": {
    body: async ({ step }) => {
      try {
        return await step("fail", () => err("NO"));
      } catch ({ error }: any) {
        return [error, await step("wait", waits("h"))];
      }
    },
    value: ["NO", "for h"],
  },
  "a finally": {
    body: async ({ step }) => {
      const said: string[] = [];
      try {
        await step("work", () => ok(1));
      } finally {
        said.push(await step("wait", waits("h")));
      }
      return said;
    },
    value: ["for h"],
  },
  "a step that nobody awaits": {
    body: async ({ step }) => {
      void step("beside", waits("h"));
      return step("wait", waits("h2"));
    },
    value: "for h2",
  },
};

describe.each(Object.entries(places))("a wait in %s (2, 3, 24)", (_, { body, value }) => {
  test("undoes nothing, is told as a wait, and goes on with its payload alone", async () => {
    const done: string[] = [];
    const { result, runs, facts } = await play(async (given) => {
      await given.step("before", () => ok(void done.push("before")), { compensate: () => void done.push("undone") });
      const came = await body(given);
      await given.step("after", () => ok(void done.push("after")));
      return came;
    });
    expect(result).toEqual(ok(value));
    expect(done).toEqual(["before", "after"]);
    const told = facts.map(({ kind }) => kind);
    expect(told.filter((kind) => kind === "run_suspended")).toHaveLength(runs.length - 1);
    expect(told.filter((kind) => kind === "run_resumed")).toHaveLength(runs.length - 1);
    expect(told.filter((kind) => kind === "run_ended")).toHaveLength(1);
    expect(facts.filter((fact) => fact.kind === "step_failed" && !fact.error.includes("NO"))).toEqual([]);
  });
});

test("an error after the wait undoes what was done before it, what the wait brought, and each once, over as many runs as it takes (3)", async () => {
  const undone: unknown[] = [];
  const undo = (what: string) => ({ compensate: (value: unknown) => void undone.push([what, value]) });
  const { result, runs } = await play(async ({ step, child }) => {
    await step("reserve", () => ok("seat"), undo("reserve"));
    await step("hold", waits("h1"), undo("hold"));
    await step.workflow(
      "child",
      child(async ({ step: own }) => {
        await own("book", () => ok("room"), undo("book"));
        await own("wait", waits("h2"));
      }),
    );
    await step("bill", () => ok(5), { compensate: async () => (undone.push(["bill"]), pendingHook("refund")) });
    await step("fail", () => err("NO"));
  });
  expect(result).toMatchObject({ ok: false, error: "NO" });
  // The undoing of "bill" waits for a callback itself, in a run of its own.
  expect(undone).toEqual([["bill"], ["book", "room"], ["hold", "for h1"], ["reserve", "seat"]]);
  expect(runs).toHaveLength(4);
});

test("what waits when the code fails is not undone, and holds nothing up (3)", async () => {
  const undone: string[] = [];
  const { result, runs } = await play(async ({ step }) => {
    void step("open", waits("h"), { compensate: () => void undone.push("open") });
    void step("same", waits("h"), { compensate: () => void undone.push("same") });
    await step("done", () => ok(1), { compensate: () => void undone.push("done") });
    await step("fail", () => err("NO"));
  });
  expect([result.error, undone, runs.length]).toEqual(["NO", ["done"], 1]);
});
