// `patched` keeps runs that passed a place on the old code, and gives the new code to those that come to it new (PA1, PA2, R3).

import { describe, expect, test } from "vitest";
import { createHook, patched, sleep, step, workflow } from "../src/index.ts";
import type { Workflow } from "../src/engine/workflow.ts";
import { createWorld, modes } from "./harness.ts";

type Any = Workflow<any[], any>;
const say = step("say", async (text: string) => text);

/** What the run's journal says of patches. */
const patches = (journal: readonly { readonly kind: string; readonly name?: string }[]): (string | undefined)[] =>
  journal.filter((event) => event.kind === "patch_taken").map((event) => event.name);

describe.each(modes)("patched (%s)", (mode) => {
  const order = (code: () => Promise<string[]>, version: string): Any =>
    workflow(
      "order",
      async () => {
        const log = await code();
        await sleep("1h");
        return [...log, await say("end")];
      },
      { version },
    );
  const before = order(async () => [await say("charge")], "v1");
  const after = order(async () => [...(patched("fraud") ? [await say("check")] : []), await say("charge")], "v2");

  test("a run that had passed the place goes on without the patch, one that starts new has it; both replay so", async () => {
    const world = await createWorld([before], { mode });
    const old = await world.start(before);
    await world.restart({ workflows: [after] });
    const fresh = await world.start(after);
    await world.restart({ workflows: [after] });
    await world.advance(3_600_000);
    expect(await world.engine.getRun(old.runId).returnValue).toEqual(["charge", "end"]);
    expect(await world.engine.getRun(fresh.runId).returnValue).toEqual(["check", "charge", "end"]);
    const journals = [await world.journal(old), await world.journal(fresh)] as const;
    expect(journals.map(patches)).toEqual([[], ["fraud"]]);
    // False takes no position: the old run's calls stand where they stood.
    const positions = journals[0].flatMap((event) => ("turn" in event && "position" in event ? [event.position] : []));
    expect(positions).toEqual([1, 2, 3]);
    expect((await world.engine.getRun(fresh.runId).timeline)[1]).toMatchObject({ event: "patch_taken", name: "fraud" });
  });

  test("a run that had not come to the place takes the patch", async () => {
    const gate = (isPatched: boolean, version: string): Any =>
      workflow(
        "gate",
        async () => {
          const hook = createHook<string>({ token: "gate" });
          const text = await hook;
          return [...(isPatched && patched("more") ? [await say("more")] : []), await say(text)];
        },
        { version },
      );
    const world = await createWorld([gate(false, "v1")], { mode });
    const run = await world.start(gate(false, "v1"));
    await world.restart({ workflows: [gate(true, "v2")] });
    await world.engine.resumeHook("gate", "said");
    await world.settled();
    expect(await world.engine.getRun(run.runId).returnValue).toEqual(["more", "said"]);
  });

  test("in a loop the first answer stands, for old runs as for new ones", async () => {
    const loop = (isPatched: boolean, version: string): Any =>
      workflow(
        "loop",
        async (token: string) => {
          const hook = createHook<string>({ token });
          const log: string[] = [];
          for (let pass = 0; pass < 4; pass++) {
            const text = await hook;
            log.push(isPatched && patched("loud") ? await say(text.toUpperCase()) : await say(text));
          }
          return log;
        },
        { version },
      );
    const world = await createWorld([loop(false, "v1")], { mode });
    const old = await world.start(loop(false, "v1"), "old");
    const send = async (token: string, text: string): Promise<void> => {
      await world.engine.resumeHook(token, text);
      await world.settled();
    };
    await send("old", "a");
    await send("old", "b");
    await world.restart({ workflows: [loop(true, "v2")] });
    const fresh = await world.start(loop(true, "v2"), "new");
    for (const text of ["c", "d"]) await send("old", text);
    for (const text of ["a", "b"]) await send("new", text);
    await world.restart({ workflows: [loop(true, "v2")] });
    for (const text of ["c", "d"]) await send("new", text);
    expect(await world.engine.getRun(old.runId).returnValue).toEqual(["a", "b", "c", "d"]);
    expect(await world.engine.getRun(fresh.runId).returnValue).toEqual(["A", "B", "C", "D"]);
    expect([patches(await world.journal(old)), patches(await world.journal(fresh))]).toEqual([[], ["loud"]]);
  });

  test("two patches of one turn answer each for itself, in any order; one that is asked twice is recorded once", async () => {
    const code = (ids: readonly string[], version: string): Any =>
      order(async () => [await say(ids.map((id) => `${id}:${patched(id)}`).join(" ")), await say("charge")], version);
    const world = await createWorld([code(["a", "b", "a"], "v1")], { mode });
    const run = await world.start(code(["a", "b", "a"], "v1"));
    expect(patches(await world.journal(run))).toEqual(["a", "b"]);
    // The names make the step's input, so another answer, or another number of answers, would set the run aside.
    const turned = order(async () => {
      const [b, a] = [patched("b"), patched("a")];
      return [await say(`a:${a} b:${b} a:${patched("a")}`), await say("charge")];
    }, "v2");
    await world.restart({ workflows: [turned] });
    await world.advance(3_600_000);
    expect(await world.engine.getRun(run.runId).returnValue).toEqual(["a:true b:true a:true", "charge", "end"]);
  });

  test("an added patch beside a recorded one of the same turn answers false", async () => {
    const code = (ids: readonly string[], version: string): Any =>
      order(async () => [ids.map((id) => `${id}:${patched(id)}`).join(" "), await say("charge")], version);
    const world = await createWorld([code(["a"], "v1")], { mode });
    const run = await world.start(code(["a"], "v1"));
    await world.restart({ workflows: [code(["b", "a"], "v2")] });
    await world.advance(3_600_000);
    expect(await world.engine.getRun(run.runId).returnValue).toEqual(["b:false a:true", "charge", "end"]);
  });

  test("a patch that is no longer asked for is no difference; the old code, for a run that took the patch, is", async () => {
    const world = await createWorld([after], { mode });
    const run = await world.start(after);
    await world.restart({ workflows: [before] });
    await world.advance(3_600_000);
    const found = (await world.engine.getRun(run.runId).blocked)?.difference;
    expect(found).toMatchObject({ expected: "step say", found: "step say with other input" });
    await world.restart({ workflows: [order(async () => [await say("check"), await say("charge")], "v3")] });
    expect(await world.engine.getRun(run.runId).returnValue).toEqual(["check", "charge", "end"]);
  });

  test("outside workflow code, and for what is no name, it throws", async () => {
    expect(() => patched("x")).toThrow("patched() belongs in workflow code");
    const nameless = workflow("nameless", async () => patched(""));
    const world = await createWorld([nameless], { mode });
    await expect((await world.start(nameless)).returnValue).rejects.toMatchObject({ cause: { code: "bad_argument" } });
  });
});
