// Votes, work and deadlines, as people write them. Some come out otherwise than a first glance says; `why` tells.

import { a, b, c, finish, fire, fireNewest, type Program, waits } from "./program.ts";

const approvals: Program["run"] = async ({ createHook, step }) => {
  const inbox = createHook();
  const answers: PromiseLike<string>[] = [];
  for (const approver of ["ann", "bob"]) {
    answers.push(inbox.then((answer) => answer));
    await step("mail", approver);
  }
  return await Promise.all(answers);
};

async function* shouted(words: AsyncIterable<string>): AsyncGenerator<string> {
  for await (const word of words) yield `${word}!`;
}

const votes: readonly Program[] = [
  {
    name: "three approvals on one hook",
    why: "three reads, served in order",
    run: async ({ createHook }) => {
      const approval = createHook();
      return await Promise.all([approval, approval, approval]);
    },
    script: [a("x"), a("y"), a("z")],
    expected: ["x", "y", "z"],
  },
  {
    name: "two of three votes decide, but the third is still counted",
    why: "each callback waits for itself; nothing tells it that enough have come",
    run: async ({ createHook, step }) => {
      const hooks = [createHook(), createHook(), createHook()];
      const yes: string[] = [];
      await new Promise<void>((enough) => {
        for (const hook of hooks) hook.then((vote) => yes.push(vote) === 2 && enough());
      });
      await step("announce");
      return yes;
    },
    script: [a("x"), c("z"), b("y"), finish()],
    expected: ["x", "z", "y"],
  },
  {
    name: "what a leg of an all took before the deadline is gone",
    why: "as in plain JavaScript: the payload went into an all that never completes; collect in a loop",
    run: async ({ createHook, sleep }) => {
      const approval = createHook();
      const outcome = await Promise.race([Promise.all([approval, approval, approval]), sleep("1d").then(() => "late")]);
      return { outcome, then: [await approval, await approval] };
    },
    script: [a("x"), fire, a("y"), a("z")],
    expected: { outcome: "late", then: ["y", "z"] },
  },
  {
    name: "one read per approver, in the order of the mails",
    why: "within an epoch reads are served in order",
    run: approvals,
    script: [finish(), finish(), a("first"), a("second")],
    expected: ["first", "second"],
  },
  {
    name: "the first approver answers before the second mail is out",
    why: "his callback waits for itself until all() takes that over",
    run: approvals,
    script: [finish(), a("first"), finish(), a("second")],
    expected: ["first", "second"],
  },
  {
    name: "of two providers the first ships, and the late second is refunded",
    why: "the promise that lost is raced again, and so awake again",
    run: async ({ createHook, sleep, step }) => {
      const north = createHook().then((id) => ({ id, other: (): PromiseLike<{ id: string }> => south }));
      const south: PromiseLike<typeof north extends PromiseLike<infer V> ? V : never> = createHook().then((id) => ({
        id,
        other: () => north,
      }));
      const first = await Promise.race([north, south]);
      await step("ship");
      const late = (await Promise.race([first.other(), sleep("7d")])) as { id: string } | undefined;
      return [first.id, late ? `refund ${late.id}` : "nothing to refund"];
    },
    script: [a("n1"), b("s1"), finish()],
    expected: ["n1", "refund s1"],
  },
  {
    name: "any of two providers, and then the other",
    why: "any lets go of its inputs when it is decided",
    run: async ({ createHook, step }) => {
      const north = createHook();
      const south = createHook();
      const first = await Promise.any([north, south]);
      await step("ship");
      return [first, await north];
    },
    script: [b("s1"), a("n1"), finish()],
    expected: ["s1", "n1"],
  },
  {
    name: "two hooks in a race, taking turns",
    why: "the read of the hook that lost sleeps until the next pass",
    run: async ({ createHook }) => {
      const left = createHook();
      const right = createHook();
      const seen: string[] = [];
      while (seen.length < 4) seen.push(await Promise.race([left.then((x) => `left ${x}`), right.then((x) => `right ${x}`)]));
      return seen;
    },
    script: [a("1"), b("1"), b("2"), a("2")],
    expected: ["left 1", "right 1", "right 2", "left 2"],
  },
];

const pools: readonly Program[] = [
  {
    name: "a stop sign beside the work is seen between two items",
    why: "a callback nobody waits for waits for itself",
    run: async ({ createHook, step }) => {
      let isStopped = false;
      createHook().then(() => {
        isStopped = true;
      });
      for (let item = 0; item < 3; item++) {
        if (isStopped) return `stopped at ${item}`;
        await step("work", item);
      }
      return "all done";
    },
    script: [a("stop"), finish()],
    expected: "stopped at 1",
  },
  {
    name: "a stop sign raced with each item",
    why: "racing the same promise again wakes it",
    run: async ({ createHook, step }) => {
      const stop = createHook().then(() => "stop");
      for (let item = 0; item < 3; item++) {
        if ((await Promise.race([stop, step("work", item)])) === "stop") return `stopped at ${item}`;
      }
      return "all done";
    },
    script: [finish("ok"), a("stop")],
    expected: "stopped at 1",
  },
  {
    name: "a stop sign that lost a race is not seen during a plain step",
    why: "the race took over the callback's waiting, and lost: asleep, it takes nothing",
    run: async ({ createHook, step }) => {
      let isStopped = false;
      const stop = createHook().then(() => {
        isStopped = true;
      });
      await Promise.race([stop, step("one")]);
      await step("two");
      return isStopped ? "stopped" : "went on";
    },
    script: [finish(), a("stop"), finish()],
    expected: "went on",
    unread: ["stop"],
  },
  {
    name: "pause and resume on one hook",
    why: "the standing command is held over the passes; the next one is read apart",
    run: async ({ createHook, step }) => {
      const commands = createHook();
      const log: unknown[] = [];
      let command = commands.then((text) => text);
      for (let item = 0; item < 2; item++) {
        const event = await Promise.race([command, step("work", item).then(() => "work")]);
        log.push(event);
        if (event !== "pause") continue;
        log.push(await commands);
        command = commands.then((text) => text);
        item--;
      }
      return log;
    },
    script: [finish(), a("pause"), a("resume"), finish(undefined, "newest")],
    expected: ["work", "pause", "resume", "work"],
  },
  {
    name: "a burst is taken together, what comes later begins the next",
    why: "each payload has a reader before the timer that ends the burst",
    run: async ({ createHook, sleep }) => {
      const changes = createHook();
      const bursts: string[][] = [];
      while (bursts.length < 2) {
        const burst = [await changes];
        for (;;) {
          const change = await Promise.race([changes, sleep("5s").then(() => null)]);
          if (change === null) break;
          burst.push(change);
        }
        bursts.push(burst);
      }
      return bursts;
    },
    script: [a("1"), a("2"), a("3"), fireNewest, a("4"), fireNewest],
    expected: [["1", "2", "3"], ["4"]],
  },
  {
    name: "batches of three or a minute, with nothing lost between them",
    why: "what arrives during the flush stays unread until the next batch",
    run: async ({ createHook, sleep, step }) => {
      const items = createHook();
      const batches: string[][] = [];
      while (batches.length < 2) {
        const batch: string[] = [];
        const full = sleep("1m").then(() => null);
        while (batch.length < 3) {
          const item = await Promise.race([full, items]);
          if (item === null) break;
          batch.push(item);
        }
        await step("flush", batch);
        batches.push(batch);
      }
      return batches;
    },
    script: [a("1"), a("2"), fire, a("3"), finish(), a("4"), a("5"), finish()],
    expected: [
      ["1", "2"],
      ["3", "4", "5"],
    ],
  },
  {
    name: "a pool of two takes jobs as they come",
    why: "whoever waits longest is served first",
    run: async ({ createHook, step }) => {
      const jobs = createHook();
      const log: string[] = [];
      const serve = async (worker: string): Promise<void> => {
        for (let job = await jobs; job !== "stop"; job = await jobs) {
          log.push(worker + job);
          await step("do", job);
        }
      };
      await Promise.all([serve("A"), serve("B")]);
      return log;
    },
    script: [a("1"), a("2"), finish(), a("3"), finish(), finish(), a("stop"), a("stop")],
    expected: ["A1", "B2", "A3"],
  },
  {
    name: "a background loop and a main read share a hook",
    why: "the loop was first; then the main read, then the loop again",
    run: async ({ createHook, step }) => {
      const events = createHook();
      const audited: string[] = [];
      const audit = async (): Promise<void> => {
        for await (const event of events) audited.push(event);
      };
      void audit();
      await step("prepare");
      const main = await events;
      return { main, audited };
    },
    script: [finish(), a("1"), a("2")],
    expected: { main: "2", audited: ["1"] },
  },
];

const deadlines: readonly Program[] = [
  {
    name: "a deadline that disposes the hook ends its loop",
    why: "the loop reads what is unread, comes to the mark and is done",
    run: async ({ createHook, sleep, step }) => {
      const lines = createHook();
      const saved: string[] = [];
      void sleep("1h").then(() => lines.dispose());
      for await (const line of lines) {
        saved.push(line);
        await step("save", line);
      }
      return saved;
    },
    script: [a("1"), finish(), a("2"), fire, finish()],
    expected: ["1", "2"],
  },
  {
    name: "a deadline raced with an async loop leaves the loop reading",
    why: "the function is opaque: its loop takes the second line, and the last read waits",
    run: async ({ createHook, sleep, step }) => {
      const lines = createHook();
      const saved: string[] = [];
      const save = async (): Promise<void> => {
        for await (const line of lines) saved.push(line);
      };
      await Promise.race([save(), sleep("1h")]);
      await step("close");
      return [saved, await lines];
    },
    script: [a("1"), fire, a("2"), finish()],
    expected: waits,
  },
  {
    name: "an async generator whose next() is held loses nothing",
    why: "one next() is one read",
    run: async ({ createHook, sleep, step }) => {
      const words = shouted(createHook());
      const heard: string[] = [];
      let next = words.next();
      while (heard.length < 2) {
        const result = await Promise.race([next, sleep("1m").then(() => undefined)]);
        if (!result) await step("ping");
        else {
          heard.push(result.value);
          next = words.next();
        }
      }
      return heard;
    },
    script: [fire, a("1"), finish(), a("2")],
    expected: ["1!", "2!"],
  },
  {
    name: "an async generator asked anew in every pass gives its first word to nobody",
    why: "as in plain JavaScript: a generator queues its next() calls, and the first one has lost",
    run: async ({ createHook, sleep }) => {
      const words = shouted(createHook());
      const heard: string[] = [];
      while (heard.length < 2) {
        const result = await Promise.race([words.next(), sleep("1m").then(() => undefined)]);
        if (result) heard.push(result.value);
      }
      return heard;
    },
    script: [fire, a("1"), a("2"), a("3")],
    expected: ["2!", "3!"],
  },
];

export const work: readonly Program[] = [...votes, ...pools, ...deadlines];
