// Conversations and reminders, as people write them. Some come out otherwise than a first glance says; `why` tells.

import { a, finish, fire, fireNewest, type Hook, type Program, waits } from "./program.ts";

const chat: Program["run"] = async ({ createHook, sleep, step }) => {
  const messages = createHook();
  const log: string[] = [];
  for (;;) {
    const message = await Promise.race([messages, sleep("1h").then(() => null)]);
    log.push(message ?? "idle");
    if (message === null) return log;
    await step("reply", message);
  }
};

const chasing: Program["run"] = async ({ createHook, sleep, step }) => {
  const answer = createHook();
  for (let days = 0; days < 2; days++) {
    const given = await Promise.race([answer.then((text) => ({ text })), sleep("1d").then(() => undefined)]);
    if (given) return `${given.text} after ${days}`;
    await step("remind", days);
  }
  await step("escalate");
  return await answer;
};

/** Asks until an answer comes within its time. `ask` waits for one answer, or rejects or gives nothing when it is late. */
function asking(ask: (answer: Hook, api: Parameters<Program["run"]>[0]) => PromiseLike<unknown>): Program["run"] {
  return async (api) => {
    const answer = api.createHook();
    for (;;) {
      await api.step("ask");
      const given = await ask(answer, api).then(
        (value) => value,
        () => undefined,
      );
      if (given !== undefined) return given;
    }
  };
}
/** For `asking`: late, and then the answer comes while the question goes out again. */
const answeredWhileAskingAgain: Program["script"] = [finish(), fire, a("r1"), finish()];

const conversations: readonly Program[] = [
  {
    name: "a chat ends when it is idle for an hour",
    why: "each pass has a timer of its own; those of earlier passes still pend",
    run: chat,
    script: [a("hi"), finish(), a("there"), finish(), fireNewest],
    expected: ["hi", "there", "idle"],
  },
  {
    name: "a chat: a message during the reply, while the first pass's timer fires",
    why: "nobody waits for that timer any more, and the message is unread until the next pass",
    run: chat,
    script: [a("hi"), a("there"), fire, finish(), finish(), fireNewest],
    expected: ["hi", "there", "idle"],
  },
  {
    name: "a request is asked again until it is answered",
    why: "the read of a late answer sleeps until the next pass",
    run: async ({ createHook, sleep, step }) => {
      const answers = createHook();
      const got: string[] = [];
      while (got.length < 2) {
        await step("ask", got.length);
        const answer = await Promise.race([answers.then((text) => text), sleep("10s").then(() => undefined)]);
        if (answer !== undefined) got.push(answer);
      }
      return got;
    },
    script: [finish(), fire, finish(), a("r1"), finish(), a("r2")],
    expected: ["r1", "r2"],
  },
  {
    name: "an async function in the race keeps reading after it has lost",
    why: "it is opaque: its loop takes the payload, and nobody looks at what it returns",
    run: asking((answer, { sleep }) => {
      const next = async (): Promise<unknown> => {
        for await (const text of answer) return text;
        return undefined;
      };
      return Promise.race([next(), sleep("10s")]);
    }),
    script: answeredWhileAskingAgain,
    expected: waits,
  },
  {
    name: "race({ … }) sees into the same function",
    why: "its sides are branches",
    run: asking(async (answer, { race, sleep }) => {
      const first = await race({
        answered: async () => {
          for await (const text of answer) return text;
          return undefined;
        },
        late: () => sleep("10s"),
      });
      return first.key === "answered" ? first.value : undefined;
    }),
    script: answeredWhileAskingAgain,
    expected: "r1",
  },
  {
    name: "a hand-written withTimeout keeps reading after its time",
    why: "new Promise hides the hook: the callback on it stays awake",
    run: asking(
      (answer, { sleep }) =>
        new Promise((resolve, reject) => {
          answer.then(resolve, reject);
          void sleep("10s").then(() => reject(new Error("late")));
        }),
    ),
    script: answeredWhileAskingAgain,
    expected: waits,
  },
  {
    name: "withTimeout over Promise.race loses nothing",
    why: "the race lets go of the hook",
    run: asking(async (answer, { sleep }) => {
      const late = sleep("10s").then(() => {
        throw new Error("late");
      });
      return await Promise.race([answer, late]);
    }),
    script: answeredWhileAskingAgain,
    expected: "r1",
  },
];

const reminders: readonly Program[] = [
  {
    name: "a reminder, then the answer",
    why: "the answer finds the pass that waits",
    run: chasing,
    script: [fire, finish(), a("ok")],
    expected: "ok after 1",
  },
  {
    name: "an answer during the escalation is not lost",
    why: "no pass reads then, so it stays unread until the last line",
    run: chasing,
    script: [fire, finish(), fire, finish(), a("ok"), finish()],
    expected: "ok",
  },
  {
    name: "a callback on a losing timer still runs",
    why: "timers are not readers: they fire; race({ … }) would cancel it",
    run: async ({ createHook, sleep, step }) => {
      const paid = createHook();
      let reminders = 0;
      const remind = sleep("1d").then(async () => {
        reminders++;
        await step("remind");
      });
      await Promise.race([paid, remind]);
      await step("ship");
      await sleep("30d");
      return `${reminders} reminders after paying`;
    },
    script: [a("paid"), finish(), fire, fire],
    expected: "1 reminders after paying",
  },
  {
    name: "silence raises an alarm, and the beat that came meanwhile still counts",
    why: "no read was awake while the alarm went out",
    run: async ({ createHook, sleep, step }) => {
      const beats = createHook();
      const log: string[] = [];
      while (log.length < 2) {
        const sign = await Promise.race([beats.then(() => "beat"), sleep("30s").then(() => "alarm")]);
        log.push(sign);
        if (sign === "alarm") await step("page somebody");
      }
      return log;
    },
    script: [fire, a("1"), finish()],
    expected: ["alarm", "beat"],
  },
];

export const conversation: readonly Program[] = [...conversations, ...reminders];
