// A run that misbehaves is set aside as it is, and comes to rest: it holds up neither its process nor any other run (M5).

import { setImmediate } from "node:timers";
import { describe, expect, test } from "vitest";
import { branch, createHook, random, race, sleep, step, type Workflow, workflow } from "../src/index.ts";
import { limits } from "../src/core/limits.ts";
import { Run, type RunHost } from "../src/core/run.ts";
import { takeTurn } from "../src/engine/realm.ts";
import type { RunHandle } from "../src/engine/run-handle.ts";
import { createWorld, modesOfLength, type World } from "./harness.ts";

let compensations = 0;
const compensate = step("compensate", async () => void compensations++);
const work = step("work", async (n: number) => n);

async function blocked(run: RunHandle): Promise<string> {
  while ((await run.state) !== "blocked") await new Promise<void>((resolve) => setImmediate(resolve));
  return (await run.blocked)?.message ?? "";
}

async function reason(world: World, run: RunHandle): Promise<unknown> {
  await blocked(run);
  return (await run.blocked)?.reason;
}

/** It was tried again once, and is not again. */
async function restsForGood(world: World, run: RunHandle): Promise<void> {
  await world.advance(600_000);
  expect((await world.journal(run)).map((event) => event.kind)).toEqual(["run_started", "run_blocked", "run_blocked"]);
}

/** Programs that never wait for anything, each in a way of its own. */
const loops: Record<string, () => Promise<unknown>> = {
  "a loop of calls": async () => {
    for (;;) createHook();
  },
  "a loop of sleeps that nobody awaits": async () => {
    for (;;) void sleep("1h");
  },
  "a closed hook, awaited again and again": async () => {
    const hook = createHook({ token: "closed" });
    hook.dispose();
    for (;;) {
      try {
        await hook;
      } catch {}
    }
  },
  "a closed hook, through then and race": async () => {
    const hook = createHook({ token: "closed" });
    hook.dispose();
    for (;;) {
      try {
        await Promise.race([hook.then((value) => value), branch(() => hook)]);
      } catch {}
    }
  },
  "a closed hook in race({})": async () => {
    const hook = createHook({ token: "closed" });
    hook.dispose();
    for (;;) await race({ hook, late: sleep("1h") }).catch(() => {});
  },
  "a new closed hook each time": async () => {
    for (;;) {
      try {
        const hook = createHook();
        hook.dispose();
        await hook;
      } catch {
        random();
      }
    }
  },
  "a retry without a pause": async () => {
    const once = async (): Promise<unknown> => {
      void work(1);
      throw new Error("again");
    };
    for (;;) {
      try {
        return await once();
      } catch {
        await Promise.race([sleep("1h"), null]);
      }
    }
  },
};

describe.each(modesOfLength)("more calls than a turn may make (%s)", (mode) => {
  // Each makes a hundred thousand calls.
  const names = Object.keys(loops).filter((_, index) => modesOfLength.length > 1 || index % 2 === 0);
  test.each(names)("%s", async (name) => {
    const wf = workflow("loops", async () => {
      try {
        return await (loops[name] as () => Promise<unknown>)();
      } catch {
        await compensate();
        return "caught";
      } finally {
        void compensate();
      }
    });
    const world = await createWorld([wf], { mode });
    const run = await world.engine.start(wf, []);
    expect(await blocked(run)).toMatch(`made more than ${limits.callsPerEvent} durable calls`);
    expect(await reason(world, run)).toBe("misuse");
    expect((await world.journal(run)).map((event) => event.kind)).toEqual(["run_started", "run_blocked"]);
    expect(compensations).toBe(0);
  });

  test("the budget is that of one event: many events may have as much again", async () => {
    const third = Math.floor(limits.callsPerEvent / 3);
    const wf = workflow("works", async () => {
      const hook = createHook<number>({ token: "go" });
      for (let event = 0; event < 4; event++) {
        for (let n = 0; n < third; n++) hook.catch(() => {});
        await hook;
      }
      return "done";
    });
    const world = await createWorld([wf], { mode: mode === "evict" ? "hot" : mode });
    const run = await world.start(wf);
    for (let event = 0; event < 4 * third + 4; event += third + 1) await world.engine.resumeHook("go", event);
    await world.settled();
    expect(await run.state).toBe("waiting");
  });
});

describe.each(modesOfLength)("a loop that catches what it gets for its misuse (%s)", (mode) => {
  const programs: Record<string, { leave: () => Promise<unknown>; again: () => unknown }> = {
    "a step": { leave: () => new Promise((resolve) => setTimeout(resolve, 0)), again: () => compensate() },
    "a sleep": { leave: () => new Promise((resolve) => process.nextTick(resolve)), again: () => sleep("1s") },
    "a hook": { leave: () => new Promise((resolve) => setTimeout(resolve, 0)), again: () => createHook() },
    "a race": { leave: () => new Promise((resolve) => setTimeout(resolve, 0)), again: () => race({ a: sleep("1s") }) },
    "a branch": { leave: () => new Promise((resolve) => setTimeout(resolve, 0)), again: () => branch(() => compensate()) },
  };

  test.each(Object.keys(programs))("%s, outside its turn, comes to rest", async (name) => {
    const { leave, again } = programs[name] as (typeof programs)[string];
    let errors = 0;
    const wf = workflow("insists", async () => {
      void (async () => {
        await leave();
        for (;;) {
          try {
            await again();
          } catch {
            errors++;
          }
        }
      })();
      return createHook({ token: "go" });
    });
    const world = await createWorld([wf], { mode });
    const run = await world.engine.start(wf, []);
    expect(await blocked(run)).toMatch("was made outside the run's turn");
    expect(errors).toBe(name === "a race" ? limits.refusals / 2 : limits.refusals);
    expect(compensations).toBe(0);
  });

  test("code that no longer fits its journal comes to rest too", async () => {
    let isNew = false;
    const wf = workflow("changes", async () => {
      if (!isNew) await work(1);
      else {
        for (;;) {
          try {
            await compensate();
          } catch {}
        }
      }
      return createHook({ token: "go" });
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    isNew = true;
    await world.restart();
    await world.engine.signal("go", 1);
    const again = world.engine.getRun(run.runId);
    await blocked(again);
    expect(await reason(world, again)).toBe("changed_code");
    expect(compensations).toBe(0);
  });
});

describe.each(modesOfLength)("a hundred good runs beside bad ones (%s)", (mode) => {
  const bad: Record<string, () => Promise<unknown>> = {
    loops: loops["a closed hook, awaited again and again"] as () => Promise<unknown>,
    leaves: async () => {
      setTimeout(() => void work(1), 0);
      setTimeout(() => void createHook(), 0);
      return createHook();
    },
    waits: async () => new Promise(() => {}),
    throws: async () => {
      queueMicrotask(() => void Promise.reject(new Error("stray")));
      return new Promise(() => {});
    },
  };

  test("all end as if they were alone", async () => {
    const good = workflow("good", async (n: number) => {
      const hook = createHook<number>({ token: `good:${n}` });
      const [payload, result] = await Promise.all([hook, work(n)]);
      await sleep("1m");
      return payload + result;
    });
    const others = Object.entries(bad).map(([name, body]) => workflow(name, body));
    const world = await createWorld([good, ...others] as Workflow<any[], any>[], { mode });
    const bads: RunHandle[] = [];
    const runs: RunHandle<number>[] = [];
    for (let n = 0; n < 100; n++) {
      if (n % 25 === 0) bads.push(await world.engine.start(others[n / 25] as Workflow<[], unknown>, []));
      runs.push(await world.engine.start(good, [n]));
    }
    await world.settled();
    await Promise.all(runs.map((_, n) => world.engine.resumeHook(`good:${n}`, 1_000)));
    for (const run of bads) await blocked(run);
    await world.settled();
    await world.advance(60_000);
    expect(await Promise.all(runs.map((run) => run.returnValue))).toEqual(runs.map((_, n) => 1_000 + n));
    for (const run of bads) expect(await reason(world, run)).toBe("misuse");
    await restsForGood(world, bads[2] as RunHandle);
  });
});

test("what the engine itself throws while it advances a run is no misuse of the code's: internal_error, with its cause", async () => {
  const run = new Run(
    { id: "r", key: "k", workflow: "w", codeId: "c", createdAt: 0 },
    { name: "w", body: () => {}, codeId: "c" },
    {} as RunHost,
  );
  const cause = new TypeError("no such event");
  const fails = (): never => {
    throw cause;
  };
  await new Promise<void>((resolve) => takeTurn(run, fails, resolve));
  expect(run.fault).toMatchObject({ error: { code: "internal_error", details: { run: "r", workflow: "w" }, cause } });
  expect(run.fault?.error.message).toBe(
    "Run r (w) could not be advanced, by no fault of its code: TypeError: no such event. It is kept as it is. Please report this, with the journal where you can.",
  );
});
