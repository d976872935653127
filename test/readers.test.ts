// Who gets a hook's payload: sixty programs, hot and after every prefix of their journals; then the edges, one by one (H1–H6,
// N1, N2, B1, CO2, CO3, T2).

import { describe, expect, expectTypeOf, test } from "vitest";
import { race } from "../src/core/branch.ts";
import { patchedPromise } from "../src/core/combinator.ts";
import { Mailbox, type Read } from "../src/core/mailbox.ts";
import { Tracked } from "../src/core/reader.ts";
import { ReadQueue } from "../src/core/read-queue.ts";
import { api, type Code, DrivenRun } from "./readers/driver.ts";
import { findDifference, play } from "./readers/play.ts";
import { a, b, type Action, cancel, expire, finish, fire, waits } from "./readers/program.ts";
import { programs } from "./readers/programs.ts";

/** What the code returns under the script, or `waits`; hot and cold. */
async function outcome(code: Code, script: readonly Action[]): Promise<unknown> {
  const played = await play(code, script);
  expect(played.idle).toEqual([]);
  expect(await findDifference(code, played)).toBeNull();
  const { ended } = played.run;
  if (ended && "error" in ended) throw ended.error;
  return ended ? JSON.parse(ended.value ?? "null") : waits;
}

describe("programs", () => {
  test("there are sixty, each with its own name", () => {
    expect(new Set(programs.map(({ name }) => name)).size).toBe(60);
  });

  test.each(programs)("$name: $why", async ({ run: code, script, expected, unread }) => {
    const played = await play(code, script);
    const { ended, unread: left } = played.run;
    expect(played.idle).toEqual([]);
    if (ended && "error" in ended) throw ended.error;
    expect(ended ? JSON.parse(ended.value ?? "null") : waits).toEqual(expected);
    expect(left).toEqual(unread ?? []);
    expect(await findDifference(code, played)).toBeNull();
  });

  test("serving older epochs first would give payloads to passes that have lost", async () => {
    class OldestFirst extends ReadQueue {
      override add(read: Read): void {
        super.add(read, 0);
      }
    }
    const wrong: string[] = [];
    for (const { name, run: code, script, expected } of programs) {
      const { ended } = (await play(code, script, (run) => new Mailbox(run, new OldestFirst()))).run;
      const got = ended && "value" in ended ? JSON.parse(ended.value ?? "null") : waits;
      if (JSON.stringify(got) !== JSON.stringify(expected)) wrong.push(name);
    }
    expect(wrong).toContain("a for await inside a raced function serves the newest pass first");
  });
});

describe("a mailbox", () => {
  const reading = (): { mailbox: Mailbox<string>; got: unknown[]; read: () => void; drain: () => Promise<void> } => {
    const mailbox = new Mailbox<string>(new DrivenRun());
    const got: unknown[] = [];
    const note = (value: unknown): number => got.push(value instanceof Error ? value.message : value);
    const read = (): void => void mailbox.read().promise.then(note, note);
    const drain = async (): Promise<void> => {
      while (mailbox.run.ready.size > 0) mailbox.handOver();
      await Promise.resolve();
    };
    return { mailbox, got, read, drain };
  };

  test("a payload is parsed once, when it is handed over; one that cannot be read here reaches no reader", async () => {
    const { mailbox, got, read, drain } = reading();
    let parses = 0;
    mailbox.receive(1, () => `good ${++parses}`);
    mailbox.receive(2, () => {
      throw new Error("unreadable");
    });
    expect(parses).toBe(0);
    read();
    read();
    await expect(drain()).rejects.toThrow("unreadable");
    expect(got).toEqual(["good 1"]);
  });

  test("what was received before the end is read first; what comes behind it stays unread; the first end stands", async () => {
    const { mailbox, got, read, drain } = reading();
    mailbox.receive(3, () => "before");
    mailbox.close(4, new Error("disposed"));
    mailbox.close(5, new Error("cancelled"));
    mailbox.receive(6, () => "behind");
    expect(mailbox.oldest()).toBe(3);
    for (let i = 0; i < 3; i++) read();
    await drain();
    expect(got).toEqual(["before", "disposed", "disposed"]);
    expect(mailbox.unread).toEqual([6]);
    expect([mailbox.isClosed, mailbox.isAwaited, mailbox.oldest()]).toEqual([true, false, 4]);
  });

  test("it is ready only while it has something and somebody waits", () => {
    const { mailbox, read } = reading();
    const { ready } = mailbox.run;
    mailbox.receive(1, () => "x");
    expect(ready.size).toBe(0);
    mailbox.read();
    expect(ready.size).toBe(0);
    read();
    expect(ready.size).toBe(1);
    mailbox.handOver();
    expect(ready.size).toBe(0);
  });
});

describe("what a hook gives", () => {
  test("Promise.resolve(hook) takes nothing until somebody waits for it", async () => {
    const { run } = await play(
      async ({ createHook, step }) => {
        void Promise.resolve(createHook());
        await step("work");
      },
      [a("x"), finish()],
    );
    expect([run.handed, run.unread]).toEqual([[], ["x"]]);
  });

  test("a tracked promise is a Promise of another constructor, and makes ordinary ones", async () => {
    const code: Code = async ({ createHook }) => {
      const promise = createHook().then((x) => x);
      const plain = new (promise.constructor as PromiseConstructor)((resolve) => resolve("plain"));
      return [
        promise instanceof Promise,
        promise.constructor === Promise,
        Promise.resolve(promise) === promise,
        Tracked[Symbol.species] === Promise,
        await plain,
      ];
    };
    expect(await outcome(code, [])).toEqual([true, false, true, true, "plain"]);
  });

  test("rejections that nobody looks at are no stray rejections", async () => {
    const seen: unknown[] = [];
    const listener = (reason: unknown): unknown => seen.push(reason);
    process.on("unhandledRejection", listener);
    await play(
      async ({ createHook, step }) => {
        const hook = createHook();
        void hook.then((x) => x);
        void Promise.all([hook, hook]);
        await step("work");
      },
      [expire, finish()],
    );
    await new Promise(setImmediate);
    process.off("unhandledRejection", listener);
    expect(seen).toEqual([]);
  });

  test("a timeout and a cancel come through an iterator; a dispose ends it", async () => {
    const code: Code = async ({ createHook }) => {
      const seen: string[] = [];
      try {
        for await (const value of createHook()) seen.push(value);
      } catch (error) {
        seen.push((error as Error).name);
      }
      return seen;
    };
    expect(await outcome(code, [a("x"), expire])).toEqual(["x", "HookTimeoutError"]);
    expect(await outcome(code, [a("x"), cancel])).toEqual(["x", "RunCancelledError"]);
  });

  test("a next() that slept when its iterator was left is done when it is woken", async () => {
    const code: Code = async ({ createHook, sleep }) => {
      const hook = createHook();
      const iterator = hook[Symbol.asyncIterator]();
      const held = iterator.next();
      await Promise.race([held, sleep("1h")]);
      await iterator.return?.();
      return [await held, await iterator.next(), await hook];
    };
    expect(await outcome(code, [fire, a("x")])).toEqual([{ done: true }, { done: true }, "x"]);
  });

  test("a callback that returns its own promise rejects, as in the language", async () => {
    const code: Code = async ({ createHook }) => {
      const promise: Promise<unknown> = createHook().then((): unknown => promise) as Promise<unknown>;
      return await promise.catch((error: Error) => error.name);
    };
    expect(await outcome(code, [a("x")])).toBe("TypeError");
  });

  test("finally passes the value on, and a hook it returns is seen into", async () => {
    const code: Code = async ({ createHook, sleep, step }) => {
      const first = createHook();
      const second = createHook();
      const value = await Promise.race([first.finally(() => second), sleep("1h").then(() => "late")]);
      await step("note");
      return [value, await second, await first.finally(() => "ignored")];
    };
    expect(await outcome(code, [a("1"), fire, b("2"), finish(), a("3")])).toEqual(["late", "2", "3"]);
  });
});

describe("Promise in a turn", () => {
  test("names and lengths are the language's, and outside turns nothing is tracked", () => {
    const patched = patchedPromise(Promise);
    for (const name of ["race", "any", "all", "allSettled", "resolve"] as const) {
      expect([patched[name].name, patched[name].length]).toEqual([name, 1]);
    }
    expect(Promise.race([Promise.resolve(1)]).constructor).toBe(Promise);
  });

  test("a subclass keeps its class; what is not iterable rejects; nothing in it means what it means in the language", async () => {
    class Own<T> extends Promise<T> {}
    const code: Code = async ({ createHook }) => {
      const own = Own.race([createHook()]);
      const rejected = await Promise.all(7 as never).catch((error: Error) => error.name);
      const none = [await Promise.all([]), await Promise.allSettled([]), await Promise.any([]).catch((error: Error) => error.name)];
      return [own instanceof Own, await own, rejected, none, Promise.race([Promise.resolve(1)]).constructor === Promise];
    };
    expect(await outcome(code, [a("x")])).toEqual([true, "x", "TypeError", [[], [], "AggregateError"], true]);
  });

  test("any and allSettled end with what the language gives", async () => {
    const code: Code = async ({ createHook, step }) => {
      const hook = createHook();
      const none = await Promise.any([hook, step("work")]).catch((error: AggregateError) =>
        error.errors.map((each: Error) => each.message),
      );
      const [first] = await Promise.allSettled([hook, 1]);
      return [none, first.status];
    };
    expect(await outcome(code, [{ do: "fail", which: "oldest" }, expire])).toEqual([
      ["The hook has timed out.", "the step failed"],
      "rejected",
    ]);
  });

  test("of inputs that are settled already, the first wins", async () => {
    const code: Code = async ({ createHook }) => {
      const held = createHook().then((x) => x);
      await held;
      return [
        await Promise.race(["plain", held]),
        await Promise.race([held, "plain"]),
        await Promise.race([Promise.resolve("plain"), held]),
      ];
    };
    expect(await outcome(code, [a("x")])).toEqual(["plain", "x", "plain"]);
  });
});

describe("a branch", () => {
  test("what its callbacks begin later belongs to it too", async () => {
    const code: Code = async ({ createHook, branch, sleep, step }) => {
      const hook = createHook();
      const inner = branch(async () => {
        await new Promise((resolve) => void hook.then(() => hook.then(resolve)));
      });
      await Promise.race([inner, sleep("1h")]);
      await step("note");
      return await hook;
    };
    expect(await outcome(code, [a("1"), fire, a("2"), finish()])).toBe("2");
  });

  test("what it leaves reading when it returns sleeps for good", async () => {
    const code: Code = async ({ createHook, branch }) => {
      const hook = createHook();
      const returned = await branch(async () => {
        void hook.then((value) => value);
        return "returned";
      });
      return [returned, await hook];
    };
    expect(await outcome(code, [a("x")])).toEqual(["returned", "x"]);
  });

  test("an inner branch sleeps with the outer one, and wakes with it", async () => {
    const code: Code = async ({ createHook, branch, sleep, step }) => {
      const hook = createHook();
      const outer = branch(async () => await branch(async () => await hook));
      await Promise.race([outer, sleep("1h")]);
      await step("note");
      const first = await hook;
      return [first, await outer];
    };
    expect(await outcome(code, [fire, a("1"), finish(), a("2")])).toEqual(["1", "2"]);
  });

  test("one that throws rejects", async () => {
    const code: Code = async ({ branch }) => {
      const thrown = branch(() => {
        throw new Error("no");
      });
      return await thrown.catch((error: Error) => error.message);
    };
    expect(await outcome(code, [])).toBe("no");
  });

  test("outside a turn it is an error that says so", () => {
    expect(() => api.branch(async () => {})).toThrow(expect.objectContaining({ code: "outside_turn" }));
  });
});

describe("race({ … })", () => {
  const traceOf = async (code: Code, script: readonly Action[]): Promise<string[]> => {
    const played = await play(code, script);
    expect(await findDifference(code, played)).toBeNull();
    return played.run.trace;
  };

  test("it says which side won, and the type of the value follows", async () => {
    const code: Code = async ({ createHook, sleep }) => {
      const first = await race({ paid: createHook(), late: () => sleep("1h").then(() => 7) });
      if (first.key === "paid") expectTypeOf(first.value).toEqualTypeOf<string>();
      else expectTypeOf(first.value).toEqualTypeOf<number>();
      return first;
    };
    expect(await outcome(code, [a("x")])).toEqual({ key: "paid", value: "x" });
    expect(await outcome(code, [fire])).toEqual({ key: "late", value: 7 });
  });

  test("a losing timer is cancelled, whether it is a side or was begun in one, or in a branch of one", async () => {
    const code: Code = async ({ createHook, sleep, branch, step }) => {
      await api.race({ hook: createHook(), direct: sleep("1h"), inside: () => sleep("2h"), deep: () => branch(() => sleep("3h")) });
      await step("done");
    };
    const trace = await traceOf(code, [a("x")]);
    expect(trace.filter((line) => line.includes("cancel"))).toEqual(["3: #5 cancel #2", "3: #6 cancel #3", "3: #7 cancel #4"]);
  });

  test("a side that wins keeps its timers; steps of one that loses go on, and timers it begins then are over", async () => {
    const code: Code = async ({ createHook, sleep, step }) => {
      await api.race({
        hook: async () => {
          void sleep("1h");
          return await createHook();
        },
        work: async () => {
          await step("work");
          await sleep("2h");
        },
      });
      await step("more");
    };
    const trace = await traceOf(code, [a("x"), finish()]);
    expect(trace.slice(-3).map((line) => line.replace(/^\d+: /, ""))).toEqual(["#4 step more []", "#5 sleep 2h", "#6 cancel #5"]);
  });

  test("it rejects when the first side to end rejects, and the others have lost", async () => {
    const code: Code = async ({ sleep, step }) => {
      await api.race({ work: step("work"), late: sleep("1h") }).catch(() => {});
      await step("more");
    };
    expect(await traceOf(code, [{ do: "fail", which: "oldest" }])).toContain("2: #3 cancel #2");
  });

  test("a timer that has lost cannot be a side again; one in a branch can", async () => {
    const code: Code = async ({ createHook, sleep, branch }) => {
      const hook = createHook();
      const late = sleep("1h");
      const standing = branch(() => sleep("1d"));
      await api.race({ hook, late, standing });
      const again = (): unknown => api.race({ hook, late });
      expect(again).toThrow(expect.objectContaining({ code: "bad_argument", message: expect.stringContaining('side "late"') }));
      return await api.race({ hook, standing: standing.then(() => "fired") });
    };
    expect(await outcome(code, [a("x"), fire])).toEqual({ key: "standing", value: "fired" });
  });

  test("without sides it is an error", async () => {
    const code: Code = async () => {
      expect(() => api.race({})).toThrow(expect.objectContaining({ code: "bad_argument" }));
    };
    await outcome(code, []);
  });
});
