// Laws of chapters (P11): what ends with one, what is carried into the next, and what it takes to run that.

import type { RunContinued } from "../../core/event.ts";
import {
  asked,
  cancel,
  custom,
  disposeOf,
  hookCreated,
  json,
  type Law,
  minted,
  runContinued,
  runEnded,
  stepScheduled,
  timerSet,
  type World,
} from "./world.ts";

/** Ends the run's chapter, having seen all. */
async function continueRun(world: World, of: { readonly run: number }, continued: Partial<RunContinued> = {}): Promise<void> {
  const { seq } = await world.row(of);
  await world.append(of, runContinued({ seen: seq, ...continued }));
}

const named = (position: number) => ({ ...asked(position), name: "inbox" });

export const chapterLaws: readonly Law[] = [
  {
    name: "P11: a chapter's end wakes the run under a higher fence, and what the old chapter still brings is refused",
    holds: async (world) => {
      const before = await world.begin("run-1");
      await world.append(before, stepScheduled(1));
      world.like(await world.row(before), { steps: 1 });
      await continueRun(world, before);
      world.like(await world.row(before), { steps: 0, wake: true, fence: before.fence + 1, status: "open", worker: "A", seq: 3 });
      const late = { kind: "step_completed", position: 1, attempt: 1, result: "[]" } as const;
      world.equal(await world.do({ op: "append", run: before.run, fence: before.fence, events: [late], seen: 0 }), { type: "fenced" });
      world.like(await world.do({ op: "claim", run: before.run, worker: "A" }), { type: "claimed" });
      world.like(await world.row(before), { fence: before.fence + 1, loads: 1 });
    },
  },
  {
    name: "P11: a chapter's end closes the hooks it names and drops timers, but not a carried hook's deadline",
    holds: async (world) => {
      const run = await world.begin("run-1");
      const own = { address: custom("order:42"), timeout: { afterMs: 300 } };
      await world.append(
        run,
        hookCreated(1, own),
        hookCreated(2, { timeout: { afterMs: 200 } }),
        hookCreated(3, { address: custom("free") }),
      );
      await world.append(run, timerSet(4, 100));
      const at = world.clock.now();
      await continueRun(world, run, { carried: [{ created: hookCreated(1, own), unread: [] }], closed: [2, 3], lastPosition: 4 });
      world.like(await world.hook(minted("run-1", 2)), { state: { type: "closed", by: "disposed", at } });
      world.like(await world.hook({ token: "order:42" }), { state: { type: "open" } });
      world.equal(await world.store.due(at + 1_000, 10), [{ run: run.run, position: 1, dueAt: at + 300 }]);
      const other = await world.begin("run-2");
      const claims = await world.append(
        other,
        hookCreated(1, { address: custom("free") }),
        hookCreated(2, { address: custom("order:42") }),
      );
      world.equal(
        claims.map((event) => event.kind),
        ["hook_created", "hook_created", "hook_conflicted"],
      );
      world.clock.advance(300);
      world.like(await world.do({ op: "fire", run: run.run, position: 1 }), { type: "fired" });
    },
  },
  {
    name: "P11: the last chapter is what stands from its first event on, with what carried hooks have got and nobody has read",
    holds: async (world) => {
      const run = await world.waiting("run-1");
      world.equal(await world.store.chapter(run.run), { events: await world.journal(run), inherited: [] });
      const first = await world.deliver(minted("run-1"), { payload: json('["read"]') });
      const second = await world.deliver(minted("run-1"), { payload: json('["unread"]') });
      const unread = second.type === "accepted" ? [second.delivery] : [];
      const { seq: seen } = await world.row(run);
      await world.append(run, hookCreated(2), timerSet(3, 10));
      await world.do({ op: "fire", run: run.run, position: 3, early: true });
      await world.deliver(minted("run-1"), { payload: json('["unseen"]') });
      await world.deliver(minted("run-1", 2), { payload: json('["lost"]') });
      world.like(first, { type: "accepted" });
      await continueRun(world, run, { seen, carried: [{ created: hookCreated(1), unread }], closed: [2], lastPosition: 3 });
      await world.deliver(minted("run-1"), { payload: json('["later"]') });
      await world.append(run, stepScheduled(4));
      const { events, inherited } = await world.store.chapter(run.run);
      world.equal(
        events.map((event) => event.kind),
        ["run_continued", "hook_received", "step_scheduled"],
      );
      world.equal(events, (await world.journal(run)).slice(-3));
      world.equal(
        inherited.map((event) => event.kind === "hook_received" && event.payload.type === "value" && event.payload.value),
        ['["unread"]', '["unseen"]'],
      );
      await continueRun(world, run, { carried: [{ created: hookCreated(1), unread }] });
      world.equal(
        (await world.store.chapter(run.run)).inherited.map((event) => event.seq),
        [inherited[0]?.seq],
      );
      if (await world.reopen()) world.equal((await world.store.chapter(run.run)).inherited.length, 1);
      await world.append(run, runEnded());
      world.like(await world.row(run), { status: "completed" });
    },
  },
  {
    name: "P11: a deadline that was reached before the chapter's end, and not seen, is the next chapter's",
    holds: async (world) => {
      const run = await world.waiting("run-1", { timeout: { afterMs: 10 } });
      const { seq: seen } = await world.row(run);
      await world.do({ op: "fire", run: run.run, position: 1, early: true });
      await continueRun(world, run, { seen, carried: [{ created: hookCreated(1), unread: [] }] });
      world.equal(
        (await world.store.chapter(run.run)).inherited.map((event) => event.kind),
        ["hook_failed"],
      );
      world.like(await world.deliver(minted("run-1")), { type: "closed", by: "timeout" });
    },
  },
  {
    name: "P11: a cancel that the old chapter has not seen is told to the next one, and its grace goes on",
    holds: async (world) => {
      const run = await world.waiting("run-1");
      const { seq: seen } = await world.row(run);
      await world.do(cancel(run.run));
      const at = world.clock.now();
      world.clock.advance(10);
      await continueRun(world, run, { seen, carried: [{ created: hookCreated(1), unread: [] }] });
      world.equal((await world.kinds(run)).slice(-2), ["run_continued", "cancel_requested"]);
      world.like(await world.row(run), { cancelRequestedAt: at, wake: true });
      world.equal(await world.store.due(at + 60_000, 10), [{ run: run.run, position: 0, dueAt: at + 60_000 }]);
      world.like(await world.deliver(minted("run-1")), { type: "closed", by: "cancelled" });
    },
  },
  {
    name: "P11: a cancel that is to compensate is told again as that, from chapter to chapter",
    holds: async (world) => {
      const run = await world.waiting("run-1");
      const { seq: seen } = await world.row(run);
      await world.do({ ...cancel(run.run), compensate: true });
      for (let chapter = 0; chapter < 2; chapter++) {
        await continueRun(world, run, { seen, carried: [{ created: hookCreated(1), unread: [] }] });
        world.like((await world.journal(run)).at(-1), { kind: "cancel_requested", compensate: true });
      }
      world.equal(await world.store.nextDue(), null);
    },
  },
  {
    name: "P11: what the old chapter awaited is not told to the next one; what that awaits is",
    holds: async (world) => {
      const [run, child] = [await world.begin("run-1"), await world.begin("child")];
      await world.append(run, { kind: "child_awaited", ...asked(1), runId: "child" });
      await continueRun(world, run, { awaited: ["child"], lastPosition: 1 });
      const other = await world.begin("run-2");
      await world.append(other, { kind: "child_awaited", ...asked(1), runId: "child" });
      await world.append(run, { kind: "child_awaited", ...asked(2), runId: "child" });
      await world.append(child, runEnded());
      const ends = (await world.journal(run)).filter((event) => event.kind === "child_ended");
      world.equal(
        ends.map((event) => event.kind === "child_ended" && event.position),
        [2],
      );
      world.equal((await world.kinds(other)).at(-1), "child_ended");
    },
  },
  {
    name: "G2: a hook that opens again where one was is at the same address, and knows the keys that were taken there",
    holds: async (world) => {
      const run = await world.begin("run-1");
      await world.append(run, hookCreated(1, named(1)));
      const first = await world.deliver(minted("run-1"), { key: "k1", digest: "d1" });
      await world.append(run, disposeOf(1, 2));
      world.like(await world.deliver(minted("run-1"), { key: "k2" }), { type: "closed" });
      await world.append(run, hookCreated(1, { ...named(1), methods: ["PUT"], timeout: { afterMs: 50 } }));
      world.like((await world.hook(minted("run-1"))).created, { methods: ["PUT"] });
      world.like(await world.hook(minted("run-1")), { state: { type: "open" } });
      const again = await world.deliver(minted("run-1"), { key: "k1", digest: "d1" });
      world.like(again, { type: "duplicate", delivery: first.type === "accepted" && first.delivery });
      world.like(await world.deliver(minted("run-1"), { key: "k2" }), { type: "accepted" });
      world.equal((await world.store.hooks({ run: run.run, limit: 10 })).length, 1);
      if (await world.reopen()) world.like(await world.hook(minted("run-1")), { state: { type: "open" } });
      world.clock.advance(50);
      world.like(await world.deliver(minted("run-1")), { type: "closed", by: "timeout" });
    },
  },
];
