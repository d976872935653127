// Laws of deliveries, delivery keys, custom tokens and answers.

import type { Payload } from "../../core/event.ts";
import type { DeliverOutcome } from "../../store/port.ts";
import { asked, cancel, custom, deliver, disposeOf, hookCreated, json, type Law, manual, minted, runBlocked, runEnded } from "./world.ts";

const token = { token: "order:42" };
const held = { address: custom("order:42") };
const types = (outcomes: readonly { readonly type: string }[]) => outcomes.map((outcome) => outcome.type);

export const deliverLaws: readonly Law[] = [
  {
    name: "G1: an accepted delivery and its wake-up are one transaction",
    holds: async (world) => {
      const { run } = await world.waiting("run-1");
      world.like(await world.row(run), { wake: false });
      world.clock.advance(3);
      const outcome = await world.deliver(minted("run-1"), { key: "k1", digest: "d1" });
      const at = world.clock.now();
      world.like(outcome, { type: "accepted", worker: "A" });
      const { delivery, event, hook } = outcome as DeliverOutcome & { type: "accepted" };
      world.equal(event, { kind: "hook_received", position: 1, payload: json('["paid"]'), key: "k1", delivery, seq: 3, at });
      world.equal((await world.journal(run))[2], event);
      world.like(await world.row(run), { wake: true, seq: 3 });
      world.equal(hook, await world.hook(minted("run-1")));
      world.like(hook, { run, runId: "run-1", runKey: "key-of-run-1", workflow: "checkout", worker: "A", state: { type: "open" } });
      world.equal(hook.created, (await world.journal(run))[1]);
      world.equal(world.notices.at(-1), { type: "woken", run, worker: "A", seq: 3 });
      world.equal(await world.store.delivery(delivery), { hook, event, answer: null });
    },
  },
  {
    name: "G2: a key takes effect once, in one group or in many; the answer says whether the body was the same",
    holds: async (world) => {
      const { run } = await world.waiting("run-1");
      const send = deliver(minted("run-1"), { key: "k1", digest: "d1" });
      const [first, second] = await world.commit(send, send);
      const { delivery } = first as DeliverOutcome & { type: "accepted" };
      world.like(first, { type: "accepted" });
      world.like(second, { type: "duplicate", delivery, isSameBody: true });
      world.like(await world.do({ ...send, digest: "d2", payload: json('["other"]') }), { type: "duplicate", delivery, isSameBody: false });
      world.like(await world.do({ ...send, key: "k2" }), { type: "accepted" });
      world.equal((await world.kinds(run)).filter((kind) => kind === "hook_received").length, 2);
      world.equal(
        [await world.store.deliveryOf(minted("run-1"), "k1"), await world.store.deliveryOf(minted("run-1"), "k3")],
        [delivery, null],
      );
    },
  },
  {
    name: "G2: without a key nothing is taken for a repeat",
    holds: async (world) => {
      await world.waiting("run-1");
      const send = deliver(minted("run-1"), { digest: "d1" });
      world.equal(types(await world.commit(send, send, send)), ["accepted", "accepted", "accepted"]);
    },
  },
  {
    name: "G2: keys of two addresses are apart",
    holds: async (world) => {
      const { run } = await world.waiting("run-1");
      await world.append(run, hookCreated(2), hookCreated(3, held));
      await world.waiting("run-2");
      const send = { key: "k1", digest: "d1" };
      const addresses = [minted("run-1"), minted("run-1", 2), minted("run-2"), token];
      world.equal(types(await world.commit(...addresses.map((address) => deliver(address, send)))), [
        "accepted",
        "accepted",
        "accepted",
        "accepted",
      ]);
    },
  },
  {
    name: "G2, P7: a key outlives the hook and the run that took it: a repeat is a repeat before it is late",
    holds: async (world) => {
      for (const end of [disposeOf(1, 2), runEnded(), runBlocked("code-1")]) {
        const id = `run-${end.kind}`;
        const { run } = await world.waiting(id);
        const send = { key: "k1", digest: "d1" };
        const { delivery } = (await world.deliver(minted(id), send)) as DeliverOutcome & { type: "accepted" };
        await world.append(run, end);
        world.like(await world.deliver(minted(id), send), { type: "duplicate", delivery, isSameBody: true });
      }
      const { run } = await world.waiting("run-cancel");
      await world.deliver(minted("run-cancel"), { key: "k1" });
      await world.do(cancel(run));
      world.like(await world.deliver(minted("run-cancel"), { key: "k1" }), { type: "duplicate", isSameBody: true });
      world.like(await world.deliver(minted("run-cancel"), { key: "k2" }), { type: "closed", by: "cancelled" });
    },
  },
  {
    name: "G2: at a custom token a key lasts from hook to hook and run to run; a repeat names the hook that took it",
    holds: async (world) => {
      const one = await world.waiting("run-1", held);
      const send = { key: "k1", digest: "d1" };
      const { delivery } = (await world.deliver(token, send)) as DeliverOutcome & { type: "accepted" };
      await world.append(one, disposeOf(1, 2), hookCreated(3, held));
      world.like(await world.deliver(token, send), { type: "duplicate", delivery });
      await world.append(one, runEnded());
      await world.waiting("run-2", held);
      const repeat = await world.deliver(token, send);
      world.like(repeat, { type: "duplicate", delivery });
      world.like((repeat as DeliverOutcome & { type: "duplicate" }).hook, {
        runId: "run-1",
        state: { type: "closed", by: "disposed", at: world.clock.now() },
      });
      world.equal(await world.store.deliveryOf(token, "k1"), delivery);
      world.like(await world.deliver(token, { key: "k2" }), { type: "accepted" });
    },
  },
  {
    name: "deliver: unknown where there is no such run, position or token",
    holds: async (world) => {
      await world.waiting("run-1");
      for (const address of [minted("run-2"), minted("run-1", 2), { token: "none" }]) {
        world.equal(await world.deliver(address, { key: "k1" }), { type: "unknown" });
        world.equal([await world.store.hook(address), await world.store.deliveryOf(address, "k1")], [null, null]);
      }
    },
  },
  {
    name: "RR3: a closed hook says by what, and since when",
    holds: async (world) => {
      const began = world.clock.now();
      const disposed = await world.waiting("disposed");
      const ended = await world.waiting("ended");
      const cancelled = await world.waiting("cancelled");
      world.clock.advance(10);
      await world.append(disposed, disposeOf(1, 2));
      await world.append(ended, runEnded());
      await world.do(cancel(cancelled.run));
      world.clock.advance(10);
      await world.append(cancelled, hookCreated(2), runEnded({ type: "cancelled" }));
      const at = began + 10;
      for (const by of ["disposed", "ended", "cancelled"] as const) {
        const outcome = await world.deliver(minted(by), { key: "k1" });
        world.like(outcome, { type: "closed", by, at });
        world.equal((outcome as DeliverOutcome & { type: "closed" }).hook, await world.hook(minted(by)));
        world.equal((await world.hook(minted(by))).state, { type: "closed", by, at });
        world.equal(await world.store.deliveryOf(minted(by), "k1"), null);
      }
      world.like(await world.deliver(minted("cancelled", 2)), { type: "closed", by: "cancelled", at });
    },
  },
  {
    name: "deliver: a blocked run takes it and stays blocked",
    holds: async (world) => {
      const { run } = await world.waiting("run-1");
      await world.append(run, runBlocked("code-1"));
      world.like(await world.deliver(minted("run-1")), { type: "accepted" });
      world.like(await world.row(run), { status: "blocked", wake: true });
    },
  },
  {
    name: "deliver: a payload comes back byte for byte",
    holds: async (world) => {
      const { run } = await world.waiting("run-1");
      const head = { method: "POST", url: "https://a.example/ä?b=1", search: "?x=1&x=2", headers: ["X-A", "1", "x-a", "2", "x-b", ""] };
      const payloads: readonly Payload[] = [
        { type: "request", head, body: Uint8Array.from({ length: 256 }, (_, index) => index) },
        { type: "request", head: { ...head, url: null, search: "", headers: [] }, body: new Uint8Array(0) },
        json('["ä€😀 \\u0000 \\ud800"]'),
        json(""),
      ];
      for (const payload of payloads) await world.deliver(minted("run-1"), { payload });
      const back = (await world.journal(run)).flatMap((event) => (event.kind === "hook_received" ? event.payload : []));
      world.equal(back.map(plain), payloads.map(plain));
    },
  },
  {
    name: "P1: a member that breaks leaves nothing behind and undoes no other",
    holds: async (world) => {
      const { run } = await world.waiting("run-1");
      const row = await world.row(run);
      const outcomes = await world.commit(
        deliver(minted("run-1"), { key: "k1" }),
        deliver(minted("run-1"), { key: "k\0" }),
        { op: "start", run: { id: "run-2", key: row.key, workflow: "w", codeId: "c", args: "[]", seed: "s" }, worker: null },
        { op: "append", run, fence: row.fence, events: [hookCreated(2), { kind: "no_such_event" } as never], seen: 3 },
        { op: "cancel", run: run + 1000, graceMs: 1 },
        deliver(minted("run-1"), { key: "k2" }),
      );
      world.equal(types(outcomes), ["accepted", "broken", "broken", "broken", "broken", "accepted"]);
      world.equal(await world.kinds(run), ["run_started", "hook_created", "hook_received", "hook_received"]);
      world.equal([await world.store.run({ id: "run-2" }), await world.store.hook(minted("run-1", 2))], [null, null]);
      world.equal(world.notices.length, 2);
    },
  },
  {
    name: "deliver: text that a store would cut short or change never passes for another",
    holds: async (world) => {
      const { run } = await world.waiting("run-1", held);
      await world.deliver(token, { key: "k1" });
      for (const tail of ["\0", "\0x", "\ud800"]) {
        world.equal(
          [
            await world.store.hook({ token: token.token + tail }),
            await world.store.run({ id: `run-1${tail}` }),
            await world.store.run({ key: `key-of-run-1${tail}` }),
          ],
          [null, null, null],
        );
        world.equal(await world.store.deliveryOf(token, `k1${tail}`), null);
        world.equal(types(await world.commit(deliver(token, { key: `k1${tail}` }))), ["broken"]);
        const { fence, seq } = await world.row(run);
        world.equal(
          types(await world.commit({ op: "append", run, fence, events: [hookCreated(2, { address: custom(`a${tail}`) })], seen: seq })),
          ["broken"],
        );
      }
    },
  },
];

function plain(payload: Payload): unknown {
  return payload.type === "value" ? payload : { ...payload, body: [...payload.body] };
}

export const tokenLaws: readonly Law[] = [
  {
    name: "P4, P9: a token has one open hook; who comes second is told the holder, in the same append",
    holds: async (world) => {
      const one = await world.waiting("run-1", held);
      const two = await world.begin("run-2");
      const events = await world.append(two, hookCreated(1, held), { kind: "conflict_asked", ...asked(2), hook: 1 });
      world.equal(
        events.map((event) => event.kind),
        ["hook_created", "hook_conflicted", "conflict_asked"],
      );
      world.like(events[1], { position: 1, holder: "run-1", seq: 3 });
      world.like(await world.row(two), { wake: true });
      world.equal((await world.hook(minted("run-2"))).state, { type: "lost", holder: "run-1" });
      world.equal(await world.deliver(minted("run-2"), { key: "k1" }), { type: "unknown" });
      world.like(await world.deliver(token), { type: "accepted" });
      world.like(await world.row(one), { wake: true });
      world.like((await world.append(one, hookCreated(2, held)))[1], { kind: "hook_conflicted", holder: "run-1" });
    },
  },
  {
    name: "P4: within a group the first claim wins, and a delivery behind it finds it",
    holds: async (world) => {
      const one = await world.begin("run-1");
      const two = await world.begin("run-2");
      const claim = (run: number) => ({ op: "append", run, fence: 1, events: [hookCreated(1, held)], seen: 1 }) as const;
      const outcomes = await world.commit(deliver(token), claim(one.run), claim(two.run), deliver(token));
      world.equal(types(outcomes), ["unknown", "appended", "appended", "accepted"]);
      world.equal((outcomes[3] as DeliverOutcome & { type: "accepted" }).hook.runId, "run-1");
    },
  },
  {
    name: "P4: dispose, run end, cancel and a passed deadline free a token at once",
    holds: async (world) => {
      const one = await world.waiting("run-1", held);
      const take = async (id: string) => {
        const row = await world.begin(id);
        const events = await world.append(row, hookCreated(1, { ...held, timeout: { afterMs: 50 } }));
        world.equal(
          events.map((event) => event.kind),
          ["hook_created"],
        );
        const outcome = await world.deliver(token);
        world.equal((outcome as DeliverOutcome & { type: "accepted" }).hook.runId, id);
        return row;
      };
      await world.append(one, disposeOf(1, 2));
      const two = await take("run-2");
      await world.append(two, runEnded());
      const three = await take("run-3");
      await world.do(cancel(three.run));
      world.like(await world.deliver(token), { type: "closed", by: "cancelled" });
      await take("run-4");
      world.clock.advance(50);
      await take("run-5");
    },
  },
  {
    name: "P12: a reserved token is its run's until then, also when the run has ended; senders are told closed",
    holds: async (world) => {
      const reserved = { ...held, reserve: { afterMs: 1_000 } };
      const one = await world.waiting("run-1", reserved);
      const reservedUntil = world.clock.now() + 1_000;
      world.equal((await world.journal(one))[1], {
        ...hookCreated(1, reserved),
        expiresAt: null,
        reservedUntil,
        seq: 2,
        at: world.clock.now(),
      });
      await world.append(one, runEnded());
      const lost = await world.waiting("run-2", held);
      world.like((await world.journal(lost)).at(-1), { kind: "hook_conflicted", position: 1, holder: "run-1" });
      world.like(await world.deliver(token), { type: "closed", by: "ended" });
      world.clock.advance(999);
      world.like((await world.journal(await world.waiting("run-3", held))).at(-1), { kind: "hook_conflicted", holder: "run-1" });
      world.clock.advance(1);
      world.like((await world.journal(await world.waiting("run-4", held))).at(-1), { kind: "hook_created" });
      world.like(await world.deliver(token), { type: "accepted" });
    },
  },
  {
    name: "P12: dispose gives a reserved token away; a timeout and a cancel do not, but for the run's own next hook",
    holds: async (world) => {
      const reserved = { ...held, reserve: { afterMs: 90_000 } };
      const one = await world.waiting("run-1", reserved);
      await world.append(one, disposeOf(1, 2));
      const two = await world.waiting("run-2", { ...reserved, timeout: { afterMs: 10 } });
      world.equal((await world.journal(two)).at(-1)!.kind, "hook_created");
      world.clock.advance(10);
      await world.do({ op: "fire", run: two.run, position: 1 });
      world.like((await world.journal(await world.waiting("run-3", held))).at(-1), { kind: "hook_conflicted", holder: "run-2" });
      await world.append(two, { ...hookCreated(2, reserved), ...asked(2) });
      world.like(await world.deliver(token), { type: "accepted" });
      await world.do(cancel(two.run));
      world.like((await world.journal(await world.waiting("run-4", held))).at(-1), { kind: "hook_conflicted", holder: "run-2" });
    },
  },
  {
    name: "conflict_asked: a hook that has its token is told so, open or closed",
    holds: async (world) => {
      const { run } = await world.begin("run-1");
      const ask = (position: number, hook: number) => ({ kind: "conflict_asked", ...asked(position), hook }) as const;
      const events = await world.append(run, hookCreated(1, held), ask(2, 1), disposeOf(1, 3), ask(4, 1), hookCreated(5), ask(6, 5));
      world.equal(
        events.map((event) => event.kind),
        [
          "hook_created",
          "conflict_asked",
          "hook_registered",
          "hook_disposed",
          "conflict_asked",
          "hook_registered",
          "hook_created",
          "conflict_asked",
          "hook_registered",
        ],
      );
      world.equal(
        events.flatMap((event) => (event.kind === "hook_registered" ? event.position : [])),
        [1, 1, 5],
      );
      world.like(await world.row(run), { wake: true });
    },
  },
];

export const answerLaws: readonly Law[] = [
  {
    name: "answers: a delivery to a manual hook has a row with a deadline; the first to decide stands",
    holds: async (world) => {
      await world.waiting("run-1", { response: manual });
      const { delivery } = (await world.deliver(minted("run-1"))) as DeliverOutcome & { type: "accepted" };
      const row = { delivery, deadlineAt: world.clock.now() + 25_000, answer: null, by: null };
      world.equal((await world.store.delivery(delivery))?.answer, row);
      const answer = { status: 201, headers: ["x-a", "1"], body: new Uint8Array([0, 255]) };
      const late = { status: 202, headers: [], body: new Uint8Array(0) };
      world.notices.length = 0;
      const outcomes = await world.commit(
        { op: "decide", delivery, answer, by: "workflow" },
        { op: "decide", delivery, answer: late, by: "deadline" },
      );
      world.equal(outcomes, [{ type: "decided" }, { type: "already", row: { ...row, answer, by: "workflow" } }]);
      world.equal(world.notices, [{ type: "decided", delivery }]);
      world.equal((await world.store.delivery(delivery))?.answer, { ...row, answer, by: "workflow" });
      const next = (await world.deliver(minted("run-1"))) as DeliverOutcome & { type: "accepted" };
      await world.do({ op: "decide", delivery: next.delivery, answer: late, by: "deadline" });
      world.like((await world.store.delivery(next.delivery))?.answer, { answer: late, by: "deadline" });
    },
  },
  {
    name: "answers: there is none where the workflow does not answer",
    holds: async (world) => {
      await world.waiting("run-1");
      const { delivery } = (await world.deliver(minted("run-1"))) as DeliverOutcome & { type: "accepted" };
      const answer = { status: 200, headers: [], body: new Uint8Array(0) };
      world.equal(await world.do({ op: "decide", delivery, answer, by: "workflow" }), { type: "unknown" });
      world.equal((await world.store.delivery(delivery))?.answer, null);
      world.equal(await world.store.delivery(delivery + 1000), null);
      world.equal(await world.store.delivery(delivery - 1), null);
    },
  },
];
