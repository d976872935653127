// Code that does not fit a run of the context style, in whatever way, sets that run aside and does nothing else: nothing is undone, no value
// goes astray, no other run stops, and it goes on with code that fits.

import { expect, test } from "vitest";
import { defineWorkflow, FatalError, type FunctionWorkflow, Step, type WorkflowCtx } from "../src/context.ts";
import { createContextWorld } from "./context/world.ts";

const hour = 3_600_000;
const nothing = undefined as never;

test("code that has another operation in a place is never given that place's value: the run is set aside, and both are named", async () => {
  const child = (name: string) => defineWorkflow({ name }, async () => name);
  const [x, y] = [child("x"), child("y")];
  const operations: Record<string, (ctx: WorkflowCtx) => unknown> = {
    "step charge": (ctx) => ctx.step("charge", () => "charged"),
    "step refund": (ctx) => ctx.step("refund", () => "refunded"),
    hook: (ctx) => ctx.webhook().token,
    timer: (ctx) => ctx.sleep("1h"),
    "hook a": (ctx) => ctx.waitForSignal("a"),
    "hook b": (ctx) => ctx.waitForSignal("b"),
    "child x": (ctx) => ctx.child(x, nothing),
    "child y": (ctx) => ctx.child(y, nothing),
  };
  const names = Object.keys(operations);
  const edited = (by: number): FunctionWorkflow[] =>
    names.map((_, n) =>
      defineWorkflow({ name: `w${n}` }, async (ctx) => {
        const value = await operations[names[(n + by) % names.length] as string]?.(ctx);
        return [value, await ctx.waitForSignal(`go:${n}`)];
      }),
    );
  const code = (by: number) => ({ workflows: [x, y, ...edited(by)] });
  const world = await createContextWorld(code(0));
  for (const n of names.keys()) await world.engine.start(`w${n}`, nothing, `r${n}`);
  await world.settled();
  for (const token of ["a", "b"]) await world.engine.signal(token, `for ${token}`);
  await world.advance(hour);
  await world.restart(code(1));
  for (const n of names.keys()) await world.engine.signal(`go:${n}`, n);
  await world.settled();
  for (const [n, name] of names.entries()) {
    const difference = (await world.engine.getRun(`r${n}`).blocked)?.difference;
    expect([name, difference?.expected, difference?.found]).toEqual([
      name,
      expect.stringContaining(name),
      expect.stringContaining(names[(n + 1) % names.length] as string),
    ]);
  }
  await world.restart(code(0));
  await world.advance(5_000);
  const values = await Promise.all(names.map((_, n) => world.engine.getRun(`r${n}`).returnValue));
  expect(values.map((value) => (value as unknown[])[0])).toEqual([
    "charged",
    "refunded",
    expect.stringMatching(/^wh:/),
    undefined,
    "for a",
    "for b",
    "x",
    "y",
  ]);
});

test("a bad deploy undoes nothing: the run is set aside, no compensation runs, and it goes on with code that fits", async () => {
  const done: string[] = [];
  const undo = (id: string): void => void done.push(`refund ${id}`);
  const charge = (ctx: WorkflowCtx): Promise<string> => ctx.step("charge", () => "c-1", { compensate: undo });
  const book = (run: (ctx: WorkflowCtx) => Promise<unknown>) => defineWorkflow({ name: "book" }, run);
  const good = book(async (ctx) => {
    await charge(ctx);
    await ctx.waitForSignal("shipped");
    return ctx.step("close", () => "closed");
  });
  const failing = book(async (ctx) => {
    await charge(ctx);
    await ctx.waitForSignal("shipped");
    throw new FatalError("lost at sea", "lost");
  });
  const bad: Record<string, ReturnType<typeof book>> = {
    "step a new step before the wait": book(async (ctx) => {
      await charge(ctx);
      await ctx.step("a new step before the wait", () => void done.push("never"));
    }),
    "hook another": book(async (ctx) => {
      await charge(ctx);
      try {
        await ctx.waitForSignal("another");
      } catch {
        await ctx.step("swallowed", () => void done.push("never"));
        throw new FatalError("never");
      }
    }),
    "step undo charge": book(async (ctx) => {
      await charge(ctx);
      throw new TypeError("a slip where it waited");
    }),
    "nothing more in this turn": book(async (ctx) => charge(ctx)),
  };
  for (const [found, code] of Object.entries(bad)) {
    const world = await createContextWorld({ workflows: [good] });
    await world.engine.start(good, nothing, "one");
    await world.settled();
    await world.restart({ workflows: [code] });
    await world.engine.signal("shipped", null);
    await world.advance(hour);
    const blocked = await world.engine.getRun("one").blocked;
    expect([blocked?.reason, blocked?.difference?.expected, blocked?.difference?.found, done]).toEqual([
      "changed_code",
      "hook shipped",
      found,
      [],
    ]);
    await world.restart({ workflows: [good] });
    await world.advance(5_000);
    expect([await world.engine.getRun("one").returnValue, done]).toEqual(["closed", []]);
  }
  const world = await createContextWorld({ workflows: [failing] });
  const failed = await world.engine.start(failing, nothing, "two");
  await world.settled();
  await world.engine.signal("shipped", null);
  await expect(failed.returnValue).rejects.toMatchObject({ cause: { code: "lost" } });
  expect(done).toEqual(["refund c-1"]);
});

test("a deploy that lacks a step or a child's workflow undoes nothing either, whatever the code catches", async () => {
  const done: string[] = [];
  class Mail {
    @Step({ name: "mail" })
    mail(to: string): string {
      return `to ${to}`;
    }
  }
  const receipt = defineWorkflow({ name: "receipt" }, async (_ctx, to: string) => `to ${to}`);
  const book = defineWorkflow({ name: "book" }, async (ctx, kind: string) => {
    await ctx.step("charge", () => "c-1", { compensate: (id) => void done.push(`refund ${id}`) });
    await ctx.waitForSignal(`shipped:${kind}`);
    try {
      return kind === "step" ? await ctx.step("mail", "me") : await ctx.child("receipt", "me");
    } catch {
      await ctx.step("fall back", () => void done.push("never"));
      throw new FatalError("never");
    }
  });
  const whole = { workflows: [book, receipt], steps: [new Mail()] };
  const world = await createContextWorld(whole);
  for (const kind of ["step", "child"]) await world.engine.start(book, kind, kind);
  await world.settled();
  await world.restart({ workflows: [book] });
  for (const kind of ["step", "child"]) await world.engine.signal(`shipped:${kind}`, null);
  await world.advance(hour);
  for (const kind of ["step", "child"])
    expect([await world.engine.getRun(kind).state, await world.engine.getRun(kind).blocked]).toMatchObject([
      "blocked",
      { reason: "misuse" },
    ]);
  await world.restart(whole);
  await world.advance(5_000);
  for (const kind of ["step", "child"]) expect(await world.engine.getRun(kind).returnValue).toBe("to me");
  expect(done).toEqual([]);
});

test("a run whose code is not there keeps no process from starting and no other run from going on, and waits for its version", async () => {
  const version = (name: string) =>
    defineWorkflow({ name: "order", version: name }, async (ctx) => `${await ctx.waitForSignal<string>(ctx.runId)} on ${name}`);
  const other = defineWorkflow({ name: "other" }, async (ctx) => ctx.sleep("1h"));
  const world = await createContextWorld({ workflows: [version("1"), version("2"), other] });
  const begun = { version: "1" };
  for (const id of ["old-1", "old-2"]) await world.engine.start("order", nothing, id, begun);
  await world.engine.start("order", nothing, "new", { version: "2" });
  await world.engine.start(other, nothing, "other");
  await world.settled();
  await world.restart({ workflows: [version("2"), other] }); // boots
  expect(await world.engine.signal("old-1", "kept")).toMatchObject({ disposition: "accepted" });
  await world.engine.signal("new", "taken");
  await world.advance(hour);
  const states = (ids: string[]) => Promise.all(ids.map((id) => world.engine.getRun(id).state));
  expect(await states(["new", "other"])).toEqual(["completed", "completed"]);
  expect((await states(["old-1", "old-2"])).every((state) => ["blocked", "pending", "waiting"].includes(state))).toBe(true);
  await world.restart({ workflows: [version("2"), version("1"), other] });
  await world.engine.signal("old-2", "too");
  await world.advance(5_000);
  expect(await Promise.all(["old-1", "old-2"].map((id) => world.engine.getRun(id).returnValue))).toEqual(["kept on 1", "too on 1"]);
});
