// Somebody's word on a run that waits for it counts once, whenever it is given: also while the run is just coming to rest, and to several that
// take the run up at once. Numbers in brackets are those of docs/coming-from-awaitly.md, "Thirty-eight weaknesses".

import { expect, test } from "vitest";
import {
  type ApprovalStatus,
  createApprovalStep,
  createWorkflow,
  gatedStep,
  getPendingApprovals,
  injectApproval,
  isApprovalRejected,
  ok,
  parse,
  pendingApproval,
  serialize,
} from "../src/portable.ts";
import { memoryResumeStore, resumeHandler } from "../src/resume.ts";
import { createManualClock } from "../src/testing/manual-clock.ts";

/** A workflow whose approval is looked up where somebody writes it; `asks` is told of each look. */
function world(asks: (says: (word: ApprovalStatus<string>) => void) => void = () => {}) {
  let word: ApprovalStatus<string> = { status: "pending" };
  const says = (said: ApprovalStatus<string>): void => void (word = said);
  const done: string[] = [];
  const workflow = createWorkflow("approved", {
    ask: createApprovalStep<string>({
      key: "ann",
      checkApproval: () => {
        const found = word;
        asks(says);
        return found;
      },
    }),
  });
  const clock = createManualClock();
  const handler = resumeHandler({
    ...memoryResumeStore({ clock }),
    clock,
    run: (options) =>
      workflow.runWithState(
        async ({ step, deps }) => {
          await step("prepare", () => ok(void done.push("prepare")));
          const who = await step("ask", () => deps.ask());
          return step("pay", () => ok((done.push(`pay for ${who}`), who)));
        },
        { ...options, clock },
      ),
  });
  return { handler, says, done };
}

test("a word that is given in the moment in which the run comes to rest is there when it is taken up (6)", async () => {
  const { handler, done } = world((says) => says({ status: "approved", value: "ann" }));
  expect((await handler.start({ runId: "r" })).result).toMatchObject({ ok: false, error: { type: "PENDING_APPROVAL", stepKey: "ann" } });
  expect((await handler.resume("r")).result).toEqual(ok("ann"));
  expect(done).toEqual(["prepare", "pay for ann"]);
});

test("several that take the run up at once do what follows once; whoever comes later gets the same (33)", async () => {
  const { handler, says, done } = world();
  await handler.start({ runId: "r" });
  says({ status: "approved", value: "ann" });
  await Promise.all(Array.from({ length: 20 }, () => handler.resume("r")));
  says({ status: "rejected", reason: "too late" });
  expect((await handler.resume("r")).result).toEqual(ok("ann"));
  expect(done).toEqual(["prepare", "pay for ann"]);
});

test("a no ends the run, for everybody who asks (33)", async () => {
  const { handler, says, done } = world();
  await handler.start({ runId: "r" });
  says({ status: "rejected", reason: "no budget" });
  for (let time = 0; time < 2; time++) {
    const { result } = await handler.resume("r");
    expect(result).toMatchObject({ ok: false, error: { reason: "no budget" } });
    expect(result && !result.ok && isApprovalRejected(result.error)).toBe(true);
  }
  expect(done).toEqual(["prepare"]);
});

test("two gates under one key want a word each, and each is for the one that has waited longer (33)", async () => {
  const sent: string[] = [];
  const mail = gatedStep(async (to: string) => ok(void sent.push(to)), { key: "mail", requiresApproval: true, description: (to) => to });
  const workflow = createWorkflow("gates", { mail });
  const run = (resumeState?: ReturnType<typeof parse>) =>
    workflow.runWithState(({ step, deps }) => Promise.all(["a", "b"].map((to) => step("mail", () => deps.mail(to) as never))), {
      resumeState,
    });
  const first = await run();
  expect(getPendingApprovals(first.resumeState)).toEqual(["mail", "mail"]);
  const second = await run(injectApproval(parse(serialize(first.resumeState)), { stepKey: "mail", value: "first" }));
  expect(getPendingApprovals(second.resumeState)).toEqual(["mail"]);
  const third = await run(injectApproval(parse(serialize(second.resumeState)), { stepKey: "mail", value: "second" }));
  expect([third.result, sent]).toEqual([ok(["first", "second"]), []]);
  expect(() => injectApproval(third.resumeState, { stepKey: "mail", value: "third" })).toThrow(
    expect.objectContaining({ reason: "answered" }),
  );
});

test("a word that is given to the handler counts once, and the run goes on with it", async () => {
  const { handler, done } = world();
  expect(await handler.approve("r", "ann", "early")).toMatchObject({ disposition: "unknown" });
  await handler.start({ runId: "r" });
  expect(await handler.approve("r", "bob", "no such")).toMatchObject({ disposition: "unknown" });
  const told = await Promise.all(Array.from({ length: 10 }, () => handler.approve("r", "ann", "yes")));
  expect(told.map(({ disposition }) => disposition).sort()).toEqual(["accepted", ...Array.from({ length: 9 }, () => "duplicate")]);
  expect((await handler.start({ runId: "r" })).result).toEqual(ok("yes"));
  expect(await handler.approve("r", "ann", "no")).toMatchObject({ disposition: "closed", by: "answered" });
  expect(await handler.approve("r", "ann", "yes")).toMatchObject({ disposition: "duplicate" });
  expect(done).toEqual(["prepare", "pay for yes"]);
});

test("a word that comes while its run works at something else is given to it", async () => {
  let finish = (): void => {};
  let begun = (): void => {};
  const slow = new Promise<void>((resolve) => (finish = resolve));
  const asked = new Promise<void>((resolve) => (begun = resolve));
  const clock = createManualClock();
  const workflow = createWorkflow("busy", { ask: async () => pendingApproval<string>("ann") });
  const handler = resumeHandler({
    ...memoryResumeStore({ clock }),
    clock,
    run: (options) =>
      workflow.runWithState(
        ({ step, deps }) =>
          Promise.all([
            step("ask", () => deps.ask()),
            step("slow", async () => (begun(), await slow, ok("slow"))),
            step("mark", () => ok("mark")),
          ]),
        { ...options, clock },
      ),
  });
  const started = handler.start({ runId: "r" });
  await asked;
  while ((await handler.approve("r", "ann", "yes")).disposition === "unknown") await new Promise((resolve) => setImmediate(resolve));
  finish();
  expect((await started).result).toEqual(ok(["yes", "slow", "mark"]));
});
