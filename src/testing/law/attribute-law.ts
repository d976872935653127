// Laws of attributes: what a run has is a fold of its journal, and finds it (P14).

import { asked, type Law, newRun, rowIn, runEnded, start, type World } from "./world.ts";

const set = (position: number, changes: { readonly [name: string]: string | null }) =>
  ({ kind: "attributes_set", ...asked(position), changes }) as const;
const found = async (world: World, attributes: { readonly [name: string]: string }, more: object = {}): Promise<string[]> =>
  (await world.store.runs({ attributes, limit: 10, ...more })).map(({ id }) => id);

export const attributeLaws: readonly Law[] = [
  {
    name: "P14: attributes are those of the start and all that was changed since, by code and steps, in the order of the journal",
    holds: async (world) => {
      const row = await world.begin("run-1", { attributes: { order: "42", phase: "new" } });
      world.like((await world.journal(row))[0], { attributes: { order: "42", phase: "new" } });
      world.equal(await world.store.attributes(row.run), { order: "42", phase: "new" });
      const note = { kind: "step_attributes_set", position: 2, attempt: 1, changes: { phase: "paid", by: "step" } } as const;
      const events = await world.append(row, set(1, { phase: "sent", extra: "x" }), note, set(3, { extra: null, none: null }));
      world.equal((await world.journal(row)).slice(1), events);
      world.equal(await world.store.attributes(row.run), { order: "42", phase: "paid", by: "step" });
      await world.append(row, runEnded());
      world.equal(await world.store.attributes(row.run), { order: "42", phase: "paid", by: "step" });
      world.equal(await world.store.attributes((await world.begin("run-2")).run), {});
      if (await world.reopen()) world.equal(await world.store.attributes(row.run), { order: "42", phase: "paid", by: "step" });
    },
  },
  {
    name: "P14: runs are found by their attributes, newest first, with the other conditions, a page at a time",
    holds: async (world) => {
      const a = await world.begin("a", { attributes: { of: "x", n: "1" } });
      const b = await world.begin("b", { attributes: { of: "x" }, workflow: "other" });
      await world.begin("c", { attributes: { of: "y" } });
      const d = await world.begin("d");
      await world.append(d, set(1, { of: "x", n: "1" }));
      world.equal(await found(world, { of: "x" }), ["d", "b", "a"]);
      world.equal(await found(world, { of: "x", n: "1" }), ["d", "a"]);
      world.equal(await found(world, { of: "x" }, { workflow: "other" }), ["b"]);
      world.equal(await found(world, { of: "x" }, { before: d.run, limit: 1 }), ["b"]);
      world.equal(await found(world, { of: "x" }, { before: b.run }), ["a"]);
      world.equal([await found(world, { of: "z" }), await found(world, {})], [[], ["d", "c", "b", "a"]]);
      await world.append(a, runEnded());
      world.equal(await found(world, { of: "x" }, { status: "completed" }), ["a"]);
      await world.do({ op: "delete", run: a.run });
      world.equal([await found(world, { of: "x" }), await world.store.attributes(a.run)], [["d", "b"], {}]);
    },
  },
  {
    name: "P14: a run that another one has begun, in its code or in a step, says where it comes from; a repeat keeps what is there",
    holds: async (world) => {
      const root = await world.begin("root");
      await world.append(root, { kind: "child_scheduled", ...asked(1), start: newRun("child", { attributes: { a: "1" } }) });
      const child = (await world.store.run({ id: "child" }))!;
      world.equal(await world.store.attributes(child.run), { a: "1", $parentRunId: "root", $rootRunId: "root" });
      const begun = await world.do({ op: "start", run: newRun("grandchild"), worker: null, parent: "child" });
      world.equal(await world.store.attributes(rowIn(begun).run), { $parentRunId: "child", $rootRunId: "root" });
      world.equal(await found(world, { $rootRunId: "root" }), ["grandchild", "child"]);
      const again = await world.do({ op: "start", run: newRun("grandchild", { key: "k", attributes: { b: "2" } }), worker: null });
      world.like(again, { type: "existing" });
      world.equal(await world.store.attributes(rowIn(begun).run), { $parentRunId: "child", $rootRunId: "root" });
      world.like(await world.do({ ...start("alone"), parent: "nobody" } as Parameters<World["do"]>[0]), { type: "created" });
    },
  },
];
