// Steps of the context style: written in place, by reference, by name; how often they are tried; what is recorded of them.

import { runInThisContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { transformSync } from "esbuild";
import { z } from "zod";
import { defineWorkflow, type FatalError, remoteStep, Step, Workflow, type WorkflowCtx } from "../src/runtime/context.ts";
import { limits } from "../src/core/limits.ts";
import { createContextWorld } from "./context/world.ts";

const none = undefined as never;
const longName = "n".repeat(limits.nameBytes);

/** Runs one workflow function, and gives what it returned or how it failed. */
async function outcome(body: (ctx: WorkflowCtx) => unknown, steps: readonly object[] = []): Promise<unknown> {
  const world = await createContextWorld({ workflows: [defineWorkflow({ name: "once" }, body)], steps });
  const run = await world.engine.start("once", none, "run");
  await world.settled();
  return run.returnValue.catch((error: { cause: unknown }) => error.cause);
}

interface Sample {
  readonly jobs: object;
  readonly flow: object;
}

class Base {
  readonly #rate: number;
  readonly seen: unknown[] = [];
  constructor(rate = 2) {
    this.#rate = rate;
  }
  @Step()
  double(input: { n: number }): number {
    this.seen.push(input);
    return this.#scaled(input.n);
  }
  #scaled(n: number): number {
    return n * this.#rate;
  }
}

class Derived extends Base {
  @Step("triple")
  async triple({ n }: { n: number }): Promise<number> {
    return this.double({ n }) + n;
  }
}

describe("a step by reference", () => {
  test("is called on the instance, with what is private to it, whichever class has it", async () => {
    const derived = new Derived();
    expect(await outcome((ctx) => ctx.all([ctx.step(derived.double, { n: 2 }), ctx.step(derived.triple, { n: 3 })]), [derived])).toEqual([
      4, 9,
    ]);
  });

  test("is recorded once and not run again by a crash", async () => {
    const base = new Base();
    const twice = defineWorkflow({ name: "twice" }, async (ctx) => {
      const first = await ctx.step(base.double, { n: 1 });
      await ctx.waitForSignal("go");
      return first + (await ctx.step<number>("Base.double", { n: 5 }));
    });
    const world = await createContextWorld({ workflows: [twice], steps: [base] });
    const { runId } = await world.engine.start(twice);
    await world.settled();
    await world.restart();
    await world.engine.signal("go", null);
    await world.settled();
    expect(await world.engine.getRun(runId).returnValue).toBe(12);
    expect(base.seen).toEqual([{ n: 1 }, { n: 5 }]);
  });

  test("gets what was given at the call, and its code what it returned then: values pass by serialisation", async () => {
    const base = new Base();
    await outcome(
      async (ctx) => {
        const input = { n: 1 };
        const doubled = ctx.step(base.double, input);
        input.n = 9;
        return doubled;
      },
      [base],
    );
    expect(base.seen).toEqual([{ n: 1 }]);
  });

  test("of a class without it, static, private or in a property is refused with what to do", () => {
    const decorate = (target: object, key: string): void =>
      Step()(target, key, Object.getOwnPropertyDescriptor(target, key) as TypedPropertyDescriptor<() => void>);
    class Odd {
      static still(): void {}
      property = (): void => {};
      method(): void {}
    }
    expect(() => decorate(Odd, "still")).toThrow(/@Step\(\) belongs on a method .*"still" is static/);
    expect(() => decorate(Odd.prototype, "property")).toThrow(/@Step\(\) belongs on a method, and "property" is none/);
    decorate(Odd.prototype, "method");
    expect(() => decorate(Odd.prototype, "method")).toThrow(/"method" has @Step\(\) twice/);
  });

  test.each([
    ["retry", { retry: 1 }, /no option "retry"/],
    ["retries", { retries: 1.5 }, /maxRetries.*whole number.*1\.5/],
    ["two words", { retries: 1, maxRetries: 1 }, /takes maxRetries or retries, not both/],
    ["a span", { timeoutMs: -1 }, /timeout is -1/],
    ["a word", { backoff: "linear" }, /backoff is "linear"/],
    ["a schema", { input: {} }, /Standard Schema/],
  ])("says at its declaration what its options get wrong: %s", (_, options, message) => {
    expect(() => Step(options as never)).toThrow(message);
    if (!("input" in options)) expect(() => remoteStep({ name: "x", ...options } as never)).toThrow(message);
  });

  test("needs a name of its own in an engine", async () => {
    class Other {
      @Step("triple")
      again(): void {}
    }
    class Twice {
      @Step("same")
      one(): void {}
      @Step("same")
      two(): void {}
    }
    class Left extends Base {}
    const world = await createContextWorld({ workflows: [], steps: [new Derived()] });
    const { engine } = world;
    expect(() => engine.registerSteps(new Other())).toThrow(/Two steps are called "triple": one of Derived, one of Other/);
    expect(() => engine.registerSteps(new Twice())).toThrow(/methods "one" and "two" of Twice/);
    expect(() => engine.registerSteps(new Derived())).toThrow(/two instances of Derived/);
    expect(() => engine.registerSteps(new Left())).toThrow(/Derived and Left inherit one method/);
    expect(() => engine.registerSteps(Other)).toThrow(/got Other itself: give an instance/);
    expect(() => engine.registerSteps({})).toThrow(/an instance of Object, which has none/);
    expect(() => engine.registerSteps(null as never)).toThrow(/got null/);
  });

  test("is found by standard decorators, too, under the name of the class that has it", async () => {
    const source = `
      class Jobs { #mark = "!"; @Step() shout(text: string) { return text.toUpperCase() + this.#mark; } }
      class More extends Jobs { @Step({ name: "whisper" }) low(text: string) { return text.toLowerCase(); } }
      class Flow { async run(ctx, text: string) { return [await ctx.step(jobs.shout, text), await ctx.step(jobs.low, text), await ctx.step("Jobs.shout", "by name")]; } }
      Workflow({ name: "flow" })(Flow);
      const jobs = new More();
      const flow = new Flow();`;
    const tsconfigRaw = '{"compilerOptions":{"experimentalDecorators":false}}';
    const { code } = transformSync(source, { loader: "ts", target: "es2022", tsconfigRaw });
    const make = runInThisContext(`(Step, Workflow) => { ${code}; return { jobs, flow }; }`) as (...given: unknown[]) => Sample;
    const { jobs, flow } = make(Step, Workflow);
    const world = await createContextWorld({ workflows: [flow], steps: [jobs] });
    const run = await world.engine.start("flow", "Hi");
    await world.settled();
    expect(await run.returnValue).toEqual(["HI!", "hi", "BY NAME!"]);
  });
});

describe("a step by name", () => {
  const charge = remoteStep({
    name: "charge",
    input: z.object({ amount: z.string().transform(Number) }),
    output: z.object({ id: z.string() }),
  });

  test("is judged by its schemas, once on each side, and fails at once where they refuse", async () => {
    const seen: unknown[] = [];
    class Payments {
      @Step({ name: "charge", input: charge.input as never })
      charge(input: { amount: number }): unknown {
        seen.push(input);
        return input.amount > 5 ? { id: 5 } : { id: "c", more: true };
      }
    }
    const errors = (ctx: WorkflowCtx) => [
      ctx.step(charge, { amount: "4" }),
      ctx.step(charge, { amount: 4 as never }).catch((error: FatalError) => [error.code, error.message]),
      ctx.step(charge, { amount: "7" }).catch((error: FatalError) => [error.code, error.message]),
    ];
    expect(await outcome((ctx) => ctx.all(errors(ctx)), [new Payments()])).toEqual([
      { id: "c" },
      ["invalid_payload", expect.stringMatching(/^The input of step "charge" is refused by its schema: /)],
      ["invalid_payload", expect.stringMatching(/^The output of step "charge" is refused/)],
    ]);
    expect(seen).toEqual([{ amount: 4 }, { amount: 7 }]);
  });

  test("that nobody has registered sets its run aside, and undoes nothing, until it comes", async () => {
    const undone: string[] = [];
    const pay = defineWorkflow({ name: "pay" }, async (ctx) => {
      await ctx.step("reserve", () => 1, { compensate: () => void undone.push("reserve") });
      return ctx.step<string>("late", 7);
    });
    class Late {
      @Step("late")
      late(n: number): string {
        return `late ${n}`;
      }
    }
    const world = await createContextWorld({ workflows: [pay] });
    const later = await world.engine.start(pay, undefined, "later");
    const restarted = await world.engine.start(pay, undefined, "restarted");
    await world.settled();
    await world.advance(2_000); // misuse is tried once more by itself
    for (const run of [later, restarted])
      expect(await world.engine.getRun(run.runId).blocked).toMatchObject({
        message: expect.stringMatching(/Step "late" is not registered/),
      });
    for (let each = 0; each < world.engines.length; each++) world.engine.registerSteps(new Late());
    await world.advance(25);
    expect(await later.returnValue).toBe("late 7");
    expect(undone).toEqual([]);
  });

  test("that an earlier process lacked is run by the next one that has it", async () => {
    const pay = defineWorkflow({ name: "pay" }, (ctx) => ctx.step<string>("late", 7));
    class Late {
      @Step("late")
      late(n: number): string {
        return `late ${n}`;
      }
    }
    const world = await createContextWorld({ workflows: [pay] });
    const { runId } = await world.engine.start(pay, undefined, "run");
    await world.settled();
    await world.restart({ workflows: [pay], steps: [new Late()] });
    await world.advance(25);
    expect(await world.engine.getRun(runId).returnValue).toBe("late 7");
  });
});

test.each<[string, (ctx: WorkflowCtx) => unknown, RegExp]>([
  ["an empty name", (ctx) => ctx.step("", () => 1), /A step needs a name.*""/],
  ["a name beyond the limit", (ctx) => ctx.step(`${longName}n`, () => 1), /256 bytes; the limit is 255/],
  [
    "a function without a name",
    (ctx) => ctx.step((() => 1) as never, none),
    /takes a name and a function.*an anonymous function, which has no @Step/,
  ],
  ["nothing", (ctx) => ctx.step(none, none), /got undefined/],
  ["a promise in place of a function", (ctx) => ctx.step("x", Promise.resolve(1)), /ctx\.step\("x"\) was given a promise.*\(\) => …/],
  ["an option of another name", (ctx) => ctx.step("x", () => 1, { retrie: 1 } as never), /no option "retrie".*Did you mean "retries"/],
  ["no options", (ctx) => ctx.step("x", () => 1, null as never), /options as an object, got null/],
  [
    "a compensation that is none",
    (ctx) => ctx.step("x", () => 1, { compensate: 5 as never }),
    /compensate.*function or a step, got number/,
  ],
  [
    "a compensation without a name",
    (ctx) => ctx.step("x", () => 1, { compensate: {} as never }),
    /takes a name and a function.*got object/,
  ],
  ["a local step without a function", (ctx) => ctx.localStep("x", none), /ctx\.localStep\("x"\) needs a function, got undefined/],
  ["a side effect without a function", (ctx) => ctx.sideEffect(none), /ctx\.sideEffect\(\) takes a function, got undefined/],
  ["an instant as text", (ctx) => ctx.sleepUntil("3d" as never), /ctx\.sleepUntil\(\) takes a valid Date.*"3d"/],
  ["no instant", (ctx) => ctx.sleepUntil(Number.NaN), /ctx\.sleepUntil\(\)/],
  ["no span", (ctx) => ctx.sleep("soon"), /duration is "soon"/],
  ["a span beyond the limit", (ctx) => ctx.sleep("11y"), /0 to 10 years/],
])("refuses %s and says what it takes", async (_, body, message) => {
  const error = (await outcome(body)) as Error;
  expect(error.message).toMatch(message);
});

test.each<[string, (ctx: WorkflowCtx) => unknown]>([
  ["step", (ctx) => ctx.step("inner", () => 1)],
  ["sleep", (ctx) => ctx.sleep(1)],
  ["now", (ctx) => ctx.now()],
  ["sideEffect", (ctx) => ctx.sideEffect(() => 1)],
  ["waitForSignal", (ctx) => ctx.waitForSignal("t")],
  ["signal", (ctx) => ctx.signal("t", 1)],
  ["child", (ctx) => ctx.child("once", 1)],
  ["webhook", (ctx) => ctx.webhook()],
  ["setEvent", (ctx) => ctx.setEvent("k", 1)],
  ["onUpdate", (ctx) => ctx.onUpdate("u")],
  ["breakpoint", (ctx) => ctx.breakpoint()],
  ["all", (ctx) => ctx.all([])],
  ["race", (ctx) => ctx.race([])],
  ["patched", (ctx) => ctx.patched("p")],
  ["continueAsNew", (ctx) => ctx.continueAsNew()],
])("within a step %s is refused, and the message names the step", async (_, call) => {
  const refused = await outcome((ctx) =>
    ctx.step("outer", async () => {
      try {
        await call(ctx);
        return "let through";
      } catch (error) {
        return (error as Error).message;
      }
    }),
  );
  expect(refused).toMatch(/was called within step "outer" of run run \(once\).*make the call in the workflow's own code/);
});

test("a name as long as names may be takes a compensation, too", async () => {
  const undone: string[] = [];
  await outcome(async (ctx) => {
    await ctx.step(longName, () => 1, { compensate: () => void undone.push("done") });
    throw new Error("no");
  });
  expect(undone).toEqual(["done"]);
});

describe("attempts", () => {
  /** When each attempt of a step that always fails was made, in ms since the first. */
  async function attemptsOf(options: object, details: object = {}): Promise<number[]> {
    const at: number[] = [];
    class Failing {
      @Step({ name: "fail", ...details })
      fail(): void {
        at.push(world.world.clock.now());
        throw new Error("again");
      }
    }
    const failing = defineWorkflow({ name: "failing" }, (ctx) => ctx.step("fail", null, options));
    const half = (size: number): Uint8Array => new Uint8Array(size).fill(0xff); // the most of the jitter: the whole delay
    const world = await createContextWorld({ workflows: [failing], steps: [new Failing()] }, { random: half });
    await world.engine.start(failing);
    await world.settled();
    for (let each = 0; each < 5; each++) await world.advance(10_000);
    return at.map((instant) => instant - (at[0] as number));
  }

  test.each<[string, object, object, number]>([
    ["none", { retries: 0 }, {}, 1],
    ["as @Step says", {}, { retries: 1 }, 2],
    ["as the call says", { maxRetries: 2 }, { retries: 0 }, 3],
    ["three by default", {}, {}, 4],
  ])("%s", async (_, options, details, count) => {
    expect(await attemptsOf(options, details)).toHaveLength(count);
  });

  test("a delay that is fixed does not grow, one that is exponential does", async () => {
    const delays = async (options: object): Promise<number[]> => {
      const at: number[] = [];
      const failing = defineWorkflow({ name: "failing" }, (ctx) =>
        ctx.step(
          "fail",
          () => {
            at.push(world.world.clock.now());
            throw new Error("again");
          },
          { retries: 3, ...options },
        ),
      );
      const most = (size: number): Uint8Array => new Uint8Array(size).fill(0xff);
      const world = await createContextWorld({ workflows: [failing] }, { random: most });
      await world.engine.start(failing);
      await world.settled();
      for (let each = 0; each < 90; each++) await world.advance(10);
      return at.slice(1).map((instant, index) => instant - (at[index] as number));
    };
    expect(await delays({ backoff: "fixed", backoffMs: 100 })).toEqual([100, 100, 100]);
    expect(await delays({ backoff: "exp", backoffMs: 100 })).toEqual([100, 200, 400]);
    expect(await delays({ backoffMs: 100, backoffMaxMs: 150 })).toEqual([100, 150, 150]);
  });

  test("an attempt that takes too long is over", async () => {
    const never = defineWorkflow({ name: "never" }, (ctx) =>
      ctx.step("wait", () => new Promise<void>(() => {}), { timeoutMs: 50, retries: 0 }),
    );
    const world = await createContextWorld({ workflows: [never] });
    const run = await world.engine.start(never);
    await new Promise<void>((resolve) => setImmediate(resolve));
    while ((await run.status) === "pending") await new Promise<void>((resolve) => setImmediate(resolve));
    await world.advance(50);
    await expect(run.returnValue).rejects.toMatchObject({ cause: { code: "step_timeout" } });
  });
});

test("a side effect is made once, recorded, and not repeated; one that throws rejects, and is not retried", async () => {
  let made = 0;
  const effect = defineWorkflow({ name: "effect" }, async (ctx) => {
    const first = await ctx.sideEffect(() => ++made);
    const thrown = await ctx
      .sideEffect(() => {
        made++;
        throw new Error("no");
      })
      .catch((error: Error) => error.message);
    await ctx.waitForSignal("go");
    return [first, thrown];
  });
  const world = await createContextWorld({ workflows: [effect] });
  const { runId } = await world.engine.start(effect);
  await world.settled();
  await world.restart();
  await world.advance(60_000);
  await world.engine.signal("go", null);
  await world.settled();
  expect(await world.engine.getRun(runId).returnValue).toEqual([1, "no"]);
  expect(made).toBe(2);
});

test("time and chance are the same on every replay, and sleeping until an instant survives a crash", async () => {
  const seen: unknown[] = [];
  const timed = defineWorkflow({ name: "timed" }, async (ctx, until: number) => {
    const first = [ctx.now(), ctx.uuid(), ctx.random()];
    await ctx.sleepUntil(new Date(until));
    await ctx.sleepUntil(until - 5_000); // in the past: at once
    seen.push(first);
    return [...first, ctx.now()];
  });
  const world = await createContextWorld({ workflows: [timed] });
  const at = world.world.clock.now();
  const { runId } = await world.engine.start(timed, at + 3_600_000);
  await world.settled();
  await world.restart();
  await world.advance(3_599_999);
  expect(await world.engine.getRun(runId).status).not.toBe("completed");
  await world.advance(1);
  const [now, uuid, random, later] = (await world.engine.getRun(runId).returnValue) as [number, string, number, number];
  expect([now, later]).toEqual([at, at + 3_600_000]);
  expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4/);
  for (const first of seen) expect(first).toEqual([now, uuid, random]);
});
