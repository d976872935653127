// A rejection in a run's code that nobody handles is the run's: it ends no process. Everybody else's keeps Node's default (M4).

import { describe, expect, test } from "vitest";
import { branch, createHook, step, workflow } from "../src/index.ts";
import { type Ended, runChild } from "./child/child.ts";
import { createWorld, modes } from "./harness.ts";

interface Told {
  readonly state: string;
  readonly result: string;
  readonly lines: string[];
  readonly heard: string[];
  readonly listeners: number;
}

function told({ code, stdout, stderr }: Ended): Told {
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return JSON.parse(stdout);
}

const fail = step("fail", () => Promise.reject(new Error("declined")), { maxRetries: 0 });
const derived = async (): Promise<void> => {
  await fail();
};

describe.each(modes)("a rejection in a run's code (%s)", (mode) => {
  test("handled later, it leaves no trace, in whatever life", async () => {
    const wf = workflow("late", async () => {
      const payment = derived();
      const both = Promise.all([payment, derived()]);
      for (const token of ["one", "two"]) await createHook({ token });
      const errors = await Promise.allSettled([payment, both]);
      return errors.map((each) => each.status === "rejected" && each.reason.message);
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    await world.engine.resumeHook("one", null);
    await world.restart();
    await world.engine.resumeHook("two", null);
    expect(await world.engine.getRun(run.runId).returnValue).toEqual(["declined", "declined"]);
    expect((await world.journal(run)).at(-1)).toMatchObject({ kind: "run_ended", warnings: [] });
    expect(world.lines).toEqual([]);
  });

  test("never handled, it is a warning of the run, told once", async () => {
    const wf = workflow("never", async () => {
      void derived();
      await createHook({ token: "go" });
      void Promise.reject(new RangeError("at the end"));
      return "done";
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    await world.restart();
    await world.engine.resumeHook("go", null);
    expect(await world.engine.getRun(run.runId).returnValue).toBe("done");
    const warnings = ["Nobody handled a rejection: Error: declined", "Nobody handled a rejection: RangeError: at the end"];
    await world.settled();
    expect((await world.journal(run)).at(-1)).toMatchObject({ kind: "run_ended", warnings });
    expect(world.lines).toEqual(warnings.map((warning) => `ringback: run ${run.runId} (never): ${warning}`));
  });

  test("thrown in a hook's callback, or in what was made from a hook, it is one like any other; what a hook's end brings is none", async () => {
    const wf = workflow("callbacks", async () => {
      const fails = (text: string) => () => {
        throw new Error(text);
      };
      const hook = createHook({ token: "go" });
      const [kept, inherited] = [hook.then(fails("kept")), hook.then(fails("inherited"))];
      void inherited.then((value) => value);
      void hook.then(fails("dropped"));
      void hook.then(() => Promise.reject(new Error("returned")));
      void Promise.all([hook, Promise.resolve()]).then(fails("of a combinator"));
      void branch(async () => {
        await hook;
        throw new Error("of a branch");
      });
      const closed = createHook();
      void closed.token;
      void closed.then(fails("never called"));
      const again = closed.catch((error) => {
        throw error;
      });
      void Promise.race([again, closed.finally(() => {})]);
      void closed[Symbol.asyncIterator]().next();
      closed.dispose();
      await hook;
      await createHook({ token: "end" });
      return kept.catch((error) => `handled ${(error as Error).message}`);
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    for (let payload = 0; payload < 7; payload++) await world.engine.resumeHook("go", payload);
    await world.settled();
    await world.restart();
    await world.engine.resumeHook("end", null);
    expect(await world.engine.getRun(run.runId).returnValue).toBe("handled kept");
    await world.settled();
    const ended = (await world.journal(run)).at(-1) as { readonly warnings: readonly string[] };
    const errors = ["inherited", "dropped", "returned", "of a combinator", "of a branch"];
    expect([...ended.warnings].sort()).toEqual(errors.map((error) => `Nobody handled a rejection: Error: ${error}`).sort());
  });

  test("a warning belongs to the run whose code it was, not to the one whose turn it was", async () => {
    let shared: Promise<unknown> | undefined;
    const wf = workflow("shares", async (who: string) => {
      const hook = createHook({ token: who });
      if (who === "a") {
        shared = hook.then(() => "x");
        return shared;
      }
      void (async () => {
        await shared;
        throw new Error("b's own");
      })();
      return hook;
    });
    const world = await createWorld([wf], { mode });
    if (mode === "evict") return;
    const a = await world.start(wf, "a");
    const b = await world.start(wf, "b");
    await world.engine.resumeHook("a", 1);
    await world.settled();
    await world.engine.resumeHook("b", 2);
    expect([await a.returnValue, await b.returnValue]).toEqual(["x", 2]);
    await world.settled();
    expect((await world.journal(a)).at(-1)).toMatchObject({ warnings: [] });
    expect((await world.journal(b)).at(-1)).toMatchObject({ warnings: ["Nobody handled a rejection: Error: b's own"] });
  });
});

describe.each(["", "listener"])("in a process of its own (%s)", (listener) => {
  const listeners = listener === "" ? 0 : 1;

  test("start now, await later: the process lives, and nobody hears of it", async () => {
    expect(told(await runChild("rejection", "late", listener))).toEqual({
      state: "completed",
      result: "handled declined",
      lines: [],
      heard: [],
      listeners,
    });
  });

  test.each([
    ["never", ["Error: declined"]],
    ["last", ["a value that cannot be shown", "Error: at the end", "Error: in a tick"]],
  ])("%s handled: the process lives, the run warns", async (scenario, texts) => {
    const { lines, ...rest } = told(await runChild("rejection", scenario, listener));
    expect(rest).toEqual({ state: "completed", result: "done", heard: [], listeners });
    expect(lines.map((line) => line.split("Nobody handled a rejection: ")[1] ?? "").sort()).toEqual([...texts].sort());
  });

  test("what code that has left its turn gets from the engine ends no process", async () => {
    const { state, result, heard } = told(await runChild("rejection", "outside", listener));
    expect([state, heard]).toEqual(["blocked", []]);
    expect(result).toMatch(
      /step "late" in run .* at .*rejection\.js:\d+ was made outside the run's turn. The run last called setTimeout at .*rejection\.js:\d+/,
    );
  });

  test.each(["turn", "between", "busy"])("a foreign rejection keeps Node's default (%s)", async (scenario) => {
    const ended = await runChild("rejection", scenario, listener);
    if (listener === "") {
      expect(ended.code).toBe(1);
      expect(ended.stderr).toMatch(/rejection\.js:\d+[\s\S]*Error: foreign/);
      expect(ended.stdout).toBe("");
    } else expect(told(ended).heard).toEqual(["foreign"]);
  });
});
