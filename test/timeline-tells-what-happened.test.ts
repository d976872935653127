// A run's timeline: its journal for people, complete and in order, without what could answer a hook.

import { describe, expect, test } from "vitest";
import { RunNotFoundError } from "../src/core/errors.ts";
import { createHook, createWebhook, defineHook, sleep, step, workflow } from "../src/index.ts";
import { createWorld, epoch, modes } from "./harness.ts";

describe.each(modes)("a run's timeline (%s)", (mode) => {
  test("has every event, with its instant, the operation it belongs to, and what its author called that", async () => {
    let tokens: string[] = [];
    const approval = defineHook<{ ok: boolean }>("approval");
    const tell = step("tell", async (...told: string[]) => void (tokens = told));
    const wf = workflow("signs", async () => {
      const webhook = createWebhook({ timeout: "1h" });
      const hook = createHook({ token: "custom:42" });
      const defined = approval.create();
      await tell(webhook.token, hook.token, defined.token);
      await webhook;
      await defined;
      hook.dispose();
      await sleep("1m");
      return "done";
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    const [webhook = "", , defined = ""] = tokens;
    const request = new Request("https://app.example/", { method: "PUT", headers: { "webhook-id": "evt_1" }, body: webhook });
    const response = await world.engine.resumeWebhook(webhook, request);
    await world.engine.resumeHook(defined, { ok: true });
    await world.settled();
    await world.advance(60_000);

    const timeline = await run.timeline;
    const until = new Date(epoch + 3_600_000).toISOString();
    const due = new Date(epoch + 60_000).toISOString();
    expect(timeline.map(({ event, position, name, detail }) => [event, position, name, detail])).toEqual([
      ["run_started", undefined, "signs", undefined],
      ["hook_created", 1, undefined, `webhook, until ${until}`],
      ["hook_created", 2, undefined, "hook"],
      ["hook_created", 3, "approval", "hook"],
      ["step_scheduled", 4, "tell", undefined],
      ["step_completed", 4, "tell", undefined],
      ["hook_received", 1, undefined, `PUT, ${response.headers.get("ringback-delivery")}`],
      ["hook_received", 3, "approval", expect.stringMatching(/^a value, dlv_/)],
      ["hook_disposed", 2, undefined, undefined],
      ["timer_set", 6, undefined, `due ${due}`],
      ["timer_fired", 6, undefined, undefined],
      ["run_ended", undefined, undefined, "completed"],
    ]);
    expect(timeline.map(({ dueAt, delivery }) => dueAt?.toISOString() ?? delivery)).toEqual([
      undefined,
      until,
      ...[undefined, undefined, undefined, undefined],
      response.headers.get("ringback-delivery"),
      expect.stringMatching(/^dlv_/),
      undefined,
      due,
      undefined,
      undefined,
    ]);
    expect(timeline[0]?.at).toEqual(new Date(epoch));
    expect(timeline.at(-1)?.at).toEqual(new Date(epoch + 60_000));
    for (const token of tokens) expect(JSON.stringify(timeline)).not.toContain(token);
  });

  test("counts what nobody read, also what was committed after the last input that code saw", async () => {
    const wf = workflow("reads one", async () => {
      const hook = createHook<number>({ token: "reads one" });
      await sleep("1m");
      return await hook;
    });
    const world = await createWorld([wf], { mode });
    const waiting = await world.start(wf);
    await Promise.all([1, 2, 3].map((value) => world.engine.resumeHook("reads one", value)));
    await world.advance(60_000);
    expect((await waiting.timeline).at(-1)?.detail).toBe("completed, 2 payloads unread");
    const reading = await world.start(wf);
    await world.advance(60_000);
    const { engine } = world; // one group of one engine: the second is in before the code has read the first
    await Promise.all([1, 2].map((value) => engine.resumeHook("reads one", value)));
    expect(await reading.returnValue).toBe(1);
    expect((await reading.timeline).at(-1)?.detail).toBe("completed, 1 payload unread");
  });

  test("tells attempts of a step, and that a run is not there", async () => {
    let attempts = 0;
    const flaky = step("flaky", async () => {
      if (++attempts === 1) throw new Error("once");
    });
    const wf = workflow("tries", async () => flaky());
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    await world.advance(10_000);
    const told = (await run.timeline).filter(({ event }) => event.startsWith("step_"));
    expect(told.map(({ event, name, detail }) => [event, name, detail])).toEqual([
      ["step_scheduled", "flaky", undefined],
      ["step_retrying", "flaky", expect.stringMatching(/^attempt 2 due 2026-/)],
      ["step_completed", "flaky", "at attempt 2"],
    ]);
    expect(told.map(({ attempt, error }) => [attempt, error])).toEqual([
      [undefined, undefined],
      [2, "Error: once"],
      [2, undefined],
    ]);
    expect(told[1]?.dueAt?.getTime()).toBeGreaterThan(epoch);
    await expect(world.engine.getRun("nobody").timeline).rejects.toThrow(RunNotFoundError);
  });

  test("an error stands by its class and message, and a token in it is sealed", async () => {
    let token = "";
    const wf = workflow("breaks", async () => {
      const hook = createHook();
      const go = createHook({ token: "go" });
      token = hook.token;
      await go;
      throw new TypeError(`not ${token}`);
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    await world.engine.resumeHook("go", 1);
    await world.settled();
    const end = (await run.timeline).at(-1);
    expect(end?.error).toMatch(/^TypeError: not wh:t1:/);
    expect(end?.error).not.toContain(token);
  });
});
