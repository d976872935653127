// A run that is started with a token has it in the same commit: nobody who delivers right after that is told that there is no such hook.

import { describe, expect, test } from "vitest";
import { createHook, createWebhook, defineHook, step, workflow } from "../src/index.ts";
import { start } from "../src/api.ts";
import { HookConflictError } from "../src/errors.ts";
import { createWorld, modes, type World } from "./harness.ts";

/** Works before it opens the hook: until then only the start says whose the token is. */
function shop(): { readonly wf: ReturnType<typeof opens>; release(): void } {
  let release = (): void => {};
  const released = new Promise<void>((resolve) => (release = resolve));
  const prepare = step("prepare", () => released);
  return { wf: opens(prepare), release };
}
const opens = (prepare: () => Promise<void>) =>
  workflow("order", async (token: string) => {
    await prepare();
    const hook = createHook<string>({ token });
    return [await hook, await hook];
  });

const kept = async (world: World): Promise<unknown[]> => (await world.engine.listRefused()).map(({ reason, token }) => [reason, token]);

describe.each(modes)("%s", (mode) => {
  test("what is delivered before the run has come to its hook is there when it does, in order, once per key", async () => {
    const { wf, release } = shop();
    const world = await createWorld([wf], { mode });
    const run = await world.engine.start(wf, ["order:1"], { hook: { token: "order:1" } });
    const first = await world.engine.resumeHook("order:1", "paid", { key: "k1", early: false });
    expect(first).toMatchObject({ runId: run.runId, token: "order:1", delivery: { disposition: "buffered" } });
    expect((await world.engine.resumeHook("order:1", "paid", { key: "k1" })).delivery).toMatchObject({
      id: first.delivery.id,
      disposition: "duplicate",
    });
    const repeat = { runId: run.runId, hookId: undefined, delivery: { disposition: "duplicate" } };
    expect(await world.engine.resumeHook("order:1", "paid", { key: "k1" })).toMatchObject(repeat);
    expect(await world.engine.signal("order:1", "packed")).toMatchObject({ disposition: "buffered" });
    await expect(world.engine.resumeHook("order:2", "paid")).rejects.toMatchObject({ code: "hook_not_found" });
    release();
    expect(await run.returnValue).toEqual(["paid", "packed"]);
  });

  test("it outlives a restart and the hour that early deliveries have", async () => {
    const { wf, release } = shop();
    const world = await createWorld([wf], { mode });
    const { runId } = await world.engine.start(wf, ["order:1"], { hook: { token: "order:1" } });
    await world.engine.resumeHook("order:1", "paid");
    await world.restart({}, false);
    await world.clock.advance(2 * 3_600_000);
    await world.engine.purge();
    await world.engine.resumeHook("order:1", "packed");
    release();
    expect(await world.engine.getRun(runId).returnValue).toEqual(["paid", "packed"]);
  });

  test("where another run has the token no run is started, and its starter is told who has it", async () => {
    const { wf, release } = shop();
    const world = await createWorld([wf], { mode });
    const first = await world.engine.start(wf, ["t"], { id: "a", hook: { token: "t" } });
    const lost = await world.engine.start(wf, ["t"], { id: "b", hook: { token: "t" } }).catch((error: unknown) => error);
    expect(lost).toBeInstanceOf(HookConflictError);
    expect(lost).toMatchObject({ details: { token: "t", holder: first.runId } });
    expect(await world.engine.getRun("b").exists).toBe(false);
    expect((await world.engine.start(wf, ["t"], { id: "a", hook: { token: "t" } })).runId).toBe("a");
    await expect(world.engine.start(wf, ["t"], { id: "a", hook: { token: "u" } })).rejects.toMatchObject({ code: "run_conflict" });
    release();
    for (const payload of ["1", "2"]) await world.engine.resumeHook("t", payload);
    await first.returnValue;
    expect((await world.engine.start(wf, ["t"], { id: "b", hook: { token: "t" } })).runId).toBe("b");
  });

  test("a child is started with a token, or its parent is told who has it", async () => {
    const waits = workflow("waits", async () => await createHook<string>({ token: "t" }));
    const parent = workflow("parent", async () => {
      const child = await start(waits, [], { hook: { token: "t" } });
      const holder = await start(waits, [], { hook: { token: "t" } }).catch((error: HookConflictError) => error.details.holder);
      return [child.runId === holder, await child.returnValue];
    });
    const world = await createWorld([waits, parent], { mode });
    const run = await world.start(parent);
    await world.engine.resumeHook("t", "told");
    await world.settled();
    expect(await run.returnValue).toEqual([true, "told"]);
  });

  test("the hook's schema judges what came before it", async () => {
    const number = { "~standard": { version: 1 as const, vendor: "test", validate: judged } };
    const hook = defineHook<unknown, number>({ schema: number });
    const wf = workflow("sum", async () => {
      const numbers = hook.create({ token: "n" });
      return (await numbers) + (await numbers);
    });
    const world = await createWorld([wf], { mode });
    const run = await world.engine.start(wf, [], { hook: { token: "n" } });
    for (const payload of [1, "two", 3]) await world.engine.signal("n", payload);
    await world.settled();
    expect(await run.returnValue).toBe(4);
  });

  test("a request that comes before its webhook is kept, too", async () => {
    const wf = workflow("form", async () => (await createWebhook({ token: "form:1" })).json());
    const world = await createWorld([wf], { mode });
    const run = await world.engine.start(wf, [], { hook: { token: "form:1" } });
    const post = (): Promise<Response> =>
      world.engine.resumeWebhook("form:1", new Request("https://app.example/form", { method: "POST", body: '{"a":1}' }));
    expect((await post()).status).toBe(202);
    expect(await run.returnValue).toEqual({ a: 1 });
  });

  test("what came for a run that ended without opening its hook is kept as unclaimed, and nobody else's hook takes it", async () => {
    const { wf, release } = shop();
    let go = (): void => {};
    const gone = new Promise<void>((resolve) => (go = resolve));
    const wait = step("wait", () => gone);
    const ends = workflow("ends", async () => wait());
    const world = await createWorld([wf, ends], { mode });
    const run = await world.engine.start(ends, [], { hook: { token: "order:1" } });
    await world.engine.resumeHook("order:1", "for nobody");
    go();
    await run.returnValue;
    await expect(world.engine.resumeHook("order:1", "late")).rejects.toMatchObject({ code: "hook_not_found" });
    const next = await world.engine.start(wf, ["order:1"], { hook: { token: "order:1" } });
    release();
    for (const payload of ["1", "2"]) await world.engine.resumeHook("order:1", payload);
    expect(await next.returnValue).toEqual(["1", "2"]);
    await world.engine.purge();
    expect(await kept(world)).toEqual([["unclaimed", "order:1"]]);
  });
});

function judged(value: unknown): { readonly value: number } | { readonly issues: { readonly message: string }[] } {
  return typeof value === "number" ? { value } : { issues: [{ message: "no number" }] };
}

test("a slip in the option is told at the call", async () => {
  const wf = workflow("any", async () => 0);
  const world = await createWorld([wf]);
  const told = (hook: unknown): Promise<unknown> => world.engine.start(wf, [], { hook: hook as never }).then(String, ({ code }) => code);
  expect(await told("order:1")).toBe("bad_argument");
  expect(await told({})).toBe("bad_argument");
  expect(await told({ token: "" })).toBe("bad_argument");
  expect(await told({ token: "wh:k1:x" })).toBe("bad_argument");
  expect(await told({ token: "t", name: "n" })).toBe("bad_argument");
  expect(await told({ token: "t".repeat(256) })).toBe("too_large");
  expect(await world.engine.listRuns()).toEqual([]);
});
