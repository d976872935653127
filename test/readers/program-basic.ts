// The basic shapes: loops, lists, iterators, two readers on one hook.

import { a, b, finish, fire, fireNewest, type Hook, type Program, type Api } from "./program.ts";

/** Three passes of "an answer, or a reminder"; the answer comes while a reminder goes out. `read` makes the promise that is raced. */
export function remindingLoop(read: (hook: Hook, api: Api) => PromiseLike<unknown>): Program["run"] {
  return async (api) => {
    const answer = api.createHook();
    for (let pass = 0; pass < 3; pass++) {
      const given = await Promise.race([read(answer, api), api.sleep("1d").then(() => undefined)]);
      if (given !== undefined) return given;
      await api.step("remind", pass);
    }
    return "none";
  };
}

/** For `remindingLoop`: the payload arrives between two passes, when nobody reads. */
export const betweenPasses: Program["script"] = [fire, a("p1"), finish()];

export const basic: readonly Program[] = [
  {
    name: "a hook raced with a timer, in a loop, loses nothing",
    why: "the read of a lost race sleeps",
    run: async ({ createHook, sleep }) => {
      const inbox = createHook();
      const mail: string[] = [];
      let silences = 0;
      while (mail.length < 3) {
        const letter = await Promise.race([inbox.then((text) => ({ text })), sleep("1h").then(() => undefined)]);
        if (letter) mail.push(letter.text);
        else silences++;
      }
      return { mail, silences };
    },
    script: [fireNewest, fireNewest, a("x"), fireNewest, a("y"), a("z")],
    expected: { mail: ["x", "y", "z"], silences: 3 },
  },
  {
    name: "the same with the hook itself in the race",
    why: "a hook in a combinator is a read of it",
    run: async ({ createHook, sleep }) => {
      const inbox = createHook();
      const mail: unknown[] = [];
      while (mail.length < 2) {
        const letter = await Promise.race([inbox, sleep("1h")]);
        if (letter) mail.push(letter);
      }
      return mail;
    },
    script: [fireNewest, a("x"), fireNewest, a("y")],
    expected: ["x", "y"],
  },
  {
    name: "all over one hook twice gets two payloads",
    why: "each use of a hook is a read of its own",
    run: async ({ createHook }) => {
      const votes = createHook();
      return await Promise.all([votes, votes]);
    },
    script: [a("x"), a("y")],
    expected: ["x", "y"],
  },
  {
    name: "for await reads one payload a pass",
    why: "an iterator reads when it is asked for the next",
    run: async ({ createHook }) => {
      const seen: string[] = [];
      for await (const message of createHook()) if (seen.push(message) === 3) break;
      return seen;
    },
    script: [a("1"), a("2"), a("3")],
    expected: ["1", "2", "3"],
  },
  {
    name: "an answer during the reminder is read in the next pass",
    why: "a callback that lost takes nothing",
    run: remindingLoop((answer) => answer.then((value) => value)),
    script: betweenPasses,
    expected: "p1",
  },
  {
    name: "two workers share a hook in turns",
    why: "first come, first served",
    run: async ({ createHook, step }) => {
      const jobs = createHook();
      const done: string[] = [];
      const work = async (worker: string): Promise<void> => {
        for await (const job of jobs) {
          done.push(worker + job);
          await step("work", job);
          if (done.length === 3) jobs.dispose();
        }
      };
      await Promise.all([work("A"), work("B")]);
      return done;
    },
    script: [a("1"), a("2"), finish(), finish(), a("3"), finish()],
    expected: ["A1", "B2", "A3"],
  },
  {
    name: "a callback begun first reads before a later await",
    why: "within an epoch reads are served in order",
    run: async ({ createHook, step }) => {
      const mail = createHook();
      const first = mail.then((text) => text);
      await step("prepare");
      const second = await mail;
      return [await first, second];
    },
    script: [finish(), a("p1"), a("p2")],
    expected: ["p1", "p2"],
  },
  {
    name: "a look that finds nothing does not take the next payload",
    why: "reading waits for its own turn, and this race was decided before",
    run: async ({ createHook }) => {
      const mail = createHook();
      const look = await Promise.race([mail, Promise.resolve(null)]);
      return look ?? (await mail);
    },
    script: [a("p1")],
    expected: "p1",
  },
  {
    name: "of two hooks, the backlog comes first",
    why: "the oldest payload of the run is handed over, whatever its hook",
    run: async ({ createHook, sleep }) => {
      const left = createHook();
      const right = createHook();
      await sleep("1m");
      const seen: string[] = [];
      while (seen.length < 4) seen.push(await Promise.race([left.then((x) => `left ${x}`), right.then((x) => `right ${x}`)]));
      return seen;
    },
    script: [b("1"), b("2"), b("3"), fire, a("1")],
    expected: ["right 1", "right 2", "right 3", "left 1"],
  },
  {
    name: "a deadline that has passed beats an unread payload, which is kept",
    why: "a race already decided by something else eats nothing",
    run: async ({ createHook, sleep, step }) => {
      const mail = createHook();
      const deadline = sleep("1h").then(() => "too late");
      await step("slow work");
      const first = await Promise.race([deadline, mail]);
      return [first, await Promise.race([mail, step("probe")])];
    },
    script: [a("p1"), fire, finish()],
    expected: ["too late", "p1"],
  },
  {
    name: "an effect in a raced callback happens once",
    why: "callbacks of lost races that have taken nothing do not run",
    run: async ({ createHook, sleep, step }) => {
      const payment = createHook();
      const charge = async (card: string): Promise<string> => {
        await step("charge", card);
        return `charged ${card}`;
      };
      for (;;) {
        const receipt = await Promise.race([payment.then(charge), sleep("1h").then(() => undefined)]);
        if (receipt) return receipt;
      }
    },
    script: [fireNewest, fireNewest, a("p1"), finish()],
    expected: "charged p1",
  },
  {
    name: "a next() held over several races gets one payload",
    why: "racing the same promise again wakes it",
    run: async ({ createHook, sleep }) => {
      const messages = createHook()[Symbol.asyncIterator]();
      const seen: string[] = [];
      let next = messages.next();
      while (seen.length < 2) {
        const result = (await Promise.race([next, sleep("1h")])) as IteratorResult<string> | undefined;
        if (!result) continue;
        seen.push(result.value);
        next = messages.next();
      }
      return seen;
    },
    script: [fireNewest, fireNewest, a("x"), a("y")],
    expected: ["x", "y"],
  },
  {
    name: "a promise that lost can be awaited later",
    why: "awaiting wakes it",
    run: async ({ createHook, sleep }) => {
      const loud = createHook().then((text) => text.toUpperCase());
      await Promise.race([loud, sleep("1h")]);
      return await loud;
    },
    script: [fire, a("x")],
    expected: "X",
  },
  {
    name: "a for await inside a raced function serves the newest pass first",
    why: "the timer began a new epoch; the opaque readers of older passes come after",
    run: async ({ createHook, sleep, step }) => {
      const requests = createHook();
      const serve = async (): Promise<unknown> => {
        for await (const request of requests) return await step("process", request);
        return undefined;
      };
      for (;;) {
        const result = await Promise.race([serve(), sleep("1h").then(() => undefined)]);
        if (result) return result;
      }
    },
    script: [fireNewest, fireNewest, a("req"), finish("ok")],
    expected: "ok",
  },
  {
    name: "a for await in a branch loses nothing between passes",
    why: "what a branch reads sleeps with it",
    run: remindingLoop((answer, { branch }) =>
      branch(async () => {
        for await (const value of answer) return value;
        return undefined;
      }),
    ),
    script: betweenPasses,
    expected: "p1",
  },
];
