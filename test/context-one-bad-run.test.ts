// One run that goes wrong is that run's trouble alone: all others go on, and it goes on itself once what it lacks is there (G5).

import { expect, test } from "vitest";
import { defineWorkflow, FatalError, type FunctionWorkflow, Step, type WorkflowCtx } from "../src/context.ts";
import { RingbackError } from "../src/core/errors.ts";
import { type ContextWorld, createContextWorld } from "./context/world.ts";

const isLong = process.env["RINGBACK_LONG"] === "1";
const hour = 3_600_000;
/** Others of its kind, and of another: each waits for its callback, and is in the middle of something. */
interface Company {
  readonly world: ContextWorld;
  readonly token: (id: string) => string;
  /** Delivers to the others, and ends them. */
  goOn(): Promise<void>;
}

const tokens = new Map<string, string>();
const good: FunctionWorkflow<string> = defineWorkflow({ name: "good" }, async (ctx, id) => {
  const hook = ctx.webhook<string>();
  await ctx.step("hand-out", () => void tokens.set(id, hook.token));
  const first = await hook.wait({ timeout: "30d" });
  await ctx.sleep("1h");
  return [first, await ctx.step("finish", () => "finished")];
});

/** A run of `bad`, that has its payload waiting, between others. */
async function company(bad: FunctionWorkflow<undefined>): Promise<Company> {
  tokens.clear();
  const world = await createContextWorld({ workflows: [good, bad] });
  const ids = ["before", "after"];
  await world.engine.start(good, "before", "before");
  await world.engine.start(bad, undefined, "bad");
  await world.engine.start(good, "after", "after");
  await world.settled();
  const goOn = async (): Promise<void> => {
    const late = await world.engine.start(good, "late", "late");
    await world.settled();
    for (const id of [...ids, "late"]) await world.engine.signal(tokens.get(id)!, `for ${id}`);
    await world.settled();
    await world.advance(hour);
    for (const id of ids) expect(await world.engine.getRun(id).returnValue).toEqual([`for ${id}`, "finished"]);
    expect(await world.engine.getRun(late.runId).returnValue).toEqual(["for late", "finished"]);
  };
  return { world, token: (id) => tokens.get(id) as string, goOn };
}

/** What `bad` is when it is mended: the same up to the wait, and an end. */
const bad = (body: (ctx: WorkflowCtx, next: () => Promise<string>) => Promise<unknown>): FunctionWorkflow<undefined> =>
  defineWorkflow({ name: "bad" }, async (ctx) => {
    const hook = ctx.webhook<string>();
    await ctx.step("hand-out", () => void tokens.set("bad", hook.token));
    return body(ctx, () => hook.wait());
  });
const mended = bad(async (_ctx, next) => next());

type Bad = [string, Parameters<typeof bad>[0], RegExp];

/** Each takes its thousands of calls before it is told off, so the short counts have one of the kind. */
const endless: readonly Bad[] = [
  [
    "asks a webhook that is closed, for ever",
    async (ctx) => {
      const closed = ctx.webhook();
      closed.close();
      for (;;) await closed.wait({ timeout: "1h" }).catch(() => {});
    },
    /durable calls without waiting/,
  ],
  [
    "iterates a webhook that is closed, for ever",
    async (ctx) => {
      const closed = ctx.webhook();
      closed.close();
      for (;;) for await (const _ of closed);
    },
    /durable calls without waiting/,
  ],
];

test.each<Bad>([
  [
    "awaits what no replay can repeat",
    async (_ctx, next) => {
      await new Promise((resolve) => setImmediate(resolve));
      return next();
    },
    /waits for nothing durable/,
  ],
  ["awaits nothing that will ever come", async () => new Promise(() => {}), /waits for nothing durable/],
  [
    "calls without end and without waiting",
    async (ctx) => {
      for (;;) await ctx.setEvent("status", "busy").catch(() => {});
    },
    /durable calls without waiting/,
  ],
  ...(isLong ? endless : []),
  [
    "gives a step a span that is none",
    async (ctx, next) => [await ctx.step("quick", () => 1, { backoff: "soon" }), await next()],
    /backoff is "soon", which is not a span of time/,
  ],
  [
    "starts a child that nobody has registered",
    async (ctx, next) => [await ctx.child("nobody", 1), await next()],
    /Workflow "nobody".* is not registered/,
  ],
  [
    "runs a step that nobody has registered",
    async (ctx, next) => [await ctx.step("nobody", 1), await next()],
    /Step "nobody" is not registered/,
  ],
])("a run that %s is set aside; the others go on, and so does it with code that is mended", async (_, body, message) => {
  const { world, token, goOn } = await company(bad(body));
  await goOn();
  const run = world.engine.getRun("bad");
  expect([await run.state, (await run.blocked)?.reason]).toEqual(["blocked", "misuse"]);
  expect((await run.blocked)?.message).toMatch(message);
  expect(await world.engine.signal(token("bad"), "kept")).toMatchObject({ disposition: "accepted" });
  await world.restart({ workflows: [good, mended] });
  await world.advance(1_000);
  expect(await world.engine.getRun("bad").returnValue).toBe("kept");
});

test("a run that throws each time its payload is read fails, once, and takes nobody with it", async () => {
  const { world, token, goOn } = await company(
    bad(async (_ctx, next) => {
      throw new FatalError(`cannot read ${await next()}`, "poison");
    }),
  );
  await world.engine.signal(token("bad"), "poison");
  await goOn();
  await world.restart();
  await expect(world.engine.getRun("bad").returnValue).rejects.toMatchObject({ cause: { code: "poison", message: "cannot read poison" } });
  expect(await world.engine.signal(token("bad"), "again")).toMatchObject({ disposition: "closed" });
});

test("runs whose workflow is registered nowhere wait, take callbacks, and go on when it is", async () => {
  const { world, token, goOn } = await company(mended);
  await world.restart({ workflows: [good] });
  expect(await world.engine.signal(token("bad"), "kept")).toMatchObject({ disposition: "accepted" });
  await goOn();
  expect(await world.engine.getRun("bad").state).toBe("running");
  for (const _ of world.engines) world.engine.register(mended);
  await world.advance(1_000);
  expect(await world.engine.getRun("bad").returnValue).toBe("kept");
});

class Desk {
  readonly done: string[] = [];
  @Step("stamp")
  stamp(input: string): string {
    this.done.push(input);
    return `stamped ${input}`;
  }
}

test("a run whose step is registered nowhere goes on when it is, with what came meanwhile, and is not tried all the while", async () => {
  const desk = new Desk();
  const { world, token, goOn } = await company(bad(async (ctx, next) => [await ctx.step("stamp", "form"), await next()]));
  expect(await world.engine.signal(token("bad"), "kept")).toMatchObject({ disposition: "accepted" });
  await goOn();
  expect(await world.engine.getRun("bad").state).toBe("blocked");
  for (const _ of world.engines) world.engine.registerSteps(desk);
  await world.settled();
  await world.advance(20);
  expect(await world.engine.getRun("bad").returnValue).toEqual(["stamped form", "kept"]);
  expect(desk.done).toEqual(["form"]);
});

test("a run whose child is registered nowhere goes on when it is", async () => {
  const { world, token, goOn } = await company(bad(async (ctx, next) => [await ctx.child<string>("later", "x"), await next()]));
  expect(await world.engine.signal(token("bad"), "kept")).toMatchObject({ disposition: "accepted" });
  await goOn();
  const later = defineWorkflow({ name: "later" }, async (_ctx, input: string) => `child ${input}`);
  for (const _ of world.engines) world.engine.register(later);
  await world.settled();
  await world.advance(20);
  await world.advance(20);
  expect(await world.engine.getRun("bad").returnValue).toEqual(["child x", "kept"]);
});

test("a store that is away for a while: all runs go on when it is back, with what was acknowledged, and steps that are done stay done", async () => {
  const done: string[] = [];
  const { world, token, goOn } = await company(
    bad(async (ctx, next) => {
      const got = [];
      for (let n = 0; n < 3; n++) {
        const value = await next();
        got.push(await ctx.step("note", () => (done.push(value), value), { compensate: () => void done.push(`undo ${value}`) }));
      }
      return got;
    }),
  );
  await world.engine.signal(token("bad"), "a");
  await world.settled();
  const { store } = world;
  const [commit, read] = [store.commit.bind(store), store.run.bind(store)];
  const away = (): Promise<never> => Promise.reject(new RingbackError("store_unavailable", "It is away.", { details: { store: "test" } }));
  expect(await world.engine.signal(token("bad"), "b")).toMatchObject({ disposition: "accepted" }); // its code has not gone on
  Object.assign(store, { commit: away, run: away });
  await expect(world.engine.signal(token("bad"), "refused")).rejects.toMatchObject({ code: "store_unavailable" });
  await world.advance(hour);
  Object.assign(store, { commit, run: read });
  await world.advance(10_000);
  await goOn();
  await world.engine.signal(token("bad"), "c");
  await world.settled();
  expect(await world.engine.getRun("bad").returnValue).toEqual(["a", "b", "c"]);
  expect(new Set(done)).toEqual(new Set(["a", "b", "c"]));
  expect(done.filter((each) => each !== "b")).toEqual(["a", "c"]);
});
