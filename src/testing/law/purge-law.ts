// Laws of what goes, and of what outlives it (P10).

import type { ResponsePolicy } from "../../core/event.ts";
import type { DeliverOutcome, Purge, RunRow } from "../../store/port.ts";
import {
  asked,
  beat,
  cancel,
  custom,
  hookCreated,
  type Law,
  manual,
  minted,
  newRun,
  runEnded,
  start,
  timerSet,
  type World,
} from "./world.ts";

const day = 86_400_000;
const pass: Purge = { op: "purge", runsMs: day, keysMs: 30 * day, unclaimedMs: day, from: 0, rows: 1_000 };
const fixed: ResponsePolicy = { mode: "static", answer: { status: 201, headers: ["a", "b"], body: new Uint8Array([7]) } };

/** A run with this hook that took a delivery under a key, and has ended. */
async function ended(
  world: World,
  id: string,
  hook: Parameters<World["waiting"]>[1],
  key = "k1",
): Promise<{ run: RunRow; delivery: number }> {
  const run = await world.waiting(id, hook);
  const address = hook?.address?.type === "custom" ? { token: hook.address.token } : minted(id);
  const { delivery } = (await world.deliver(address, { key, digest: "d1" })) as DeliverOutcome & { type: "accepted" };
  await world.append(run, runEnded());
  return { run, delivery };
}

async function passes(world: World, command: Purge = pass): Promise<number> {
  let runs = 0;
  for (let from: number | null = 0; from !== null; ) {
    const outcome: { runs: number; next: number | null } = await world.do({ ...command, from });
    runs += outcome.runs;
    from = outcome.next;
  }
  return runs;
}

export const purgeLaws: readonly Law[] = [
  {
    name: "P12: a run that has reserved its token goes when that time is over; deleted, at once",
    holds: async (world) => {
      const hook = { address: custom("t"), reserve: { afterMs: 3 * day } };
      const { run } = await ended(world, "old", hook);
      world.clock.advance(2 * day);
      world.equal(await passes(world), 0);
      world.like(await world.hook({ token: "t" }), {
        runId: "old",
        state: { type: "closed", by: "ended", at: world.clock.now() - 2 * day },
      });
      world.clock.advance(day);
      world.equal(await passes(world), 1);
      world.equal(await world.store.run({ run: run.run }), null);
      const next = await ended(world, "next", { ...hook, address: custom("u") }, "k2");
      world.equal(await world.do({ op: "delete", run: next.run.run }), { type: "deleted" });
      world.equal((await world.journal(await world.waiting("new", { address: custom("u") }))).at(-1)!.kind, "hook_created");
    },
  },
  {
    name: "P10: a run that ended long enough ago is gone for everyone; others stay, and its id is free",
    holds: async (world) => {
      const { run, delivery } = await ended(world, "old", { address: custom("t") });
      const open = await world.waiting("open");
      world.clock.advance(1);
      const young = (await ended(world, "young", {})).run;
      world.clock.advance(day - 1);
      world.equal(await passes(world), 1);
      const { store } = world;
      world.equal(
        [await store.run({ id: "old" }), await store.run({ run: run.run }), await store.run({ key: "key-of-old" })],
        [null, null, null],
      );
      world.equal([await store.journal(run.run, 0), await store.outcome(run.run), await store.hook({ token: "t" })], [[], null, null]);
      world.equal([await store.delivery(delivery), await store.hooks({ run: run.run, limit: 10 })], [null, []]);
      world.equal(
        (await store.runs({ limit: 10 })).map(({ id }) => id),
        [young.id, open.id],
      );
      world.like(await world.deliver(minted("open")), { type: "accepted" });
      world.equal(await world.deliver({ token: "t" }), { type: "unknown" });
      world.like(await world.do(start("old")), { type: "created" });
      world.equal((await world.row((await store.run({ id: "old" }))!.run)).run > young.run, true);
    },
  },
  {
    name: "P10: no number is given twice, whatever went",
    holds: async (world) => {
      const { run, delivery } = await ended(world, "last", {});
      const { seq } = await world.row(run);
      await world.do({ op: "delete", run: run.run });
      await passes(world);
      if (await world.reopen()) await world.commit(beat("A"));
      const next = await world.waiting("next");
      world.equal(next.run > run.run, true);
      const outcome = (await world.deliver(minted("next"))) as DeliverOutcome & { type: "accepted" };
      world.equal(outcome.delivery > delivery + seq - 3, true);
    },
  },
  {
    name: "G2, P10: a purged run's keys answer still, by any response, at minted and custom tokens",
    holds: async (world) => {
      const plain = await ended(world, "plain", {});
      const second = await world.waiting("second");
      await world.deliver(minted("second"), { key: "a" });
      const { delivery: further } = (await world.deliver(minted("second"), { key: "b", digest: "d1" })) as DeliverOutcome & {
        type: "accepted";
      };
      await world.append(second, runEnded());
      const named = await ended(world, "named", { address: custom("t"), response: fixed });
      const waited = await world.waiting("waited", { response: manual });
      const taken = (await world.deliver(minted("waited"), { key: "k1", digest: "d1" })) as DeliverOutcome & { type: "accepted" };
      const answer = { status: 418, headers: ["x", "y"], body: new Uint8Array([1]) };
      await world.do({ op: "decide", delivery: taken.delivery, answer, by: "workflow" });
      await world.append(waited, runEnded());
      world.clock.advance(day);
      world.equal(await passes(world), 4);
      const repeat = { key: "k1", digest: "d1" };
      const known = (delivery: number) => ({ type: "duplicate", delivery, hook: null, isSameBody: true });
      world.equal(await world.deliver(minted("plain"), repeat), known(plain.delivery));
      world.equal(await world.deliver(minted("plain"), { ...repeat, digest: "d2" }), { ...known(plain.delivery), isSameBody: false });
      world.equal(await world.deliver(minted("second"), { key: "b", digest: "d1" }), known(further));
      world.equal(await world.deliver({ token: "t" }, repeat), known(named.delivery));
      world.equal(await world.deliver(minted("waited"), repeat), known(taken.delivery));
      world.equal(await world.deliver(minted("plain"), { key: "k9" }), { type: "unknown" });
      world.equal(await world.store.deliveryOf({ token: "t" }, "k1"), named.delivery);
      world.like(await world.store.answer(named.delivery), { answer: fixed.mode === "static" ? fixed.answer : null });
      world.like(await world.store.answer(taken.delivery), { answer });
      world.equal(await world.store.answer(plain.delivery), null);
    },
  },
  {
    name: "G2: a purged key goes after its time, and not while a hook lives at its address",
    holds: async (world) => {
      await ended(world, "plain", {});
      const { delivery } = await ended(world, "named", { address: custom("t"), response: fixed });
      world.clock.advance(30 * day - 1);
      const live = await world.waiting("live", { address: custom("t") });
      await passes(world);
      world.like(await world.deliver(minted("plain"), { key: "k1" }), { type: "duplicate" });
      world.clock.advance(1);
      await passes(world);
      world.equal(await world.deliver(minted("plain"), { key: "k1" }), { type: "unknown" });
      world.like(await world.deliver({ token: "t" }, { key: "k1" }), { type: "duplicate", delivery });
      await world.append(live, runEnded());
      world.clock.advance(30 * day);
      await passes(world);
      world.equal(await world.deliver({ token: "t" }, { key: "k1" }), { type: "unknown" });
      world.equal(await world.store.answer(delivery), null);
    },
  },
  {
    name: "P9: a child that the run began and that is removed since is refused to it; any other run may still come",
    holds: async (world) => {
      const parent = await world.begin("parent");
      const child = newRun("child");
      await world.append(parent, { kind: "child_scheduled", ...asked(1), start: child });
      const { run } = (await world.store.run({ id: "child" }))!;
      const { row } = (await world.do({ op: "claim", run, worker: "A" })) as { readonly row: RunRow };
      await world.append(row, runEnded());
      await world.do({ op: "delete", run });
      await world.append(
        parent,
        { kind: "child_awaited", ...asked(2), runId: "child" },
        { kind: "child_awaited", ...asked(3), runId: "other" },
      );
      const events = (await world.journal(parent)).slice(-3);
      world.like(events[1], { kind: "child_refused", position: 2, runId: "child", reason: "run_not_found" });
      world.equal([events[0]!.kind, events[2]!.kind], ["child_awaited", "child_awaited"]);
    },
  },
  {
    name: "delete: a run that has ended, no other",
    holds: async (world) => {
      const open = await world.waiting("open", { timeout: { afterMs: 60_000 } });
      world.like(await world.do({ op: "delete", run: open.run }), { type: "open" });
      await world.do(cancel(open.run));
      world.like(await world.do({ op: "delete", run: open.run }), { type: "open" });
      world.equal(await world.do({ op: "delete", run: 1_000_000 }), { type: "unknown" });
      await world.append(open, runEnded());
      world.equal(await world.do({ op: "delete", run: open.run }), { type: "deleted" });
      world.equal(await world.do({ op: "delete", run: open.run }), { type: "unknown" });
      world.equal([await world.store.nextDue(), await world.store.run({ id: "open" })], [null, null]);
      world.equal(await world.do({ op: "claim", run: open.run, worker: "A" }), { type: "refused", row: null });
      world.equal(await world.do({ op: "append", run: open.run, fence: 1, events: [], seen: 1 }), { type: "fenced" });
    },
  },
  {
    name: "P10: a pass goes in portions, and nobody sees a run half removed",
    holds: async (world) => {
      for (let at = 0; at < 5; at++) {
        const run = await world.begin(`many-${at}`);
        for (let position = 1; position < 9; position++) await world.append(run, timerSet(position, 1));
        await world.append(run, hookCreated(9), runEnded());
      }
      world.clock.advance(day);
      let portions = 0;
      for (let from: number | null = 0; from !== null; portions++) {
        const outcome: { next: number | null } = await world.do({ ...pass, from, rows: 4 });
        for (const { run } of await world.store.runs({ limit: 10 })) world.equal((await world.journal(run)).length, 11);
        world.equal((await world.store.hooks({ limit: 10 })).length, (await world.store.runs({ limit: 10 })).length);
        from = outcome.next;
      }
      world.equal(portions >= 5, true);
      world.equal([await world.store.runs({ limit: 10 }), await world.store.nextDue()], [[], null]);
      world.like(await world.do({ op: "start", run: newRun("many-0"), worker: "A" }), { type: "created" });
    },
  },
];
