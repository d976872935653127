// The word for where a run stands follows from its row alone (RR1, RR4).

import { expect, test } from "vitest";
import type { RunEvent } from "../src/core/event.ts";
import { advance, originOf, type RunProgress, recorded, rowOf, runStateName, settle, unborn } from "../src/core/run-row.ts";
import { newRun, runBlocked, runEnded, stepScheduled } from "../src/testing/law/world.ts";

function stateAfter(...steps: readonly (RunEvent | { readonly seen: number })[]): string {
  const { workflow, codeId, args, seed } = newRun("run-1");
  const all = [{ kind: "run_started", workflow, codeId, args, seed } as const, ...steps];
  let progress: RunProgress = unborn(null);
  for (const step of all) {
    if ("kind" in step) progress = advance(progress, recorded(step, { number: 1, seq: progress.seq + 1, at: 5 }));
    else progress = settle(progress, step.seen);
  }
  return runStateName(rowOf(originOf(1, newRun("run-1"), 5), progress));
}

test("a run is pending, running, waiting, blocked or over", () => {
  expect(stateAfter()).toBe("pending");
  expect(stateAfter({ seen: 1 })).toBe("waiting");
  expect(stateAfter(stepScheduled(1), { seen: 1 })).toBe("running");
  expect(stateAfter(stepScheduled(1), { seen: 1 }, { kind: "step_completed", position: 1, attempt: 1, result: "[]" }, { seen: 3 })).toBe(
    "waiting",
  );
  expect(stateAfter({ seen: 1 }, { kind: "timer_fired", position: 1 })).toBe("running");
  expect(stateAfter({ kind: "cancel_requested" })).toBe("running");
  expect(stateAfter(runBlocked("code-1"))).toBe("blocked");
  expect(stateAfter(runBlocked("code-1"), { kind: "run_unblocked" })).toBe("running");
  expect(stateAfter(runEnded())).toBe("completed");
  expect(stateAfter({ kind: "cancel_requested" }, runEnded({ type: "cancelled" }))).toBe("cancelled");
});

test("nothing follows a run's end", () => {
  expect(() => stateAfter(runEnded(), { kind: "cancel_requested" })).toThrow("cannot follow the end of its run");
});
