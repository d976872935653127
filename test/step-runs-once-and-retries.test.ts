// A step that has finished never runs again; until then it is tried as its author asked (G3, ST1–ST3).

import { describe, expect, test } from "vitest";
import { FatalError, RetryableError, fetch, getStepMetadata, getWorkflowMetadata, sleep, step, workflow } from "../src/index.ts";
import { RingbackError } from "../src/errors.ts";
import { createWorld, modes } from "./harness.ts";

describe.each(modes)("steps (%s)", (mode) => {
  test("a step's result is recorded, and the body does not run again after a restart", async () => {
    let bodies = 0;
    const charge = step("charge", async (cents: number) => ({ cents, id: ++bodies }));
    const wf = workflow("once", async () => {
      const first = await charge(100);
      await sleep("1h");
      return [first, await charge(200)];
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    await world.restart();
    await world.advance(3_600_000);
    expect(await world.engine.getRun(run.runId).returnValue).toEqual([
      { cents: 100, id: 1 },
      { cents: 200, id: 2 },
    ]);
    expect(bodies).toBe(2);
  });

  test("a failed attempt is repeated with growing delays, under one idempotency key, four times in all", async () => {
    const seen: { attempt: number; key: string; at: number }[] = [];
    const flaky = step("flaky", async () => {
      const { attempt, idempotencyKey } = getStepMetadata();
      seen.push({ attempt, key: idempotencyKey, at: world.clock.now() });
      throw new Error(`attempt ${attempt}`);
    });
    const wf = workflow("flaky", async () => {
      try {
        return await flaky();
      } catch (error) {
        return (error as Error).message;
      }
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    for (let i = 0; i < 3; i++) await world.advance(10_000);
    expect(await run.returnValue).toBe("attempt 4");
    expect(seen.map((one) => one.attempt)).toEqual([1, 2, 3, 4]);
    expect(new Set(seen.map((one) => one.key)).size).toBe(1);
    const retries = (await world.journal(run))
      .filter((event) => event.kind === "step_retrying")
      .map((event) => (event.kind === "step_retrying" ? event.dueAt - event.at : 0));
    for (const [index, delay] of retries.entries()) {
      expect(delay).toBeGreaterThanOrEqual(500 * 2 ** index);
      expect(delay).toBeLessThanOrEqual(1_000 * 2 ** index);
    }
  });

  test("FatalError ends a step at once; RetryableError says when to try again; maxRetries 0 is one attempt", async () => {
    let fatal = 0;
    let once = 0;
    const attempts: number[] = [];
    const wf = workflow("kinds", async () => {
      const errors: unknown[] = [];
      await step
        .run("fatal", () => {
          fatal++;
          throw new FatalError("no", "declined");
        })
        .catch((error) => errors.push([error.name, error.code, error instanceof FatalError]));
      await step
        .run(
          "once",
          () => {
            once++;
            throw new Error("no");
          },
          { maxRetries: 0 },
        )
        .catch((error) => errors.push(error.message));
      const later = await step.run("later", () => {
        attempts.push(world.clock.now());
        if (attempts.length === 1) throw new RetryableError("busy", { retryAfter: "2h" });
        return "done";
      });
      return [errors, later];
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    await world.advance(7_199_999);
    expect(attempts.length).toBe(1);
    await world.advance(1);
    expect(await run.returnValue).toEqual([[["FatalError", "declined", true], "no"], "done"]);
    expect([fatal, once, attempts.length]).toEqual([1, 1, 2]);
  });

  test("RetryableError: its instant is a Date, by the engine's clock, 1 s from now unless told; what is no span ends the step at once", async () => {
    const told: unknown[] = [];
    const starts: number[] = [];
    const wf = workflow("retryable", async () => {
      await step.run("busy", () => {
        starts.push(world.clock.now());
        if (starts.length > 2) return;
        const error = new RetryableError("busy", starts.length === 1 ? {} : { retryAfter: new Date(world.clock.now() + 5_000) });
        told.push(error.retryAfter.getTime() - world.clock.now());
        throw error;
      });
      const never = await step.run("never", () => Promise.reject(new RetryableError("x", { retryAfter: "soon" }))).catch((e) => e.code);
      const last = await step
        .run("last", () => Promise.reject(new RetryableError("x", { retryAfter: "1m" })), { maxRetries: 0 })
        .catch((error: RetryableError) => error.retryAfter);
      return [never, last];
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    await world.advance(999);
    expect(starts.length).toBe(1);
    await world.advance(1);
    await world.advance(5_000);
    expect(told).toEqual([1_000, 5_000]);
    expect(await run.returnValue).toEqual(["bad_argument", new Date(world.clock.now() + 60_000)]);
  });

  test("a step that has used up its attempts rejects with what the last one threw, whole", async () => {
    class CardError extends TypeError {
      readonly status = 402;
      readonly seen = new Map([["at", new Date(7)]]);
    }
    let attempts = 0;
    const charge = step("charge", async () => {
      attempts++;
      throw new CardError(`declined ${attempts}`, { cause: new RangeError("limit") });
    });
    const wf = workflow("exhausted", async () => {
      const error = await charge().catch((thrown: CardError) => thrown);
      await sleep("1m");
      const { name, message, status, seen, cause } = error as CardError;
      return [error instanceof TypeError, name, message, status, seen, cause instanceof RangeError];
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    for (let retry = 0; retry < 3; retry++) await world.advance(60_000);
    await world.restart();
    await world.advance(60_000);
    expect(attempts).toBe(4);
    expect(await world.engine.getRun(run.runId).returnValue).toEqual([
      true,
      "CardError",
      "declined 4",
      402,
      new Map([["at", new Date(7)]]),
      true,
    ]);
  });

  test("an attempt that takes longer than its timeout is aborted and tried again", async () => {
    const aborted: string[] = [];
    let attempt = 0;
    const slow = step(
      "slow",
      async () => {
        const { signal } = getStepMetadata();
        if (++attempt === 2) return "second";
        return new Promise<string>((_, reject) =>
          signal.addEventListener("abort", () => {
            aborted.push(signal.reason.code);
            reject(signal.reason);
          }),
        );
      },
      { timeout: "5s" },
    );
    const wf = workflow("timeouts", async () => slow());
    const world = await createWorld([wf], { mode });
    const starting = world.engine.start(wf, []);
    const run = await starting;
    while (attempt === 0) await new Promise(setImmediate);
    world.clock.advance(5_000);
    while ((await world.journal(run)).every((event) => event.kind !== "step_retrying")) await new Promise(setImmediate);
    await world.advance(10_000);
    expect(await run.returnValue).toBe("second");
    expect(aborted).toEqual(["step_timeout"]);
  });

  test("errors keep class, message, own fields and cause through a step and a replay", async () => {
    const wf = workflow("errors", async () => {
      const caught: unknown[] = [];
      const fail = step(
        "fail",
        async () => {
          const error = new TypeError("bad", { cause: new RangeError("deep") });
          throw Object.assign(error, { field: { nested: [1n, new Date(5)] } });
        },
        { maxRetries: 0 },
      );
      try {
        await fail();
      } catch (error) {
        const thrown = error as TypeError & { field: unknown };
        caught.push(thrown instanceof TypeError, thrown.message, thrown.field, thrown.cause instanceof RangeError);
      }
      await sleep("1m");
      return caught;
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    await world.restart();
    await world.advance(60_000);
    expect(await world.engine.getRun(run.runId).returnValue).toEqual([true, "bad", { nested: [1n, new Date(5)] }, true]);
  });

  test("a run that throws fails with what it threw as the cause", async () => {
    const wf = workflow("throws", async () => {
      throw new SyntaxError("oops");
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    const error = await run.returnValue.catch((thrown) => thrown);
    expect(RingbackError.is(error, "run_failed")).toBe(true);
    expect(error.cause).toBeInstanceOf(SyntaxError);
    expect(await run.status).toBe("failed");
  });

  test("an unserialisable argument or result is a clear error naming the path, and nothing is retried", async () => {
    let bodies = 0;
    const give = step("give", async (_value: unknown) => {
      bodies++;
      return { ok: [() => 1] };
    });
    const wf = workflow("values", async () => {
      const errors: string[] = [];
      try {
        await give({ a: [new WeakMap()] });
      } catch (error) {
        errors.push((error as RingbackError).code, String((error as RingbackError<"unserialisable">).details.path));
      }
      try {
        await give(1);
      } catch (error) {
        errors.push((error as RingbackError).code, String((error as RingbackError<"unserialisable">).details.path));
      }
      return errors;
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    expect(await run.returnValue).toEqual(["unserialisable", "$[0].a[0]", "unserialisable", "$.ok[0]"]);
    expect(bodies).toBe(1);
  });

  test("a step called in a step, or where no run is around, is a plain call; metadata tells where code runs", async () => {
    const inner = step("inner", async (n: number) => n + 1);
    const outer = step("outer", async (n: number) => [await inner(n), getStepMetadata().stepName, getWorkflowMetadata().workflowName]);
    const wf = workflow("nested", async () => outer(1));
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    expect(await run.returnValue).toEqual([2, "outer", "nested"]);
    expect(await inner(4)).toBe(5);
    expect((await world.journal(run)).filter((event) => event.kind === "step_scheduled").length).toBe(1);
  });

  test("metadata tells where the engine is reached: in workflow code as it was when first asked, in a step as it is", async () => {
    const look = step("look", async (url: string) => [url, getWorkflowMetadata().url]);
    const wf = workflow("where", async () => {
      const { url } = getWorkflowMetadata();
      await sleep("1m");
      return [url, getWorkflowMetadata().url, ...(await look(url)), Object.keys(getWorkflowMetadata())];
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    await world.restart({ baseUrl: "https://moved.example/base/" });
    await world.advance(60_000);
    const [then, now] = ["https://app.example", "https://moved.example/base"];
    const keys = ["workflowName", "workflowRunId", "workflowStartedAt"];
    expect(await world.engine.getRun(run.runId).returnValue).toEqual([then, then, then, now, keys]);
    expect((await world.journal(run)).filter((event) => event.kind === "url_read").length).toBe(1);
    await world.restart({ baseUrl: null });
    const none = await world.start(wf);
    expect(await none.returnValue.catch((error) => error.cause.code)).toBe("base_url_required");
  });

  test("steps run side by side, at most as many as the engine allows", async () => {
    let now = 0;
    let most = 0;
    const work = step("work", async (n: number) => {
      most = Math.max(most, ++now);
      await new Promise(setImmediate);
      now--;
      return n;
    });
    const wf = workflow("parallel", async () => Promise.all(Array.from({ length: 20 }, (_, n) => work(n))));
    const world = await createWorld([wf], { mode, concurrency: 5 });
    const run = await world.start(wf);
    expect(await run.returnValue).toEqual(Array.from({ length: 20 }, (_, n) => n));
    expect(most).toBe(5);
  });

  test("fetch is a step in workflow code: the response is recorded with its body", async () => {
    const { createServer } = await import("node:http");
    let calls = 0;
    const server = createServer((_, response) => {
      calls++;
      response.setHeader("x-n", String(calls));
      response.end("pong");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as { port: number }).port}/`;
    const wf = workflow("fetches", async (target: string) => {
      const response = await fetch(target, { method: "POST", body: "ping" });
      await sleep("1s");
      return [response.status, await response.text(), response.headers.get("x-n")];
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf, url);
    await world.restart();
    await world.advance(1_000);
    expect(await world.engine.getRun(run.runId).returnValue).toEqual([200, "pong", "1"]);
    expect(calls).toBe(1);
    server.close();
  });
});
