// Laws of streams (P15).

import { beat, type Law, newRun, runEnded } from "./world.ts";

const part = (from: number, chunks: readonly string[], length: number, isOver = false): object => ({ from, chunks, length, isOver });
const day = 86_400_000;

export const streamLaws: readonly Law[] = [
  {
    name: "P15: chunks are numbered in the order they came, each stream of each run by itself, and are there after a restart",
    holds: async (world) => {
      const [a, b] = [await world.begin("a"), await world.begin("b")];
      world.equal(await world.stream(a), part(0, [], 0));
      world.equal(await world.write(a, { chunks: ["=1", "=2"] }), { type: "written", length: 2 });
      world.equal(await world.write(a, { chunks: ["=x"], stream: "=log" }), { type: "written", length: 1 });
      world.equal(await world.write(b, { chunks: ["=9"] }), { type: "written", length: 1 });
      world.equal(await world.write(a, { chunks: ["=3"] }), { type: "written", length: 3 });
      if (await world.reopen()) await world.commit(beat("A"));
      world.equal(await world.stream(a), part(0, ["=1", "=2", "=3"], 3));
      world.equal(await world.stream(a, { stream: "=log" }), part(0, ["=x"], 1));
      world.equal(await world.stream(b), part(0, ["=9"], 1));
      world.equal(await world.stream(a, { stream: "=other" }), part(0, [], 0));
      world.equal(await world.stream(1_000_000), null);
    },
  },
  {
    name: "P15: a stream is read from any chunk, or from its end, in parts of about so many bytes",
    holds: async (world) => {
      const run = await world.begin("a");
      await world.write(run, { chunks: ["=1111", "=2222", "=3333"] });
      world.equal(await world.stream(run, { bytes: 1 }), part(0, ["=1111"], 3));
      world.equal(await world.stream(run, { bytes: 6 }), part(0, ["=1111", "=2222"], 3));
      world.equal(await world.stream(run, { bytes: 0 }), part(0, [], 3));
      world.equal(await world.stream(run, { from: 2 }), part(2, ["=3333"], 3));
      world.equal(await world.stream(run, { from: -2 }), part(1, ["=2222", "=3333"], 3));
      world.equal(await world.stream(run, { from: -9, bytes: 1 }), part(0, ["=1111"], 3));
      world.equal(await world.stream(run, { from: 7 }), part(7, [], 3));
    },
  },
  {
    name: "P15: what is closed takes nothing more, and so does what is of a run that has ended",
    holds: async (world) => {
      const run = await world.begin("a");
      world.equal(await world.write(run, { chunks: ["=1"], isLast: true }), { type: "written", length: 1 });
      world.equal(await world.write(run, { chunks: ["=2"] }), { type: "closed" });
      world.equal(await world.write(run, { isLast: true }), { type: "closed" });
      world.equal(await world.stream(run), part(0, ["=1"], 1, true));
      await world.write(run, { chunks: ["=1"], stream: "=log" });
      world.equal(await world.stream(run, { stream: "=log" }), part(0, ["=1"], 1));
      await world.append(run, runEnded());
      world.equal(await world.stream(run, { stream: "=log" }), part(0, ["=1"], 1, true));
      world.equal(await world.stream(run, { stream: "=none" }), part(0, [], 0, true));
    },
  },
  {
    name: "P2, P15: who writes needs its run's current fence, also to write to another run's stream, which must be open",
    holds: async (world) => {
      const [a, b] = [await world.begin("a"), await world.begin("b")];
      const { fence } = await world.row(a);
      world.equal(await world.write(a, { chunks: ["=1"], fence: fence + 1 }), { type: "fenced" });
      world.equal(await world.write(a, { chunks: ["=1"], owner: b.run }), { type: "written", length: 1 });
      world.equal([await world.stream(a), await world.stream(b)], [part(0, [], 0), part(0, ["=1"], 1)]);
      await world.append(b, runEnded());
      world.equal(await world.write(a, { chunks: ["=2"], owner: b.run }), { type: "closed" });
      world.equal(await world.write(a, { chunks: ["=2"], owner: 1_000_000 }), { type: "closed" });
      world.equal(await world.do({ op: "write", run: b.run, fence, stream: "=", chunks: [], isLast: false }), { type: "fenced" });
      world.equal(await world.do({ op: "write", run: 1_000_000, fence, stream: "=", chunks: [], isLast: false }), { type: "fenced" });
    },
  },
  {
    name: "P1, P5, P15: a write stands with the others of its group, or breaks alone, and each that stands is told",
    holds: async (world) => {
      const { run, fence } = await world.begin("a");
      const write = { op: "write", run, fence, stream: "=", isLast: false } as const;
      world.notices.length = 0;
      const outcomes = await world.commit(
        { ...write, chunks: ["=1"] },
        { ...write, chunks: ["=1"], stream: "=\0" },
        { ...write, chunks: ["=2"], isLast: true },
        { ...write, chunks: ["=3"] },
      );
      world.equal(
        outcomes.map(({ type }) => type),
        ["written", "broken", "written", "closed"],
      );
      world.equal(await world.stream(run), part(0, ["=1", "=2"], 2, true));
      world.equal(world.notices, [
        { type: "streamed", run, id: "a" },
        { type: "streamed", run, id: "a" },
      ]);
    },
  },
  {
    name: "P15: a run may begin with whole streams, in the transaction that begins it; beginning it once more changes none",
    holds: async (world) => {
      const streams = [
        { stream: "$a", chunks: ["=1", "=2"] },
        { stream: "$b", chunks: [] },
      ];
      const outcome = await world.do({ op: "start", run: newRun("a"), worker: "A", streams });
      const { row } = outcome as Extract<typeof outcome, { type: "created" }>;
      world.equal(await world.stream(row, { stream: "$a" }), part(0, ["=1", "=2"], 2, true));
      world.equal(await world.stream(row, { stream: "$b" }), part(0, [], 0, true));
      world.equal(await world.write(row, { stream: "$a", chunks: ["=3"] }), { type: "closed" });
      const again = [
        { stream: "$a", chunks: ["=other"] },
        { stream: "$c", chunks: ["=9"] },
      ];
      world.like(await world.do({ op: "start", run: newRun("a", { key: "else" }), worker: "A", streams: again }), { type: "existing" });
      world.equal(await world.stream(row, { stream: "$a" }), part(0, ["=1", "=2"], 2, true));
      world.equal(await world.stream(row, { stream: "$c" }), part(0, [], 0));
    },
  },
  {
    name: "P10, P15: a run whose stream an open run may read stays until that has ended; who may only write to it keeps nothing",
    holds: async (world) => {
      const referring = (kind: string): string => JSON.stringify([["Stream", 1], JSON.stringify([kind, "owner", "=", 0])]);
      const owner = await world.begin("owner");
      await world.write(owner, { chunks: ["=1"] });
      await world.begin("writes", { args: referring("w") });
      const reads = await world.begin("reads", { args: referring("r") });
      await world.append(owner, runEnded());
      const remove = { op: "delete", run: owner.run } as const;
      world.equal(await world.do(remove), { type: "needed", by: "reads" });
      world.equal(await world.stream(owner), part(0, ["=1"], 1, true));
      await world.append(reads, runEnded());
      world.equal(await world.do(remove), { type: "deleted" });
      world.equal(await world.stream(owner), null);
    },
  },
  {
    name: "P10, P15: streams go with their run, in portions, and a new run of the id has none of them",
    holds: async (world) => {
      const old = await world.begin("old");
      const other = await world.begin("other");
      const large = "x".repeat(40_000);
      for (let at = 0; at < 6; at++) await world.write(old, { chunks: ["=1", "=2", "=3"] });
      await world.write(old, { chunks: [large, large, large], stream: "=large" });
      await world.write(other, { chunks: ["=1"] });
      await world.append(old, runEnded());
      world.clock.advance(day);
      let runs = 0;
      for (let from: number | null = 0; from !== null; ) {
        const outcome: { runs: number; next: number | null } = await world.do({
          op: "purge",
          runsMs: day,
          keysMs: day,
          unclaimedMs: day,
          from,
          rows: 4,
        });
        world.equal(
          await world.stream(old),
          runs + outcome.runs === 0 ? part(0, Array(6).fill(["=1", "=2", "=3"]).flat(), 18, true) : null,
        );
        runs += outcome.runs;
        from = outcome.next;
      }
      world.equal(runs, 1);
      world.like(await world.do({ op: "start", run: newRun("old", { key: "another" }), worker: "A" }), { type: "created" });
      const { run } = (await world.store.run({ id: "old" }))!;
      world.equal(await world.stream(run, { stream: "=large" }), part(0, [], 0));
      await world.write(run, { chunks: ["=new"], stream: "=large" });
      world.equal(await world.stream(run, { stream: "=large" }), part(0, ["=new"], 1));
      world.equal(await world.stream(other), part(0, ["=1"], 1));
    },
  },
];
