// Code that no longer fits a run's journal sets the run aside, intact, with the difference (G7, R1–R3, U4).

import { describe, expect, test } from "vitest";
import { createHook, sleep, step, workflow } from "../src/index.ts";
import type { Workflow } from "../src/engine/workflow.ts";
import { coldModes, createWorld, type Mode, type World } from "./harness.ts";

type Any = Workflow<any[], any>;
const calls: string[] = [];
const say = step("say", async (text: string) => {
  calls.push(text);
  return text;
});

/** Parks a run of `before`, then goes on with `after` under the same name. */
async function change(before: Any, after: Any, mode: Mode): Promise<{ world: World; runId: string }> {
  calls.length = 0;
  const world = await createWorld([before], { mode });
  const run = await world.start(before);
  await world.restart({ workflows: [after] });
  await world.advance(3_600_000);
  return { world, runId: run.runId };
}
const parked = (code: (log: string[]) => Promise<void>, version = "v1"): Any =>
  workflow(
    "changing",
    async () => {
      const log: string[] = [];
      await code(log);
      await sleep("1h");
      return [...log, await say("end")];
    },
    { version },
  );

describe.each(coldModes)("changed code (%s)", (mode) => {
  const original = parked(async (log) => void log.push(await say("a"), await say("b")));

  test.each<[string, Any, RegExp]>([
    [
      "another argument",
      parked(async (log) => void log.push(await say("a"), await say("B")), "v2"),
      /step say, the code has step say with other input/,
    ],
    ["a removed step", parked(async (log) => void log.push(await say("a")), "v2"), /the journal has step say, the code has timer/],
    [
      "an added step",
      parked(async (log) => void log.push(await say("a"), await say("b"), await say("c")), "v2"),
      /the journal has timer, the code has step say/,
    ],
    [
      "a hook where a step was",
      parked(async (log) => {
        createHook({ token: "x" });
        log.push(await say("a"), await say("b"));
      }, "v2"),
      /the code has hook x/,
    ],
  ])("%s: the run is set aside with a difference, and goes on when fitting code comes", async (_, after, difference) => {
    const { world, runId } = await change(original, after, mode);
    const run = world.engine.getRun(runId);
    expect([await run.state, await run.status]).toEqual(["blocked", "running"]);
    const why = await run.blocked;
    expect(why?.message).toMatch(difference);
    expect(why?.message).toContain(`${why?.difference?.expected}, the code has ${why?.difference?.found}`);
    expect((await run.timeline).at(-1)).toMatchObject({ event: "run_blocked", difference: why?.difference, error: why?.message });
    expect(calls).toEqual(["a", "b"]);
    expect(world.lines.join()).toMatch(/is blocked \(changed_code\)/);
    await world.restart({ workflows: [original] });
    expect(await world.engine.getRun(runId).returnValue).toEqual(["a", "b", "end"]);
    expect(calls).toEqual(["a", "b", "end"]);
  });

  test("the difference says what the journal has and what the code has, in whole sentences", async () => {
    const early = (isAsking: boolean, version: string): Any =>
      workflow(
        "changing",
        async () => {
          const nap = sleep("1h");
          if (isAsking) void say("a");
          await nap;
        },
        { version },
      );
    const cases = [
      [early(true, "v1"), early(false, "v2"), "the journal has step say, the code has nothing more in this turn"],
      [early(false, "v1"), early(true, "v2"), "the journal has nothing more in this turn, the code has step say"],
    ] as const;
    for (const [before, after, difference] of cases) {
      const { world, runId } = await change(before, after, mode);
      const message = (await world.engine.getRun(runId).blocked)?.message.replace(/ at \S+:\d+(?=:)/, "");
      expect(message).toBe(
        `Run ${runId} (changing): the code has changed under it. Turn 1: ${difference}. The run is kept as it is; it goes on when code that fits is registered.`,
      );
    }
  });

  test("the difference can be read: what the journal has, what the code has, which operation, file and line", async () => {
    const pair = step("pair", async (...texts: string[]) => texts.join());
    const loop = (passes: number, isTwice: boolean, version: string): Any =>
      parked(async (log) => {
        for (let pass = 0; pass < passes; pass++) {
          log.push(await say(`pass ${pass}`));
          if (isTwice) await pair("more");
        }
      }, version);
    const swapped = (texts: [string, string], version: string): Any => parked(async (log) => void log.push(await pair(...texts)), version);
    const short = workflow("changing", async () => say("pass 0"), { version: "v2" });
    const hook = parked(async () => void (await createHook({ token: "x" })), "v2");
    const cases: [Any, Any, object][] = [
      [original, hook, { turn: 1, position: 1, expected: "step say", found: "hook x" }],
      [swapped(["a", "b"], "v1"), swapped(["b", "a"], "v2"), { position: 1, expected: "step pair", found: "step pair with other input" }],
      [
        original,
        parked(async (log) => void log.push(await say("a")), "v2"),
        { turn: 2, position: 2, expected: "step say", found: "timer" },
      ],
      [loop(2, false, "v1"), loop(2, true, "v2"), { turn: 2, position: 2, expected: "step say", found: "step pair" }],
      [loop(2, false, "v1"), loop(3, false, "v2"), { turn: 3, position: 3, expected: "timer", found: "step say" }],
      [loop(3, false, "v1"), short, { turn: 2, position: 2, expected: "step say", found: "nothing more in this turn" }],
    ];
    for (const [before, after, diff] of cases) {
      const { world, runId } = await change(before, after, mode);
      const blocked = await world.engine.getRun(runId).blocked;
      expect(blocked?.reason).toBe("changed_code");
      expect(blocked?.difference).toMatchObject({ ...diff, site: expect.stringMatching(/changed-code-blocks\.test\.ts:\d+$/) });
    }
  });

  test("the difference names file and line of the call", async () => {
    const { world, runId } = await change(
      original,
      parked(async (log) => void log.push(await say("z")), "v2"),
      mode,
    );
    expect((await world.engine.getRun(runId).blocked)?.message).toMatch(/changed-code-blocks\.test\.ts:\d+/);
  });

  test("two calls of one turn that only changed places, and code that only reads otherwise, block nothing", async () => {
    const before = parked(async (log) => void log.push(...(await Promise.all([say("a"), say("b")]))));
    const after = parked(async (log) => {
      const second = say("b");
      const first = say("a");
      log.push(...(await Promise.all([first, second])));
    }, "v2");
    const { world, runId } = await change(before, after, mode);
    expect(await world.engine.getRun(runId).returnValue).toEqual(["a", "b", "end"]);
    expect(calls.toSorted()).toEqual(["a", "b", "end"]);
  });

  test("a blocked run still takes deliveries, and cancel works", async () => {
    const wait = (version: string, first: string): Any =>
      workflow(
        "waits",
        async () => {
          const hook = createHook<number>({ token: "w" });
          await say(first);
          return await hook;
        },
        { version },
      );
    const { world, runId } = await change(wait("v1", "a"), wait("v2", "b"), mode);
    expect(await world.engine.signal("w", 1)).toMatchObject({ disposition: "accepted" });
    await world.settled();
    expect(await world.engine.getRun(runId).state).toBe("blocked");
    await world.engine.getRun(runId).cancel();
    expect(await world.engine.signal("w", 2)).toMatchObject({ disposition: "closed", by: "cancelled" });
    await world.advance(60_000);
    expect(await world.engine.getRun(runId).status).toBe("cancelled");
  });

  test("a run whose workflow is registered nowhere waits, untouched", async () => {
    const { world, runId } = await change(
      original,
      workflow("another", async () => 1),
      mode,
    );
    expect(await world.engine.getRun(runId).state).toBe("running");
    expect((await world.engine.listRuns()).map((info) => info.isRegistered)).toEqual([false]);
    await world.restart({ workflows: [original] });
    expect(await world.engine.getRun(runId).returnValue).toEqual(["a", "b", "end"]);
    expect((await world.engine.listRuns()).map((info) => info.isRegistered)).toEqual([true]);
  });
});
