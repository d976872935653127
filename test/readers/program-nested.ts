// Readers seen through other promises: nested combinators, callbacks that return hooks, iterators that were left, ends.

import { a, b, cancel, fail, finish, fireNewest, type Program } from "./program.ts";
import { betweenPasses, remindingLoop } from "./program-basic.ts";

export const nested: readonly Program[] = [
  {
    name: "a race inside the race sleeps with it",
    why: "a combinator lets go of its inputs when nobody waits for it",
    run: remindingLoop((answer) => Promise.race([answer])),
    script: betweenPasses,
    expected: "p1",
  },
  {
    name: "an all inside the race sleeps with it",
    why: "likewise, and so does a callback on it",
    run: remindingLoop((answer) => Promise.all([answer]).then((all) => all[0])),
    script: betweenPasses,
    expected: "p1",
  },
  {
    name: "an any inside the race sleeps with it",
    why: "likewise",
    run: remindingLoop((answer) => Promise.any([answer])),
    script: betweenPasses,
    expected: "p1",
  },
  {
    name: "the loser of an any is read later",
    why: "any lets go of its inputs when it is decided",
    run: async ({ createHook, step }) => {
      const north = createHook();
      const south = createHook();
      await Promise.any([north, south]);
      await step("note");
      return await south;
    },
    script: [a("n1"), b("s1"), finish()],
    expected: "s1",
  },
  {
    name: "an all that has failed takes nothing more",
    why: "it is decided by the failed step",
    run: async ({ createHook, step }) => {
      const mail = createHook();
      await Promise.all([mail, step("check")]).catch(() => {});
      await step("clean up");
      return await mail;
    },
    script: [fail, a("m1"), finish()],
    expected: "m1",
  },
  {
    name: "callbacks on a shared parent: only the one of the last pass runs",
    why: "a callback that lost is unlinked from its parent",
    run: async ({ createHook, sleep, step }) => {
      const shared = createHook().then((value) => value);
      let effects = 0;
      for (;;) {
        const count = await Promise.race([shared.then(() => ++effects), sleep("1h").then(() => 0)]);
        if (count === 0) continue;
        await step("settle");
        return effects;
      }
    },
    script: [fireNewest, fireNewest, fireNewest, a("p1"), finish()],
    expected: 1,
  },
  {
    name: "a hook returned by a callback sleeps with the race that was lost",
    why: "what a callback returns is waited for through the callback's promise",
    run: async ({ createHook, sleep, step }) => {
      const first = createHook();
      const second = createHook();
      await Promise.race([first.then(() => second), sleep("1h")]);
      await step("note");
      return await second;
    },
    script: [a("1"), fireNewest, b("2"), finish()],
    expected: "2",
  },
  {
    name: "Promise.resolve(hook) is seen into",
    why: "it is a read that waits for nothing until somebody waits for it",
    run: remindingLoop((answer) => Promise.resolve(answer)),
    script: betweenPasses,
    expected: "p1",
  },
  {
    name: "a chain that a payload has gone into runs to its end",
    why: "losing stops reads, not what has begun",
    run: async ({ createHook, sleep, step }) => {
      let log = "nothing";
      const charged = createHook()
        .then((card) => step("charge", card))
        .then(() => {
          log = "recorded";
        });
      await Promise.race([charged, sleep("1h")]);
      await step("ship");
      return log;
    },
    script: [a("card"), fireNewest, finish(), finish()],
    expected: "recorded",
  },
  {
    name: "an iterator that was left takes nothing, even with a next() held",
    why: "return() ends the iterator's own pending reads",
    run: async ({ createHook }) => {
      const hook = createHook();
      const iterator = hook[Symbol.asyncIterator]();
      void iterator.next();
      await iterator.return?.();
      return await hook;
    },
    script: [a("p1")],
    expected: "p1",
  },
  {
    name: "what was unread before dispose is still read",
    why: "the end is a mark behind the payloads",
    run: async ({ createHook, step }) => {
      const hook = createHook();
      await step("wait");
      hook.dispose();
      const seen: string[] = [];
      for await (const value of hook) seen.push(value);
      return seen;
    },
    script: [a("1"), a("2"), finish()],
    expected: ["1", "2"],
  },
  {
    name: "a cancel comes through a race, and clean-up steps still run",
    why: "the end mark goes to awake readers like a payload",
    run: async ({ createHook, sleep, step }) => {
      try {
        return await Promise.race([createHook(), sleep("1h")]);
      } catch (error) {
        await step("clean up");
        return (error as Error).name;
      }
    },
    script: [cancel, finish()],
    expected: "RunCancelledError",
  },
  {
    name: "an all that failed is caught, undone and the hook read again",
    why: "the read it held is free",
    run: async ({ createHook, step }) => {
      const goods = createHook();
      try {
        await Promise.all([goods, step("pay")]);
      } catch {
        await step("undo");
      }
      return await goods;
    },
    script: [fail, a("goods"), finish()],
    expected: "goods",
  },
  {
    name: "reading a closed hook again and again gets the end each time",
    why: "the mark goes to every awake reader that comes to it",
    run: async ({ createHook }) => {
      const hook = createHook();
      hook.dispose();
      let ends = 0;
      for (let i = 0; i < 5; i++) await hook.catch(() => ends++);
      return ends;
    },
    script: [],
    expected: 5,
  },
];
