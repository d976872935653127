// Laws of time: timers, hook deadlines, cancelling. Due is what the store's clock says, whoever noticed.

import { asked, cancel, deliver, disposeOf, hookCreated, type Law, minted, runEnded, timerSet } from "./world.ts";

const fire = (run: number, position: number, early?: boolean) =>
  ({ op: "fire", run, position, ...(early === undefined ? {} : { early }) }) as const;
const deadline = { timeout: { afterMs: 100 } };

export const timeLaws: readonly Law[] = [
  {
    name: "fire: a timer fires once, from its instant on, or earlier where that is asked for",
    holds: async (world) => {
      const { run } = await world.begin("run-1");
      await world.append(run, timerSet(1, 100), timerSet(2, 200));
      world.equal(
        world.notices,
        [100, 200].map((ms) => ({ type: "due", at: world.clock.now() + ms })),
      );
      world.clock.advance(99);
      world.equal(await world.do(fire(run, 1)), { type: "gone" });
      world.clock.advance(1);
      const fired = await world.do(fire(run, 1));
      world.equal(fired, { type: "fired", worker: "A", event: { kind: "timer_fired", position: 1, seq: 4, at: world.clock.now() } });
      world.equal(world.notices.at(-1), { type: "woken", run, worker: "A", seq: 4 });
      world.like(await world.row(run), { wake: true, seq: 4 });
      world.equal(
        [(await world.do(fire(run, 1))).type, (await world.do(fire(run, 2, true))).type, (await world.do(fire(run, 3, true))).type],
        ["gone", "fired", "gone"],
      );
      world.equal(await world.store.nextDue(), null);
    },
  },
  {
    name: "timer_cancelled: a cancelled timer is gone",
    holds: async (world) => {
      const { run } = await world.begin("run-1");
      await world.append(run, timerSet(1, 100), { kind: "timer_cancelled", ...asked(2), timer: 1 });
      world.equal(await world.do(fire(run, 1, true)), { type: "gone" });
      world.equal([await world.store.nextDue(), await world.store.timers(run)], [null, []]);
    },
  },
  {
    name: "due: earliest first, up to and with the instant asked for",
    holds: async (world) => {
      const now = world.clock.now();
      const one = await world.begin("run-1");
      const two = await world.begin("run-2");
      await world.append(one, timerSet(1, 300), timerSet(2, 100), hookCreated(3, { timeout: { afterMs: 200 } }));
      await world.append(two, timerSet(1, 100));
      const rows = [
        { run: one.run, position: 2, dueAt: now + 100 },
        { run: two.run, position: 1, dueAt: now + 100 },
        { run: one.run, position: 3, dueAt: now + 200 },
        { run: one.run, position: 1, dueAt: now + 300 },
      ];
      world.equal(await world.store.due(now + 300, 10), rows);
      world.equal(await world.store.due(now + 299, 10), rows.slice(0, 3));
      world.equal(await world.store.due(now + 300, 2), rows.slice(0, 2));
      world.equal([await world.store.due(now + 99, 10), await world.store.nextDue()], [[], now + 100]);
      world.equal(await world.store.timers(one.run), [rows[0], rows[3]]);
    },
  },
  {
    name: "P8: a delivery at or after the deadline is late though nobody fired it; that transaction records the timeout, once",
    holds: async (world) => {
      const expiresAt = world.clock.now() + 100;
      const { run } = await world.waiting("run-1", deadline);
      world.clock.advance(99);
      world.like(await world.deliver(minted("run-1"), { key: "k1" }), { type: "accepted" });
      world.clock.advance(31);
      const closed = { type: "closed", by: "timeout", at: expiresAt } as const;
      world.equal((await world.hook(minted("run-1"))).state, closed);
      world.equal((await world.kinds(run)).length, 3);
      world.notices.length = 0;
      const [late, repeat, later] = await world.commit(
        deliver(minted("run-1")),
        deliver(minted("run-1"), { key: "k1" }),
        deliver(minted("run-1"), { key: "k2" }),
      );
      world.like(late, closed);
      world.like(repeat, { type: "duplicate" });
      world.like(later, closed);
      world.equal((await world.hook(minted("run-1"))).state, closed);
      world.equal((await world.journal(run)).slice(3), [
        { kind: "hook_failed", position: 1, reason: "timeout", seq: 4, at: expiresAt + 30 },
      ]);
      world.equal(world.notices, [{ type: "woken", run, worker: "A", seq: 4 }]);
      world.equal([await world.do(fire(run, 1)), await world.store.nextDue()], [{ type: "gone" }, null]);
    },
  },
  {
    name: "deadline: fired, it closes the hook; early, it closes it then",
    holds: async (world) => {
      const now = world.clock.now();
      const { run } = await world.begin("run-1");
      await world.append(run, hookCreated(1, deadline), hookCreated(2, deadline), hookCreated(3, deadline));
      world.clock.advance(40);
      world.like(await world.do(fire(run, 1)), { type: "gone" });
      world.like(await world.do(fire(run, 1, true)), {
        type: "fired",
        event: { kind: "hook_failed", position: 1, reason: "timeout", seq: 5, at: now + 40 },
      });
      world.equal((await world.hook(minted("run-1", 1))).state, { type: "closed", by: "timeout", at: now + 40 });
      world.clock.advance(70);
      world.like(await world.do(fire(run, 2)), { type: "fired" });
      world.equal((await world.hook(minted("run-1", 2))).state, { type: "closed", by: "timeout", at: now + 100 });
      world.equal((await world.kinds(run)).slice(4), ["hook_failed", "hook_failed"]);
    },
  },
  {
    name: "deadline: it goes with a disposed hook, and what closed first stands",
    holds: async (world) => {
      const { run } = await world.waiting("run-1", deadline);
      const disposedAt = world.clock.now();
      await world.append(run, disposeOf(1, 2));
      world.equal(await world.store.nextDue(), null);
      world.clock.advance(200);
      await world.append(run, disposeOf(1, 3));
      world.equal(await world.do(fire(run, 1, true)), { type: "gone" });
      world.equal((await world.hook(minted("run-1"))).state, { type: "closed", by: "disposed", at: disposedAt });
    },
  },
  {
    name: "cancel, to compensate: as asked for in the journal, with no grace to end it; asked again so it changes nothing, and otherwise it is due",
    holds: async (world) => {
      const { run } = await world.begin("run-1");
      await world.append(run, hookCreated(1, { timeout: { afterMs: 500 } }));
      const compensating = { ...cancel(run), compensate: true } as const;
      const event = { kind: "cancel_requested", compensate: true, seq: 3, at: world.clock.now() };
      world.equal(await world.do(compensating), { type: "requested", worker: "A", event });
      world.equal((await world.journal(run)).at(-1), event);
      world.like(await world.deliver(minted("run-1")), { type: "closed", by: "cancelled" });
      world.equal(await world.store.nextDue(), null);
      world.clock.advance(100_000);
      world.equal(await world.do(compensating), { type: "again", row: await world.row(run) });
      world.equal(await world.store.nextDue(), null);
      const now = world.clock.now();
      world.like(await world.do(cancel(run)), { type: "again" });
      world.equal(await world.store.due(now, 10), [{ run, position: 0, dueAt: now }]);
      world.equal((await world.kinds(run)).length, 3);
      await world.append(run, runEnded({ type: "cancelled" }));
      world.equal(await world.store.nextDue(), null);
      const { run: plain } = await world.begin("run-2");
      await world.do(cancel(plain));
      world.like(await world.do({ ...compensating, run: plain }), { type: "again" });
      world.equal(await world.store.nextDue(), now + 60_000);
    },
  },
  {
    name: "cancel: asked for once; hooks close, deadlines go, timers stay, and the grace is noted at position 0",
    holds: async (world) => {
      const now = world.clock.now();
      const { run } = await world.waiting("run-1", deadline);
      await world.append(run, timerSet(2, 50));
      world.notices.length = 0;
      const outcome = await world.do(cancel(run));
      world.equal(outcome, { type: "requested", worker: "A", event: { kind: "cancel_requested", seq: 4, at: now } });
      world.equal(world.notices, [
        { type: "woken", run, worker: "A", seq: 4 },
        { type: "due", at: now + 60_000 },
      ]);
      const row = await world.row(run);
      world.like(row, { status: "open", cancelRequestedAt: now, wake: true });
      await world.append(run, hookCreated(3, deadline));
      world.equal(await world.store.due(now + 1e9, 10), [
        { run, position: 2, dueAt: now + 50 },
        { run, position: 0, dueAt: now + 60_000 },
      ]);
      world.equal(await world.store.timers(run), [{ run, position: 2, dueAt: now + 50 }]);
      world.equal([(await world.do(fire(run, 0, true))).type, (await world.do(fire(run, 1, true))).type], ["gone", "gone"]);
      world.clock.advance(50);
      world.like(await world.do(fire(run, 2)), { type: "fired" });
      await world.append(run, runEnded({ type: "cancelled" }));
      world.equal(await world.store.nextDue(), null);
      world.equal(await world.do(cancel(run)), { type: "ended", row: await world.row(run) });
    },
  },
  {
    name: "cancel: asked again, the grace is over now, and every worker is told; nothing is appended",
    holds: async (world) => {
      const { run } = await world.begin("run-1");
      await world.do(cancel(run));
      world.clock.advance(10);
      const now = world.clock.now();
      world.equal(await world.store.due(now, 10), []);
      const row = await world.row(run);
      world.notices.length = 0;
      world.equal(await world.do(cancel(run)), { type: "again", row });
      world.equal(world.notices, [{ type: "due", at: now }]);
      world.equal([await world.store.due(now, 10), await world.store.nextDue()], [[{ run, position: 0, dueAt: now }], now]);
      world.equal(await world.kinds(run), ["run_started", "cancel_requested"]);
    },
  },
];

export const childLaws: readonly Law[] = [
  {
    name: "P9: child_scheduled begins a run for nobody, or finds it, or is refused",
    holds: async (world) => {
      const parent = await world.begin("parent");
      await world.begin("other", { args: '["else"]' });
      const schedule = (position: number, id: string) => {
        const { args, codeId, seed, workflow } = parentArgs;
        return {
          kind: "child_scheduled",
          ...asked(position),
          start: { id, key: `key-of-${id}-${position}`, args, codeId, seed, workflow },
        } as const;
      };
      world.notices.length = 0;
      const events = await world.append(parent, schedule(1, "child"), schedule(2, "child"), schedule(3, "other"));
      world.equal(
        events.map((event) => event.kind),
        ["child_scheduled", "child_started", "child_scheduled", "child_started", "child_scheduled", "child_refused"],
      );
      world.like(events[1], { position: 1, runId: "child" });
      world.like(events[5], { position: 3, runId: "other", reason: "run_conflict" });
      const child = (await world.store.run({ id: "child" }))!;
      world.like(child, { worker: null, wake: true, seq: 1, workflow: "checkout" });
      world.equal(world.notices, [{ type: "woken", run: child.run, worker: null, seq: 1 }]);
      world.equal((await world.journal(parent)).slice(1), events);
      world.like(await world.row(parent), { wake: true });
    },
  },
  {
    name: "P9: child_awaited is answered: an end that is there comes at once, one to come wakes all who await it and have not ended",
    holds: async (world) => {
      const wait = (runId: string, position = 1) => ({ kind: "child_awaited", ...asked(position), runId }) as const;
      const outcome = { type: "completed", result: '["done"]' } as const;
      const [first, second, third] = [await world.begin("first"), await world.begin("second"), await world.begin("third")];
      await world.append(first, wait("child"));
      const child = await world.begin("child");
      await world.append(second, wait("child", 1), wait("child", 2));
      await world.append(third, wait("child"), runEnded());
      world.like(await world.row(second), { wake: false });
      world.notices.length = 0;
      await world.append(child, runEnded(outcome));
      world.equal(world.notices, [
        { type: "ended", run: child.run, id: "child" },
        { type: "woken", run: first.run, worker: "A", seq: 3 },
        { type: "woken", run: second.run, worker: "A", seq: 4 },
        { type: "woken", run: second.run, worker: "A", seq: 5 },
      ]);
      world.equal((await world.journal(first)).at(-1), { kind: "child_ended", position: 1, outcome, seq: 3, at: world.clock.now() });
      world.equal([(await world.row(second)).wake, (await world.kinds(third)).at(-1)], [true, "run_ended"]);
      const late = await world.append(first, wait("child", 2), wait("first", 3));
      world.equal(
        late.map((event) => event.kind),
        ["child_awaited", "child_ended", "child_awaited"],
      );
      await world.append(first, runEnded());
    },
  },
];

const parentArgs = { workflow: "checkout", codeId: "code-1", args: '["child"]', seed: "ffeeddccbbaa99887766554433221100" };
