// A portable workflow rests where it waits and goes on with the answer, however often it is run again.

import { expect, test } from "vitest";
import { z } from "zod";
import {
  createApprovalStep,
  createHook,
  createWorkflow,
  defineHook,
  err,
  gatedStep,
  getPendingApprovals,
  getPendingHooks,
  hasPendingApproval,
  injectApproval,
  injectHook,
  injectHookAsync,
  isPendingHook,
  ok,
  parse,
  pendingHook,
  serialize,
  tryInjectHook,
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

test("a child's steps and waits are its parent's: nothing of it is done twice, and its parent undoes it", async () => {
  const done: string[] = [];
  const does = (what: string, undo = false) =>
    [() => ok(void done.push(what)), undo ? { compensate: () => void done.push(`no ${what}`) } : {}] as const;
  const child = createWorkflow("child", { ask: async () => pendingHook<string>("h") });
  const whole = createWorkflow("parent", { child: async () => err("NO" as const) });
  const run = (state?: ReturnType<typeof parse>) =>
    whole.runWithState(
      async ({ step, deps }) => {
        await step("before", ...does("before", true));
        const said = await step.workflow("child", (parent) =>
          child.run(async ({ step: own, deps: { ask } }) => {
            await own("before", ...does("child", true));
            return own("ask", () => ask());
          }, parent),
        );
        await step(`after ${String(said)}`, () => deps.child());
      },
      { resumeState: state },
    );
  const rested = await run();
  expect(rested.result).toMatchObject({ error: { type: "PENDING_HOOK", hookId: "h" } });
  const ended = await run(injectHook(rested.resumeState, { hookId: "h", value: "yes" }));
  expect(ended.result).toMatchObject({ ok: false, error: "NO" });
  expect(done).toEqual(["before", "child", "no child", "no before"]);
  const alone = await whole.run(({ step }) =>
    step.workflow("child", () => child.run(({ step: own, deps }) => own("ask", () => deps.ask()))),
  );
  expect(alone).toMatchObject({
    error: { message: expect.stringContaining('step.workflow("child", (parent) => child.run(body, parent))') },
  });
});

test("a step that was still running when the code failed is undone too; one that cannot be undone is told of", async () => {
  const done: string[] = [];
  let finish = (): void => {};
  const slow = new Promise<void>((resolve) => (finish = resolve));
  const workflow = createWorkflow("saga", { fail: async () => err("NO" as const) });
  const running = workflow.run(async ({ step, deps }) => {
    void step("slow", () => slow.then(() => ok("slow")), { compensate: (value) => void done.push(`undo ${value}`) });
    await step("stuck", () => ok("stuck"), { compensate: () => err("CANNOT" as const) });
    await step("fail", () => deps.fail());
  });
  setImmediate(finish);
  const result = await running;
  expect(done).toEqual(["undo slow"]);
  expect(result).toMatchObject({
    ok: false,
    error: { _tag: "UnexpectedError", cause: { _tag: "CompensationFailed", cause: "NO", failures: [{ step: "stuck", error: "CANNOT" }] } },
  });
});

test("an approval that was given elsewhere is asked for again when the workflow is run again", async () => {
  const said: { status: "pending" | "approved"; value?: string } = { status: "pending" };
  const sent: string[] = [];
  const workflow = createWorkflow("approve", {
    manager: createApprovalStep<string>({ key: "manager", checkApproval: () => said as never, pendingReason: "too much" }),
    mail: gatedStep(async ({ to }: { to: string }) => ok(void sent.push(to)), {
      key: "mail",
      requiresApproval: ({ to }) => !to.endsWith("@own.example"),
      description: ({ to }) => `Mail to ${to}`,
    }),
  });
  const run = (state?: ReturnType<typeof parse>) =>
    workflow.runWithState(
      async ({ step, deps }) => {
        await step("own", () => deps.mail({ to: "a@own.example" }));
        const who = await step("manager", () => deps.manager());
        await step("send", () => deps.mail({ to: "b@else.example" }));
        return who;
      },
      { resumeState: state },
    );
  const first = await run();
  expect(first.result).toMatchObject({ error: { type: "PENDING_APPROVAL", stepKey: "manager", reason: "too much" } });
  expect((await run(first.resumeState)).resumeState).toEqual(first.resumeState);
  Object.assign(said, { status: "approved", value: "ann" });
  const second = await run(first.resumeState);
  expect(second.result).toMatchObject({
    error: { stepKey: "mail", reason: "Mail to b@else.example", metadata: { pendingArgs: { to: "b@else.example" } } },
  });
  expect([getPendingApprovals(second.resumeState), hasPendingApproval(second.resumeState, "manager")]).toEqual([["mail"], false]);
  expect((await run(injectApproval(second.resumeState, { stepKey: "mail", value: null }))).result).toEqual(ok("ann"));
  expect(sent).toEqual(["a@own.example"]);
});

test("a payload is judged by the schema of its hook, wherever it is injected", async () => {
  const paid = defineHook("paid", { schema: z.object({ ref: z.string().trim() }) as never });
  const slow = defineHook<string>("slow", { schema: z.string().refine(async (text) => text === "yes") as never });
  const workflow = createWorkflow("judged", { pay: async () => paid.pending("h1"), sign: async () => slow.pending("h2") });
  const { resumeState } = await workflow.runWithState(({ step, deps }) =>
    Promise.all([step("pay", () => deps.pay()), step("sign", () => deps.sign())]),
  );
  const wrong = tryInjectHook(resumeState, { hookId: "h1", value: { ref: 5 } });
  expect(wrong).toMatchObject({ ok: false, error: { _tag: "InvalidPayload", hookId: "h1", issues: [{ path: ["ref"] }] } });
  const right = injectHook(resumeState, { hookId: "h1", value: { ref: " r-1 " } });
  expect(() => tryInjectHook(right, { hookId: "h2", value: "yes" })).toThrow(/asynchronous.*injectHookAsync/);
  expect(await injectHookAsync(right, { hookId: "h2", value: "no" })).toMatchObject({ error: { _tag: "InvalidPayload" } });
  const both = await injectHookAsync(right, { hookId: "h2", value: "yes" });
  const body = ({ step, deps }: any): unknown => Promise.all([step("pay", () => deps.pay()), step("sign", () => deps.sign())]);
  expect(await workflow.run(body as never, { resumeState: both.ok ? both.value : undefined })).toEqual(ok([{ ref: "r-1" }, "yes"]));
  const unknown = { ...resumeState, events: resumeState.events.map((event) => ({ ...event, definition: "gone" })) } as never;
  expect(tryInjectHook(unknown, { hookId: "h1", value: 1 })).toMatchObject({ error: { _tag: "SchemaUnavailable", definition: "gone" } });
});

test("what a child has done is undone where its parent fails beside it, though the child comes to its end later", async () => {
  const done: string[] = [];
  const child = createWorkflow("child");
  const workflow = createWorkflow("race", { fail: async () => err("NO" as const) });
  const result = await workflow.run(({ step, deps }) =>
    Promise.race([
      step("fail", () => deps.fail()),
      step.workflow("child", (parent) =>
        child.run(({ step: own }) => own("do", () => ok("did"), { compensate: (value) => void done.push(`undo ${value}`) }), parent),
      ),
    ]),
  );
  expect([result, done]).toMatchObject([{ ok: false, error: "NO" }, ["undo did"]]);
});
