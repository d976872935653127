// An instance of a registered class, errors among them, is the same instance hot and cold, wherever it passes; what a process cannot read
// sets its run aside, unharmed, and code never sees it (G7).

import { describe, expect, test } from "vitest";
import { start } from "../src/api.ts";
import { createHook, FatalError, sleep, step, workflow } from "../src/index.ts";
import type { RegisteredClass } from "../src/core/serialise-class.ts";
import { createEngine } from "../src/wiring.ts";
import { createWorld, modes } from "./harness.ts";

class Money {
  readonly cents: number;
  constructor(cents: number) {
    this.cents = cents;
  }
}
class PaymentError extends Error {
  readonly status: number;
  constructor(message: string, status: number, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}
class Declined extends FatalError {
  override readonly name = "Declined";
}
class Several extends AggregateError {}

const money: RegisteredClass<Money, number> = {
  class: Money,
  serialise: (value) => value.cents,
  parse: (cents) => new Money(cents),
};
const classes: { readonly [name: string]: RegisteredClass<object> } = {
  Money: money,
  PaymentError: { class: PaymentError },
  Declined: { class: Declined },
  Several: { class: Several },
};

const asInput = workflow("as input", async (price: Money) => {
  const isInstance = await step.run("look", () => price instanceof Money);
  await sleep("1s");
  return [price, isInstance] as const;
});
const asArgument = workflow("as argument", async () => {
  const inside = step("inside", async (price: Money) => price instanceof Money && price.cents);
  const made = await step.run("made", () => new Money(3));
  await sleep("1s");
  return [await inside(made), made instanceof Money] as const;
});
const asPayload = workflow("as payload", async () => {
  const price = await createHook<Money>({ token: "price", metadata: "price" });
  await sleep("1s");
  return price instanceof Money && price.cents;
});
const doubled = workflow("doubled", async (price: Money) => new Money(price.cents * 2));
const asChild = workflow("as child", async () => {
  const child = await start(doubled, [new Money(21)]);
  await sleep("1s");
  return child.returnValue;
});
const asError = workflow("as error", async () => {
  const caught = await step
    .run("pay", () => Promise.reject(new PaymentError("no", 402, { cause: new Money(1) })), { maxRetries: 0 })
    .catch((error: unknown) => error);
  await sleep("1s");
  return caught instanceof PaymentError && caught.cause instanceof Money ? [caught.status, caught.cause.cents, caught.message] : "another";
});
const all = [asInput, asArgument, asPayload, doubled, asChild, asError] as const;

test.each(modes)("through arguments, steps, payloads, children and errors, hot and cold alike (%s)", async (mode) => {
  for (const isRestarted of [false, true]) {
    const world = await createWorld(all, { mode, classes });
    const runs = [await world.start(asInput, new Money(5))];
    for (const each of [asArgument, asPayload, asChild, asError]) runs.push((await world.start(each as never)) as never);
    await world.engine.resumeHook("price", new Money(7));
    await world.settled();
    if (isRestarted) await world.restart();
    await world.advance(1_000);
    const results = await Promise.all(runs.map((run) => world.engine.getRun(run.runId).returnValue));
    expect(results).toEqual([[new Money(5), true], [3, true], 7, new Money(42), [402, 1, "no"]]);
    expect((results[3] as Money).cents).toBe(42);
    expect(results[3]).toBeInstanceOf(Money);
  }
});

test.each(modes)(
  "a class that is not registered sets the run aside, named, and code sees nothing of it; registered, it goes on (%s)",
  async (mode) => {
    const world = await createWorld(all, { mode, classes });
    const runs = [await world.start(asInput, new Money(5))];
    for (const each of [asArgument, asPayload, asChild, asError]) runs.push((await world.start(each as never)) as never);
    await world.engine.resumeHook("price", new Money(7));
    await world.settled();
    await world.restart({ classes: {} });
    await world.advance(1_000);
    for (const { runId } of runs) {
      const run = world.engine.getRun(runId);
      // A child is started with an instance that this process cannot write: its call has changed.
      const isChild = (await run.workflowName) === "as child";
      const named = isChild ? /changed/ : /class "(Money|PaymentError)", which is not registered here.*createEngine\(\{ classes \}\)/;
      expect(await run.blocked, await run.workflowName).toMatchObject({ message: expect.stringMatching(named) });
    }
    await world.restart({ classes });
    await world.advance(1_000);
    const results = await Promise.all(runs.map((run) => world.engine.getRun(run.runId).returnValue));
    expect(results).toEqual([[new Money(5), true], [3, true], 7, new Money(42), [402, 1, "no"]]);
  },
);

test("a step whose input cannot be read has used up no attempt, and runs once it can be", async () => {
  let isHung = true;
  let attempts = 0;
  const take = step("take", async (price: Money) => {
    attempts++;
    if (isHung) await new Promise(() => {});
    return price.cents;
  });
  const wf = workflow("takes", async (price: Money) => take(price), { version: "1" });
  const world = await createWorld([wf], { classes });
  const run = await world.engine.start(wf, [new Money(9)]);
  while (attempts === 0) await new Promise(setImmediate);
  await world.restart({ classes: {} });
  expect(await world.engine.getRun(run.runId).blocked).toMatchObject({ message: expect.stringContaining('"Money"') });
  isHung = false;
  await world.restart({ classes });
  await world.advance(2_000);
  expect([await world.engine.getRun(run.runId).returnValue, attempts]).toEqual([9, 2]);
});

test("a class may be renamed, and read what an earlier version of it wrote", async () => {
  const wf = workflow("versions", async (price: unknown) => {
    await sleep("1s");
    return price;
  });
  const world = await createWorld([wf], { classes });
  const run = await world.start(wf, new Money(5));
  class Price {
    readonly amount: number;
    readonly currency: string;
    constructor(amount: number, currency: string) {
      this.amount = amount;
      this.currency = currency;
    }
  }
  const price: RegisteredClass<Price, number | { amount: number; currency: string }> = {
    class: Price,
    serialise: ({ amount, currency }) => ({ amount, currency }),
    parse: (data) => (typeof data === "number" ? new Price(data / 100, "EUR") : new Price(data.amount, data.currency)),
  };
  await world.restart({ classes: { Money: price } });
  const second = await world.start(wf, new Price(2, "USD"));
  await world.advance(1_000);
  expect(await world.engine.getRun(run.runId).returnValue).toEqual(new Price(0.05, "EUR"));
  expect(await world.engine.getRun(second.runId).returnValue).toEqual(new Price(2, "USD"));
});

test("a parse() that throws sets the run aside, with what it threw", async () => {
  const wf = workflow("unread", async (price: unknown) => price);
  const picky: RegisteredClass<Money, number> = {
    ...money,
    parse: () => {
      throw new TypeError("no such form");
    },
  };
  const world = await createWorld([wf], { classes: { Money: picky } });
  const run = await world.start(wf, new Money(5));
  expect(await run.blocked).toMatchObject({ message: expect.stringMatching(/class "Money" cannot be read: its parse\(\).*no such form/) });
  await world.restart({ classes });
  await world.advance(1_000);
  expect(await world.engine.getRun(run.runId).returnValue).toEqual(new Money(5));
});

test("metadata that cannot be read hides no hook and refuses no delivery", async () => {
  const wf = workflow("told", async () => createHook<number>({ token: "t", metadata: { price: new Money(1) } }));
  const world = await createWorld([wf], { classes });
  await world.start(wf);
  await world.restart({ classes: {} });
  const unknown = expect.objectContaining({ code: "unknown_class" });
  expect(await world.engine.listHooks()).toMatchObject([{ token: "t", metadata: unknown }]);
  expect(await world.engine.getHookByToken("t")).toMatchObject({ metadata: unknown });
  expect(await world.engine.resumeHook("t", 1)).toMatchObject({ metadata: unknown, delivery: { disposition: "accepted" } });
});

describe("errors", () => {
  const caught = async (make: () => unknown, registered = classes): Promise<any> => {
    let seen: unknown;
    const wf = workflow("throws", async () => {
      await step.run("throw", () => Promise.reject(make()), { maxRetries: 0 }).catch((error: unknown) => void (seen = error));
      await sleep("1s");
    });
    const world = await createWorld([wf], { classes: registered });
    await world.start(wf);
    const hot = seen;
    await world.restart();
    await world.advance(1_000);
    expect(seen).not.toBe(hot);
    expect(seen).toEqual(hot);
    expect((seen as Error).constructor).toBe((hot as Error).constructor);
    return seen;
  };

  test("registered, they are instances, with fields, cause and the stack of where they were made", async () => {
    const made = new PaymentError("no", 402, { cause: new RangeError("far") });
    const error = await caught(() => made);
    expect(error).toBeInstanceOf(PaymentError);
    expect([error.message, error.status, error.stack]).toEqual(["no", 402, made.stack]);
    expect(error.cause).toBeInstanceOf(RangeError);
    expect(Object.keys(error)).toEqual(Object.keys(made));
    expect(error.name).toBe("PaymentError");
  });

  test("a registered FatalError is fatal, a registered AggregateError holds its errors", async () => {
    const declined = await caught(() => new Declined("end", "E1"));
    expect([declined instanceof Declined, FatalError.is(declined), declined.name, declined.code]).toEqual([true, true, "Declined", "E1"]);
    const several = await caught(() => new Several([new PaymentError("one", 1), "two"], "many"));
    expect([several instanceof Several, several.errors[0] instanceof PaymentError, several.errors[1]]).toEqual([true, true, "two"]);
  });

  test("registered, they stay so when they hold what cannot be stored", async () => {
    const error = await caught(() => Object.assign(new PaymentError("no", 402), { socket: { on: () => 0 } }));
    expect([error instanceof PaymentError, error.status, error.socket]).toEqual([true, 402, undefined]);
  });

  test("not registered, they keep all but their class", async () => {
    const error = await caught(() => new PaymentError("no", 402, { cause: { a: 1 } }), {});
    expect(error).not.toBeInstanceOf(PaymentError);
    expect(error).toBeInstanceOf(Error);
    expect([error.name, error.message, error.status, error.cause]).toEqual(["PaymentError", "no", 402, { a: 1 }]);
  });

  test("a DOMException, getters, and fields named by symbols", async () => {
    const aborted = await caught(() => new DOMException("gone", "AbortError"));
    expect([aborted instanceof DOMException, aborted.name, aborted.code]).toEqual([true, "AbortError", 20]);
    const odd = await caught(() =>
      Object.defineProperties(Object.assign(new Error("odd"), { [Symbol("s")]: 1 }), {
        seen: { enumerable: true, get: () => "read" },
        hidden: { enumerable: false, value: "not read" },
      }),
    );
    expect([odd.seen, odd.hidden, Object.getOwnPropertySymbols(odd)]).toEqual(["read", undefined, []]);
    const hostile = await caught(() =>
      Object.defineProperty(new RangeError("hostile"), "trap", {
        enumerable: true,
        get() {
          throw new Error("trapped");
        },
      }),
    );
    expect([hostile instanceof RangeError, hostile.message, "trap" in hostile]).toEqual([true, "hostile", false]);
  });
});

test("a class is registered whole: a slip is told when the engine is made", () => {
  const make = (given: unknown) => () => createEngine({ store: "memory:", classes: { Money: given } as never });
  expect(make({ class: Money })).toThrow(/needs `serialise` and `parse`.*Only an error class/);
  expect(make({ class: PaymentError, parse: () => 0 })).toThrow(/needs `serialise` and `parse`/);
  expect(make({ serialise: () => 0, parse: () => 0 })).toThrow(/needs `class`/);
});
