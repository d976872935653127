// Laws of runs that are started with a custom token (P13), and with a delivery to it (P16).

import type { NewRun } from "../../core/event.ts";
import { limits } from "../../core/limits.ts";
import type { Deliver, DeliverOutcome, FirstDelivery, StartOutcome, StartRun } from "../../store/port.ts";
import { asked, cancel, custom, disposeOf, hookCreated, json, type Law, newRun, rowIn, runEnded, type World } from "./world.ts";

const token = { token: "order:42" };
const held = { address: custom("order:42") };
const earlyMs = 60_000;
const purge = { op: "purge", runsMs: null, keysMs: 0, unclaimedMs: 5_000, from: 0, rows: 1_000 } as const;

const first = { key: "k1", digest: "d1", payload: json('["first"]') };
const startWith = (id: string, run: Partial<NewRun> = {}, delivery: FirstDelivery = first): StartRun => ({
  op: "start",
  run: newRun(id, { ...token, ...run }),
  worker: "A",
  first: delivery,
});
const firstOf = (outcome: StartOutcome): { delivery: number; isRepeat: boolean } =>
  (outcome as { first: { delivery: number; isRepeat: boolean } }).first;
const numberOf = (outcome: DeliverOutcome): number => (outcome as { delivery: number }).delivery;
const early = (world: World, delivery: Partial<Deliver> = {}): Promise<DeliverOutcome> => world.deliver(token, { earlyMs, ...delivery });

export const claimLaws: readonly Law[] = [
  {
    name: "P13: a run that is started with a token has it at once; what comes before its hook is held for it, whatever the sender asked",
    holds: async (world) => {
      const begun = await world.do({ op: "start", run: newRun("run-1", token), worker: "A" });
      world.like(begun, { type: "created" });
      const one = rowIn(begun);
      world.like((await world.journal(one))[0], { kind: "run_started", ...token });
      world.equal([await world.store.hook(token), await world.store.deliveryOf(token, "k1")], [null, null]);
      const sent = await world.deliver(token, { key: "k1", digest: "d1" });
      world.like(sent, { type: "buffered", claimedBy: "run-1" });
      world.equal(await world.deliver(token, { key: "k1", digest: "d1" }), {
        type: "duplicate",
        delivery: numberOf(sent),
        hook: null,
        isSameBody: true,
        claimedBy: "run-1",
      });
      const other = await world.waiting("run-2", held);
      world.like((await world.journal(other)).at(-1), { kind: "hook_conflicted", holder: "run-1" });
      world.equal(await world.do({ op: "start", run: newRun("run-3", token), worker: "A" }), { type: "taken", holder: "run-1" });
      world.equal(await world.store.run({ id: "run-3" }), null);
      world.like(await world.do({ op: "start", run: newRun("run-1", { ...token, key: "k" }), worker: "A" }), { type: "existing" });
      world.like(await world.do({ op: "start", run: newRun("run-1", { key: "k" }), worker: "A" }), { type: "conflict" });
      const events = await world.append(one, hookCreated(1, held));
      world.equal(
        events.map(({ kind }) => kind),
        ["hook_created", "hook_received"],
      );
      world.like(await world.deliver(token), { type: "accepted" });
    },
  },
  {
    name: "P13: what is held for a run that has the token does not grow old; at its end it is unclaimed, and the token is free",
    holds: async (world) => {
      const one = await world.begin("run-1", token);
      const sent = numberOf(await world.deliver(token));
      world.clock.advance(limits.earlyMs + 1);
      await world.do(purge);
      world.like((await world.store.held({ delivery: sent }))[0], { reason: "early", until: world.clock.now() + limits.earlyMs });
      await world.append(one, runEnded());
      const two = await world.waiting("run-2", held);
      world.equal(await world.kinds(two), ["run_started", "hook_created"]);
      world.equal(await world.store.held({ of: "claimed", limit: 10 }), []);
      await world.do(purge);
      world.like((await world.store.held({ delivery: sent }))[0], { reason: "unclaimed" });
    },
  },
  {
    name: "P13: it does not grow old where nobody has looked, either; what was over before the run began is not for it",
    holds: async (world) => {
      const nobody = await world.begin("run-0", token);
      const past = numberOf(await world.deliver(token));
      await world.append(nobody, runEnded());
      const one = await world.begin("run-1", token);
      const sent = numberOf(await world.deliver(token));
      const judged = { token: "judged" };
      const two = await world.begin("run-2", judged);
      const waits = numberOf(await world.deliver(judged));
      world.clock.advance(limits.earlyMs + 1);
      const events = await world.append(one, hookCreated(1, held));
      world.equal(
        events.map((event) => (event.kind === "hook_received" ? event.delivery : null)),
        [null, sent],
      );
      await world.append(two, hookCreated(1, { address: custom("judged"), hasSchema: true }));
      world.equal(
        (await world.store.held({ of: "claimed", limit: 10 })).map(({ delivery }) => delivery),
        [waits],
      );
      await world.do(purge);
      world.like((await world.store.held({ delivery: past }))[0], { reason: "unclaimed" });
    },
  },
  {
    name: "P13: a run that has the token has nothing of what came for one that ended before, whenever somebody looks",
    holds: async (world) => {
      const one = await world.begin("run-1", token);
      const sent = numberOf(await world.deliver(token));
      await world.append(one, runEnded());
      await world.begin("run-2", token);
      await world.do(purge);
      world.like((await world.store.held({ delivery: sent }))[0], { reason: "unclaimed" });
    },
  },
  {
    name: "P13: a cancelled run has its token no more; one that opens and disposes its hook gives it away; a reserved one cannot be started with",
    holds: async (world) => {
      const one = await world.begin("run-1", token);
      await world.do(cancel(one.run));
      const two = await world.begin("run-2", token);
      world.equal(await world.deliver(token), { type: "buffered", delivery: numberOf(await world.deliver(token)) - 1, claimedBy: "run-2" });
      await world.append(two, hookCreated(1, held), disposeOf(1, 2));
      world.like(await world.deliver(token), { type: "closed", by: "disposed" });
      const three = await world.begin("run-3", token);
      await world.append(three, hookCreated(1, { ...held, reserve: { afterMs: 10 } }), runEnded());
      world.equal(await world.do({ op: "start", run: newRun("run-4", token), worker: null }), { type: "taken", holder: "run-3" });
      world.clock.advance(10);
      await world.begin("run-4", token);
    },
  },
  {
    name: "P13: a child that asks for another's token is refused, with the run that has it; a removed run's token is free",
    holds: async (world) => {
      const one = await world.begin("run-1", token);
      const parent = await world.begin("parent");
      const [, refused] = await world.append(parent, { kind: "child_scheduled", ...asked(1), start: newRun("child", token) });
      world.like(refused, { kind: "child_refused", runId: "child", reason: "hook_conflict", ...token, holder: "run-1" });
      await world.append(one, runEnded());
      world.equal(await world.do({ op: "delete", run: one.run }), { type: "deleted" });
      const [, started] = await world.append(parent, { kind: "child_scheduled", ...asked(2), start: newRun("child", token) });
      world.like(started, { kind: "child_started", runId: "child" });
      world.like(await world.deliver(token), { type: "buffered", claimedBy: "child" });
    },
  },
  {
    name: "P16: a run, its token and its first delivery begin as one; its hook gets that first, and a repeat of it is known",
    holds: async (world) => {
      const begun = await world.do(startWith("run-1"));
      world.like(begun, { type: "created" });
      const { delivery, isRepeat } = firstOf(begun);
      world.equal(isRepeat, false);
      world.like((await world.store.held({ delivery }))[0], { ...first, reason: "early", address: token });
      const repeat = { type: "duplicate", delivery, isSameBody: true };
      world.like(await world.deliver(token, { key: "k1", digest: "d1" }), { ...repeat, claimedBy: "run-1" });
      world.like(await world.deliver(token, { payload: json('["second"]') }), { type: "buffered", claimedBy: "run-1" });
      world.clock.advance(limits.earlyMs + 1);
      const events = await world.append(rowIn(begun), hookCreated(1, held));
      world.equal(
        events.map((event) => (event.kind === "hook_received" ? event.payload : event.kind)),
        ["hook_created", first.payload, json('["second"]')],
      );
      world.like(events[1], { key: "k1", delivery });
      world.like(await world.deliver(token, { key: "k1", digest: "d1" }), repeat);
    },
  },
  {
    name: "P16: the hook's schema judges the first delivery, and at the run's end it is unclaimed",
    holds: async (world) => {
      const judged = await world.do(startWith("run-1"));
      await world.append(rowIn(judged), hookCreated(1, { ...held, hasSchema: true }));
      world.equal(
        (await world.store.held({ of: "claimed", limit: 10 })).map(({ delivery }) => delivery),
        [firstOf(judged).delivery],
      );
      const ended = await world.do(startWith("run-2", { token: "order:43" }));
      await world.append(rowIn(ended), runEnded());
      await world.do(purge);
      world.like((await world.store.held({ delivery: firstOf(ended).delivery }))[0], { reason: "unclaimed" });
    },
  },
  {
    name: "P16: where the id or the token is another run's nothing is delivered, and nothing is begun",
    holds: async (world) => {
      const before = await world.begin("run-1", token);
      world.like(await world.do(startWith("run-1")), { type: "existing" });
      world.like(await world.do(startWith("run-1", { workflow: "other" })), { type: "conflict" });
      world.equal(await world.do(startWith("run-2")), { type: "taken", holder: "run-1" });
      world.equal(await world.store.run({ id: "run-2" }), null);
      world.equal(await world.kinds(before), ["run_started"]);
      const events = await world.append(before, hookCreated(1, held));
      world.equal(
        events.map(({ kind }) => kind),
        ["hook_created"],
      );
    },
  },
  {
    name: "P16: a repeat of what a hook took begins nothing, also once that is purged; one of what is held begins the run that has it",
    holds: async (world) => {
      const one = await world.do(startWith("run-1"));
      await world.append(rowIn(one), hookCreated(1, held), runEnded());
      const repeated = { type: "repeated", delivery: firstOf(one).delivery };
      world.equal(await world.do(startWith("run-2")), repeated);
      await world.do({ op: "delete", run: rowIn(one).run });
      world.equal(await world.do(startWith("run-1")), repeated);
      world.equal([await world.store.run({ id: "run-1" }), await world.store.run({ id: "run-2" })], [null, null]);
      const sent = numberOf(await early(world, { key: "k2", digest: "d1", payload: json('["early"]') }));
      world.clock.advance(earlyMs);
      const two = await world.do(startWith("run-2", {}, { ...first, key: "k2" }));
      world.equal(firstOf(two), { delivery: sent, isRepeat: true });
      const events = await world.append(rowIn(two), hookCreated(1, held));
      world.like(events[1], { kind: "hook_received", delivery: sent, payload: json('["early"]') });
      world.equal(events.length, 2);
    },
  },
  {
    name: "P16: where there is no room for the first delivery nothing is begun; one without a token is broken",
    holds: async (world) => {
      for (let at = 0; at < limits.earlyPerToken; at++) await early(world);
      world.equal(await world.do(startWith("run-1")), { type: "early_full" });
      world.like((await world.commit({ op: "start", run: newRun("run-1"), worker: "A", first }))[0], { type: "broken" });
      world.equal(await world.store.run({ id: "run-1" }), null);
      world.like(await world.deliver(token), { type: "unknown" });
    },
  },
  {
    name: "what is for one run only is not taken by another that has its token; its key answers first",
    holds: async (world) => {
      const one = await world.waiting("run-1", held);
      const only = { only: one.run, key: "k1", digest: "d1", earlyMs };
      const sent = await world.deliver(token, only);
      world.like(sent, { type: "accepted" });
      await world.append(one, runEnded());
      world.like(await world.deliver(token, { ...only, key: "k2" }), { type: "closed" });
      const two = await world.begin("run-2", token);
      world.equal(await world.deliver(token, { ...only, key: "k2" }), { type: "taken", holder: "run-2" });
      await world.append(two, hookCreated(1, { ...held, reserve: { afterMs: 10 } }));
      world.equal(await world.deliver(token, { ...only, key: "k2" }), { type: "taken", holder: "run-2" });
      world.like(await world.deliver(token, only), { type: "duplicate", delivery: numberOf(sent) });
      await world.append(two, runEnded());
      world.equal(await world.deliver(token, { ...only, key: "k2" }), { type: "taken", holder: "run-2" });
      world.clock.advance(10);
      world.like(await world.deliver(token, { ...only, key: "k2" }), { type: "closed" });
    },
  },
];
