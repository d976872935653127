// What an attempt of a step writes: when it counts, when it is refused, and who may write at all (SW1–SW4).

import { describe, expect, test } from "vitest";
import { getRun, start } from "../src/api.ts";
import { createHook, createWebhook, FatalError, getStepMetadata, getWritable, step, workflow } from "../src/index.ts";
import { createWorld } from "./harness.ts";
import { all, gate, take, write } from "./stream-reading.ts";

describe("what an attempt writes", () => {
  test("stays where the attempt fails, and the next one writes on; a close counts only with the outcome", async () => {
    const retried = step("retried", async () => {
      const { attempt } = getStepMetadata();
      const writer = getWritable().getWriter();
      await writer.write(`attempt ${attempt}`);
      void writer.write("not awaited");
      await writer.close();
      if (attempt === 1) throw new Error("once more");
    });
    const retries = workflow("retries", async () => retried());
    const world = await createWorld([retries]);
    const run = await world.start(retries);
    const reader = run.readable.getReader();
    expect([(await reader.read()).value, (await reader.read()).value]).toEqual(["attempt 1", "not awaited"]);
    await world.advance(60_000);
    expect([(await reader.read()).value, (await reader.read()).value, (await reader.read()).done]).toEqual([
      "attempt 2",
      "not awaited",
      true,
    ]);
    await run.returnValue;
  });

  test("is committed before the step is, awaited or not, also by pipeTo; what cannot be stored fails it", async () => {
    const pours = step("pours", async () => {
      const writer = getWritable().getWriter();
      for (let n = 0; n < 50; n++) void writer.write(n);
    });
    const pipes = step("pipes", async () => {
      await ReadableStream.from(["x", "y"]).pipeTo(getWritable(), { preventClose: true });
    });
    const bad = step("bad", async () => void getWritable().getWriter().write(Symbol("no")), { maxRetries: 0 });
    const writes = workflow("writes", async () => {
      await pours();
      await pipes();
      return bad().catch((error: { code: string }) => error.code);
    });
    const world = await createWorld([writes]);
    const run = await world.start(writes);
    expect(await run.returnValue).toBe("unserialisable");
    expect(await all(run.readable)).toEqual([...Array(50).keys(), "x", "y"]);
  });

  test("is refused once the attempt is over: after its timeout, and after its end", async () => {
    const told: unknown[] = [];
    const late = step(
      "late",
      async () => {
        const { attempt } = getStepMetadata();
        const writer = getWritable().getWriter();
        await writer.write(`begins ${attempt}`);
        if (attempt > 1) return;
        await gate("late").opened;
        told.push(await writer.write("too late").catch((error: unknown) => error));
        gate("told").open();
      },
      { timeout: 1_000 },
    );
    const runs = workflow("runs late", async () => late());
    const world = await createWorld([runs]);
    const run = await world.engine.start(runs);
    expect(await take(run.readable, 1)).toEqual(["begins 1"]);
    world.clock.advance(1_000);
    expect(await take(run.readable, 1)).toEqual(["begins 1"]);
    while ((await world.journal(run)).at(-1)?.kind !== "step_retrying") await new Promise(setImmediate);
    gate("late").open();
    await gate("told").opened;
    await world.advance(60_000);
    expect(told).toMatchObject([{ code: "stream_closed", details: { by: "attempt" } }]);
    expect(await all(run.readable)).toEqual(["begins 1", "begins 2"]);
  });

  test("is as it was when it was written, whatever becomes of the object", async () => {
    const changes = step("changes", async () => {
      const writer = getWritable<number[]>().getWriter();
      const chunk = [1];
      const first = writer.write(chunk);
      const second = writer.write(chunk);
      chunk.push(2);
      await Promise.all([first, second, writer.write(chunk)]);
    });
    const run = workflow("changing", async () => changes());
    const world = await createWorld([run]);
    expect(await all((await world.start(run)).readable)).toEqual([[1], [1], [1, 2]]);
  });

  test("is waited for where the body did not: writes, a close, and a pipe that leads to the stream", async () => {
    const leaves = step("leaves", async (how: number) => {
      const slow = new ReadableStream<string>({
        async pull(controller) {
          await new Promise(setImmediate);
          controller.enqueue(`piped ${how}`);
          controller.close();
        },
      });
      if (how === 1) void slow.pipeTo(getWritable(), { preventClose: true });
      if (how === 2) void slow.pipeThrough(new TransformStream()).pipeTo(getWritable({ namespace: "piped" }));
      const [one, other] = [getWritable().getWriter(), getWritable().getWriter()];
      void one.write(`one ${how}`);
      void one.write(`one more ${how}`);
      void other.write(`other ${how}`);
      if (how === 2) void other.close();
    });
    const left = workflow("left", async () => {
      await leaves(1);
      await leaves(2);
      await createHook({ token: "left" });
    });
    const world = await createWorld([left]);
    const run = await world.start(left);
    const chunks = ["piped 1", "one 1", "one more 1", "other 1", "one 2", "one more 2", "other 2"];
    const seen = await all(run.readable);
    expect([seen.length, new Set(seen)]).toEqual([chunks.length, new Set(chunks)]);
    expect(await all(run.getReadable({ namespace: "piped" }))).toEqual(["piped 2"]);
  });

  test("does not outrun the store where it waits for `ready`, and a write after close() is refused", async () => {
    const paces = step("paces", async () => {
      const writer = getWritable<string>().getWriter();
      let ahead = 0;
      for (let n = 0; n < 40; n++) {
        await writer.ready;
        void writer.write("x".repeat(10_000));
        ahead = Math.max(ahead, -(writer.desiredSize ?? 0));
      }
      const closing = writer.close();
      const refused = await writer.write("after").then(
        () => "written",
        (error: Error) => error.constructor.name,
      );
      await closing;
      return [ahead < 20_000, refused];
    });
    const run = workflow("pacing", async () => paces());
    const world = await createWorld([run]);
    const started = await world.start(run);
    expect(await started.returnValue).toEqual([true, "TypeError"]);
    expect(await all(started.readable)).toHaveLength(40);
  });

  test("holds no minted token at rest, and gives it to who reads", async () => {
    const asks = workflow("asks", async () => {
      const callback = createWebhook();
      await write([callback.url, new TextEncoder().encode(callback.url)]);
      await callback;
    });
    const world = await createWorld([asks]);
    const run = await world.start(asks);
    const [url, bytes] = (await take(run.readable, 2)) as [string, Uint8Array];
    expect(new TextDecoder().decode(bytes)).toBe(url);
    const { run: number } = (await world.store.run({ id: run.runId }))!;
    const part = await world.store.stream({ run: number, stream: "=", from: 0, bytes: 1_000 });
    const mac = url.split(":").at(-1) as string;
    expect(mac).toHaveLength(24);
    expect(part?.chunks.map((chunk) => chunk.includes(mac) || chunk.includes(btoa(url)))).toEqual([false, false]);
    expect((await world.engine.ingress(new Request(url, { method: "POST" }))).status).toBe(202);
  });

  test("aborted by its author is no failure: what was committed stays", async () => {
    const aborts = step("aborts", async () => {
      const writer = getWritable<string>().getWriter();
      await writer.write("kept");
      await writer.abort("enough");
      return "done";
    });
    const run = workflow("aborting", async () => aborts());
    const world = await createWorld([run]);
    const started = await world.start(run);
    expect(await started.returnValue).toBe("done");
    expect(await all(started.readable)).toEqual(["kept"]);
  });

  test("two writers of one run: each one's chunks are in its order", async () => {
    const both = workflow("both", async () => {
      const numbers = (from: string) => write(Array.from({ length: 20 }, (_, n) => `${from}${n}`));
      await Promise.all([numbers("a"), numbers("b")]);
    });
    const world = await createWorld([both]);
    const run = await world.start(both);
    await run.returnValue;
    const chunks = (await all(run.readable)) as string[];
    for (const from of ["a", "b"])
      expect(chunks.filter((chunk) => chunk.startsWith(from))).toEqual(Array.from({ length: 20 }, (_, n) => `${from}${n}`));
  });

  test("a child's step writes to its parent's stream where it was given that", async () => {
    const says = step("says", async (out: WritableStream<string>, last: boolean) => {
      const writer = out.getWriter();
      await writer.write("from the child");
      if (last) await writer.close();
    });
    const child = workflow("child", async (out: WritableStream<string>) => says(out, true));
    const parent = workflow("parent", async () => {
      const run = await start(child, [getWritable<string>()]);
      await run.returnValue;
      await createHook({ token: "parent" });
    });
    const world = await createWorld([parent, child]);
    const run = await world.start(parent);
    expect(await all(run.readable)).toEqual(["from the child"]);
  });
});

describe("where a stream is none", () => {
  test("workflow code neither reads nor writes, and host code does not write", async () => {
    const tries = workflow("tries", async () => {
      const told = async (call: () => unknown): Promise<unknown> => {
        try {
          return await call();
        } catch (error) {
          return (error as { code?: string }).code ?? String(error);
        }
      };
      const own = getRun("any");
      return [
        await told(() => getWritable().getWriter()),
        await told(() => getWritable().close()),
        await told(() => own.readable.getReader()),
        await told(() => own.readable[Symbol.asyncIterator]().next()),
        await told(() => own.readable.pipeThrough(new TextEncoderStream())),
        await told(() => own.readable.getTailIndex()),
        await told(() => getWritable({ namespace: 3 as never })),
        await told(() => getWritable({ namespace: "x".repeat(256) })),
        await told(() => getWritable({ name: "x" } as never)),
      ];
    });
    const world = await createWorld([tries]);
    const run = await world.start(tries);
    const forbidden = Array(6).fill("forbidden_in_workflow");
    expect(await run.returnValue).toEqual([...forbidden, "bad_argument", "too_large", "bad_argument"]);
    expect(() => getWritable()).toThrow(expect.objectContaining({ code: "outside_turn" }));
  });

  test("a handle that came back to the host does not write, and a fatal error is fatal still", async () => {
    const gives = workflow("gives", async () => getWritable());
    const fatal = step("fatal", async () => {
      void getWritable().getWriter().write(1);
      throw new FatalError("over");
    });
    const ends = workflow("ends", async () => fatal());
    const world = await createWorld([gives, ends]);
    const handle = await (await world.start(gives)).returnValue;
    expect(() => handle.getWriter()).toThrow(expect.objectContaining({ code: "outside_turn" }));
    const run = await world.start(ends);
    await expect(run.returnValue).rejects.toMatchObject({ cause: { message: "over" } });
    expect(await all(run.readable)).toEqual([1]);
  });
});
