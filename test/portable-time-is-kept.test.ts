// What a portable run waits for in time is kept as an instant: it is over when that has come, whoever runs it then. Numbers in brackets are
// those of docs/coming-from-awaitly.md, "Thirty-eight weaknesses".

import { expect, test } from "vitest";
import {
  createApprovalStep,
  injectApproval,
  injectHook,
  ok,
  parse,
  pendingApproval,
  pendingHook,
  type ResumeState,
  serialize,
} from "../src/portable.ts";
import { createManualClock } from "../src/testing/manual-clock.ts";
import { type Body, once } from "./portable/play.ts";

const hour = 3_600_000;
const waits = (id: string, timeout?: string) => async () =>
  pendingHook<string>(id, timeout === undefined ? {} : { timeout: timeout as never }) as any;
const text = (state: ResumeState): ResumeState => parse(serialize(state));

test("a process dies in a sleep: the next one sleeps the rest of it, and a third none (25)", async () => {
  const clock = createManualClock();
  const done: string[] = [];
  const body: Body = async ({ step }) => {
    await step("before", () => ok(void done.push("before")));
    await step.sleep("night", "8h");
    await step("after", () => ok(void done.push("after")));
    return "morning";
  };
  let kept: ResumeState | undefined;
  // It stands still, as a process that is gone: nobody hears of its run again.
  await new Promise<void>((isAsleep) => {
    void once(body, {
      clock: createManualClock(),
      checkpoint(state) {
        kept = text(state);
        if (state.events.at(-1)?.kind === "timer_set") isAsleep();
      },
    });
  });
  expect(kept?.events.at(-1)).toMatchObject({ kind: "timer_set", dueAt: clock.now() + 8 * hour });
  clock.set(clock.now() + 7 * hour);
  const second = once(body, { clock, resumeState: kept, checkpoint: (state) => void (kept = text(state)) });
  await new Promise((resolve) => setImmediate(resolve));
  expect(done).toEqual(["before"]);
  clock.advance(hour);
  expect((await second).result).toEqual(ok("morning"));
  expect((await once(body, { clock, resumeState: kept })).result).toEqual(ok("morning"));
  expect(done).toEqual(["before", "after"]);
});

test("a sleep beside a wait says when to come back, and whoever does finds it over (25)", async () => {
  const clock = createManualClock();
  const body: Body = ({ step }) => Promise.race([step("wait", waits("h")), step.sleep("limit", "2h").then(() => "too late")]);
  const first = await once(body, { clock });
  expect([first.result.error.type, first.wakeAt]).toEqual(["PENDING_HOOK", clock.now() + 2 * hour]);
  clock.advance(hour);
  const early = await once(body, { clock, resumeState: text(first.resumeState) });
  expect([early.wakeAt, early.resumeState.events.length]).toEqual([first.wakeAt, first.resumeState.events.length]);
  const answered = injectHook(text(early.resumeState), { hookId: "h", value: "in time" });
  clock.advance(hour);
  expect((await once(body, { clock, resumeState: text(early.resumeState) })).result).toEqual(ok("too late"));
  expect((await once(body, { clock, resumeState: answered })).result).toEqual(ok("in time"));
});

test("what fell due while nobody ran the code ends in the order in which it fell due (25, 26)", async () => {
  const clock = createManualClock();
  const ended: string[] = [];
  const body: Body = async ({ step }) => {
    const ends = (what: string) => () => void ended.push(what);
    await Promise.race([
      Promise.all([
        step.sleep("late", "5h").then(ends("late")),
        step("first", waits("h1", "1h")).catch(ends("first")),
        step.sleep("second", "2h").then(ends("second")),
        step("fourth", waits("h4", "4h")).catch(ends("fourth")),
        step.sleep("third", "3h").then(ends("third")),
      ]),
      step("never", waits("h")),
    ]);
    return [...ended];
  };
  const { resumeState } = await once(body, { clock });
  ended.length = 0;
  clock.set(clock.now() + 9 * hour);
  const { result } = await once(body, { clock, resumeState: text(resumeState) });
  expect(result).toEqual(ok(["first", "second", "third", "fourth", "late"]));
});

test("on the platform's own clock as well: what is over is over when the code is run, not at some later run (25, 26)", async () => {
  const bodies: Body[] = [
    ({ step }) => step("wait", waits("h", "0.001s")).catch(() => "timed out"),
    ({ step }) => step.withTimeout("wait", waits("h"), { ms: 1, error: "LATE" }).catch(() => "timed out"),
    ({ step }) => Promise.race([step("wait", waits("h")), step.sleep("limit", 1).then(() => "timed out")]),
  ];
  for (const body of bodies) {
    const { resumeState } = await once(body);
    const until = Date.now() + 3;
    while (Date.now() < until);
    expect((await once(body, { resumeState: text(resumeState) })).result).toEqual(ok("timed out"));
  }
  expect((await once(({ step }) => step("wait", waits("h", "0s")).catch(() => "timed out"))).result).toEqual(ok("timed out"));
  expect((await once(({ step }) => step.sleep("nap", 2).then(() => "slept"))).result).toEqual(ok("slept"));
});

test("an approval that comes when its time is up is refused like any other answer (26)", async () => {
  const clock = createManualClock();
  const body: Body = ({ step }) => step.withTimeout("ask", () => pendingApproval("ann") as any, { ms: "1h", error: "LATE" });
  const { resumeState, wakeAt } = await once(body, { clock });
  const at = wakeAt as number;
  expect(() => injectApproval(resumeState, { stepKey: "ann", value: 1, at })).toThrow(expect.objectContaining({ reason: "expired" }));
  expect((await once(body, { clock, resumeState: injectApproval(resumeState, { stepKey: "ann", value: 1, at: at - 1 }) })).result).toEqual(
    ok(1),
  );
  clock.advance(hour);
  const late = await once(body, { clock, resumeState: text(resumeState) });
  expect(late.result).toMatchObject({ ok: false, error: "LATE" });
  expect(() => injectApproval(late.resumeState, { stepKey: "ann", value: 1, at: 0 })).toThrow(
    expect.objectContaining({ reason: "expired" }),
  );
});

test("an approval that its own check has answered takes no other", async () => {
  let said: object = { status: "pending" };
  const body: Body = async ({ step }) => [
    await step("ask", createApprovalStep({ key: "ann", checkApproval: () => said as never }) as any),
    await step("wait", waits("h")),
  ];
  const first = await once(body);
  said = { status: "approved", value: "yes" };
  const { resumeState } = await once(body, { resumeState: text(first.resumeState) });
  expect(() => injectApproval(resumeState, { stepKey: "ann", value: "no" })).toThrow(expect.objectContaining({ reason: "answered" }));
});
