// Laws of published values (P17).

import { type AppendEvent, beat, cancel, type Law, runContinued, runEnded, valuePublished, type World } from "./world.ts";

type Reader = Parameters<World["row"]>[0];
const day = 86_400_000;
const read = async ({ store }: World, of: Reader, key: string): Promise<string | null> =>
  (await store.published(typeof of === "number" ? of : of.run, key))?.value ?? null;

export const publishedLaws: readonly Law[] = [
  {
    name: "P17: the last value under a key stands, each key of each run by itself, and is the event that the journal holds",
    holds: async (world) => {
      const [a, b] = [await world.begin("a"), await world.begin("b")];
      world.equal(await world.store.published(a.run, "status"), null);
      await world.append(a, valuePublished(1, "status", "=1"), valuePublished(2, "Status", "=2"), valuePublished(3, "status", "=null"));
      await world.append(b, valuePublished(1, "status", "=9"));
      world.equal([await read(world, a, "status"), await read(world, a, "Status"), await read(world, b, "status")], ["=null", "=2", "=9"]);
      world.clock.advance(5);
      const [last] = await world.append(a, valuePublished(4, "status", "=4"));
      world.equal(await world.store.published(a.run, "status"), last);
      world.equal((await world.journal(a)).at(-1), last);
      if (await world.reopen()) await world.commit(beat("A"));
      world.equal(await world.store.published(a.run, "status"), last);
      world.equal([await read(world, a, "stat"), await read(world, a, "n\0"), await read(world, 1_000_000, "status")], [null, null, null]);
    },
  },
  {
    name: "P2, P17: who publishes needs the run's current fence; a group that breaks has published nothing",
    holds: async (world) => {
      const run = await world.begin("a");
      const append = (fence: number, ...events: AppendEvent[]) => ({ op: "append" as const, run: run.run, fence, events, seen: 1 });
      world.equal(await world.do(append(run.fence + 1, valuePublished(1, "status", "=1"))), { type: "fenced" });
      world.equal(await read(world, run, "status"), null);
      await world.append(run, valuePublished(1, "status", "=1"));
      const unknown = { kind: "no_such_kind" } as unknown as AppendEvent;
      const [broken] = await world.commit(append(run.fence, valuePublished(2, "status", "=2"), valuePublished(2, "new", "=2"), unknown));
      world.equal(broken!.type, "broken");
      world.equal([await read(world, run, "status"), await read(world, run, "new")], ["=1", null]);
    },
  },
  {
    name: "P17: published values outlive the chapters of their run, a cancel and its end",
    holds: async (world) => {
      const run = await world.begin("a");
      await world.append(run, valuePublished(1, "first", "=1"), valuePublished(2, "both", "=1"), runContinued({ lastPosition: 2 }));
      world.equal([await read(world, run, "first"), await read(world, run, "both")], ["=1", "=1"]);
      await world.append(run, valuePublished(3, "both", "=2"));
      await world.do(cancel(run.run));
      await world.append(run, valuePublished(4, "last", "=3"), runEnded({ type: "cancelled" }));
      world.equal([await read(world, run, "first"), await read(world, run, "both"), await read(world, run, "last")], ["=1", "=2", "=3"]);
    },
  },
  {
    name: "P10, P17: published values go with their run, deleted or purged, and a new run of the id has none of them",
    holds: async (world) => {
      const [a, b, c] = [await world.begin("a"), await world.begin("b"), await world.begin("c")];
      for (const run of [a, b]) await world.append(run, valuePublished(1, "x", "=1"), valuePublished(2, "x", "=2"), runEnded());
      await world.append(c, valuePublished(1, "x", "=3"));
      world.equal(await world.do({ op: "delete", run: a.run }), { type: "deleted" });
      world.equal([await read(world, a, "x"), await read(world, b, "x")], [null, "=2"]);
      world.clock.advance(day);
      const purge = { op: "purge", runsMs: day, keysMs: day, unclaimedMs: day, from: 0, rows: 1_000 } as const;
      world.like(await world.do(purge), { type: "purged", runs: 1 });
      world.equal([await read(world, b, "x"), await read(world, c, "x")], [null, "=3"]);
      world.equal(await read(world, await world.begin("a"), "x"), null);
    },
  },
];
