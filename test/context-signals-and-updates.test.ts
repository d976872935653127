// Signals, updates and breakpoints: what comes to a run by a name, is judged, and waits for the code that asks for it.

import { describe, expect, test } from "vitest";
import { z } from "zod";
import { defineWorkflow, SignalTimeoutError, type WorkflowCtx } from "../src/runtime/context.ts";
import { HookConflictError } from "../src/core/errors.ts";
import { limits } from "../src/core/limits.ts";
import { type ContextWorld, createContextWorld } from "./context/world.ts";

const workflow = (body: (ctx: WorkflowCtx, chapter: number | undefined) => unknown) => defineWorkflow({ name: "w" }, body);

/** A run of one workflow function, parked at its first wait. */
async function parked(body: (ctx: WorkflowCtx, chapter: number | undefined) => unknown, id = "r"): Promise<ContextWorld> {
  const world = await createContextWorld({ workflows: [workflow(body)] });
  await world.engine.start("w", undefined, id);
  await world.settled();
  return world;
}

const result = (world: ContextWorld, id = "r"): Promise<unknown> =>
  world.engine.getRun(id).returnValue.catch((error: { cause: unknown }) => error.cause);

describe("a signal", () => {
  test("is kept between two waits and in a loop, in the order it came, across a crash", async () => {
    const world = await parked(async (ctx) => {
      const got: unknown[] = [await ctx.waitForSignal("a")];
      await ctx.sleep("1h");
      while (got.length < 4) got.push(await ctx.waitForSignal("a"));
      return got;
    });
    for (const n of [1, 2, 3]) expect(await world.engine.signal("a", n)).toMatchObject({ disposition: "accepted" });
    await world.settled();
    await world.restart();
    await world.advance(3_600_000);
    await world.engine.signal("a", 4);
    await world.settled();
    expect(await result(world)).toEqual([1, 2, 3, 4]);
    expect(await world.engine.signal("a", 5)).toMatchObject({ disposition: "closed" });
  });

  test("goes to the token it was sent to, whichever is waited for first; two waits at one token get one each", async () => {
    const world = await parked((ctx) => ctx.all([ctx.waitForSignal("a"), ctx.waitForSignal("b"), ctx.waitForSignal("a")]));
    for (const [token, value] of [
      ["b", 1],
      ["a", 2],
      ["a", 3],
    ] as const)
      await world.engine.signal(token, value);
    await world.settled();
    expect(await result(world)).toEqual([2, 1, 3]);
  });

  test("that comes too late for one wait is the next one's, and a wait that is over says what it waited for", async () => {
    const world = await parked(async (ctx) => {
      try {
        return await ctx.waitForSignal("a", { timeout: "1h" });
      } catch (error) {
        return [error instanceof SignalTimeoutError, (error as Error).message, await ctx.waitForSignal("a")];
      }
    });
    await world.advance(3_600_000);
    await world.engine.signal("a", "late");
    await world.settled();
    expect(await result(world)).toEqual([true, 'Nothing came for signal "a" within 1h; it stays open.', "late"]);
  });

  test.each<[number | Date, string]>([
    [500, "within 500 ms"],
    [new Date(0), "by 1970-01-01T00:00:00.000Z"],
  ])("that does not come says until when it was waited for, with its unit: %s", async (timeout, said) => {
    const world = await parked((ctx) => ctx.waitForSignal("a", { timeout }).catch((error: Error) => error.message));
    await world.advance(500);
    expect(await result(world)).toBe(`Nothing came for signal "a" ${said}; it stays open.`);
  });

  test("at a token of another run's is refused with that run, and waited for again once it is free", async () => {
    const world = await parked(async (ctx) => {
      const held = await ctx.waitForSignal("a").catch((error: unknown) => error);
      if (!(held instanceof HookConflictError)) return held;
      await ctx.waitForSignal(`again:${ctx.runId}`);
      return [held.message, await ctx.waitForSignal("a")];
    }, "first");
    await world.engine.start("w", undefined, "second");
    await world.settled();
    await world.engine.signal("a", 1);
    await world.settled();
    await world.engine.signal("again:second", null);
    await world.settled();
    await world.engine.signal("a", 2);
    await world.settled();
    expect(await result(world, "first")).toBe(1);
    expect(await result(world, "second")).toEqual([expect.stringMatching(/Token "a" is run first's/), 2]);
  });

  test("that comes before its wait is kept where it asks for that, or the engine does, else it is unknown", async () => {
    const world = await createContextWorld(
      { workflows: [workflow((ctx) => ctx.all([ctx.waitForSignal("a"), ctx.waitForSignal("slack:1")]))] },
      { early: "slack:*" },
    );
    expect(await world.engine.signal("a", 0)).toMatchObject({ disposition: "unknown" });
    expect(await world.engine.signal("a", 1, { early: true })).toMatchObject({ disposition: "buffered" });
    expect(await world.engine.signal("slack:1", 2)).toMatchObject({ disposition: "buffered" });
    await world.engine.start("w", undefined, "r");
    await world.settled();
    expect(await result(world)).toEqual([1, 2]);
  });

  test.each<[string, (ctx: WorkflowCtx) => unknown, RegExp]>([
    ["no token", (ctx) => ctx.waitForSignal(""), /Token "" is empty/],
    ["a token that passes for a minted one", (ctx) => ctx.waitForSignal("wh:1"), /begins with "wh:"/],
    ["a token beyond the limit", (ctx) => ctx.waitForSignal("é".repeat(128)), /custom token has 256 bytes, and the limit is 255/],
    ["another option", (ctx) => ctx.waitForSignal("a", { timeoutMS: 1 } as never), /no option "timeoutMS"\. Did you mean "timeoutMs"/],
    ["a timeout that is none", (ctx) => ctx.waitForSignal("a", { timeout: "soon" }), /"soon", which is not a span of time/],
    ["an update without a name", (ctx) => ctx.onUpdate(""), /An update needs a name/],
    ["an update name beyond the limit", (ctx) => ctx.onUpdate("n".repeat(limits.nameBytes + 1)), /256 bytes; the limit is 255/],
    ["no schema", (ctx) => ctx.onUpdate("u", { schema: {} as never }), /takes a Standard Schema/],
    ["no validator", (ctx) => ctx.onUpdate("u", { validate: "n > 0" as never }), /\{ validate \}\) takes a function.*got string/],
    ["a label that is no text", (ctx) => ctx.breakpoint(5 as never), /ctx\.breakpoint\(\) takes a text, got number/],
    ["a signal to no token", (ctx) => ctx.signal(5 as never, 1), /takes a hook's token, as text, got number/],
    ["a signal with another option", (ctx) => ctx.signal("a", 1, { keys: "k" } as never), /no option "keys"\. Did you mean "key"/],
  ])("%s is refused", async (_, body, message) => {
    const world = await parked(body);
    expect((await result(world)) as Error).toMatchObject({ message: expect.stringMatching(message) });
  });

  test("at the limit of a token is taken", async () => {
    const token = "t".repeat(limits.tokenBytes);
    const world = await parked((ctx) => ctx.waitForSignal(token));
    await world.engine.signal(token, 1);
    await world.settled();
    expect(await result(world)).toBe(1);
  });
});

describe("a signal that a run sends", () => {
  test("reaches another run, or the run itself, with what was given at the call; an unknown token is in the receipt", async () => {
    const world = await parked(async (ctx) => {
      const own = ctx.waitForSignal("own");
      const payload = { n: 1 };
      const sending = ctx.signal("own", payload);
      payload.n = 9;
      return [(await sending).disposition, await own, (await ctx.signal("nobody", 1)).disposition];
    });
    expect(await result(world)).toEqual(["accepted", { n: 1 }, "unknown"]);
  });

  test("is delivered once where the process dies between the delivery and its record", async () => {
    const world = await createContextWorld({
      workflows: [
        defineWorkflow({ name: "reader" }, async (ctx) => [await ctx.waitForSignal("a"), await ctx.waitForSignal("a")]),
        defineWorkflow({ name: "sender" }, (ctx) => ctx.signal("a", "once", { key: undefined as never })),
      ],
    });
    await world.engine.start("reader", undefined, "reader");
    await world.settled();
    // What an attempt delivered whose process died: the same step, with the key all its attempts have.
    const hold = world.engines.map((engine) => engine.core.door.signal.bind(engine.core.door));
    let isDying = true;
    world.engines.forEach((engine, index) => {
      engine.core.door.signal = async (...given) => {
        const delivered = await (hold[index] as (typeof hold)[0])(...given);
        return isDying ? new Promise(() => {}) : delivered;
      };
    });
    await world.engine.start("sender", undefined, "sender");
    while ((await journalOf(world, "reader")).filter((kind) => kind === "hook_received").length < 1) await turn();
    isDying = false;
    await world.restart();
    await world.advance(25); // the workflows are registered with an open engine
    expect(await world.engine.getRun<{ disposition: string }>("sender").returnValue).toMatchObject({ disposition: "duplicate" });
    await world.engine.signal("a", "twice");
    await world.settled();
    expect(await result(world, "reader")).toEqual(["once", "twice"]);
  });
});

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const journalOf = async (world: ContextWorld, runId: string): Promise<string[]> => (await world.journal({ runId })).map(({ kind }) => kind);

describe("from chapter to chapter", () => {
  test("what nobody has read goes along, to code that asks for it later than at once", async () => {
    const world = await parked(async (ctx, chapter = 1) => {
      if (chapter === 1) {
        await ctx.waitForSignal("a");
        await ctx.onUpdate<number>("u", { validate: positive });
        return ctx.continueAsNew(2);
      }
      await ctx.sleep("1h");
      return [
        await ctx.waitForSignal("a"),
        await ctx.onUpdate<number>("u", { validate: positive }),
        await ctx.onUpdate("u", { validate: positive }),
      ];
    });
    for (const n of [1, 2]) await world.engine.signal("a", n);
    for (const n of [1, 2]) expect(await world.engine.update("r", "u", n)).toMatchObject({ disposition: "accepted" });
    await world.settled();
    // Until the new chapter says how it is judged, nothing is taken, and nothing is lost.
    await expect(world.engine.update("r", "u", 3)).rejects.toMatchObject({ code: "schema_unavailable" });
    await world.restart();
    await world.advance(3_600_000);
    expect(await world.engine.update("r", "u", -3)).toMatchObject({ disposition: "invalid" });
    await world.engine.update("r", "u", 3);
    await world.settled();
    expect(await result(world)).toEqual([2, 2, 3]);
  });

  test("a token that a chapter neither asks for nor has anything at is given away at its end", async () => {
    const world = await parked(async (ctx, chapter = 1) => {
      if (chapter > 3) return ctx.waitForSignal("end");
      await ctx.waitForSignal(`page:${chapter}`);
      return ctx.continueAsNew(chapter + 1);
    });
    for (const n of [1, 2, 3]) {
      await world.engine.signal(`page:${n}`, n);
      await world.settled();
    }
    const open = await world.engine.engine.listHooks({ runId: "r" });
    expect(new Set(open.map(({ token }) => token))).toEqual(new Set(["end", "page:3"]));
  });

  test("a named webhook keeps its URL and what came, also where the new chapter opens it late", async () => {
    const urls: (string | undefined)[] = [];
    const schema = z.object({ n: z.number() });
    const world = await parked(async (ctx, chapter = 1) => {
      if (chapter === 2) await ctx.sleep("1h");
      const hook = ctx.webhook({ name: "events", schema });
      await ctx.step("hand-out", () => void urls.push(hook.url));
      if (chapter === 1) await ctx.waitForSignal("go");
      const { n } = await hook.wait();
      return chapter === 1 ? ctx.continueAsNew(2) : [n, await hook.wait()];
    });
    for (const n of [1, 2]) expect((await world.post(urls[0], { n })).status).toBe(202);
    await world.engine.signal("go", null);
    await world.settled();
    await world.restart();
    await world.advance(3_600_000);
    expect((await world.post(urls[0], { n: "x" })).status).toBe(422);
    expect((await world.post(urls[1], { n: 3 })).status).toBe(202);
    expect(await result(world)).toEqual([2, { n: 3 }]);
    expect(urls[1]).toBe(urls[0]);
  });
});

const positive = (n: number): string | undefined => (n > 0 ? undefined : "must be above 0");

describe("an update", () => {
  test("is judged by its schema and its validator, and its receipt says what is wrong", async () => {
    const schema = z.object({ n: z.string().transform(Number) });
    const world = await parked((ctx) =>
      ctx.onUpdate("u", {
        schema,
        validate: async ({ n }) => {
          await turn();
          if (n > 100) throw new Error("at most 100");
          return n > 0 ? "" : "must be above 0";
        },
      }),
    );
    const { engine } = world;
    expect(await engine.update("r", "u", { n: 1 })).toMatchObject({ disposition: "invalid", issues: [{ path: ["n"] }] });
    expect(await engine.update("r", "u", { n: "-1" })).toMatchObject({ disposition: "invalid", issues: [{ message: "must be above 0" }] });
    expect(await engine.update("r", "u", { n: "101" })).toMatchObject({ disposition: "invalid", issues: [{ message: "at most 100" }] });
    expect(await engine.update("r", "u", { n: "7" })).toMatchObject({ disposition: "accepted" });
    await world.settled();
    expect(await result(world)).toEqual({ n: 7 });
  });

  test("that comes before the run asks is kept and judged then; after the end it is closed, at no run unknown", async () => {
    const world = await parked(async (ctx) => {
      await ctx.waitForSignal("go");
      return [
        await ctx.onUpdate("u", { validate: positive }),
        await ctx.onUpdate("u", { validate: positive, timeoutMs: 5 }).catch(() => "none"),
      ];
    });
    const { engine } = world;
    expect(await engine.update("r", "u", 0)).toMatchObject({ disposition: "buffered" });
    expect(await engine.update("r", "u", 5, { key: "k" })).toMatchObject({ disposition: "buffered" });
    expect(await engine.update("r", "u", 5, { key: "k" })).toMatchObject({ disposition: "duplicate" });
    expect(await engine.update("r", "other", 1, { early: false })).toMatchObject({ disposition: "unknown" });
    expect(await engine.update("nobody", "u", 1)).toMatchObject({ disposition: "unknown" });
    await engine.signal("go", null);
    await world.settled();
    await world.advance(5);
    expect(await result(world)).toEqual([5, "none"]);
    expect(await engine.update("r", "u", 6)).toMatchObject({ disposition: "closed" });
    expect(await engine.update("r", "never-asked", 6)).toMatchObject({ disposition: "closed", by: "ended" });
  });

  test("waits its turn behind another, under a run's id as long as ids may be", async () => {
    const id = `${"i".repeat(limits.nameBytes - 2)}:a`;
    const world = await parked(async (ctx) => [await ctx.onUpdate("u"), await ctx.onUpdate("u")], id);
    for (const n of [1, 2]) expect(await world.engine.update(id, "u", n)).toMatchObject({ disposition: "accepted" });
    await world.settled();
    expect(await result(world, id)).toEqual([1, 2]);
  });

  test("goes to its own run, however ids and names are put together", async () => {
    const world = await createContextWorld({ workflows: [defineWorkflow({ name: "w" }, (ctx, name: string) => ctx.onUpdate(name))] });
    await world.engine.start("w", "b:c", "a");
    await world.engine.start("w", "c", "a:b");
    await world.settled();
    await world.engine.update("a", "b:c", 1);
    await world.engine.update("a:b", "c", 2);
    await world.settled();
    expect([await result(world, "a"), await result(world, "a:b")]).toEqual([1, 2]);
  });

  test("is judged in one way: what is said later of the same name is refused", async () => {
    const world = await parked(async (ctx) => {
      await ctx.onUpdate("u", { timeoutMs: 1 }).catch(() => {});
      return ctx.onUpdate("u", { validate: positive });
    });
    await world.advance(1);
    expect(((await result(world)) as Error).message).toMatch(/first waited for without a schema or validate, and now with one/);
  });

  test("needs the name of an update, and the id of a run", async () => {
    const { engine } = await createContextWorld({ workflows: [] });
    await expect(engine.update("r", "", 1)).rejects.toThrow(/needs a name/);
    await expect(engine.update(5 as never, "u", 1)).rejects.toThrow(/takes the id of a run, got number/);
  });
});

describe("a breakpoint", () => {
  test("stands until somebody says so; two need two words, and at none the receipt says so", async () => {
    const world = await parked(async (ctx) => {
      await ctx.breakpoint("before charge");
      await ctx.breakpoint();
      await ctx.waitForSignal("go");
      return "done";
    });
    const hooks = () => world.engine.engine.listHooks({ runId: "r" });
    expect(await hooks()).toMatchObject([{ metadata: { breakpoint: "before charge" } }]);
    await world.restart();
    expect(await world.engine.continue("r")).toMatchObject({ disposition: "accepted" });
    await world.settled();
    expect(await hooks()).toMatchObject([{ metadata: { breakpoint: null } }]);
    expect(await world.engine.continue("r")).toMatchObject({ disposition: "accepted" });
    await world.settled();
    expect(await world.engine.continue("r")).toMatchObject({ disposition: "closed" });
    expect(await world.engine.continue("nobody")).toMatchObject({ disposition: "unknown" });
    await world.engine.signal("go", null);
    await world.settled();
    expect(await result(world)).toBe("done");
  });

  test("is not passed by a word that came before it, whatever the engine keeps early", async () => {
    const early = defineWorkflow({ name: "w" }, async (ctx) => {
      await ctx.sleep("1h");
      await ctx.breakpoint();
    });
    const world = await createContextWorld({ workflows: [early] }, { early: "*" });
    await world.engine.start("w", undefined, "r");
    await world.settled();
    expect(await world.engine.continue("r")).toMatchObject({ disposition: "unknown" });
    await world.advance(3_600_000);
    expect(await world.engine.getRun("r").status).toBe("running");
  });

  test("beside another takes a word of its own", async () => {
    const world = await parked((ctx) => ctx.all([ctx.breakpoint("a"), ctx.breakpoint("b")]).then(() => "both"));
    await world.engine.continue("r");
    await world.settled();
    expect(await world.engine.getRun("r").status).toBe("running");
    await world.engine.continue("r");
    await world.settled();
    expect(await result(world)).toBe("both");
  });
});
