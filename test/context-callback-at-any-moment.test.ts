// A callback is taken at every moment from the minting of its address on, and goes to the code without delay, in whatever order the minting,
// the hand-out, the waits, their timeouts, the webhook's deadline, a cancel and crashes fall. The journal alone says what has to come of it.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { unreadIn } from "../src/core/ending.ts";
import { memoryStore } from "../src/store/memory/store.ts";
import { sqliteStore } from "../src/store/sqlite/store.ts";
import { GatedLife, type Happening, type Lived, outcomeOf, type Plan } from "./context/gated-life.ts";
import { defaultMode } from "./harness.ts";

const isLong = process.env["RINGBACK_LONG"] === "1";
/** Each life is hot or evicted after every turn: as the mode has it, or in turn. */
const hotRunsOf = (index: number): number => (defaultMode === "evict" || (!isLong && index % 2 === 1) ? 0 : 100);

const kinds: readonly Happening[] = ["send", "hour", "cancel", "crash"];

/** Every order of up to `most` happenings, at every choice of moments. */
function* plans(most: number, moments: number): Generator<Plan> {
  yield { happenings: [], slots: [] };
  if (most === 0) return;
  for (const { happenings, slots } of plans(most - 1, moments)) {
    if (happenings.length < most - 1) continue;
    for (const kind of kinds)
      for (let slot = slots.at(-1) ?? 0; slot < moments; slot++) yield { happenings: [...happenings, kind], slots: [...slots, slot] };
  }
}

function check(plan: Plan, { journal, result, told, rested, isRestedOver, overdue }: Lived): void {
  const wanted = outcomeOf(journal);
  const ended = journal.at(-1);
  const unread = ended?.kind === "run_ended" ? unreadIn(journal, ended).length : null;
  const taken = journal.filter(({ kind }) => kind === "hook_received").length;
  // Asked twice to end, it was ended from outside: what its code would have read next counts, too.
  const isCutOff = ended?.kind === "run_ended" && ended.turn === 0;
  expect({ plan, result, unread, told: told.map(({ is }) => is), taken, isRestedOver, overdue }).toEqual({
    plan,
    result: wanted.result,
    unread: isCutOff ? unread : wanted.unread,
    told: told.map((each) => each.wanted),
    taken: told.filter(({ is }) => is === "accepted").length,
    // Nothing that was there already has waited for the clock, or for another delivery.
    isRestedOver: outcomeOf(rested).result !== null,
    overdue: 0,
  });
}

/** A run that no happening disturbs has had its last moment by then, and so has one that is crashed once. */
const moments = 12;
/** A run that was loaded three times and never got anywhere is set aside, as it should be. */
const isLoop = ({ happenings }: Plan): boolean => happenings.filter((each) => each === "crash").length > 2;
const all = [0, 1, 2, 3].flatMap((most) => [...plans(most, moments)]).filter((plan) => !isLoop(plan));
const every = (nth: number, from: number): readonly Plan[] => all.filter((_, index) => index % nth === from);

test("in memory: every order of up to three happenings, at every choice of moments", async () => {
  const single = all.filter(({ happenings }) => happenings.length < 2);
  for (const [index, plan] of (isLong ? all : [...single, ...every(199, 0)]).entries())
    check(plan, await new GatedLife((clock) => memoryStore({ clock }), hotRunsOf(index)).live(plan));
});

test.runIf(!isLong || defaultMode !== "two-workers")("on a SQLite file: a tenth of them", async () => {
  const folder = mkdtempSync(join(tmpdir(), "ringback-gated-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const [index, plan] of every(isLong ? 10 : 1_999, 7).entries()) {
    const path = join(folder, `${index}.db`);
    check(plan, await new GatedLife((clock) => sqliteStore({ path, clock }), hotRunsOf(index)).live(plan));
  }
});
