// A wait in the context style is a promise as any other: joined, looped over, caught, returned. None of it loses a payload, and an engine
// that crashes after each thing that happens makes no difference.

import { describe, expect, test } from "vitest";
import { FatalError } from "../src/context.ts";
import { describeLives, hour, isLate, nameOf, pass, play, send } from "./context/played.ts";

describeLives((all) => {
  describe("several at once", () => {
    all([
      [
        "two waits have two payloads, in the order of the asking",
        async ({ hook }) => {
          const first = hook.wait();
          const second = hook.wait();
          return [await second, await first];
        },
        send("a", "b"),
        ["b", "a"],
      ],
      [
        "Promise.all",
        async ({ hook }) => Promise.all([hook.wait(), hook.wait({ timeout: "1h" }), hook.wait()]),
        send("a", "b", "c"),
        ["a", "b", "c"],
      ],
      [
        "Promise.all of which one is over: the other read sleeps, and its payload is for the next",
        async ({ hook }) => [await Promise.all([hook.wait(), hook.wait({ timeout: "1h" })]).catch(isLate), await hook.wait()],
        [...send("a"), pass(hour), ...send("b")],
        ["late", "b"],
      ],
      [
        "Promise.allSettled keeps what each has come to",
        async ({ hook }) => {
          const [a, b] = await Promise.allSettled([hook.wait(), hook.wait({ timeout: "1h" })]);
          return [a, b?.status === "rejected" && isLate(b.reason), await hook.wait()];
        },
        [...send("a"), pass(hour), ...send("b")],
        [{ status: "fulfilled", value: "a" }, "late", "b"],
      ],
      [
        "Promise.any: the first payload of two webhooks, or all that went wrong",
        async ({ ctx, hook }) => {
          const other = ctx.webhook<string>();
          await ctx.step("hand-out", () => void other.token);
          const first = await Promise.any([other.wait({ timeout: "1h" }), hook.wait({ timeout: "2h" })]);
          const none = await Promise.any([other.wait({ timeout: "1h" }), hook.wait({ timeout: "2h" })]).catch((error: AggregateError) =>
            error.errors.map(isLate),
          );
          return [first, none];
        },
        [pass(hour), ...send("a"), pass(hour), pass(hour)],
        ["a", ["late", "late"]],
      ],
    ]);
  });

  describe("loops", () => {
    all([
      [
        "for await, left by break, entered again, and a wait after it",
        async ({ hook, note }) => {
          const got: string[] = [];
          for await (const value of hook) {
            got.push(value);
            await note(value);
            if (value === "b") break;
          }
          for await (const value of hook) {
            got.push(`again ${value}`);
            break;
          }
          return [...got, await hook.wait()];
        },
        send("a", "b", "c", "d"),
        ["a", "b", "again c", "d"],
      ],
      [
        "for await left by a throw has not closed the webhook",
        async ({ hook }) => {
          try {
            for await (const value of hook) throw new FatalError(value);
          } catch (error) {
            return [(error as Error).message, await hook.wait()];
          }
          return "done";
        },
        send("a", "b"),
        ["a", "b"],
      ],
      [
        "for await over a webhook that is closed in it ends after what had come before",
        async ({ hook, note }) => {
          const got: string[] = [];
          for await (const value of hook) {
            await note(value);
            got.push(value);
            if (got.length === 1) hook.close();
          }
          return [got, await hook.wait().catch(nameOf)];
        },
        send("a", "b"),
        [["a"], "HookDisposedError"],
      ],
      [
        "what came before the close is still read after it, by waits and loops, with and without a timeout",
        async ({ ctx, hook }) => {
          await ctx.sleep("1h");
          hook.close();
          const got = [await hook.wait(), await hook.wait({ timeout: "1h" })];
          for await (const value of hook) got.push(value);
          return [...got, await hook.wait({ timeout: "1h" }).catch(nameOf)];
        },
        [...send("a", "b", "c"), pass(hour)],
        ["a", "b", "c", "HookDisposedError"],
      ],
      [
        "two loops share what comes, and none is read twice",
        async ({ ctx, hook }) => {
          const other = ctx.webhook<string>();
          const got: string[] = [];
          const read = async (): Promise<void> => {
            for await (const value of hook) {
              got.push(value);
              if (got.length === 4) hook.close();
            }
          };
          await Promise.all([read(), read(), ctx.sleep("1h")]);
          return [got, other.token !== hook.token];
        },
        [...send("a", "b", "c", "d"), pass(hour)],
        [["a", "b", "c", "d"], true],
      ],
    ]);
  });

  describe("caught, and handed on", () => {
    all([
      [
        "catch {} around a wait catches no crash, and what it waits for is awaited",
        async ({ hook }) => {
          let value = "nothing";
          try {
            value = await hook.wait();
          } catch {
            value = "caught";
          }
          return value;
        },
        send("a"),
        "a",
      ],
      [
        "catch {} around a wait with a timeout, in a loop that asks again",
        async ({ hook, note }) => {
          for (let asked = 1; ; asked++) {
            try {
              return [asked, await hook.wait({ timeout: "1h" })];
            } catch {
              await note("remind");
            }
          }
        },
        [pass(hour), pass(hour), ...send("a")],
        [3, "a"],
      ],
      [
        ".catch(() => null) and finally",
        async ({ hook }) => {
          const seen: string[] = [];
          const wait = (): Promise<string | null> =>
            hook
              .wait({ timeout: "1h" })
              .finally(() => seen.push("over"))
              .catch(() => null);
          return [await wait(), await wait(), seen];
        },
        [pass(hour), ...send("a")],
        [null, "a", ["over", "over"]],
      ],
      [
        "returned from async helpers, at any depth",
        async ({ hook }) => {
          const direct = async (): Promise<string> => hook.wait();
          const deep = async (): Promise<string> => (await Promise.resolve(direct())).toUpperCase();
          const late = async (): Promise<string> => hook.wait({ timeout: "1h" });
          return [await deep(), await late().catch(isLate), await direct()];
        },
        [...send("a"), pass(hour), ...send("b")],
        ["A", "late", "b"],
      ],
      [
        "the webhook itself handed through async functions is not awaited by that",
        async ({ hook }) => {
          const same = await (async () => hook)();
          return [same === hook, await same.wait()];
        },
        send("a"),
        [true, "a"],
      ],
      [
        "begun and awaited later, past a step and a sleep",
        async ({ ctx, hook, note }) => {
          const later = hook.wait();
          await note("working");
          await ctx.sleep("1h");
          return later;
        },
        [...send("a"), pass(hour)],
        "a",
      ],
      [
        "begun before the address is handed out",
        async ({ ctx }) => {
          const second = ctx.webhook<string>();
          const later = second.wait();
          await ctx.step("look-up", () => "customer");
          const { disposition } = await ctx.signal(second.token, "sent");
          return [disposition, await later];
        },
        [],
        ["accepted", "sent"],
      ],
      [
        "one that is over before it is awaited tells it then, and is no stray rejection",
        async ({ ctx, hook }) => {
          const later = hook.wait({ timeout: "1h" });
          await ctx.sleep("2h");
          return [await later.catch(isLate), await hook.wait()];
        },
        [pass(2 * hour), ...send("a")],
        ["late", "a"],
      ],
      [
        "one that has its payload before its time is over keeps it until it is awaited",
        async ({ ctx, hook }) => {
          const later = hook.wait({ timeout: "1h" });
          await ctx.sleep("2h");
          return later;
        },
        [pass(hour - 1), ...send("a"), pass(hour + 1)],
        "a",
      ],
      [
        "no time at all asks what is there already",
        async ({ ctx, hook }) => {
          const none = await hook.wait({ timeout: 0 }).catch(isLate);
          await ctx.sleep("1h");
          return [none, await hook.wait({ timeoutMs: 0 }), await hook.wait({ timeout: new Date(0) }).catch(isLate)];
        },
        [...send("a"), pass(hour)],
        ["late", "a", "late"],
      ],
      [
        "a cancelled run's waits reject, and its code may clean up",
        async ({ hook, note }) => {
          await hook.wait({ timeout: "1h" }).catch(async (error: Error) => {
            await note(error.name);
            throw error;
          });
        },
        [{ cancel: true }],
        "cancelled",
      ],
    ]);
  });
});

test.each([false, true])(
  "a wait that nobody can end, since the address is nobody's, is told of, once (crashing: %s)",
  async (isCrashing) => {
    const { result, warnings } = await play(
      async ({ ctx, hook }) => {
        const second = ctx.webhook<string>();
        await ctx.race({ second: second.wait(), first: hook.wait() });
        return ctx.race({ second: second.wait(), first: hook.wait() });
      },
      send("a", "b"),
      isCrashing,
    );
    expect(result).toEqual({ key: "first", value: "b" });
    expect(warnings).toEqual([
      expect.stringMatching(/^Hook #3 of run \S+ is awaited before its run has given its token or URL to anybody/),
    ]);
  },
);

test("what nobody waits for any more is told to be unread at the end", async () => {
  const { result, unread } = await play(
    async ({ ctx, hook }) => {
      await Promise.race([hook.wait({ timeout: "2h" }), ctx.sleep("1h")]);
      await ctx.sleep("1h");
      return "over";
    },
    [pass(hour), ...send("a"), pass(hour)],
    true,
  );
  expect([result, unread]).toEqual(["over", 1]);
});
