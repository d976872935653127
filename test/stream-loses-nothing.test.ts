// What steps write is read live, in order, each chunk once, by anybody on the store; reading goes on by index (P15, SR1, SR2).

import { describe, expect, onTestFinished, test } from "vitest";
import type { WorkflowReadableStream } from "../src/engine/stream-value.ts";
import { continueAsNew, createHook, getWritable, step, workflow } from "../src/index.ts";
import { sqliteStore } from "../src/store/sqlite/store.ts";
import { createEngine } from "../src/wiring.ts";
import { createCrashWorld } from "./crash/driver.ts";
import { createWorld, modes, testKeys, type World } from "./harness.ts";
import { all, close, gate, hold, take, write } from "./stream-reading.ts";

describe.each(modes)("%s", (mode) => {
  const open = (...workflows: Parameters<typeof createWorld>[0]): Promise<World> => createWorld(workflows, { mode });

  test("several steps write one after another; who reads gets all, in order, and the end", async () => {
    const tells = workflow("tells", async () => {
      await write([1, 2]);
      await write(["three"]);
      await write([new Uint8Array([4]), { five: new Date(5) }]);
    });
    const world = await open(tells);
    const run = await world.start(tells);
    await run.returnValue;
    expect(await all(run.readable)).toEqual([1, 2, "three", new Uint8Array([4]), { five: new Date(5) }]);
    expect(await all(world.engine.getRun(run.runId).getReadable({ startIndex: 3 }))).toHaveLength(2);
  });

  test("who reads before the first chunk waits, has each as it is written, and the end as the run ends", async () => {
    const slow = workflow("slow", async () => {
      await hold("first");
      await write(["a"]);
      await hold("second");
      await write(["b"]);
      await hold("third");
    });
    const world = await open(slow);
    const run = await world.engine.start(slow);
    const readers = [world.engine.getRun(run.runId).readable, world.engine.getRun(run.runId).readable].map((one) => one.getReader());
    const first = readers.map((reader) => reader.read());
    gate("first").open();
    expect(await Promise.all(first)).toEqual([
      { done: false, value: "a" },
      { done: false, value: "a" },
    ]);
    const second = readers.map((reader) => reader.read());
    gate("second").open();
    expect((await Promise.all(second)).map(({ value }) => value)).toEqual(["b", "b"]);
    const third = readers.map((reader) => reader.read());
    gate("third").open();
    expect((await Promise.all(third)).map(({ done }) => done)).toEqual([true, true]);
  });

  test("namespaces are streams of their own; one that nobody wrote to ends, empty, with the run", async () => {
    const several = workflow("several", async () => {
      await write(["out"]);
      await write(["log 1", "log 2"], "log");
      await createHook({ token: "go" });
    });
    const world = await open(several);
    const run = await world.start(several);
    expect(await take(run.getReadable({ namespace: "log" }), 2)).toEqual(["log 1", "log 2"]);
    expect(await take(run.readable, 1)).toEqual(["out"]);
    const none = all(run.getReadable({ namespace: "none" }));
    expect(await run.getReadable({ namespace: "none" }).getTailIndex()).toBe(-1);
    await world.engine.resumeHook("go", null);
    expect(await none).toEqual([]);
    expect(await all(run.getReadable({ namespace: "none" }))).toEqual([]);
  });

  test("an index says where to go on, from the end where it is below 0; getTailIndex() says where that is", async () => {
    const counts = workflow("counts", async () => {
      await write([0, 1, 2, 3, 4]);
      await createHook({ token: "more" });
      await write([5]);
    });
    const world = await open(counts);
    const run = await world.start(counts);
    expect(await run.readable.getTailIndex()).toBe(4);
    expect(await take(run.getReadable({ startIndex: 2 }), 3)).toEqual([2, 3, 4]);
    expect(await take(run.getReadable({ startIndex: -2 }), 2)).toEqual([3, 4]);
    const [rest, ahead, whole] = [{ startIndex: 4 }, { startIndex: 5 }, { startIndex: -99 }].map((from) => all(run.getReadable(from)));
    const beyond = all(run.getReadable({ startIndex: 9 }));
    await world.engine.resumeHook("more", null);
    expect(await Promise.all([rest, ahead, whole, beyond])).toEqual([[4, 5], [5], [0, 1, 2, 3, 4, 5], []]);
    expect(await run.readable.getTailIndex()).toBe(5);
  });

  test("a stream that was closed has ended while its run goes on, and takes nothing more", async () => {
    const closes = workflow("closes", async () => {
      await write([1]);
      await close();
      await close(); // once more is nothing
      const late = await write([2]).catch((error: unknown) => error);
      await createHook({ token: "on" });
      throw late;
    });
    const world = await open(closes);
    const run = await world.start(closes);
    expect(await all(run.readable)).toEqual([1]);
    await world.settled();
    await world.engine.resumeHook("on", null);
    const failed = await run.returnValue.catch((error: Error) => error.cause);
    expect(failed).toMatchObject({ code: "stream_closed", details: { run: run.runId, namespace: "", by: "closed" } });
  });

  test("a handle made in workflow code is passed to steps, taken by inline ones, and is the same when the run is replayed", async () => {
    const passes = step("passes", async (out: { to: WritableStream<string> }, text: string) => {
      const writer = out.to.getWriter();
      await writer.write(text);
    });
    const handles = workflow("handles", async () => {
      const out = getWritable<string>({ namespace: "n" });
      await passes({ to: out }, "passed");
      await createHook({ token: "between" });
      await step.run("inline", async () => {
        const writer = out.getWriter();
        await writer.write("taken");
        await writer.close();
      });
      await passes({ to: out }, "late").catch(() => {});
    });
    const world = await open(handles);
    const run = await world.start(handles);
    await world.restart();
    await world.engine.resumeHook("between", null);
    await world.settled();
    expect(await all(world.engine.getRun(run.runId).getReadable({ namespace: "n" }))).toEqual(["passed", "taken"]);
  });

  test("the stream goes on through chapters, and is closed by whichever closes it", async () => {
    const chapters = workflow("chapters", async (n: number): Promise<void> => {
      await write([n]);
      if (n < 3) return continueAsNew([n + 1]);
      await close();
      await createHook({ token: "last" });
    });
    const world = await open(chapters);
    const run = await world.start(chapters, 1);
    expect(await all(run.readable)).toEqual([1, 2, 3]);
  });

  test("a restart is felt by nobody who goes on by index: nothing is lost or doubled", async () => {
    const long = workflow("long", async () => {
      await write([0, 1, 2]);
      await createHook({ token: "go on" });
      await write([3, 4]);
    });
    const world = await open(long);
    const run = await world.start(long);
    const reader = run.readable.getReader();
    const seen: unknown[] = [];
    for (let n = 0; n < 3; n++) seen.push((await reader.read()).value);
    const lost = reader.read().catch((error: unknown) => error);
    await world.restart();
    expect(await lost).toMatchObject({ code: "engine_closed" });
    await world.engine.resumeHook("go on", null);
    seen.push(...(await all(world.engine.getRun(run.runId).getReadable({ startIndex: seen.length }))));
    expect(seen).toEqual([0, 1, 2, 3, 4]);
  });

  test("a cancelled run's stream ends, and so does a failed one's", async () => {
    const waits = workflow("waits", async () => {
      await write(["before"]);
      await createHook({ token: "never" });
    });
    const fails = workflow("fails", async () => {
      await write(["all there is"]);
      throw new Error("no");
    });
    const world = await open(waits, fails);
    const run = await world.start(waits);
    const read = all(run.readable);
    await run.cancel();
    await world.settled();
    expect(await read).toEqual(["before"]);
    expect(await all((await world.start(fails)).readable)).toEqual(["all there is"]);
  });

  test("a run's streams go with it", async () => {
    const short = workflow("short", async () => write([1, 2, 3]));
    const world = await open(short);
    const run = await world.start(short);
    expect(await run.readable.getTailIndex()).toBe(2);
    await run.delete();
    await expect(all(run.readable)).rejects.toMatchObject({ code: "run_not_found" });
    await expect(run.readable.getTailIndex()).rejects.toMatchObject({ code: "run_not_found" });
  });
});

describe("who reads", () => {
  const ten = workflow("ten", async () => write(Array.from({ length: 10 }, (_, n) => "x".repeat(100_000) + String(n))));

  test("slowly keeps a part in memory, and has everything in the end; who stops waiting leaves nothing behind", async () => {
    const waiting = workflow("waiting", async () => {
      await write([1]);
      await createHook({ token: "w" });
    });
    const world = await createWorld([ten, waiting]);
    const run = await world.start(ten);
    const reader = run.readable.getReader();
    const seen: string[] = [];
    for (let n = 0; n < 10; n++) {
      seen.push(((await reader.read()).value as string).slice(-1));
      await new Promise(setImmediate);
    }
    expect([seen.join(""), (await reader.read()).done]).toEqual(["0123456789", true]);
    const parked = await world.start(waiting);
    const gone = parked.getReadable({ startIndex: 1 }).getReader();
    const read = gone.read();
    await new Promise(setImmediate);
    await gone.cancel();
    expect((await read).done).toBe(true);
  });

  test("answers a request with a run's stream", async () => {
    const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
    const reports = workflow("reports", async () => {
      await write([encode("one, "), encode("two")]);
    });
    const world = await createWorld([reports]);
    const run = await world.start(reports);
    expect(await new Response(run.readable).text()).toBe("one, two");
    const texts = workflow("texts", async () => write(["three, ", "four"]));
    await world.restart({ workflows: [texts] });
    const other = await world.start(texts);
    expect(await new Response(other.readable.pipeThrough(new TextEncoderStream())).text()).toBe("three, four");
  });

  test("in another process on the file is told within a look at it", async () => {
    const talks = workflow("talks", async () => {
      await hold("talk");
      await write(["heard"]);
      await createHook({ token: "talks" });
    });
    const world = await createWorld([talks], { mode: "hot" });
    const run = await world.engine.start(talks);
    const door = createEngine({
      store: sqliteStore({ path: world.path as string, clock: world.clock }),
      role: "ingress",
      keys: testKeys,
      baseUrl: null,
      clock: world.clock,
      workflows: [],
    });
    onTestFinished(() => door.close());
    const reader = door.getRun(run.runId).readable.getReader();
    const read = reader.read();
    await door.open();
    gate("talk").open();
    await world.settled();
    world.clock.advance(100);
    expect((await read).value).toBe("heard");
  });

  test("of a run that does not exist is told so, and slips are told at the call", async () => {
    const world = await createWorld([ten]);
    await expect(all(world.engine.getRun("nobody").readable)).rejects.toMatchObject({ code: "run_not_found" });
    const run = await world.start(ten);
    const slips: (() => WorkflowReadableStream)[] = [
      () => run.getReadable({ startIndex: 1.5 }),
      () => run.getReadable({ startIndex: "1" as never }),
      () => run.getReadable({ namespace: 1 as never }),
      () => run.getReadable({ index: 1 } as never),
    ];
    for (const slip of slips) expect(slip).toThrow(expect.objectContaining({ code: "bad_argument" }));
  });
});

describe("processes on one file", () => {
  test.each(["write.before_commit:3", "write.after_commit:3", "step.after_commit:3"])(
    "the writer is killed at %s and begun again: who reads by index, in another process, has each chunk once",
    async (point) => {
      const world = await createCrashWorld({ CRASH_CLOCK: "short" });
      const count = 6;
      const dying = world.dieAt([point]);
      await world.ask(`/start/speak/s1/${count}`);
      const seen: unknown[] = [];
      // A reader that comes, reads a little, and goes, as a client with a bad line does.
      for (let isOver = false; !isOver; ) {
        const door = createEngine({ store: `sqlite:${world.store}`, role: "ingress", keys: testKeys, baseUrl: null, workflows: [] });
        const reader = door.getRun("s1").getReadable({ startIndex: seen.length }).getReader();
        for (let read = 0; read < 3 && !isOver; read++) {
          const { done, value } = await reader.read();
          isOver = done;
          if (!done) seen.push(value);
        }
        await reader.cancel();
        await door.close();
      }
      await dying;
      const again = point === "step.after_commit:3" ? [] : [2];
      const isKept = point === "write.after_commit:3";
      expect(seen).toEqual(
        [...Array(count).keys()].flatMap((n) => {
          const first = { n, attempt: 1 };
          const second = { n, attempt: 2 };
          if (!again.includes(n)) return [first];
          return isKept ? [first, second] : [second];
        }),
      );
    },
  );
});
