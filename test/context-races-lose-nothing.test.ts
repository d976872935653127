// A wait in a race behaves as any other promise there, and one that has lost takes no payload: it is for who waits next. An engine that
// crashes after each thing that happens makes no difference.

import { describeLives, hour, isLate, pass, send } from "./context/played.ts";

describeLives((all) => {
  all([
    [
      "a wait against a sleep: the sleep wins, the next wait has the payload",
      async ({ ctx, hook }) => [await Promise.race([hook.wait(), ctx.sleep("1h").then(() => "slept")]), await hook.wait()],
      [pass(hour), ...send("a")],
      ["slept", "a"],
    ],
    [
      "a wait against a sleep: the payload wins, and the timer that is left holds up nothing",
      async ({ ctx, hook }) => [await Promise.race([hook.wait(), ctx.sleep("1h")]), await hook.wait()],
      [...send("a", "b")],
      ["a", "b"],
    ],
    [
      "in a loop, with a payload in each gap between two races",
      async ({ ctx, hook, note }) => {
        const got: unknown[] = [];
        while (got.length < 6) {
          got.push(await Promise.race([hook.wait(), ctx.sleep("1h").then(() => "-")]));
          await note("between");
        }
        return got;
      },
      [...send("a"), pass(hour), ...send("b", "c"), pass(hour / 2), ...send("d"), pass(hour)],
      ["a", "-", "b", "c", "d", "-"],
    ],
    [
      "against one deadline that stands over the whole loop",
      async ({ ctx, hook }) => {
        const late = ctx.sleep("1h").then(() => null);
        const got: string[] = [];
        for (;;) {
          const next = await Promise.race([hook.wait(), late]);
          if (next === null) return [got, await hook.wait()];
          got.push(next);
        }
      },
      [...send("a"), pass(hour / 2), ...send("b"), pass(hour / 2), ...send("c")],
      [["a", "b"], "c"],
    ],
    [
      "one wait that lost, kept and raced again, has the payload, and is not in the way of a new one",
      async ({ ctx, hook }) => {
        const kept = hook.wait();
        const first = await Promise.race([kept, ctx.sleep("1h").then(() => "slept")]);
        const direct = await hook.wait();
        return [first, direct, await Promise.race([kept, ctx.sleep("1h")])];
      },
      [pass(hour), ...send("a", "b")],
      ["slept", "a", "b"],
    ],
    [
      "a wait with a timeout that lost an outer race takes nothing while nobody asks, and goes on when it is raced again",
      async ({ ctx, hook }) => {
        const patient = hook.wait({ timeout: "3h" });
        const first = await Promise.race([patient, ctx.sleep("1h").then(() => "slept")]);
        await ctx.sleep("1h");
        return [first, await Promise.race([patient, ctx.sleep("2h").then(() => "slept")]), await hook.wait()];
      },
      [pass(hour), ...send("a"), pass(hour), ...send("b")],
      ["slept", "a", "b"],
    ],
    [
      "the same, when its time is over meanwhile: it says so, and what came is for the next wait",
      async ({ ctx, hook }) => {
        const patient = hook.wait({ timeout: "2h" });
        const first = await Promise.race([patient, ctx.sleep("1h").then(() => "slept")]);
        await ctx.sleep("2h");
        return [first, await Promise.race([patient, ctx.sleep("1h")]).catch(isLate), await hook.wait()];
      },
      [pass(hour), pass(2 * hour), ...send("a")],
      ["slept", "late", "a"],
    ],
    [
      "a wait with a timeout against a shorter sleep, again and again",
      async ({ ctx, hook }) => {
        const got: unknown[] = [];
        for (let n = 0; n < 4; n++)
          got.push(await Promise.race([hook.wait({ timeout: "2h" }).catch(isLate), ctx.sleep("1h").then(() => "slept")]));
        return [...got, await hook.wait()];
      },
      [pass(hour), ...send("a"), pass(hour), pass(hour), ...send("b")],
      ["slept", "a", "slept", "slept", "b"],
    ],
    [
      "ctx.race says which side it was, and cancels the loser's timer",
      async ({ ctx, hook }) => [
        await ctx.race({ paid: hook.wait(), late: ctx.sleep("1h") }),
        await ctx.race({ paid: hook.wait(), late: ctx.sleep("1h") }),
        await ctx.race({ paid: () => hook.wait(), late: () => ctx.sleep("1h") }),
        await hook.wait(),
      ],
      [...send("a"), pass(hour), pass(hour), ...send("b")],
      [{ key: "paid", value: "a" }, { key: "late" }, { key: "late" }, "b"],
    ],
    [
      "ctx.race with a wait that has a timeout as a side",
      async ({ ctx, hook }) => [
        await ctx.race({ paid: hook.wait({ timeout: "1h" }).catch(isLate), never: ctx.sleep("2h") }),
        await ctx.race({ paid: hook.wait({ timeout: "2h" }), soon: ctx.sleep("1h") }),
        await hook.wait(),
      ],
      [pass(hour), pass(hour), ...send("a")],
      [{ key: "paid", value: "late" }, { key: "soon" }, "a"],
    ],
    [
      "ctx.race of a list, and a step as the winner",
      async ({ ctx, hook }) => [await ctx.race([hook.wait(), ctx.step("quick", () => "step")]), await hook.wait()],
      send("a"),
      ["step", "a"],
    ],
    [
      "a helper that is an async function, as a branch of ctx.race, takes nothing once it has lost",
      async ({ ctx, hook }) => {
        const helper = async (): Promise<string> => hook.wait();
        const first = await ctx.race({ got: helper, late: ctx.sleep("1h") });
        return [first.key, await hook.wait()];
      },
      [pass(hour), ...send("a")],
      ["late", "a"],
    ],
  ]);
});
