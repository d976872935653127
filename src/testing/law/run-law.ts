// Laws of starting, appending, parking and claiming: who may write what into which run, and how its row follows.

import {
  asked,
  beat,
  deliver,
  type Law,
  leaseMs,
  minted,
  newRun,
  runBlocked,
  runEnded,
  start,
  stepScheduled,
  rowIn,
  timerSet,
  hookCreated,
} from "./world.ts";

const seen = (run: number, fence: number, upTo: number) => ({ op: "park", run, fence, seen: upTo }) as const;

export const startLaws: readonly Law[] = [
  {
    name: "start: a run begins awake, with run_started as its first event",
    holds: async (world) => {
      const at = world.clock.now();
      const outcome = await world.do({ op: "start", run: newRun("run-1"), worker: "A" });
      world.like(outcome, { type: "created" });
      const row = rowIn(outcome);
      world.like(row, {
        id: "run-1",
        key: "key-of-run-1",
        workflow: "checkout",
        codeId: "code-1",
        status: "open",
        worker: "A",
        seq: 1,
        wake: true,
        steps: 0,
        cancelRequestedAt: null,
        blocked: null,
        createdAt: at,
        endedAt: null,
      });
      const { workflow, codeId, args, seed } = newRun("run-1");
      world.equal(await world.journal(row), [{ kind: "run_started", workflow, codeId, args, seed, seq: 1, at }]);
      world.equal(await world.row(row), row);
    },
  },
  {
    name: "start: a used id with the same workflow and arguments is the existing run, with others a conflict",
    holds: async (world) => {
      const row = await world.begin("run-1");
      const again = { op: "start", run: newRun("run-1", { key: "another", seed: "another", codeId: "code-2" }), worker: "B" } as const;
      world.equal(await world.do(again), { type: "existing", row });
      world.equal(await world.do({ ...again, run: newRun("run-1", { args: '["other"]' }) }), { type: "conflict", row });
      world.equal(await world.do({ ...again, run: newRun("run-1", { workflow: "other" }) }), { type: "conflict", row });
      world.equal(await world.kinds(row), ["run_started"]);
      world.equal(await world.store.run({ key: "another" }), null);
    },
  },
  {
    name: "start: two starts of one id in one group make one run",
    holds: async (world) => {
      const [first, second] = await world.commit(start("run-1"), start("run-1"));
      world.like(first, { type: "created" });
      world.like(second, { type: "existing" });
    },
  },
  {
    name: "start: a run that is left to whoever claims it is told as woken",
    holds: async (world) => {
      const [, free] = await world.commit(start("run-1", "B"), start("run-2", null));
      const { run } = (free as { row: { run: number } }).row;
      world.equal(world.notices, [{ type: "woken", run, worker: null, seq: 1 }]);
      world.equal(
        (await world.store.runnable("B", ["checkout"], 10)).map((row) => row.id),
        ["run-2", "run-1"],
      );
    },
  },
];

export const appendLaws: readonly Law[] = [
  {
    name: "G4, P2: under another fence nothing is appended, parked or changed",
    holds: async (world) => {
      const row = await world.begin("run-1");
      const outcomes = await world.commit(
        { op: "append", run: row.run, fence: row.fence + 1, events: [stepScheduled(1)], seen: 1 },
        { op: "append", run: row.run, fence: row.fence - 1, events: [runEnded()], seen: 1 },
        seen(row.run, row.fence + 1, 1),
        { op: "append", run: row.run + 1000, fence: row.fence, events: [runEnded()], seen: 1 },
        seen(row.run + 1000, 1, 1),
      );
      world.equal(
        outcomes,
        outcomes.map(() => ({ type: "fenced" })),
      );
      world.equal(await world.row(row), row);
    },
  },
  {
    name: "P3: seq counts from 1 without gaps, in the order of the members",
    holds: async (world) => {
      const one = await world.begin("run-1");
      const two = await world.begin("run-2");
      const append = (run: number, position: number) =>
        ({ op: "append", run, fence: 1, events: [hookCreated(position), stepScheduled(position + 1)], seen: 1 }) as const;
      await world.commit(
        append(one.run, 1),
        append(two.run, 1),
        deliver(minted("run-1")),
        append(one.run, 3),
        deliver(minted("run-2")),
        deliver(minted("run-1", 3)),
      );
      const journal = await world.journal(one);
      world.equal(
        journal.map((event) => event.seq),
        [1, 2, 3, 4, 5, 6, 7],
      );
      world.equal(
        journal.map((event) => event.kind),
        ["run_started", "hook_created", "step_scheduled", "hook_received", "hook_created", "step_scheduled", "hook_received"],
      );
      world.equal(
        (await world.journal(two)).map((event) => event.seq),
        [1, 2, 3, 4],
      );
      world.like(await world.row(one), { seq: 7, steps: 2 });
    },
  },
  {
    name: "append: what was asked comes back with its numbers, as the journal holds it",
    holds: async (world) => {
      const { run } = await world.begin("run-1");
      const appended = await world.append(run, hookCreated(1), stepScheduled(2));
      world.equal((await world.journal(run)).slice(1), appended);
      world.equal(await world.store.journal(run, 2), appended.slice(1));
      world.equal(await world.store.journal(run, 3), []);
    },
  },
  {
    name: "P6: a span counts from the store's clock at the commit, an instant is taken as it is",
    holds: async (world) => {
      const { run } = await world.begin("run-1");
      world.clock.advance(7);
      const now = world.clock.now();
      const events = await world.append(
        run,
        timerSet(1, 500),
        { kind: "timer_set", ...asked(2), due: { at: now - 3 } },
        hookCreated(3, { timeout: { afterMs: 900 } }),
        hookCreated(4, { timeout: { at: now + 1 } }),
        hookCreated(5),
      );
      world.equal(
        events.map((event) => (event.kind === "timer_set" ? event.dueAt : event.kind === "hook_created" ? event.expiresAt : null)),
        [now + 500, now - 3, now + 900, now + 1, null],
      );
      world.equal(
        events.map((event) => event.at),
        [now, now, now, now, now],
      );
    },
  },
  {
    name: "P5, RR2: wake goes only when code has seen the last input",
    holds: async (world) => {
      const { run, fence } = await world.begin("run-1");
      await world.commit({ op: "append", run, fence, events: [hookCreated(1)], seen: 1 });
      world.like(await world.row(run), { wake: false, seq: 2 });
      await world.deliver(minted("run-1"));
      await world.commit({ op: "append", run, fence, events: [hookCreated(2)], seen: 1 }, seen(run, fence, 2));
      world.like(await world.row(run), { wake: true, seq: 4 });
      await world.commit(seen(run, fence, 3));
      world.like(await world.row(run), { wake: false });
      await world.deliver(minted("run-1"));
      await world.commit(seen(run, fence, 5), seen(run, fence, 3));
      world.like(await world.row(run), { wake: false });
    },
  },
  {
    name: "append: a step's outcome is an input, and wakes",
    holds: async (world) => {
      const { run, fence } = await world.begin("run-1");
      await world.commit({ op: "append", run, fence, events: [stepScheduled(1), stepScheduled(2)], seen: 1 });
      world.like(await world.row(run), { wake: false, steps: 2 });
      await world.commit({
        op: "append",
        run,
        fence,
        events: [{ kind: "step_retrying", position: 1, attempt: 1, error: '["no"]', dueAt: 9 }],
        seen: 1,
      });
      world.like(await world.row(run), { wake: false, steps: 2 });
      await world.commit({
        op: "append",
        run,
        fence,
        events: [{ kind: "step_completed", position: 1, attempt: 2, result: '["yes"]' }],
        seen: 1,
      });
      world.like(await world.row(run), { wake: true, steps: 1 });
      await world.commit({
        op: "append",
        run,
        fence,
        events: [{ kind: "step_failed", position: 2, attempt: 1, error: '["no"]' }],
        seen: 5,
      });
      world.like(await world.row(run), { wake: true, steps: 0, seq: 6 });
    },
  },
  {
    name: "run_ended: closes the run and all it holds, in its own transaction",
    holds: async (world) => {
      const { run, fence } = await world.begin("run-1");
      await world.append(run, hookCreated(1, { timeout: { afterMs: 1_000 } }), timerSet(2, 1_000), stepScheduled(3));
      await world.deliver(minted("run-1"));
      world.clock.advance(5);
      world.notices.length = 0;
      await world.append(run, runEnded({ type: "failed", error: '["broke"]' }));
      const row = await world.row(run);
      world.like(row, { status: "failed", endedAt: world.clock.now(), wake: false, steps: 0, worker: null });
      world.equal(world.notices, [{ type: "ended", run, id: "run-1" }]);
      world.equal(await world.store.outcome(run), { type: "failed", error: '["broke"]' });
      world.equal([await world.store.nextDue(), await world.store.timers(run)], [null, []]);
      const late = await world.commit(
        { op: "append", run, fence, events: [stepScheduled(9)], seen: 9 },
        seen(run, fence, 9),
        { op: "claim", run, worker: "A" },
        { op: "cancel", run, graceMs: 1 },
        { op: "fire", run, position: 2, early: true },
        { op: "fire", run, position: 1, early: true },
      );
      world.equal(
        late.map((outcome) => outcome.type),
        ["fenced", "fenced", "refused", "ended", "gone", "gone"],
      );
      world.equal(await world.row(run), row);
    },
  },
  {
    name: "run_ended: how it ended is read back, whichever way",
    holds: async (world) => {
      for (const outcome of [
        { type: "completed", result: '["ok"]' },
        { type: "failed", error: '["no"]' },
        { type: "cancelled" },
      ] as const) {
        const { run } = await world.begin(`run-${outcome.type}`);
        world.equal(await world.store.outcome(run), null);
        await world.append(run, runEnded(outcome));
        world.equal(await world.store.outcome(run), outcome);
        world.like(await world.row(run), { status: outcome.type });
      }
    },
  },
  {
    name: "run_blocked: the run is set aside intact; facts are taken, and each code is tried once",
    holds: async (world) => {
      const { run } = await world.begin("run-1");
      await world.append(run, hookCreated(1), timerSet(2, 10), runBlocked("code-1"));
      world.like(await world.row(run), { status: "blocked", blocked: { reason: "changed_code", codeId: "code-1" } });
      world.clock.advance(10);
      const facts = await world.commit(deliver(minted("run-1")), { op: "fire", run, position: 2 }, { op: "claim", run, worker: "A" });
      world.equal(
        facts.map((outcome) => outcome.type),
        ["accepted", "fired", "claimed"],
      );
      world.equal(await world.store.runnable("A", ["checkout"], 10), []);
      const open = async (code: string) => (await world.store.blocked("checkout", code, 10)).map((row) => row.id);
      world.equal([await open("code-1"), await open("code-2"), await world.store.blocked("other", "code-2", 10)], [[], ["run-1"], []]);
      await world.append(run, runBlocked("code-2"));
      world.equal([await open("code-1"), await open("code-2"), await open("code-3")], [[], [], ["run-1"]]);
      await world.do({ op: "append", run, fence: (await world.row(run)).fence, events: [{ kind: "run_unblocked" }], seen: 0 });
      world.like(await world.row(run), { status: "open", blocked: null, wake: true });
      world.equal([await open("code-3"), (await world.store.runnable("A", ["checkout"], 10)).length], [[], 1]);
    },
  },
];

export const leaseLaws: readonly Law[] = [
  {
    name: "claim: what is nobody's or one's own is granted; the fence rises with a change of worker, loads with every claim",
    holds: async (world) => {
      const [created] = await world.commit(start("run-1", null));
      const { run, fence } = (created as { row: { run: number; fence: number } }).row;
      const first = await world.do({ op: "claim", run, worker: "A" });
      world.like(first.row, { worker: "A", fence: fence + 1, loads: 1 });
      const again = await world.do({ op: "claim", run, worker: "A" });
      world.like(again.row, { worker: "A", fence: fence + 1, loads: 2 });
      world.equal([first.type, again.type, await world.row(run)], ["claimed", "claimed", again.row]);
      world.equal(await world.do({ op: "claim", run: run + 1000, worker: "A" }), { type: "refused", row: null });
    },
  },
  {
    name: "claim: a live worker's run is refused, a dead one's is granted under a new fence",
    holds: async (world) => {
      const { run, fence } = await world.begin("run-1");
      if (!world.store.isExclusive) {
        world.like(await world.do({ op: "claim", run, worker: "B" }), { type: "refused", row: await world.row(run) });
        world.equal(await world.store.runnable("B", ["checkout"], 10), []);
        world.clock.advance(leaseMs - 1);
        await world.do(beat("B"));
        world.like(await world.do({ op: "claim", run, worker: "B" }), { type: "refused" });
        world.clock.advance(1);
      }
      world.equal((await world.store.runnable("B", ["checkout"], 10)).length, 1);
      world.like(await world.do({ op: "claim", run, worker: "B" }), { type: "claimed" });
      world.like(await world.row(run), { worker: "B", fence: fence + 1 });
      world.like(await world.do({ op: "append", run, fence, events: [runEnded()], seen: 1 }), { type: "fenced" });
    },
  },
  {
    name: "claim: where leases count, a worker without one gets nothing and keeps nothing",
    holds: async (world) => {
      if (world.store.isExclusive) return;
      const { run } = await world.begin("run-1");
      await world.do(beat("A", 0));
      world.like(await world.do({ op: "claim", run, worker: "A" }), { type: "refused" });
      world.like(await world.do({ op: "claim", run, worker: "never-seen" }), { type: "refused" });
      world.like(await world.do({ op: "claim", run, worker: "B" }), { type: "claimed" });
    },
  },
  {
    name: "look: counts as a load until it is over; refused where a load would then be one too many, where the run is set aside, and where it has ended",
    holds: async (world) => {
      const { run, fence } = await world.waiting("run-1");
      const [begin, over] = [{ op: "look", run, isOver: false } as const, { op: "look", run, isOver: true } as const];
      const row = await world.row(run);
      world.equal(await world.commit(begin, begin), [{ type: "looked" }, { type: "looked" }]);
      world.equal(await world.row(run), { ...row, loads: row.loads + 2 });
      world.equal(await world.commit(over, over, over), [{ type: "looked" }, { type: "looked" }, { type: "looked" }]);
      world.like(await world.row(run), { loads: 0 });
      const looks = await world.commit(begin, begin, begin, begin);
      world.equal(
        looks.map((outcome) => outcome.type),
        ["looked", "looked", "refused", "refused"],
      );
      await world.commit(seen(run, fence, 1));
      world.equal(await world.do(begin), { type: "looked" });
      await world.append(run, runBlocked("code-1"));
      world.equal(await world.do(begin), { type: "refused" });
      await world.append(run, { kind: "run_unblocked" }, runEnded());
      world.equal(await world.commit(begin, over, { ...begin, run: run + 1_000 }), [
        { type: "refused" },
        { type: "refused" },
        { type: "refused" },
      ]);
    },
  },
  {
    name: "loads: progress of the code zeroes them, facts from outside do not",
    holds: async (world) => {
      const { run, fence } = await world.waiting("run-1");
      await world.commit({ op: "claim", run, worker: "A" }, { op: "claim", run, worker: "A" });
      await world.deliver(minted("run-1"));
      world.like(await world.row(run), { loads: 2 });
      await world.commit(seen(run, fence, 2));
      world.like(await world.row(run), { loads: 0, wake: true });
      await world.commit({ op: "claim", run, worker: "A" });
      await world.append(run, stepScheduled(2));
      world.like(await world.row(run), { loads: 0 });
    },
  },
  {
    name: "release: runs go back to nobody, and those with something to do are told",
    holds: async (world) => {
      const one = await world.begin("run-1");
      const two = await world.waiting("run-2");
      const three = await world.begin("run-3");
      world.notices.length = 0;
      await world.commit({ op: "release", worker: "B" }, { op: "release", worker: "A", runs: [one.run, two.run + 1000] });
      world.equal(world.notices, [{ type: "woken", run: one.run, worker: null, seq: 1 }]);
      world.equal([(await world.row(one)).worker, (await world.row(two)).worker], [null, "A"]);
      await world.commit({ op: "release", worker: "A" });
      world.equal(world.notices.slice(1), [{ type: "woken", run: three.run, worker: null, seq: 1 }]);
      world.equal([(await world.row(two)).worker, (await world.row(three)).worker], [null, null]);
    },
  },
  {
    name: "G5: runnable are the open runs with something to do, of these workflows; nobody's first, one's own steps last",
    holds: async (world) => {
      const ids = async (limit: number, workflows: readonly string[] = ["checkout"]) =>
        (await world.store.runnable("A", workflows, limit)).map((row) => row.id);
      const steps = await world.begin("steps");
      await world.append(steps, stepScheduled(1));
      await world.begin("own");
      await world.waiting("waiting");
      await world.append(await world.begin("ended"), runEnded());
      await world.append(await world.begin("blocked"), runBlocked("code-1"));
      await world.begin("other", { workflow: "other" });
      await world.commit(start("free", null));
      world.equal(await ids(10), ["free", "own", "steps"]);
      world.equal(await ids(1), ["free"]);
      world.equal(await ids(10, ["other", "none"]), ["other"]);
      world.equal(await ids(10, []), []);
      await world.deliver(minted("waiting"));
      world.equal(await ids(10), ["free", "own", "waiting", "steps"]);
    },
  },
];
