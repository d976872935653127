// Laws of what a store shows, tells and keeps.

import type { RunEvent } from "../../core/event.ts";
import type { AppendEvent } from "./world.ts";
import {
  asked,
  cancel,
  custom,
  deliver,
  disposeOf,
  hookCreated,
  type Law,
  manual,
  minted,
  newRun,
  runBlocked,
  runEnded,
  start,
  stepScheduled,
  timerSet,
} from "./world.ts";

/** One of each kind that code appends, as full as it can be. */
const everyKind: readonly AppendEvent[] = [
  hookCreated(1, { timeout: { at: 9e12 }, metadata: '["m"]', url: "https://a.example/b", definition: "approval", hasSchema: true }),
  hookCreated(2, {
    response: { mode: "static", answer: { status: 200, headers: ["a", "b"], body: new Uint8Array([1, 0, 2]) } },
    payload: "request",
    purpose: "hook",
  }),
  hookCreated(3, { address: custom("order:42"), response: manual, methods: [] }),
  { kind: "conflict_asked", ...asked(4), hook: 3 },
  disposeOf(2, 5),
  timerSet(6, 50),
  { kind: "timer_cancelled", ...asked(7), timer: 6 },
  stepScheduled(8),
  stepScheduled(9),
  { kind: "signal_aborted", ...asked(13), steps: [[8, 0]], reason: '["why"]' },
  { kind: "url_read", ...asked(14), url: "https://a.example" },
  { kind: "step_retrying", position: 8, attempt: 1, error: '["again"]', dueAt: 77 },
  { kind: "step_restarted", position: 8, attempt: 2 },
  { kind: "step_completed", position: 8, attempt: 2, result: '["ok"]' },
  { kind: "step_failed", position: 9, attempt: 3, error: '["no"]' },
  { kind: "child_scheduled", ...asked(10), start: newRun("child") },
  { kind: "child_scheduled", ...asked(11), start: newRun("child", { args: '["else"]' }) },
  { kind: "child_awaited", ...asked(12), runId: "child" },
  {
    kind: "run_blocked",
    reason: "changed_code",
    codeId: "code-1",
    message: "No.",
    diff: { turn: 1, position: 2, expected: "a", found: null, site: "a.ts:1" },
  },
  { kind: "run_unblocked" },
  { kind: "run_ended", turn: 4, outcome: { type: "failed", error: '["e"]' }, seen: 9, unread: [4, 5], abandoned: [13], warnings: ["w"] },
];

export const readLaws: readonly Law[] = [
  {
    name: "G5: orphans are the other workflows of open runs with something to do, each once, but not those of another's run",
    holds: async (world) => {
      const begin = (id: string, workflow: string) => world.begin(id, { workflow });
      for (const [id, workflow] of [
        ["run-1", "shipping"],
        ["run-2", "billing"],
        ["run-3", "billing"],
        ["run-4", "checkout"],
      ] as const)
        await begin(id, workflow);
      await world.append(await begin("run-5", "parked"), hookCreated(1));
      const orphans = (workflows: readonly string[], limit = 10, worker = "A") => world.store.orphans(worker, workflows, limit);
      world.equal(await orphans(["checkout"]), ["billing", "shipping"]);
      world.equal(await orphans(["checkout", "billing", "shipping"]), []);
      world.equal(await orphans([], 2), ["billing", "checkout"]);
      if (!world.store.isExclusive) world.equal(await orphans([], 10, "B"), []);
    },
  },
  {
    name: "journal: an event of every kind is read as it was appended, also after a restart",
    holds: async (world) => {
      const { run } = await world.begin("run-1");
      const fromOutside: RunEvent["kind"][] = ["hook_received", "timer_fired", "hook_failed", "cancel_requested"];
      const most = await world.append(run, ...everyKind.slice(0, -1), timerSet(14, 0), hookCreated(15, { timeout: { afterMs: 0 } }));
      const facts = await world.commit(
        deliver(minted("run-1"), { key: "k1", digest: "d" }),
        { op: "fire", run, position: 14 },
        { op: "fire", run, position: 15 },
        cancel(run),
      );
      const last = await world.append(run, everyKind.at(-1)!);
      const events = [...most, ...facts.map((outcome) => (outcome as unknown as { event: (typeof most)[number] }).event), ...last];
      world.equal(
        events.slice(most.length, -1).map((event) => event.kind),
        fromOutside,
      );
      const journal = (await world.journal(run)).slice(1);
      world.equal(journal, events);
      if (await world.reopen()) world.equal((await world.journal(run)).slice(1), events);
    },
  },
  {
    name: "run: found by id, key or number",
    holds: async (world) => {
      const row = await world.begin("run-1");
      world.equal(
        [await world.store.run({ id: "run-1" }), await world.store.run({ key: "key-of-run-1" }), await world.store.run({ run: row.run })],
        [row, row, row],
      );
      world.equal(
        [
          await world.store.run({ id: "key-of-run-1" }),
          await world.store.run({ key: "run-1" }),
          await world.store.run({ run: row.run + 1 }),
        ],
        [null, null, null],
      );
      world.equal([await world.store.journal(row.run + 1, 0), await world.store.outcome(row.run + 1)], [[], null]);
    },
  },
  {
    name: "runs: newest first, by workflow and status, a page at a time",
    holds: async (world) => {
      for (const id of ["a", "b", "c", "d"]) await world.begin(id, { workflow: id === "b" ? "other" : "checkout" });
      const { run } = (await world.store.run({ id: "c" }))!;
      await world.append(run, runEnded());
      const ids = async (filter: object) => (await world.store.runs({ limit: 10, ...filter })).map((row) => row.id);
      world.equal(await ids({}), ["d", "c", "b", "a"]);
      world.equal(await ids({ limit: 2 }), ["d", "c"]);
      world.equal(await ids({ before: run }), ["b", "a"]);
      world.equal(await ids({ workflow: "checkout" }), ["d", "c", "a"]);
      world.equal(await ids({ status: "open", workflow: "checkout", before: run + 1, limit: 1 }), ["a"]);
      world.equal([await ids({ status: "completed" }), await ids({ status: "failed" })], [["c"], []]);
    },
  },
  {
    name: "hooks: of the newest run first, by position; open or not, of one run or of all",
    holds: async (world) => {
      const one = await world.begin("one");
      await world.append(one, hookCreated(1), hookCreated(2), hookCreated(4, { timeout: { afterMs: 5 } }), disposeOf(1, 3));
      const two = await world.waiting("two");
      world.clock.advance(5);
      const list = async (filter: object) =>
        (await world.store.hooks({ limit: 10, ...filter })).map((row) => `${row.runId}:${row.created.position}`);
      world.equal(await list({}), ["two:1", "one:1", "one:2", "one:4"]);
      world.equal(await list({ open: true }), ["two:1", "one:2"]);
      world.equal(await list({ open: false, run: one.run }), ["one:1", "one:4"]);
      world.equal(await list({ run: one.run, limit: 2 }), ["one:1", "one:2"]);
      await world.append(two, runEnded());
      world.equal([await list({ open: true }), await list({ run: two.run + 1000 })], [["one:2"], []]);
    },
  },
  {
    name: "keys: the kids that open hooks of unfinished runs need, and the fingerprints remembered",
    holds: async (world) => {
      const hook = (position: number, kid: string) =>
        hookCreated(position, { address: { type: "minted", kid, generation: 0, hash: `h-${kid}` } });
      const one = await world.begin("one");
      const two = await world.begin("two");
      await world.append(one, hook(1, "k1"), hook(2, "k2"), hookCreated(3, { address: custom("order:42") }));
      await world.append(two, hook(1, "k3"));
      const remember = (kid: string, fingerprint: string) => ({ op: "remember_key", kid, fingerprint }) as const;
      const outcomes = await world.commit(remember("k1", "f1"), remember("k1", "f1"), remember("k1", "f2"), remember("k2", "f2"));
      world.equal(outcomes, [{ type: "done" }, { type: "done" }, { type: "differs" }, { type: "done" }]);
      const used = async () => [...(await world.store.keys()).used].sort();
      world.equal(await used(), ["k1", "k2", "k3"]);
      await world.append(one, disposeOf(1, 4));
      await world.append(two, runEnded());
      world.equal(await used(), ["k2"]);
      world.equal(
        [...(await world.store.keys()).fingerprints].sort(([a], [b]) => (a < b ? -1 : 1)),
        [
          ["k1", "f1"],
          ["k2", "f2"],
        ],
      );
    },
  },
  {
    name: "subscribe: a notice comes when what it tells of can be read, and not after one has left",
    holds: async (world) => {
      const { run } = await world.waiting("run-1");
      const seen: Promise<unknown>[] = [];
      const leave = world.store.subscribe(() => seen.push(world.row(run)));
      await world.deliver(minted("run-1"));
      leave();
      await world.deliver(minted("run-1"));
      world.equal((await Promise.all(seen)).length, 1);
      world.like((await seen[0]) as object, { wake: true });
    },
  },
  {
    name: "restart: everything is as it was, and numbers go on rising",
    holds: async (world) => {
      const { run } = await world.waiting("run-1", { response: manual, timeout: { afterMs: 100 } });
      const blocked = await world.begin("run-2");
      await world.append(blocked, timerSet(1, 10), hookCreated(2, { address: custom("order:42") }), runBlocked("code-1"));
      const accepted = await world.deliver(minted("run-1"), { key: "k1", digest: "d" });
      const { delivery } = accepted as { delivery: number };
      await world.commit({ op: "remember_key", kid: "k", fingerprint: "f" }, cancel(blocked.run));
      const look = async () => ({
        rows: await world.store.runs({ limit: 10 }),
        journal: await world.journal(run),
        hooks: await world.store.hooks({ limit: 10 }),
        due: await world.store.due(9e12, 10),
        delivery: await world.store.delivery(delivery),
        blocked: await world.store.blocked("checkout", "code-2", 10),
        fingerprints: [...(await world.store.keys()).fingerprints],
      });
      const before = await look();
      if (!(await world.reopen())) return;
      world.equal(await look(), before);
      world.like(await world.deliver(minted("run-1"), { key: "k1", digest: "d" }), { type: "duplicate", delivery });
      const [outcome] = await world.commit(start("run-3"));
      const next = await world.deliver(minted("run-1"));
      world.equal(
        [(outcome as { row: { run: number } }).row.run > blocked.run, (next as { delivery: number }).delivery > delivery],
        [true, true],
      );
    },
  },
];
