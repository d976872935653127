// A hook takes what arrives while it is open, whenever anybody reads it, and refuses it when it is closed (D2, H6, RR3).

import { describe, expect, test } from "vitest";
import { start } from "../src/api.ts";
import { createHook, createWebhook, defineHook, race, sleep, type StandardSchema, step, workflow } from "../src/index.ts";
import { RingbackError } from "../src/errors.ts";
import { createWorld, modes } from "./harness.ts";

const code = (error: unknown): unknown => (RingbackError.is(error) ? error.code : error);

describe.each(modes)("hooks (%s)", (mode) => {
  test("a payload delivered before anybody awaits waits in the journal", async () => {
    const wf = workflow("early", async (id: string) => {
      const hook = createHook<number>({ token: `order:${id}` });
      await sleep("1h");
      return [await hook, await hook];
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf, "1");
    const first = await world.engine.resumeHook("order:1", 1);
    expect(first).toMatchObject({ runId: run.runId, token: "order:1", delivery: { disposition: "accepted", keyed: false } });
    await world.engine.resumeHook("order:1", 2);
    await world.restart();
    await world.advance(3_600_000);
    expect(await world.engine.getRun(run.runId).returnValue).toEqual([1, 2]);
  });

  test("a loop that races a hook against a timer loses no payload", async () => {
    const wf = workflow("loop", async () => {
      const hook = createHook<string>({ token: "loop" });
      const log: string[] = [];
      while (log.length < 4) log.push(await Promise.race([hook, sleep("1m").then(() => "tick")]));
      return log;
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    await world.advance(60_000);
    await world.engine.resumeHook("loop", "a");
    await world.settled();
    await world.advance(60_000);
    await world.engine.resumeHook("loop", "b");
    expect(await run.returnValue).toEqual(["tick", "a", "tick", "b"]);
  });

  test("a timer that falls due while earlier ones fire is fired with them", async () => {
    const wf = workflow("staggered", async () => {
      const hook = createHook<string>({ token: "staggered" });
      const log: string[] = [];
      for (;;) {
        const given = await Promise.race([hook, sleep("1h").then(() => null)]);
        if (given === null) return log;
        log.push(given);
      }
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    await world.engine.resumeHook("staggered", "a");
    await world.settled();
    await world.advance(1_800_000);
    await world.engine.resumeHook("staggered", "b");
    await world.settled();
    await world.advance(3_600_000);
    expect(await run.state).toBe("completed");
    expect(await run.returnValue).toEqual(["a", "b"]);
  });

  test("a timer of two weeks fires when two weeks have gone by, at whatever pace", async () => {
    const wf = workflow("fortnight", async () => sleep("14d"));
    const world = await createWorld([wf], { mode });
    const atOnce = await world.start(wf);
    await world.advance(14 * 86_400_000);
    expect(await atOnce.state).toBe("completed");
    const inSteps = await world.start(wf);
    for (let day = 0; day < 28; day++) await world.advance(43_200_000);
    expect(await inSteps.state).toBe("completed");
  });

  test("race({}) says which side won and cancels the timers of the others", async () => {
    const wf = workflow("keyed", async () => {
      const hook = createHook<number>({ token: "keyed" });
      const won = await race({ paid: hook, late: () => sleep("3d").then(() => "late" as const) });
      await step.run("ship", () => 1);
      return won;
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    await world.engine.resumeHook("keyed", 7);
    expect(await run.returnValue).toEqual({ key: "paid", value: 7 });
    expect((await world.journal(run)).map((event) => event.kind)).toContain("timer_cancelled");
    expect(await world.store.nextDue()).toBe(null);
  });

  test("a disposed hook refuses senders, ends iterators after the unread payloads, and frees its token", async () => {
    const wf = workflow("dispose", async () => {
      const log: unknown[] = [];
      {
        const hook = createHook<number>({ token: "channel" });
        await sleep("1s");
        hook.dispose();
        for await (const payload of hook) log.push(payload);
        await hook.then(
          () => log.push("read"),
          (error) => log.push(code(error)),
        );
      }
      const again = createHook<number>({ token: "channel" });
      log.push(await again.getConflict(), await again);
      return log;
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    await world.engine.resumeHook("channel", 1);
    await world.engine.resumeHook("channel", 2);
    await world.advance(1_000);
    await world.engine.resumeHook("channel", 3);
    expect(await run.returnValue).toEqual([1, 2, "hook_disposed", null, 3]);
    expect(await world.engine.signal("channel", 4)).toMatchObject({ disposition: "closed", by: "ended" });
  });

  test("a hook times out by the store's clock: readers get HookTimeoutError, a late payload is refused", async () => {
    const wf = workflow("timeout", async () => {
      const hook = createHook<number>({ token: "slow", timeout: "1h" });
      const log: unknown[] = [await hook];
      await hook.catch((error) => log.push(code(error), (error as Error).name));
      await sleep("1h");
      return log;
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    await world.engine.resumeHook("slow", 1);
    await world.advance(3_599_999);
    await world.settled();
    await world.advance(1);
    await world.restart();
    expect(await world.engine.signal("slow", 2)).toMatchObject({ disposition: "closed", by: "timeout" });
    await expect(world.engine.resumeHook("slow", 2)).rejects.toMatchObject({ code: "hook_closed" });
    await world.advance(3_600_000);
    expect(await world.engine.getRun(run.runId).returnValue).toEqual([1, "hook_timeout", "HookTimeoutError"]);
  });

  test("one open hook per token: the loser is told who holds it", async () => {
    const wf = workflow("claim", async () => {
      const hook = createHook<string>({ token: "one" });
      const conflict = await hook.getConflict();
      if (conflict) return hook.then(String, (error) => [conflict.runId, code(error)]);
      return await hook;
    });
    const world = await createWorld([wf], { mode });
    const first = await world.start(wf);
    const second = await world.start(wf);
    expect(await second.returnValue).toEqual([first.runId, "hook_conflict"]);
    await world.engine.resumeHook("one", "mine");
    expect(await first.returnValue).toBe("mine");
  });

  test("a schema judges at the door; a refused payload leaves the wait open; what it returns is the payload", async () => {
    const approval = defineHook<{ ok: unknown }, { ok: boolean }>({
      schema: {
        "~standard": {
          version: 1,
          vendor: "test",
          validate: async (value) =>
            typeof (value as { ok: unknown }).ok === "string"
              ? { value: { ok: (value as { ok: string }).ok === "yes" } }
              : { issues: [{ message: "ok must be text", path: ["ok"] }] },
        },
      },
    });
    const wf = workflow("judged", async () => {
      const hook = approval.create({ token: "judged" });
      return await hook;
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    await expect(world.engine.resumeHook("judged", { ok: 1 })).rejects.toMatchObject({
      code: "invalid_payload",
      details: { issues: [{ message: "ok must be text", path: ["ok"] }] },
    });
    await world.restart();
    expect(await world.engine.signal("judged", { ok: 2 })).toMatchObject({ disposition: "invalid" });
    await world.engine.resumeHook("judged", { ok: "yes" });
    expect(await world.engine.getRun(run.runId).returnValue).toEqual({ ok: true });
  });

  test("a schema that only a run's code holds judges after a restart, too, though the run was given a request of another", async () => {
    const parts: StandardSchema<number> = {
      "~standard": {
        version: 1,
        vendor: "test",
        validate: (value) => (typeof value === "number" ? { value } : { issues: [{ message: "a number, please" }] }),
      },
    };
    const child = workflow("child with a request", async (request: Request) => {
      const hook = defineHook<number>({ schema: parts }).create({ token: "unnamed" });
      return `${await request.text()} ${await hook}`;
    });
    let url = "";
    const parent = workflow("parent with a request", async () => {
      const webhook = createWebhook();
      url = webhook.url;
      return (await start(child, [await webhook])).returnValue;
    });
    const world = await createWorld([child, parent], { mode });
    const run = await world.start(parent);
    await world.engine.resumeWebhook(
      new URL(url).pathname.split("/").at(-1) as string,
      new Request(url, { method: "POST", body: "order" }),
    );
    await world.settled();
    await world.restart({}, false);
    expect(await world.engine.signal("unnamed", "text")).toMatchObject({
      disposition: "invalid",
      issues: [{ message: "a number, please" }],
    });
    expect(await world.engine.signal("unnamed", 7)).toMatchObject({ disposition: "accepted" });
    expect(await world.engine.getRun(run.runId).returnValue).toBe("order 7");
  });

  test("a minted hook token is stable over restarts; look-ups and lists show the hook", async () => {
    const seen: string[] = [];
    const wf = workflow("minted", async () => {
      const hook = createHook<number>({ metadata: { kind: "kyc" } });
      await step.run("hand-out", () => void seen.push(hook.token));
      await sleep("1s");
      await step.run("again", () => void seen.push(hook.token));
      return await hook;
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    await world.restart();
    await world.advance(1_000);
    const token = seen[0] as string;
    expect(seen).toEqual([token, token]);
    expect(token).toMatch(/^wh:t1:/);
    expect(await world.engine.getHookByToken(token)).toMatchObject({
      runId: run.runId,
      token,
      metadata: { kind: "kyc" },
      state: "open",
      isWebhook: false,
    });
    expect(await world.engine.listHooks()).toMatchObject([{ runId: run.runId, token: null, url: null, metadata: { kind: "kyc" } }]);
    expect(await world.engine.listHooks({ withTokens: true })).toMatchObject([{ runId: run.runId, token, url: null }]);
    await expect(world.engine.resumeHook(`${token.slice(0, -1)}${token.endsWith("A") ? "B" : "A"}`, 1)).rejects.toMatchObject({
      code: "hook_not_found",
    });
    await world.engine.resumeHook({ token }, 5);
    expect(await world.engine.getRun(run.runId).returnValue).toBe(5);
    expect(await world.engine.listHooks({ all: true })).toMatchObject([{ state: "closed" }]);
  });

  test("a list with tokens has the URL that was handed out, also under another base URL", async () => {
    let url = "";
    const wf = workflow("listed", async () => {
      const webhook = createWebhook();
      url = webhook.url;
      await webhook;
    });
    const world = await createWorld([wf], { mode });
    await world.start(wf);
    await world.restart({ baseUrl: "https://elsewhere.example" });
    const [shown] = await world.engine.listHooks({ withTokens: true });
    expect(shown).toMatchObject({ url, token: url.slice(url.indexOf("wh:")), isWebhook: true });
    expect(await world.engine.getHookByToken(shown?.token ?? "")).toMatchObject({ url });
    expect(JSON.stringify(await world.engine.listHooks())).not.toContain(shown?.token);
  });

  test("a keyed delivery counts once, also after the run has ended", async () => {
    const wf = workflow("keyed-once", async () => {
      const hook = createHook<number>({ token: "k" });
      return [await hook, await hook];
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    const first = await world.engine.resumeHook("k", 1, { key: "evt_1" });
    const again = await world.engine.resumeHook("k", 99, { key: "evt_1" });
    expect(again.delivery).toMatchObject({ id: first.delivery.id, disposition: "duplicate", keyed: true });
    await world.engine.resumeHook("k", 2, { key: "evt_2" });
    expect(await run.returnValue).toEqual([1, 2]);
    expect((await world.engine.resumeHook("k", 1, { key: "evt_1" })).delivery.disposition).toBe("duplicate");
    expect(await world.engine.signal("k", 1, { key: "evt_3" })).toMatchObject({ disposition: "closed", by: "ended" });
    expect(await world.engine.signal("nobody", 1)).toMatchObject({ disposition: "unknown" });
  });

  test("bad tokens and options are refused with what to do", async () => {
    const wf = workflow("bad", async () => {
      const codes: unknown[] = [];
      for (const options of [
        { token: "" },
        { token: "wh:mine" },
        { token: "x".repeat(256) },
        { timeout: "soon" },
        { metadata: () => 1 },
        { metadata: "x".repeat(70_000) },
      ]) {
        try {
          createHook(options as never);
          codes.push("opened");
        } catch (error) {
          codes.push(code(error));
        }
      }
      createHook({ token: "x".repeat(255) }).dispose();
      return codes;
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    expect(await run.returnValue).toEqual(["bad_argument", "bad_argument", "too_large", "bad_argument", "unserialisable", "too_large"]);
    const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt"]);
    await expect(world.engine.resumeHook("x", 1, key)).rejects.toMatchObject({ code: "bad_argument" });
    await expect(world.engine.resumeHook("x", 1, { key: "" })).rejects.toMatchObject({ code: "bad_argument" });
    expect(() => createHook()).toThrow(/no run is around/);
  });
});
