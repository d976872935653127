// A portable workflow rests where it waits and goes on with the answer, however often it is run again.

import { expect, test } from "vitest";
import {
  createHook,
  createWorkflow,
  err,
  getPendingHooks,
  injectHook,
  isPendingHook,
  ok,
  parse,
  pendingHook,
  serialize,
} from "../src/portable.ts";

test("two hooks one after another: nothing is done twice, however the state travels", async () => {
  const done: string[] = [];
  const [first, second] = [createHook(), createHook()];
  const workflow = createWorkflow("payment", {
    pay: async () => pendingHook(first.hookId),
    ship: async () => pendingHook(second.hookId),
  });
  const run = (state?: ReturnType<typeof parse>) =>
    workflow.runWithState(
      async ({ step, deps }) => {
        await step("create", async () => ok(void done.push("create")));
        const paid = await step("pay", () => deps.pay(), { key: first.stepKey });
        await step("pack", async () => ok(void done.push("pack")));
        const shipped = await step("ship", () => deps.ship(), { key: second.stepKey });
        return [paid, shipped];
      },
      state ? { resumeState: state } : {},
    );
  const one = await run();
  expect(!one.result.ok && isPendingHook(one.result.error)).toBe(true);
  const two = await run(injectHook(parse(serialize(one.resumeState)), { hookId: first.hookId, value: { at: new Date(0) } }));
  expect(getPendingHooks(two.resumeState)).toEqual([second.hookId]);
  const three = await run(injectHook(parse(serialize(two.resumeState)), { hookId: second.hookId, value: "sent" }));
  expect(three.result).toEqual(ok([{ at: new Date(0) }, "sent"]));
  expect(done).toEqual(["create", "pack"]);
});

test("a wait is no error to fallback, retry, catch or compensation", async () => {
  const undone: string[] = [];
  const workflow = createWorkflow("wait", { wait: async () => pendingHook("h") });
  const body: Parameters<typeof workflow.runWithState>[0] = async ({ step, deps }) => {
    await step("reserve", () => ok("r"), { compensate: (id) => void undone.push(id) });
    try {
      return await step.withFallback("wait", () => deps.wait(), { fallback: () => ok("fallback" as never), key: "hook:h" });
    } catch {
      return "caught";
    }
  };
  const rested = await workflow.runWithState(body);
  expect(rested.result).toMatchObject({ ok: false, error: { type: "PENDING_HOOK" } });
  expect(undone).toEqual([]);
  expect(await workflow.run(body, { resumeState: injectHook(rested.resumeState, { hookId: "h", value: "here" }) })).toEqual(ok("here"));
});

test("what goes wrong later undoes what was done before the wait, once", async () => {
  const undone: string[] = [];
  const workflow = createWorkflow("undo", { wait: async () => pendingHook("h"), fail: async () => err("no" as const) });
  const body: Parameters<typeof workflow.runWithState>[0] = async ({ step, deps }) => {
    await step("reserve", () => ok("r"), { compensate: (id) => void undone.push(id) });
    await step("wait", () => deps.wait(), { key: "hook:h" });
    await step("fail", () => deps.fail());
  };
  const rested = await workflow.runWithState(body);
  const ended = await workflow.runWithState(body, { resumeState: injectHook(rested.resumeState, { hookId: "h", value: 1 }) });
  expect(ended.result).toMatchObject({ ok: false, error: "no" });
  expect(undone).toEqual(["r"]);
});
