// Callbacks of workflows without an engine: each counts once, whoever sends it how often, whenever it comes; and its sender is told the truth.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { createWorkflow, err, ok, pendingHook } from "../src/portable.ts";
import { memoryResumeStore, resumeHandler, type ResumeStore } from "../src/resume.ts";
import { sqliteResumeStore } from "../src/sqlite.ts";
import { createManualClock } from "../src/testing/manual-clock.ts";
import { epoch } from "./harness.ts";
import { counted, type Options, type Resuming, resuming, settled } from "./resuming.ts";

const clock = createManualClock(epoch);

async function sqlite(count = 1): Promise<ResumeStore[]> {
  const folder = await mkdtemp(join(tmpdir(), "ringback-resume-"));
  const stores = Array.from({ length: count }, () => sqliteResumeStore(join(folder, "runs.db"), { clock }));
  onTestFinished(async () => {
    await Promise.all(stores.map((store) => store.close()));
    await rm(folder, { recursive: true });
  });
  return stores;
}

async function started(options: Options = {}): Promise<Resuming & { readonly store: ResumeStore }> {
  const clock = createManualClock(epoch);
  const store = memoryResumeStore({ clock });
  const world = await resuming({ ...store, clock, ...options });
  await world.handler.start({ runId: "r", input: "in" });
  return { ...world, store: options.load ? (options as ResumeStore) : store };
}

test("two hooks in sequence: each callback is answered when it is kept, and the run goes on behind it", async () => {
  const [store] = (await sqlite()) as [ResumeStore];
  const { handler, post, done } = await started(store as Options);
  expect(await post("r:pay", { ref: 1 })).toMatchObject({ status: 202, disposition: "accepted", text: "" });
  await settled(store, "r");
  expect(done).toEqual(["charge", "pack"]);
  expect(await post("r:ship", "null")).toMatchObject({ status: 202, disposition: "accepted" });
  await settled(store, "r");
  expect(done).toEqual(["charge", "pack", "tell"]);
  expect(await handler.resume("r")).toEqual({ runId: "r", result: ok({ input: "in", paid: { ref: 1 }, shipped: null }) });
});

test("a run is begun once, however often it is asked for at once", async () => {
  const [one, other] = (await sqlite(2)) as [ResumeStore, ResumeStore];
  const worlds = [await resuming(one as Options), await resuming(other as Options)];
  const all = await Promise.all(Array.from({ length: 20 }, (_, index) => worlds[index % 2]?.handler.start({ runId: "r", input: index })));
  expect(all.filter((one) => one?.result && !one.result.ok && one.result.error.hookId === "r:pay").length).toBeGreaterThan(0);
  expect(worlds.flatMap(({ done }) => done)).toEqual(["charge"]);
  for (const runId of ["", "x".repeat(256), "r\0", "r\ud800"]) await expect(worlds[0]?.handler.start({ runId })).rejects.toThrow(TypeError);
  expect((await worlds[0]?.handler.start({ runId: "r 😀" }))?.result).toMatchObject({ error: { hookId: "r 😀:pay" } });
});

describe("the same callback again", () => {
  test("without a key it is known by its payload, and gets the first answer; another payload is late", async () => {
    const { post, done, store } = await started();
    const first = await post("r:pay", { ref: 1, of: "a" });
    for (let time = 0; time < 2; time++) {
      const { status, text, disposition } = await post("r:pay", ' {"ref":1, "of":"a"}');
      expect({ status, text, disposition }).toEqual({ status: first.status, text: first.text, disposition: "duplicate" });
      const late = await post("r:pay", { ref: 2 });
      expect(late).toMatchObject({ status: 410, disposition: "closed" });
      expect(JSON.parse(late.text)).toEqual({ code: "hook_closed", by: "answered", at: new Date(epoch).toISOString() });
      await settled(store, "r");
      await post("r:ship", 1);
      await settled(store, "r");
    }
    expect(done).toEqual(["charge", "pack", "tell"]);
  });

  test.each(["Idempotency-Key", "webhook-id", "svix-id", "X-GitHub-Delivery"])("%s says which it is", async (name) => {
    const { post } = await started();
    expect(await post("r:pay", 1, { [name]: "k" })).toMatchObject({ status: 202, disposition: "accepted" });
    expect(await post("r:pay", 1, { [name]: "k" })).toMatchObject({ status: 202, disposition: "duplicate" });
    expect(await post("r:pay", 1, { [name]: "other" })).toMatchObject({ status: 410, disposition: "closed" });
    expect(await post("early", 1, { [name]: "k" })).toMatchObject({ status: 202, disposition: "buffered" });
    for (const hookId of ["r:pay", "early"]) {
      const reused = await post(hookId, 2, { [name]: "k" });
      if (name === "Idempotency-Key") expect(reused).toMatchObject({ status: 422, text: expect.stringContaining("key_reused") as string });
      else expect(reused).toMatchObject({ status: 202, disposition: "duplicate" });
    }
  });

  test("50 at once, on two handlers of one file: one is taken", async () => {
    const stores = (await sqlite(2)) as [ResumeStore, ResumeStore];
    const worlds = [await resuming(stores[0] as Options), await resuming(stores[1] as Options)];
    const cases: [string, (index: number) => unknown, (index: number) => { [name: string]: string }, object][] = [
      ["same", () => 7, () => ({}), { "202 accepted": 1, "202 duplicate": 49 }],
      ["keyed", () => 7, () => ({ "svix-id": "k" }), { "202 accepted": 1, "202 duplicate": 49 }],
      ["others", (index) => index, () => ({}), { "202 accepted": 1, "410 closed": 49 }],
    ];
    for (const [runId, body, headers, expected] of cases) {
      await worlds[0]?.handler.start({ runId });
      const told = await Promise.all(
        Array.from({ length: 50 }, (_, index) => (worlds[index % 2] as Resuming).post(`${runId}:pay`, body(index), headers(index))),
      );
      expect(counted(told)).toEqual(expected);
      await settled(stores[0], runId);
    }
    expect(worlds.flatMap(({ done }) => done).sort()).toEqual(["charge", "charge", "charge", "pack", "pack", "pack"]);
  });
});

describe("early", () => {
  test("a callback that comes before its hook is kept, and given to it in the same go", async () => {
    const { handler, post, done } = await resuming();
    expect(await post("r:ship", 2)).toMatchObject({ status: 202, disposition: "buffered" });
    expect(await post("r:ship", 2)).toMatchObject({ status: 202, disposition: "duplicate" });
    expect(await post("r:pay", 1, { "svix-id": "k" })).toMatchObject({ status: 202, disposition: "buffered" });
    expect((await handler.start({ runId: "r" })).result).toEqual(ok({ input: null, paid: 1, shipped: 2 }));
    expect(done).toEqual(["charge", "pack", "tell"]);
    expect(await post("r:pay", 1, { "svix-id": "k" })).toMatchObject({ status: 202, disposition: "duplicate" });
    expect(await post("r:ship", 3)).toMatchObject({ status: 410 });
  });

  test("it may come at any moment of the run, and is never lost", async () => {
    for (let moment = 0; moment < 40; moment++) {
      const clock = createManualClock(epoch);
      const store = memoryResumeStore({ clock });
      let left = moment;
      let sent: Promise<unknown> | null = null;
      const world = await resumingAt(store, clock, (): void => {
        if (left-- === 0) sent = Promise.all([world.handler.deliver("r:pay", 1), world.handler.deliver("r:ship", 2)]);
      });
      const { result } = await world.handler.start({ runId: "r" });
      await (sent ?? Promise.all([world.handler.deliver("r:pay", 1), world.handler.deliver("r:ship", 2)]));
      if (result !== null && !result.ok) await settledOver(store, "r");
      expect((await world.handler.resume("r")).result).toEqual(ok({ input: null, paid: 1, shipped: 2 }));
      expect(world.done).toEqual(["charge", "pack", "tell"]);
    }
  });

  test("one that was given to a run is not given to the next run that waits for the same id", async () => {
    const same = createWorkflow("same", { wait: async () => pendingHook<number>("h") });
    const { handler } = await resuming({
      run: (options) => same.runWithState(({ step, deps }) => step("wait", () => deps.wait()), options),
    });
    await handler.deliver("h", 1);
    expect((await handler.start({ runId: "one" })).result).toEqual(ok(1));
    expect((await handler.start({ runId: "two" })).result).toMatchObject({ error: { hookId: "h" } });
    expect(await handler.deliver("h", 2)).toMatchObject({ disposition: "accepted" });
  });

  test("it comes before one that is sent when the hook is known, also while its run is busy and has not looked for it", async () => {
    const busy = createWorkflow("busy", { wait: async () => pendingHook<number>("h") });
    let [goOn, isBusy] = [(): void => {}, false];
    const long = new Promise<void>((resolve) => (goOn = resolve));
    const { handler } = await resuming({
      run: (options) =>
        busy.runWithState(async ({ step, deps }) => {
          const both = step.all("both", { wait: () => deps.wait(), long: () => long.then(() => ok("done")) });
          await step("busy", () => ok(void (isBusy = true)));
          return both;
        }, options),
    });
    expect(await handler.deliver("h", 1)).toMatchObject({ disposition: "buffered" });
    const going = handler.start({ runId: "r" });
    while (!isBusy) await new Promise((resolve) => setImmediate(resolve));
    expect(await handler.deliver("h", 2)).toMatchObject({ disposition: "closed", by: "answered" });
    expect(await handler.deliver("h", 1)).toMatchObject({ disposition: "duplicate" });
    goOn();
    expect((await going).result).toEqual(ok({ wait: 1, long: "done" }));
  });

  test("32 are kept for an id; a further sender is told to come again", async () => {
    const { post, clock } = await resuming();
    for (let index = 0; index < 32; index++) expect(await post("r:pay", index)).toMatchObject({ status: 202 });
    const full = await post("r:pay", 32);
    expect(full.status).toBe(503);
    expect(full.headers.get("retry-after")).toBe("5");
    clock.advance(3_600_000);
    expect(await post("r:pay", 32)).toMatchObject({ status: 202, disposition: "buffered" });
  });

  test("it is kept for an hour", async () => {
    const { handler, post, clock } = await resuming();
    await post("r:pay", 1);
    clock.advance(3_600_000);
    expect((await handler.start({ runId: "r" })).result).toMatchObject({ error: { hookId: "r:pay" } });
  });

  test("switched off, a hook that is not known is not found", async () => {
    const { post, handler } = await resuming({ early: false });
    expect(await post("r:pay", 1)).toMatchObject({ status: 404, disposition: "unknown", text: "" });
    await handler.start({ runId: "r" });
    expect(await post("r:pay", 1)).toMatchObject({ status: 202, disposition: "accepted" });
  });
});

describe("late", () => {
  test("a hook whose time is up, and one whose run is over without it, say so and when", async () => {
    const clock = createManualClock(epoch);
    const store = memoryResumeStore({ clock });
    const timed = createWorkflow("timed", {
      wait: async () => pendingHook<number>("h", { timeout: "1h" }),
      never: async () => pendingHook<number>("never"),
    });
    const world = await resuming({
      ...store,
      clock,
      run: (options) =>
        timed.runWithState(({ step, deps }) => step.race("first", { wait: () => deps.wait(), never: () => deps.never() }), {
          ...options,
          clock,
        }),
    });
    await world.handler.start({ runId: "r" });
    clock.advance(3_600_000); // the handler looks at it by itself
    await settledOver(store, "r");
    const late = await world.post("h", 1);
    expect(late).toMatchObject({ status: 410, disposition: "closed" });
    expect(JSON.parse(late.text)).toEqual({ code: "hook_closed", by: "timeout", at: new Date(epoch + 3_600_000).toISOString() });
    const never = await world.post("never", 1);
    expect(JSON.parse(never.text)).toEqual({ code: "hook_closed", by: "ended", at: new Date(epoch + 3_600_000).toISOString() });
  });

  test.each(["accepted", "buffered"])(
    "what was %s in time stands, though its run was busy until the time of the wait was up",
    async (told) => {
      const clock = createManualClock(epoch);
      const timed = createWorkflow("timed", { wait: async () => pendingHook<number>("h", { timeout: "1h" }) });
      let [goOn, isBusy] = [(): void => {}, false];
      const long = new Promise<void>((resolve) => (goOn = resolve));
      const { handler } = await resuming({
        clock,
        run: (options) =>
          timed.runWithState(
            async ({ step, deps }) => {
              const both = step.all("both", { wait: () => deps.wait(), long: () => long.then(() => ok("done")) });
              await step("busy", () => ok(void (isBusy = true)));
              return both;
            },
            { ...options, clock },
          ),
      });
      if (told === "buffered") expect(await handler.deliver("h", 7)).toMatchObject({ disposition: told });
      clock.advance(1);
      const going = handler.start({ runId: "r" });
      while (!isBusy) await new Promise((resolve) => setImmediate(resolve));
      for (let look = 0; look < 5; look++) await new Promise((resolve) => setImmediate(resolve));
      if (told === "accepted") expect(await handler.deliver("h", 7)).toMatchObject({ disposition: told });
      clock.advance(3_600_000);
      for (let look = 0; look < 5; look++) await new Promise((resolve) => setImmediate(resolve));
      goOn();
      expect((await going).result).toEqual(ok({ wait: 7, long: "done" }));
      expect(await handler.deliver("h", 7)).toMatchObject({ disposition: "duplicate" });
    },
  );

  test("a run whose time has come is run again by itself, once; by recover() where its process is gone", async () => {
    const clock = createManualClock(epoch);
    const store = memoryResumeStore({ clock });
    const slept = createWorkflow("slept", { wait: async (id: string) => pendingHook<number>(id) });
    let runs = 0;
    const run: Options["run"] = (options) => {
      runs++;
      return slept.runWithState(
        ({ step, deps, ctx }) => Promise.race([step("wait", () => deps.wait(ctx.workflowId)), step.sleep("nap", "1d")]),
        {
          ...options,
          clock,
        },
      );
    };
    const { handler } = await resuming({ ...store, clock, run });
    await handler.start({ runId: "here" });
    const gone = await resuming({ ...store, run, clock: { now: () => clock.now(), alarm: () => () => {} } });
    await gone.handler.start({ runId: "there" });
    clock.advance(86_400_000);
    await settledOver(store, "here");
    expect([runs, await handler.recover()]).toEqual([3, { resumed: 1, busy: 0 }]);
    expect(runs).toBe(4);
    expect((await handler.resume("there")).result).toEqual(ok(undefined));
    await expect(resumeHandler({ load: store.load, save: store.save, delete: store.delete, run: run as never }).recover()).rejects.toThrow(
      "list()",
    );
  });

  test("what became of a run is known for 30 days", async () => {
    const { post, clock, store } = await started();
    await post("r:pay", 1);
    await settled(store, "r");
    await post("r:ship", 1);
    await settled(store, "r");
    const day = 86_400_000;
    clock.advance(30 * day - 1);
    expect(await post("r:pay", 1)).toMatchObject({ status: 202, disposition: "duplicate" });
    expect(await post("r:pay", 2)).toMatchObject({ status: 410 });
    clock.advance(1);
    expect(await store.load("ResumeRun/r")).toBe(null);
    expect(await store.load("ResumeHook/r:pay")).toBe(null);
    expect(await store.list?.("", { limit: 10 })).toEqual([]);
  });
});

describe("the run's result as the answer", () => {
  test("its value as JSON, again for a repeat; 202 where it waits again", async () => {
    const { post } = await started({ answer: "result" });
    expect(await post("r:pay", 1)).toMatchObject({ status: 202, disposition: "accepted", text: "" });
    const told = await post("r:ship", 2);
    expect(told).toMatchObject({ status: 200, disposition: "accepted" });
    expect(told.headers.get("content-type")).toBe("application/json");
    expect(JSON.parse(told.text)).toEqual({ input: "in", paid: 1, shipped: 2 });
    expect(await post("r:ship", 2)).toMatchObject({ status: 200, disposition: "duplicate", text: told.text });
    expect(await post("r:pay", 1)).toMatchObject({ status: 202, disposition: "duplicate", text: "" });
  });

  test("an error is 500, and says nothing of what is inside", async () => {
    const failing = createWorkflow("failing", { wait: async () => pendingHook("h"), fail: () => err("SECRET" as const) });
    for (const body of ["err", "throw", "bigint", "function"]) {
      const { post, handler } = await resuming({
        answer: "result",
        run: (options) =>
          failing.runWithState(async ({ step, deps }) => {
            await step("wait", () => deps.wait(), { key: "hook:h" });
            if (body === "throw") throw new Error("SECRET at /srv/app");
            if (body === "function") return { name: "SECRET", toString: () => "" }; // JSON would leave it out, but it cannot be kept
            return body === "bigint" ? 1n : step("fail", () => deps.fail());
          }, options),
      });
      await handler.start({ runId: "r" });
      for (const disposition of ["accepted", "duplicate"]) {
        const told = await post("h", 1);
        expect(told).toMatchObject({ status: 500, disposition });
        expect(JSON.parse(told.text)).toMatchObject({ code: "run_failed" });
        expect(told.text).not.toContain("SECRET");
      }
    }
  });
});

test("two hooks in parallel: their callbacks may come at once, and to different handlers", async () => {
  const both = createWorkflow("both", { wait: async (id: string) => pendingHook<number>(id) });
  for (let round = 0; round < 5; round++) {
    const stores = (await sqlite(2)) as [ResumeStore, ResumeStore];
    const done: string[] = [];
    const run: Options["run"] = (options) =>
      both.runWithState(async ({ step, deps }) => {
        const values = await step.all("wait", { a: () => deps.wait("a"), b: () => deps.wait("b") });
        await step("once", () => ok(void done.push("once")));
        return values;
      }, options);
    const worlds = await Promise.all(stores.map((store) => resuming({ ...(store as Options), run })));
    await worlds[0]?.handler.start({ runId: "r" });
    const told = await Promise.all([worlds[0]?.post("a", 1), worlds[1]?.post("b", 2)]);
    expect(told.map((one) => one?.disposition)).toEqual(["accepted", "accepted"]);
    await settledOver(stores[0], "r");
    expect((await worlds[0]?.handler.resume("r"))?.result).toEqual(ok({ a: 1, b: 2 }));
    expect(done).toEqual(["once"]);
  }
});

/** A handler that does something at each call of its store. */
async function resumingAt(store: Required<ResumeStore>, clock: ReturnType<typeof createManualClock>, at: () => void): Promise<Resuming> {
  const told = {
    load: (...given: Parameters<ResumeStore["load"]>) => (at(), store.load(...given)),
    save: (...given: Parameters<ResumeStore["save"]>) => (at(), store.save(...given)),
  };
  return resuming({ ...store, ...told, clock });
}

async function settledOver(store: ResumeStore, runId: string): Promise<void> {
  for (;;) {
    const kept = await store.load(`ResumeRun/${runId}`);
    if (kept && (JSON.parse(kept.text) as { result?: string }).result !== undefined) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
