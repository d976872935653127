// Code of the context style that was edited under a parked run sets it aside with the difference by name, undoes nothing, keeps what comes
// meanwhile, and goes on with it when code that fits is back (G7, SG2).

import { beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { defineWorkflow, type DurableWebhook, FatalError, type FunctionWorkflow, Step, type WorkflowCtx } from "../src/context.ts";
import { type ContextWorld, createContextWorld } from "./context/world.ts";

type Body = (ctx: WorkflowCtx) => Promise<unknown>;
let token = "";
const undone: string[] = [];
const done: string[] = [];
beforeEach(() => {
  undone.length = done.length = 0;
});

const timeout = "30d";
const reserve = (ctx: WorkflowCtx, hook: DurableWebhook<unknown>, name = "reserve"): Promise<string> =>
  ctx.step(name, () => (done.push(name), (token = hook.token), "r-1"), { compensate: (id) => void undone.push(id) });
const code = (body: Body): FunctionWorkflow<undefined> => defineWorkflow({ name: "edited" }, body);
const finish = async (ctx: WorkflowCtx, got: unknown): Promise<unknown> => {
  await ctx.step("finish", () => void done.push("finish"));
  return got;
};

const original = code(async (ctx) => {
  const hook = ctx.webhook<string>({ timeout });
  await reserve(ctx, hook);
  return finish(ctx, await Promise.race([hook.wait(), ctx.waitForSignal("edited:1")]));
});

async function parked(steps: readonly object[] = []): Promise<{ world: ContextWorld; runId: string }> {
  const world = await createContextWorld({ workflows: [original], steps });
  const { runId } = await world.engine.start(original, undefined);
  await world.settled();
  return { world, runId };
}

class Desk {
  @Step("reserve")
  reserve(hook: string): string {
    return (done.push("reserve"), (token = hook), "r-1");
  }
}

const edits: readonly (readonly [string, Body, { readonly expected: string; readonly found: string }])[] = [
  [
    "the webhook opened behind the step",
    async (ctx) => {
      await ctx.step("reserve", () => "r-1");
      const hook = ctx.webhook<string>({ timeout });
      return finish(ctx, await hook.wait());
    },
    { expected: "hook", found: "nothing more in this turn" },
  ],
  [
    "the webhook left out",
    async (ctx) => {
      await ctx.step("reserve", () => "r-1");
      return finish(ctx, await ctx.waitForSignal("edited:1"));
    },
    { expected: "hook", found: "nothing more in this turn" },
  ],
  [
    "the webhook with another deadline",
    async (ctx) => {
      const hook = ctx.webhook<string>({ timeout: "7d" });
      await reserve(ctx, hook);
      return finish(ctx, await hook.wait());
    },
    { expected: "hook", found: "hook with other input" },
  ],
  [
    "the webhook given a name",
    async (ctx) => {
      const hook = ctx.webhook<string>({ timeout, name: "payment" });
      await reserve(ctx, hook);
      return finish(ctx, await hook.wait());
    },
    { expected: "hook", found: "hook payment" },
  ],
  [
    "the step renamed",
    async (ctx) => {
      const hook = ctx.webhook<string>({ timeout });
      await reserve(ctx, hook, "book");
      return finish(ctx, await hook.wait());
    },
    { expected: "step reserve", found: "step book" },
  ],
  [
    "the step run by reference, which gives it an input",
    async (ctx) => {
      const hook = ctx.webhook<string>({ timeout });
      await ctx.step("reserve", hook.token);
      return finish(ctx, await hook.wait());
    },
    { expected: "step reserve", found: "step reserve with other input" },
  ],
  [
    "a sleep before the wait",
    async (ctx) => {
      const hook = ctx.webhook<string>({ timeout });
      await reserve(ctx, hook);
      await ctx.sleep("1h");
      return finish(ctx, await Promise.race([hook.wait(), ctx.waitForSignal("edited:1")]));
    },
    { expected: "hook edited:1", found: "timer" },
  ],
  [
    "a timeout at the wait",
    async (ctx) => {
      const hook = ctx.webhook<string>({ timeout });
      await reserve(ctx, hook);
      return finish(ctx, await Promise.race([hook.wait({ timeout: "1h" }), ctx.waitForSignal("edited:1")]));
    },
    { expected: "hook edited:1", found: "timer" },
  ],
  [
    "the signal's token changed",
    async (ctx) => {
      const hook = ctx.webhook<string>({ timeout });
      await reserve(ctx, hook);
      return finish(ctx, await Promise.race([hook.wait(), ctx.waitForSignal("edited:2")]));
    },
    { expected: "hook edited:1", found: "hook edited:2" },
  ],
  [
    "the wait for the signal left out",
    async (ctx) => {
      const hook = ctx.webhook<string>({ timeout });
      await reserve(ctx, hook);
      return finish(ctx, await hook.wait());
    },
    { expected: "hook edited:1", found: "nothing more in this turn" },
  ],
  [
    "an event published on the way",
    async (ctx) => {
      const hook = ctx.webhook<string>({ timeout });
      await reserve(ctx, hook);
      await ctx.setEvent("status", "waiting");
      return finish(ctx, await Promise.race([hook.wait(), ctx.waitForSignal("edited:1")]));
    },
    { expected: "hook edited:1", found: "value status" },
  ],
  [
    "the end before the wait, by a throw",
    async (ctx) => {
      const hook = ctx.webhook<string>({ timeout });
      await reserve(ctx, hook);
      throw new FatalError("not any more");
    },
    { expected: "hook edited:1", found: "step undo reserve" },
  ],
  [
    "all of it in a catch {}",
    async (ctx) => {
      try {
        const hook = ctx.webhook<string>({ timeout: "1d" });
        await reserve(ctx, hook);
        return await hook.wait();
      } catch {
        return ctx.step("give up", () => void done.push("give up"));
      }
    },
    { expected: "hook", found: "hook with other input" },
  ],
];

describe("code edited under a parked run", () => {
  test.each(edits)("%s: it is set aside with the difference, undoes nothing, and goes on after the fix", async (_, body, difference) => {
    const { world, runId } = await parked();
    await world.restart({ workflows: [code(body)], steps: [new Desk()] });
    expect(await world.engine.signal(token, "meanwhile")).toMatchObject({ disposition: "accepted" });
    await world.settled();
    await world.advance(2 * 86_400_000);
    const edited = world.engine.getRun(runId);
    expect([await edited.state, (await edited.blocked)?.reason]).toEqual(["blocked", "changed_code"]);
    expect((await edited.blocked)?.difference).toMatchObject(difference);
    expect((await edited.blocked)?.message).toContain(`the journal has ${difference.expected}, the code has ${difference.found}`);
    await world.restart({ workflows: [original] });
    await world.advance(20);
    expect(await world.engine.getRun(runId).returnValue).toBe("meanwhile");
    expect([done, undone]).toEqual([["reserve", "finish"], []]);
  });

  test.each<[string, Body]>([
    [
      "calls of one turn that changed places",
      async (ctx) => {
        const reserving = ctx.step("reserve", () => "r-1");
        const hook = ctx.webhook<string>({ timeout });
        await reserving;
        return finish(ctx, await Promise.race([ctx.waitForSignal("edited:1"), hook.wait()]));
      },
    ],
    [
      "another compensation, another retry policy, another way to read",
      async (ctx) => {
        const hook = ctx.webhook<string>({ timeout });
        await ctx.step("reserve", () => "other", { retries: 9, compensate: () => void undone.push("otherwise") });
        const signal = ctx.waitForSignal("edited:1");
        for await (const got of hook) return finish(ctx, got);
        return signal;
      },
    ],
    [
      "a schema at the webhook, which judges what comes from now on",
      async (ctx) => {
        const hook = ctx.webhook({ timeout, schema: z.string().max(20) });
        await reserve(ctx, hook);
        return finish(ctx, await Promise.race([hook.wait(), ctx.waitForSignal("edited:1")]));
      },
    ],
  ])("%s: it goes on", async (_, body) => {
    const { world, runId } = await parked();
    await world.restart({ workflows: [code(body)] });
    await world.engine.signal(token, "meanwhile");
    await world.settled();
    expect(await world.engine.getRun(runId).returnValue).toBe("meanwhile");
    expect([done, undone]).toEqual([["reserve", "finish"], []]);
  });
});
