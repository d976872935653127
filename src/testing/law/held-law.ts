// Laws of deliveries that no run has: early ones, and refused ones that are kept.

import { limits } from "../../core/limits.ts";
import type { Deliver, DeliverOutcome, Hold } from "../../store/port.ts";
import { custom, deliver, disposeOf, hookCreated, json, type Law, manual, minted, runEnded, type World } from "./world.ts";

const token = { token: "order:42" };
const held = { address: custom("order:42") };
const earlyMs = 60_000;
const refused = { address: token, key: "k1", digest: "d1", payload: json('["late"]'), reason: "closed", detail: "ended" } as const;
const hold: Hold = { op: "hold", delivery: refused, keepMs: 1_000 };
const purge = { op: "purge", runsMs: null, keysMs: 0, unclaimedMs: 5_000, from: 0, rows: 1_000 } as const;

const early = (world: World, delivery: Partial<Deliver> = {}): Promise<DeliverOutcome> => world.deliver(token, { earlyMs, ...delivery });
const numberOf = (outcome: DeliverOutcome): number => (outcome as { delivery: number }).delivery;

export const heldLaws: readonly Law[] = [
  {
    name: "early: where no hook has had the token it is held, once per key; without leave it is unknown",
    holds: async (world) => {
      world.equal(await world.deliver(token), { type: "unknown" });
      world.equal(await world.deliver(minted("none"), { earlyMs }), { type: "unknown" });
      const first = await early(world, { key: "k1", digest: "d1" });
      world.like(first, { type: "buffered" });
      const repeat = { type: "duplicate", delivery: numberOf(first), hook: null, isSameBody: false, claimedBy: null };
      world.equal(await early(world, { key: "k1", digest: "d2" }), repeat);
      world.like(await early(world, { key: "k2" }), { type: "buffered" });
      world.equal(await world.store.held({ of: "claimed", limit: 10 }), []);
      world.like((await world.store.held({ delivery: numberOf(first) }))[0], { reason: "early", address: token, key: "k1" });
    },
  },
  {
    name: "early: the claim of its token takes it, in order, in one transaction; its number stays, and its sender has had its answer",
    holds: async (world) => {
      const sent = [await early(world, { key: "k1", digest: "d1" }), await early(world, { payload: json('["second"]') })];
      const { run } = await world.begin("run-1");
      const events = await world.append(run, hookCreated(1, { ...held, response: manual }));
      world.equal(
        events.map(({ kind }) => kind),
        ["hook_created", "hook_received", "hook_received"],
      );
      world.like(events[1], { payload: json('["paid"]'), key: "k1", delivery: numberOf(sent[0]!), seq: 3 });
      world.like(events[2], { payload: json('["second"]'), key: null, delivery: numberOf(sent[1]!), seq: 4 });
      world.equal(await world.journal(run), [...(await world.journal(run)).slice(0, 1), ...events]);
      world.like(await world.row(run), { wake: true, seq: 4 });
      world.like(await world.store.answer(numberOf(sent[0]!)), { by: "deadline" });
      world.like(await world.deliver(token, { key: "k1", digest: "d1" }), {
        type: "duplicate",
        delivery: numberOf(sent[0]!),
        isSameBody: true,
      });
      world.equal(await world.store.held({ delivery: numberOf(sent[0]!) }), []);
    },
  },
  {
    name: "early: what must be judged stays, with what came behind it, and is told of; judged, it keeps its number",
    holds: async (world) => {
      const first = numberOf(await early(world, { key: "k1" }));
      const { run } = await world.begin("run-1");
      await world.append(run, hookCreated(1, { ...held, hasSchema: true }));
      world.equal(await world.kinds(run), ["run_started", "hook_created"]);
      world.equal(world.notices.at(-1), { type: "claimed" });
      world.equal(
        (await world.store.held({ of: "claimed", limit: 10 })).map(({ delivery }) => delivery),
        [first],
      );
      world.like(await world.deliver(token, { key: "k1" }), { type: "duplicate", delivery: first, hook: null });
      const judged = { key: "k1", held: first, payload: json('["judged"]') };
      world.like(await world.deliver(token, judged), { type: "accepted", delivery: first });
      world.like((await world.journal(run)).at(-1), { kind: "hook_received", delivery: first, payload: json('["judged"]') });
      world.equal(await world.deliver(token, judged), { type: "gone" });
      world.equal(await world.store.held({ of: "claimed", limit: 10 }), []);
    },
  },
  {
    name: "early: no hook that is closed takes it, and a token that had a hook holds nothing for another",
    holds: async (world) => {
      const { run } = await world.begin("run-1");
      await world.append(run, hookCreated(1, held), disposeOf(1, 2));
      world.like(await early(world), { type: "closed", by: "disposed" });
      await world.deliver({ token: "later" }, { earlyMs });
      const { run: other } = await world.begin("run-2");
      await world.do({ op: "cancel", run: other, graceMs: 60_000 });
      await world.append(other, hookCreated(1, { address: custom("later") }));
      world.equal(await world.kinds(other), ["run_started", "cancel_requested", "hook_created"]);
    },
  },
  {
    name: "early: so many at one token and in all are held, and none over",
    holds: async (world) => {
      const many = (count: number, of: string): Promise<readonly { type: string }[]> =>
        world.commit(
          ...Array.from({ length: count }, (_, at) => deliver({ token: `${of}${Math.floor(at / limits.earlyPerToken)}` }, { earlyMs })),
        );
      world.equal(
        (await many(limits.earlyPerToken, "a")).every(({ type }) => type === "buffered"),
        true,
      );
      world.equal(await world.deliver({ token: "a0" }, { earlyMs }), { type: "early_full" });
      const big = json("x".repeat(limits.earlyBytes - limits.earlyPerToken * 8));
      world.like(await world.deliver({ token: "big" }, { earlyMs, payload: big }), { type: "buffered" });
      world.equal(await world.deliver({ token: "b" }, { earlyMs, payload: json("y") }), { type: "early_full" });
      world.clock.advance(earlyMs);
      await world.do(purge);
      world.equal(
        (await many(limits.earlyRows, "c")).every(({ type }) => type === "buffered"),
        true,
      );
      world.equal(await world.deliver({ token: "d" }, { earlyMs }), { type: "early_full" });
    },
  },
  {
    name: "early: past its time it is unclaimed, is held on, and then goes",
    holds: async (world) => {
      const delivery = numberOf(await early(world));
      world.clock.advance(earlyMs - 1);
      await world.do(purge);
      world.like((await world.store.held({ delivery }))[0], { reason: "early" });
      world.clock.advance(1);
      await world.do(purge);
      world.like((await world.store.held({ of: "refused", limit: 10 }))[0], {
        delivery,
        reason: "unclaimed",
        until: world.clock.now() + 5_000,
      });
      const { run } = await world.waiting("run-1", held);
      world.equal(await world.kinds(run), ["run_started", "hook_created"]);
      world.clock.advance(5_000);
      await world.do(purge);
      world.equal(await world.store.held({ delivery }), []);
    },
  },
  {
    name: "early: one that nobody claimed is held on without its sender's credentials",
    holds: async (world) => {
      const head = { method: "POST", url: null, search: "", headers: ["Authorization", "Bearer x", "X-Api-Key", "y", "X-Signature", "z"] };
      const payload = { type: "request", head, body: new Uint8Array([1]) } as const;
      const delivery = numberOf(await early(world, { payload }));
      world.like((await world.store.held({ delivery }))[0], { payload });
      world.clock.advance(earlyMs);
      await world.do(purge);
      const headers = ["Authorization", "[removed]", "X-Api-Key", "[removed]", "X-Signature", "z"];
      world.like((await world.store.held({ delivery }))[0], { payload: { ...payload, head: { ...head, headers } } });
    },
  },
  {
    name: "P4: what was judged for another hook is not taken by the one that has its token now, unless that one asks for no judgement",
    holds: async (world) => {
      const { run } = await world.waiting("run-1", held);
      const judged = { judgedFor: { run, position: 1 }, key: "k1", digest: "d1" };
      await world.append(run, runEnded());
      const { run: next } = await world.begin("run-2");
      await world.append(next, hookCreated(1, { ...held, hasSchema: true }));
      world.equal(await world.deliver(token, judged), { type: "moved" });
      world.equal(await world.deliver(token, { judgedFor: null, earlyMs }), { type: "moved" });
      world.like(await world.deliver(token, { ...judged, judgedFor: { run: next, position: 1 } }), { type: "accepted" });
      world.like(await world.deliver(token, judged), { type: "duplicate", isSameBody: true });
      await world.append(next, runEnded());
      await world.waiting("run-3", held);
      world.like(await world.deliver(token, { ...judged, key: "k2" }), { type: "accepted" });
    },
  },
  {
    name: "P4: what was judged for the hook before is not taken by the one that was opened at its place",
    holds: async (world) => {
      const { run } = await world.begin("run-1");
      const named = { name: "n", hasSchema: true };
      await world.append(run, hookCreated(1, named));
      const opened = (await world.journal(run)).length;
      const judged = { judgedFor: { run, position: 1, opened } };
      world.like(await world.deliver(minted("run-1"), judged), { type: "accepted" });
      await world.append(run, disposeOf(1, 2), hookCreated(1, named));
      world.equal(await world.deliver(minted("run-1"), judged), { type: "moved" });
      const again = (await world.journal(run)).length;
      world.like(await world.deliver(minted("run-1"), { judgedFor: { run, position: 1, opened: again } }), { type: "accepted" });
    },
  },
  {
    name: "a refused delivery is held for its time, and can be delivered under its number",
    holds: async (world) => {
      const { delivery } = (await world.do(hold)) as { delivery: number };
      const at = world.clock.now();
      const row = { ...refused, delivery, at, until: at + 1_000 };
      world.equal(await world.store.held({ delivery }), [row]);
      world.clock.advance(10);
      const again = { ...refused, reason: "invalid", detail: "no" } as const;
      world.equal(await world.do({ op: "hold", held: delivery, delivery: again, keepMs: 500 }), { type: "held", delivery });
      world.equal(await world.store.held({ of: "refused", limit: 10 }), [{ ...row, reason: "invalid", detail: "no", until: at + 510 }]);
      world.like(await world.deliver(token, { held: delivery }), { type: "unknown" });
      const { run } = await world.waiting("run-1", held);
      world.like(await world.deliver(token, { held: delivery, key: "k1", digest: "d1" }), { type: "accepted", delivery });
      world.like((await world.journal(run)).at(-1), { delivery });
      world.equal(await world.do({ ...hold, held: delivery }), { type: "gone" });
      const second = (await world.do(hold)) as { delivery: number };
      world.equal(second.delivery > delivery, true);
      world.like(await world.deliver(token, { held: second.delivery, key: "k1", digest: "d1" }), { type: "duplicate", delivery });
      world.equal(await world.store.held({ of: "refused", limit: 10 }), []);
    },
  },
  {
    name: "refused deliveries over the bounds push the oldest out; those listed are the newest first",
    holds: async (world) => {
      const first = (await world.commit(...Array.from({ length: limits.refusedRows }, () => hold))) as readonly { delivery: number }[];
      const next = (await world.do(hold)) as { delivery: number };
      world.equal(await world.store.held({ delivery: first[0]!.delivery }), []);
      world.like((await world.store.held({ delivery: first[1]!.delivery }))[0], { reason: "closed" });
      const numbers = async (before: number): Promise<number[]> =>
        (await world.store.held({ of: "refused", before, limit: 2 })).map(({ delivery }) => delivery);
      world.equal(await numbers(next.delivery + 1), [next.delivery, first.at(-1)!.delivery]);
      world.equal(await numbers(next.delivery), [first.at(-1)!.delivery, first.at(-2)!.delivery]);
      const big = json("x".repeat(limits.refusedBytes));
      const whole = (await world.do({ ...hold, delivery: { ...refused, payload: big } })) as { delivery: number };
      world.equal(
        (await world.store.held({ of: "refused", limit: 10 })).map(({ delivery }) => delivery),
        [whole.delivery],
      );
    },
  },
];
