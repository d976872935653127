// A portable workflow on an engine is durable as it is: its steps are steps of a run, its waits are hooks, and nothing is loaded, saved or
// injected.

import { describe, expect, test, vi } from "vitest";
import {
  createHook,
  createWorkflow,
  defineHook,
  err,
  gatedStep,
  ok,
  pendingApproval,
  pendingHook,
  type Result,
  type Step,
  TaggedError,
  type UnexpectedError,
} from "../src/portable.ts";
import { RunCancelledError } from "../src/errors.ts";
import { createWorld, modes } from "./harness.ts";

class Declined extends TaggedError("Declined")<{ code: number }> {}

/** A workflow whose steps may fail with anything. */
const anything = (name: string) => createWorkflow<{ readonly any: () => Result<never, any> }>(name);

function createGate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open!: () => void;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

describe.each(modes)("%s", (mode) => {
  test("two hooks over two restarts: each step is done once, and the result is what it would be alone", async () => {
    const world = await createWorld([], { mode });
    const done: string[] = [];
    const does = (what: string) => () => ok(void done.push(what));
    const payment = createWorkflow("payment", {
      pay: async () => pendingHook<{ ref: string }>("pay-1"),
      ship: async () => pendingHook<string>("ship-1"),
    });
    const body = async ({ step, deps, ctx }: Parameters<Parameters<typeof payment.run>[0]>[0]) => {
      await step("charge", does("charge"));
      const { ref } = await step("wait", () => deps.pay(), { key: "hook:pay-1" });
      await step("fulfil", does(`fulfil ${ref}`));
      const parcel = await step("wait", () => deps.ship(), { key: "hook:ship-1" });
      return { parcel, input: ctx.input, id: ctx.workflowId, at: new Map([[new Date(0), ref]]) };
    };
    const input = { order: 7, since: new Date(5) };
    const { runId } = await world.engine.run(payment, body, { id: "p-1", input, attributes: { order: "7" } });
    await world.settled();
    const restart = async () => {
      await world.restart();
      for (const engine of world.engines) engine.register(payment, body);
      await world.settled();
    };
    await restart();
    expect((await world.engine.signal("hook:pay-1", { ref: "r" })).disposition).toBe("accepted");
    await world.settled();
    await restart();
    await world.engine.resumeHook("hook:ship-1", "parcel");
    await world.settled();
    const again = await world.engine.run(payment, body, { id: "p-1", input });
    expect(again.runId).toBe(runId);
    const result: Result<{ parcel: string }, UnexpectedError> = await again.result();
    expect(result).toEqual(ok({ parcel: "parcel", input, id: "p-1", at: new Map([[new Date(0), "r"]]) }));
    expect(await again.run.returnValue).toEqual(((await again.result()) as { value: unknown }).value);
    expect(done).toEqual(["charge", "fulfil r"]);
    expect(await again.run.status).toBe("completed");
  });

  test("hook ids that are made anew at each load: the one that was handed out counts", async () => {
    const world = await createWorld([], { mode });
    const sent: string[] = [];
    /** A module as it is loaded: with ids of its own. */
    const load = () => {
      const hooks = [createHook(), createHook()];
      const workflow = anything("anew");
      const body = async ({ step }: { step: Step }) => {
        const waits = hooks.map(async ({ hookId, stepKey }) => {
          await step("send", () => ok(void sent.push(hookId)));
          return step("wait", async () => pendingHook<string>(hookId), { key: stepKey });
        });
        const both = await Promise.all(waits);
        // The same key again is the same step.
        return [...both, await step("wait", async () => pendingHook<string>("none"), { key: hooks[0]?.stepKey })];
      };
      return [workflow, body as never] as const;
    };
    const first = load();
    for (const engine of world.engines) engine.register(...first);
    const run = await world.engine.run(...first);
    await world.settled();
    await world.restart();
    const second = load();
    for (const engine of world.engines) engine.register(...second);
    await world.settled();
    for (const [index, hookId] of sent.entries()) await world.engine.resumeHook(`hook:${hookId}`, `payload ${index}`);
    await world.settled();
    expect(await world.engine.getRun(run.runId).returnValue).toEqual(["payload 0", "payload 1", "payload 0"]);
    expect(sent).toHaveLength(2);
  });
});

test("a callback that comes before its step waits is kept; a repeat of its key is known; one that comes later is refused", async () => {
  const world = await createWorld([]);
  const workflow = anything("early");
  const gate = createGate();
  const body = async ({ step }: { readonly step: Step<any> }) => {
    await step("hand out", async () => ok(await gate.opened));
    return step("wait", async () => pendingHook<{ ref: string }>("h-1"));
  };
  for (const engine of world.engines) engine.register(workflow, body);
  const run = await world.engine.run(workflow, body);
  const post = (body: string, headers: Record<string, string> = {}) =>
    world.engine.callback("h-1", new Request("https://shop.example/hook/h-1", { method: "POST", body, headers }));
  const told = async (answer: Promise<Response>) => {
    const { status, headers } = await answer;
    return [status, headers.get("Ringback-Disposition")];
  };
  const key = { "Idempotency-Key": "k-1" };
  expect(await told(post('{"ref":"r-1"}', key))).toEqual([202, "buffered"]);
  expect(await told(post('{"ref":"r-1"}', key))).toEqual([202, "duplicate"]);
  expect((await world.engine.signal("hook:other", 1)).disposition).toBe("buffered"); // hook tokens are kept early here
  expect((await world.engine.signal("hoot:other", 1)).disposition).toBe("unknown");
  gate.open();
  expect(await run.result()).toEqual(ok({ ref: "r-1" }));
  expect(await told(post('{"ref":"r-1"}', key))).toEqual([202, "duplicate"]);
  expect(await told(post('{"ref":"r-2"}'))).toEqual([410, "closed"]);
  expect((await post("{")).status).toBe(422);
});

test("a schema judges at the door: what it refuses is told to the sender, and the wait stays open", async () => {
  const world = await createWorld([]);
  const schema = {
    "~standard": {
      version: 1 as const,
      vendor: "test",
      validate: (value: unknown) =>
        typeof value === "object" && value !== null && "cents" in value
          ? { value: { euros: Number(value.cents) / 100 } }
          : { issues: [{ message: "no cents", path: ["cents"] }] },
    },
  };
  const paid = defineHook<{ euros: number }>("bridge-paid", { schema });
  const workflow = anything("judged");
  const body = ({ step }: { readonly step: Step<any> }) => step("wait", async () => paid.pending("j-1"));
  for (const engine of world.engines) engine.register(workflow, body);
  const run = await world.engine.run(workflow, body);
  await world.settled();
  const request = (body: object) => new Request("https://a.example/", { method: "POST", body: JSON.stringify(body) });
  const asked = await world.engine.callback("j-1", new Request("https://shop.example/hook/j-1"));
  expect([asked.status, asked.headers.get("Allow")]).toEqual([405, "POST, PUT, PATCH"]);
  const refused = await world.engine.callback("j-1", request({}));
  expect([refused.status, await refused.json()]).toEqual([
    422,
    { code: "invalid_payload", issues: [{ message: "no cents", path: ["cents"] }] },
  ]);
  await expect(world.engine.resumeHook("hook:j-1", {})).rejects.toThrow("no cents");
  expect((await world.engine.callback("j-1", request({ cents: 250 }))).status).toBe(202);
  expect(await run.result()).toEqual(ok({ euros: 2.5 }));
});

test("a wait ends when its time is up, and a limit bounds it", async () => {
  const world = await createWorld([]);
  const run = await world.engine.run(anything("timed"), async ({ step }) => {
    const limit = await step
      .withTimeout("limit", async () => pendingHook("t-1"), { ms: "1m", error: "LATE" })
      .catch(({ error }) => error as unknown);
    await step.sleep("rest", "1h");
    await step("wait", async () => pendingHook("t-2", { timeout: "3d" }));
    return limit;
  });
  await world.settled();
  await world.advance(60_000);
  await world.advance(3_600_000);
  expect(await run.run.state).toBe("waiting");
  await world.advance(3 * 86_400_000);
  const result = await run.result();
  expect(result).toMatchObject({ ok: false, error: { _tag: "HookTimedOut", step: "wait" } });
  expect(await run.run.status).toBe("failed");
});

test("approvals are answered by their keys, also early, and each asks for a word of its own", async () => {
  const world = await createWorld([]);
  const gated = gatedStep(async (cents: number) => ok(cents), {
    key: "refund",
    requiresApproval: (cents) => cents > 100,
    description: "pays back",
  });
  const run = await world.engine.run(anything("approved"), async ({ step }) => [
    await step("ask", () => pendingApproval<string>("boss", { reason: "large" })),
    ...(await Promise.all([step("gate", () => gated(500)), step("gate", () => gated(600)), step("gate", () => gated(50))])),
  ]);
  await world.settled();
  const [asked] = await world.engine.listHooks({ runId: run.runId });
  expect(asked?.metadata).toEqual({ approval: { key: "boss", reason: "large" } });
  expect((await run.approve("boss", "yes")).disposition).toBe("accepted");
  await world.settled();
  expect((await run.approve("refund", 1)).disposition).toBe("accepted");
  await world.settled();
  expect(await run.run.state).toBe("waiting");
  await run.approve("refund", 2);
  expect(await run.result()).toEqual(ok(["yes", 1, 2, 50]));
});

test("an error is the run's result as it would be alone, and the run has failed for people, in its words", async () => {
  const world = await createWorld([]);
  const results = async (body: (context: { step: Step }) => unknown, name: string) => {
    const run = await world.engine.run(anything(name), body as never);
    return {
      found: await run.result(),
      alone: await anything(name).run(body as never),
      info: await world.engine.getRunInfo(run.runId),
      run,
    };
  };
  const tagged = await results(({ step }) => step("pay", () => err(new Declined({ code: 7 }, { message: "Card declined." }))), "tagged");
  expect(tagged.found).toEqual(tagged.alone);
  expect(TaggedError.isTaggedError((tagged.found as { error: unknown }).error)).toBe(true);
  expect(await tagged.run.run.state).toBe("failed");
  await expect(tagged.run.run.returnValue).rejects.toThrow("Card declined.");
  const text = await results(({ step }) => step("find", () => err("NOT_FOUND")), "text");
  expect(text.found).toEqual(text.alone);
  await expect(text.run.run.returnValue).rejects.toThrow("NOT_FOUND");
  const data = await results(({ step }) => step("find", () => err({ type: "GONE", since: new Date(3) })), "data");
  expect(data.found).toEqual(data.alone);
  const around: { type: string; cents: bigint; self?: unknown } = { type: "GONE", cents: 5n };
  around.self = around;
  const beyond = await results(({ step }) => step("find", () => err(around)), "beyond");
  expect(beyond.found).toEqual(beyond.alone);
  const thrown = await results(({ step }) => step("burst", () => Promise.reject(new RangeError("burst"))), "thrown");
  expect(thrown.found).toMatchObject({ ok: false, error: { _tag: "UnexpectedError", message: "burst", cause: { message: "burst" } } });
  const large = await results(({ step }) => step("large", () => ok("x".repeat(5 * 1024 * 1024))), "large");
  expect(large.found).toMatchObject({ ok: false, error: { _tag: "UnexpectedError" } });
  const unkept = await world.engine.run(anything("unkept"), () => () => {});
  await expect(unkept.result()).rejects.toThrow("cannot be kept");
});

test("what was done before a wait is undone after it, and a restart in the middle of that goes on", async () => {
  const world = await createWorld([], { mode: "hot" });
  const undone: string[] = [];
  let crash: (() => void) | null = null;
  const workflow = anything("undone");
  const body = async ({ step }: { step: Step }) => {
    for (const id of ["a", "b", "c"])
      await step(id, () => ok(id), {
        compensate: async (value) => {
          if (id === "b" && crash) await new Promise<void>(() => crash?.());
          undone.push(value);
          if (id === "a") throw new RangeError("stuck");
        },
      });
    await step("wait", async () => pendingHook("u-1"));
    return step("fail", () => err("FAILED"));
  };
  const crashed = new Promise<void>((resolve) => (crash = resolve));
  const { runId } = await world.engine.run(workflow, body as never);
  await world.settled();
  await world.restart();
  for (const engine of world.engines) engine.register(workflow, body as never);
  await world.engine.resumeHook("hook:u-1", null);
  await crashed;
  crash = null;
  await world.restart();
  for (const engine of world.engines) engine.register(workflow, body as never);
  await world.advance(1_000);
  await expect(world.engine.getRun(runId).returnValue).rejects.toThrow("Not undone: a.");
  expect(undone).toEqual(["c", "b", "a"]);
});

test("a child's steps are steps of its parent, and it may wait", async () => {
  const world = await createWorld([]);
  const shipping = anything("shipping");
  const run = await world.engine.run(anything("parent"), async ({ step }) => [
    await step("a", () => ok(1)),
    await step.workflow("ship", (parent) =>
      shipping.run(async ({ step: own }) => own("a", async () => pendingHook<number>("c-1")), parent),
    ),
  ]);
  await world.settled();
  expect((await run.run.timeline).flatMap((entry) => ("name" in entry ? entry.name : []))).toContain("ship/a");
  await world.engine.resumeHook("hook:c-1", 2);
  expect(await run.result()).toEqual(ok([1, 2]));
});

describe("a raw await", () => {
  test("in the body is misuse: the run is set aside, with the line, and goes on with code that is mended", async () => {
    const world = await createWorld([]);
    const workflow = anything("raw");
    const done: string[] = [];
    const rest = async (step: Step) => {
      await step("wait", async () => pendingHook("r-1"));
      return step("last", () => ok(void done.push("last")));
    };
    const raw = async ({ step }: { step: Step }) => {
      const others = step("beside", async () => pendingHook("r-0")).catch(() => {});
      try {
        await step("first", () => ok(void done.push("first")));
        await new Promise((resolve) => setTimeout(resolve, 0));
        return await rest(step);
      } catch {
        done.push("caught");
        return "swallowed";
      } finally {
        void others;
      }
    };
    const run = await world.engine.run(workflow, raw as never);
    await vi.waitFor(async () => expect(await run.run.state).toBe("blocked"));
    const blocked = await run.run.blocked;
    expect(blocked?.reason).toBe("misuse");
    expect(blocked?.message).toMatch(new RegExp(`run ${run.runId} \\(raw\\) at .*portable-on-the-engine.test.ts:\\d+`));
    expect(blocked?.message).toContain("setTimeout");
    await world.restart();
    const mended = async ({ step }: { step: Step }) => {
      step("beside", async () => pendingHook("r-0")).catch(() => {});
      await step("first", () => ok(void done.push("first")));
      return rest(step);
    };
    world.engine.register(workflow, mended as never);
    await world.advance(1_000);
    await world.engine.resumeHook("hook:r-1", null);
    await world.settled();
    expect(await world.engine.getRun(run.runId).status).toBe("completed");
    expect(done).toEqual(["first", "last"]);
  });

  test("with nothing beside it is told of at once", async () => {
    const world = await createWorld([]);
    const run = await world.engine.run(anything("raw-alone"), async () => {
      await new Promise((resolve) => setTimeout(resolve, 0));
      return "ended outside";
    });
    await world.settled();
    expect(await run.run.blocked).toMatchObject({ reason: "misuse", message: expect.stringContaining("setTimeout") });
  });
});

describe("a cancel", () => {
  const start = async (name: string) => {
    const world = await createWorld([]);
    const done: string[] = [];
    const run = await world.engine.run(anything(name), async ({ step }) => {
      try {
        await step("a", () => ok("a"), { compensate: () => void done.push("undo a") });
        await step("wait", async () => pendingHook(`${name}-1`), { compensate: () => void done.push("undo wait") });
      } finally {
        done.push("finally");
      }
    });
    await world.settled();
    return { world, run, done };
  };

  test("ends the run, and undoes nothing", async () => {
    const { world, run, done } = await start("cancelled");
    await run.run.cancel();
    await world.settled();
    expect(await run.run.status).toBe("cancelled");
    expect(new Set(done)).toEqual(new Set(["finally"]));
    await expect(run.result()).rejects.toThrow(RunCancelledError);
    expect((await world.engine.signal("hook:cancelled-1", 1)).disposition).toBe("closed");
  });

  test("with compensate undoes what was done, also what is under way", async () => {
    const { world, run, done } = await start("compensated");
    await run.run.cancel({ compensate: true });
    await world.settled();
    expect(await run.run.status).toBe("cancelled");
    expect(new Set(done)).toEqual(new Set(["finally", "undo a"]));
    const gate = createGate();
    const late = await world.engine.run(anything("late"), ({ step }) =>
      step("slow", async () => ok(await gate.opened), { compensate: () => void done.push("undo slow") }),
    );
    await vi.waitFor(async () => expect((await late.run.timeline).length).toBeGreaterThan(1));
    await late.run.cancel({ compensate: true });
    gate.open();
    await expect(late.result()).rejects.toThrow(RunCancelledError);
    expect(done).toContain("undo slow");
  });
});

test("a step within a step's body is a part of it; it may not wait there", async () => {
  const world = await createWorld([]);
  const nested = await world.engine.run(anything("nested"), async ({ step }) => [
    await step("outer", async () => ok(`(${await step("inner", () => ok("in"))})`)),
    await step("inner", () => ok("own")),
  ]);
  expect(await nested.result()).toEqual(ok(["(in)", "own"]));
  const waits = await world.engine.run(anything("nested-wait"), ({ step }) =>
    step("outer", async () => ok(await step("inner", async () => pendingHook("n-1")))),
  );
  expect(await waits.result()).toMatchObject({ ok: false, error: { message: expect.stringContaining("within the body of another step") } });
});

test("what a workflow takes from around it is told of before it is lost", async () => {
  const world = await createWorld([]);
  const make = (order: number) => createWorkflow("around", { order: async () => ok(order) });
  const body = async () => 1;
  const workflow = make(1);
  await (await world.engine.run(workflow, body)).result();
  await (await world.engine.run(workflow, body)).result();
  await expect(world.engine.run(make(2), body)).rejects.toThrow("make both once, at the top of a module");
  await expect(world.engine.run(workflow, async () => 2)).rejects.toThrow("Two workflows with different code");
  await expect(world.engine.run(createWorkflow({}), body)).rejects.toThrow("takes a workflow that has a name");
  await expect(world.engine.run({} as never, body)).rejects.toThrow("takes what createWorkflow() of ringback/portable returned");
  await expect(world.engine.run(workflow, "x" as never)).rejects.toThrow("a function, got string");
  await expect(world.engine.run(workflow, body, { ids: 1 } as never)).rejects.toThrow("ids");
});
