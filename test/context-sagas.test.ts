// Compensations: what a run has done is undone, in reverse and once, where its code throws, and nowhere else.

import { describe, expect, test } from "vitest";
import { defineWorkflow, FatalError, type InlineStepOptions, remoteStep, Step, type WorkflowCtx } from "../src/runtime/context.ts";
import { type ContextWorld, createContextWorld } from "./context/world.ts";

const workflow = (body: (ctx: WorkflowCtx, chapter: number | undefined) => unknown) => defineWorkflow({ name: "w" }, body);

interface Ended {
  readonly world: ContextWorld;
  /** What was thrown, or returned. */
  readonly outcome: unknown;
  readonly warnings: readonly string[];
}

async function ended(body: (ctx: WorkflowCtx, chapter: number | undefined) => unknown, steps: readonly object[] = []): Promise<Ended> {
  const world = await createContextWorld({ workflows: [workflow(body)], steps });
  await world.engine.start("w", undefined, "r");
  await world.settled();
  for (let each = 0; each < 4; each++) await world.advance(600_000); // retries
  const outcome = await world.engine.getRun("r").returnValue.catch((error: { cause: unknown }) => error.cause);
  const ending = await world.engine.getRun("r").ending;
  return { world, outcome, warnings: ending?.warnings ?? [] };
}

/** A step that is undone by noting its name. */
const undoable = (ctx: WorkflowCtx, name: string, done: string[], options: Partial<InlineStepOptions<string>> = {}): Promise<string> =>
  ctx.step(name, () => name, { compensate: (output) => void done.push(output), ...options });

test("what was done is undone in reverse, in parallel parts too, and the run fails with what was thrown", async () => {
  const done: string[] = [];
  const { outcome } = await ended(async (ctx) => {
    await undoable(ctx, "a", done);
    await ctx.all([undoable(ctx, "b", done), undoable(ctx, "c", done)]);
    throw new FatalError("no stock", "no_stock");
  });
  expect(outcome).toMatchObject({ message: "no stock", code: "no_stock" });
  expect(done).toHaveLength(3);
  expect(done.at(-1)).toBe("a");
});

test("what is thrown may be anything", async () => {
  const done: string[] = [];
  const { outcome } = await ended(async (ctx) => {
    await undoable(ctx, "a", done);
    // oxlint-disable-next-line typescript/only-throw-error -- some code does
    throw { reason: "sold out" };
  });
  expect(outcome).toEqual({ reason: "sold out" });
  expect(done).toEqual(["a"]);
});

test("a step that is under way while another fails is waited for, and undone", async () => {
  const done: string[] = [];
  let release = (): void => {};
  const world = await createContextWorld({
    workflows: [
      workflow((ctx) =>
        ctx.all([
          ctx.step("slow", () => new Promise<string>((resolve) => (release = () => resolve("slow"))), {
            compensate: (output) => void done.push(output),
          }),
          ctx.step("bad", () => {
            throw new FatalError("bad");
          }),
        ]),
      ),
    ],
  });
  const run = await world.engine.start("w", undefined, "r");
  const kinds = async (): Promise<string[]> => (await world.journal(run)).map(({ kind }) => kind);
  while (!(await kinds()).includes("step_failed")) await turn();
  expect(done).toEqual([]);
  release();
  await expect(run.returnValue).rejects.toMatchObject({ cause: { message: "bad" } });
  expect(done).toEqual(["slow"]);
});

test("once undoing has begun, a part of the code that goes on beside it begins nothing that nobody would undo", async () => {
  const done: string[] = [];
  let release = (): void => {};
  const other = async (ctx: WorkflowCtx, next: (ctx: WorkflowCtx) => Promise<unknown>): Promise<void> => {
    await ctx.step("flight", () => new Promise<void>((resolve) => (release = resolve)), { compensate: () => void done.push("no flight") });
    await next(ctx);
    done.push("went on");
  };
  const nexts: ((ctx: WorkflowCtx) => Promise<unknown>)[] = [
    (ctx) => ctx.step("seat", () => void done.push("seat"), { compensate: () => void done.push("no seat") }),
    (ctx) => ctx.sideEffect(() => void done.push("noted")),
    (ctx) => ctx.startChild("w"),
    (ctx) => ctx.signal("other", 1),
    (ctx) => ctx.setEvent("phase", "on"),
    (ctx) => ctx.continueAsNew(),
  ];
  const bad = () => {
    throw new FatalError("bad");
  };
  for (const next of nexts) {
    done.length = 0;
    const world = await createContextWorld({ workflows: [workflow((ctx) => ctx.all([other(ctx, next), ctx.step("bad", bad)]))] });
    const run = await world.engine.start("w", undefined, "r");
    const kinds = async (): Promise<string[]> => (await world.journal(run)).map(({ kind }) => kind);
    while (!(await kinds()).includes("step_failed")) await turn();
    release();
    await expect(run.returnValue).rejects.toMatchObject({ cause: { message: "bad" } });
    await world.settled();
    expect(done).toEqual(["no flight"]);
    expect(await world.engine.listRuns()).toHaveLength(1);
    expect((await kinds()).filter((kind) => kind === "value_published" || kind === "run_continued")).toEqual([]);
  }
});

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("a compensation that fails for good stops no other, hides nothing, and is named in a warning", async () => {
  const done: string[] = [];
  let tries = 0;
  const { outcome, warnings } = await ended(async (ctx) => {
    await undoable(ctx, "a", done);
    await undoable(ctx, "b", done, {
      compensate: () => {
        tries++;
        throw new Error("refund refused");
      },
    });
    await undoable(ctx, "c", done);
    throw new Error("original");
  });
  expect((outcome as Error).message).toBe("original");
  expect(done).toEqual(["c", "a"]);
  expect(tries).toBe(4);
  expect(warnings).toEqual([expect.stringMatching(/^The compensation of step "b" failed, and what the step did stands: .*refund refused/)]);
});

class Payments {
  readonly done: unknown[] = [];
  tries = 0;
  @Step()
  charge(order: { amount: number }): { id: string } {
    return { id: `c-${order.amount}` };
  }
  @Step({ retries: 1, backoffMs: 1 })
  refund(undo: { input: { amount: number }; output: { id: string } }): void {
    if (++this.tries === 1) throw new Error("again");
    this.done.push(undo);
  }
  @Step({ name: "note" })
  note(undo: unknown): void {
    this.done.push(undo);
  }
}

test("a compensation is a function, a step by reference with the options of its own, or one by name", async () => {
  const payments = new Payments();
  const note = remoteStep<unknown, void>({ name: "note" });
  await ended(
    async (ctx) => {
      await ctx.step(payments.charge, { amount: 1 }, { compensate: payments.refund });
      await ctx.step(payments.charge, { amount: 2 }, { compensate: "note" });
      await ctx.step("Payments.charge", { amount: 3 }, { compensate: note });
      await ctx.step("here", () => 4, { compensate: note });
      await ctx.step(payments.charge, { amount: 5 }, { compensate: ({ input, output }) => void payments.done.push([input, output]) });
      throw new Error("no");
    },
    [payments],
  );
  expect(payments.done).toEqual([
    [{ amount: 5 }, { id: "c-5" }],
    { input: undefined, output: 4 },
    { input: { amount: 3 }, output: { id: "c-3" } },
    { input: { amount: 2 }, output: { id: "c-2" } },
    { input: { amount: 1 }, output: { id: "c-1" } },
  ]);
  expect(payments.tries).toBe(2);
});

test("a compensation by a step that is not registered yet sets the run aside until it comes; those before it stay done", async () => {
  const done: string[] = [];
  const world = await createContextWorld({
    workflows: [
      workflow(async (ctx) => {
        await undoable(ctx, "a", done);
        await undoable(ctx, "b", done, { compensate: "later" });
        await undoable(ctx, "c", done);
        throw new Error("no");
      }),
    ],
  });
  const run = await world.engine.start("w", undefined, "r");
  await world.settled();
  await world.advance(2_000);
  expect(await run.blocked).toMatchObject({ message: expect.stringMatching(/Step "later" is not registered/) });
  expect(done).toEqual(["c"]);
  class Later {
    @Step("later")
    later(): void {
      done.push("b");
    }
  }
  for (let each = 0; each < world.engines.length; each++) world.engine.registerSteps(new Later());
  await world.advance(25);
  await expect(run.returnValue).rejects.toMatchObject({ cause: { message: "no" } });
  expect(done).toEqual(["c", "b", "a"]);
});

test.each([1, 2, 3])("a crash after compensation %i of three repeats none and skips none", async (crashAfter) => {
  const done: string[] = [];
  let holding: (() => void) | null = null;
  const undo = (name: string) => async (): Promise<void> => {
    if (done.length === crashAfter && holding === null) await new Promise<void>((resolve) => (holding = resolve));
    done.push(name);
  };
  const world = await createContextWorld({
    workflows: [
      workflow(async (ctx) => {
        for (const name of ["a", "b", "c"]) await ctx.step(name, () => name, { compensate: undo(name) });
        await ctx.waitForSignal("go");
        throw new Error("no");
      }),
    ],
  });
  await world.engine.start("w", undefined, "r");
  await world.settled();
  await world.engine.signal("go", null);
  // The next one has begun, or the run is over.
  const run = world.engine.getRun("r");
  while (holding === null && (await run.status) !== "failed") await turn();
  await world.restart();
  await world.advance(25);
  await expect(world.engine.getRun("r").returnValue).rejects.toMatchObject({ cause: { message: "no" } });
  expect(done).toEqual(["c", "b", "a"]);
});

describe("a cancel that is to compensate", () => {
  const cancelled = async (body: (ctx: WorkflowCtx) => unknown): Promise<ContextWorld> => {
    const world = await createContextWorld({ workflows: [workflow(body)] });
    await world.engine.start("w", undefined, "r");
    return world;
  };

  test("undoes what was done, also where the code catches the cancel and returns", async () => {
    for (const isCaught of [false, true]) {
      const done: string[] = [];
      const world = await cancelled(async (ctx) => {
        await undoable(ctx, "a", done);
        const sleeping = ctx.sleep("1h");
        await (isCaught ? sleeping.catch(() => {}) : sleeping);
        return "ok";
      });
      await world.settled();
      await world.engine.cancel("r", { compensate: true });
      await world.settled();
      expect(await world.engine.getRun("r").status).toBe("cancelled");
      expect(done).toEqual(["a"]);
    }
  });

  test("waits for the step that is under way, a crash between, and undoes it first", async () => {
    const done: string[] = [];
    let release: (() => void) | null = null;
    const world = await cancelled(async (ctx) => {
      await undoable(ctx, "a", done);
      await ctx.step("slow", () => new Promise<string>((resolve) => (release = () => resolve("slow"))), {
        compensate: (output) => void done.push(output),
      });
    });
    while (release === null) await turn();
    await world.engine.cancel("r", { compensate: true });
    while (!(await world.journal({ runId: "r" })).some(({ kind }) => kind === "cancel_requested")) await turn();
    release = null;
    await world.world.restart({}, false);
    world.again();
    await advanceUntil(world, () => release !== null);
    expect(done).toEqual([]);
    (release as unknown as () => void)();
    await world.settled();
    expect(await world.engine.getRun("r").status).toBe("cancelled");
    expect(done).toEqual(["slow", "a"]);
  });

  test("in the middle of undoing leaves nothing half undone", async () => {
    const done: string[] = [];
    let release: (() => void) | null = null;
    const world = await cancelled(async (ctx) => {
      await undoable(ctx, "a", done);
      await ctx.step("b", () => "b", {
        compensate: async () => {
          await new Promise<void>((resolve) => (release = resolve));
          done.push("b");
        },
      });
      throw new Error("no");
    });
    while (release === null) await turn();
    await world.engine.cancel("r", { compensate: true });
    while (!(await world.journal({ runId: "r" })).some(({ kind }) => kind === "cancel_requested")) await turn();
    (release as () => void)();
    await world.settled();
    expect(done).toEqual(["b", "a"]);
  });
});

async function advanceUntil(world: ContextWorld, isDone: () => boolean): Promise<void> {
  while (!isDone()) {
    world.clock.advance(25);
    await turn();
  }
}

describe("nothing is undone", () => {
  test("by a wait, a crash, a timeout that is caught, or the end of the run", async () => {
    const done: string[] = [];
    const world = await createContextWorld({
      workflows: [
        workflow(async (ctx) => {
          await undoable(ctx, "a", done);
          await ctx.waitForSignal("x", { timeout: "1h" }).catch(() => {});
          return "ok";
        }),
      ],
    });
    await world.engine.start("w", undefined, "r");
    await world.settled();
    await world.restart();
    await world.advance(3_600_000);
    expect(await world.engine.getRun("r").returnValue).toBe("ok");
    expect(done).toEqual([]);
  });

  test("by a plain cancel", async () => {
    const done: string[] = [];
    const world = await createContextWorld({
      workflows: [
        workflow(async (ctx) => {
          await undoable(ctx, "a", done);
          await ctx.sleep("1h");
        }),
      ],
    });
    const run = await world.engine.start("w", undefined, "r");
    await world.settled();
    await world.engine.cancel("r");
    await world.settled();
    expect(await run.status).toBe("cancelled");
    expect(done).toEqual([]);
  });

  test("by a misuse, nor by code that has changed under the run; it goes on when it fits again", async () => {
    const done: string[] = [];
    const good = workflow(async (ctx) => {
      await undoable(ctx, "a", done);
      await ctx.waitForSignal("x");
      return "ok";
    });
    const bad = workflow(async (ctx) => {
      await undoable(ctx, "b", done);
      await ctx.waitForSignal("x");
    });
    const stray = workflow(async (ctx) => {
      await undoable(ctx, "a", done);
      await new Promise((resolve) => setImmediate(resolve));
      await ctx.sleep(1);
    });
    const world = await createContextWorld({ workflows: [good] });
    await world.engine.start("w", undefined, "r");
    await world.settled();
    for (const other of [bad, stray]) {
      await world.restart({ workflows: [other] });
      await world.engine.signal("x", null);
      await world.advance(2_000);
      expect(await world.engine.getRun("r").state).toBe("blocked");
    }
    await world.restart({ workflows: [good] });
    await world.advance(25);
    expect(await world.engine.getRun("r").returnValue).toBe("ok");
    expect(done).toEqual([]);
  });

  test("of an earlier chapter, nor of a child by its parent", async () => {
    const done: string[] = [];
    const child = defineWorkflow({ name: "child" }, async (ctx) => {
      await undoable(ctx, "child", done);
      throw new Error("child");
    });
    const parent = workflow(async (ctx, chapter = 1) => {
      await undoable(ctx, `chapter ${chapter}`, done);
      return chapter === 1 ? ctx.continueAsNew(2) : ctx.child(child);
    });
    const world = await createContextWorld({ workflows: [parent, child] });
    const run = await world.engine.start("w", undefined, "r");
    await world.settled();
    await expect(run.returnValue).rejects.toMatchObject({ cause: { code: "run_failed", cause: { message: "child" } } });
    expect(done).toEqual(["child", "chapter 2"]);
  });
});
