// What was refused is kept for a while, without its sender's credentials, listed, and delivered again on demand.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import type { RingbackError } from "../src/core/errors.ts";
import { createHook, createWebhook, defineHook, sleep, workflow } from "../src/index.ts";
import { createWorld, modes, type World } from "./harness.ts";
import { leaks } from "./leak.ts";

const day = 86_400_000;
const post = (url: string, body: string, headers: Record<string, string> = {}): Request =>
  new Request(url, { method: "POST", body, headers });

describe.each(modes)("%s", (mode) => {
  const world = (workflows: Parameters<typeof createWorld>[0], more: object = {}): Promise<World> =>
    createWorld(workflows, { mode, ...more });

  test("late, wrong and mismatched ones are listed, newest first, each with its reason", async () => {
    let url = "";
    const wf = workflow("short webhook", async () => {
      const hook = createWebhook();
      url = hook.url;
      const first = await hook;
      return first.text();
    });
    const typed = defineHook({ schema: z.number() });
    const judged = workflow("typed hook", async () => typed.create({ token: "n" }));
    const { engine, start, settled } = await world([wf, judged]);
    const run = await start(wf);
    await start(judged);
    const key = { "idempotency-key": "k" };
    expect((await engine.ingress(post(url, "first", key))).status).toBe(202);
    expect((await engine.ingress(post(url, "other", key))).status).toBe(422);
    await run.returnValue;
    expect((await engine.ingress(post(url, "late"))).status).toBe(410);
    await expect(engine.resumeHook("n", "seven")).rejects.toMatchObject({ code: "invalid_payload" });
    await settled();
    const refused = await engine.listRefused();
    expect(refused).toMatchObject([
      { reason: "invalid", token: "n", runId: null, method: null, detail: expect.stringMatching(/number/) },
      { reason: "closed", token: null, runId: run.runId, method: "POST", size: 4, detail: expect.stringMatching(/^ended 2026-01-01T/) },
      { reason: "key_reused", token: null, runId: run.runId, method: "POST", size: 5 },
    ]);
    const [newest] = refused;
    expect(newest?.keptUntil.getTime()).toBe((newest?.receivedAt.getTime() as number) + 7 * day);
    expect(await engine.listRefused({ limit: 1 })).toEqual([newest]);
    expect(await engine.listRefused({ before: newest?.deliveryId as string })).toEqual(refused.slice(1));
    await expect(engine.listRefused({ before: "newest" })).rejects.toMatchObject({ code: "bad_argument", details: { argument: "before" } });
  });

  test("delivered again it takes effect once, under the number it has, whatever hook has the address now", async () => {
    const typed = defineHook({ schema: z.object({ amount: z.number() }) });
    let schema: "strict" | "loose" = "strict";
    const wf = workflow("payments", async () => (schema === "strict" ? typed.create({ token: "pay" }) : createHook({ token: "pay" })));
    const { engine, start, settled } = await world([wf]);
    const first = await start(wf);
    await expect(engine.resumeHook("pay", { amount: "1" }, { key: "k1" })).rejects.toMatchObject({ code: "invalid_payload" });
    await settled();
    const [{ deliveryId } = { deliveryId: "" }] = await engine.listRefused();
    expect(await engine.redeliver(deliveryId)).toMatchObject({ disposition: "invalid", issues: [expect.anything()] });
    await first.cancel();
    await first.cancel();
    await settled();
    expect(await engine.redeliver(deliveryId)).toMatchObject({ disposition: "closed", by: "cancelled" });
    expect(await engine.listRefused()).toHaveLength(1);
    schema = "loose";
    const second = await start(wf);
    expect(await engine.redeliver(deliveryId)).toMatchObject({ disposition: "accepted", id: deliveryId, keyed: true });
    expect(await second.returnValue).toEqual({ amount: "1" });
    expect(await engine.listRefused()).toEqual([]);
    expect(await engine.signal("pay", { amount: "1" }, { key: "k1" })).toMatchObject({ disposition: "duplicate", id: deliveryId });
    await expect(engine.redeliver(deliveryId)).rejects.toMatchObject({ code: "delivery_not_found" });
  });

  test("one that was refused for the key of another body is not that other one: delivered again it is a duplicate, and kept", async () => {
    let url = "";
    const wf = workflow("two bodies", async () => {
      const hook = createWebhook();
      url = hook.url;
      await hook;
      await hook;
    });
    const { engine, start, settled } = await world([wf]);
    await start(wf);
    const key = { "idempotency-key": "k" };
    await engine.ingress(post(url, "first", key));
    expect((await engine.ingress(post(url, "other", key))).status).toBe(422);
    await settled();
    const [refused] = await engine.listRefused();
    expect(await engine.redeliver(refused?.deliveryId as string)).toMatchObject({ disposition: "duplicate" });
    expect(await engine.listRefused()).toEqual([refused]);
  });

  test("two who deliver it again at once deliver it once", async () => {
    const wf = workflow("twice", async () => {
      const hook = createHook({ token: "t" });
      await hook;
      await sleep("1h");
    });
    const { engine, engines, start, settled, journal } = await world([wf]);
    const first = await start(wf);
    await first.cancel();
    await first.cancel();
    await settled();
    await engine.signal("t", "late");
    await settled();
    const [{ deliveryId } = { deliveryId: "" }] = await engine.listRefused();
    const run = await start(wf);
    const both = await Promise.allSettled([engines[0], engines.at(-1)].map((each) => each?.redeliver(deliveryId)));
    expect(both.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect((await journal(run)).filter(({ kind }) => kind === "hook_received")).toHaveLength(1);
  });

  test("the sender's credentials and the token are not in it; the rest of the request is, byte for byte", async () => {
    let url = "";
    const wf = workflow("credentials", async () => {
      const hook = createWebhook();
      url = hook.url;
      await hook;
    });
    const w = await world([wf]);
    await w.start(wf);
    const secrets = {
      authorization: "Bearer s3cr3t-one",
      cookie: "sid=s3cr3t-two",
      "x-api-key": "s3cr3t-three",
      "x-auth-token": "s3cr3t-four",
    };
    await w.engine.ingress(post(url, "1"));
    await w.settled();
    await w.engine.ingress(post(url, `late ${url}`, { ...secrets, "x-signature": "t=1,v1=abc" }));
    await w.settled();
    const { store } = w.engine.core.parts;
    const [row] = await store.held({ of: "refused", limit: 1 });
    const head = row?.payload.type === "request" ? row.payload.head : null;
    expect(head?.headers.join("\n")).toMatch(/x-signature\nt=1,v1=abc/);
    expect(JSON.stringify(head)).not.toMatch(/s3cr3t/);
    if (w.path === null) return;
    const files = [w.path, `${w.path}-wal`].map((file) => readFileSync(file, "latin1")).join("");
    expect(files).toContain("v1=abc");
    expect(files).not.toMatch(/s3cr3t/);
    expect(files).not.toContain(url.split(":").at(-1));
  });

  test("why it was refused is told without minted tokens, and in bounds, wherever it is told", async () => {
    let url = "";
    const schema = z.any().superRefine((value, context) => context.addIssue({ code: "custom", message: `No: ${value}`, path: [value] }));
    const wf = workflow("quotes", async () => {
      url = createWebhook().url;
      await defineHook({ schema }).create({ token: "quotes" });
    });
    const w = await world([wf]);
    await w.start(wf);
    const receipt = await w.engine.signal("quotes", `see ${url}`);
    expect(receipt.disposition).toBe("invalid");
    const error = await w.engine.resumeHook("quotes", `see ${url}`).catch((thrown: RingbackError) => thrown);
    await w.settled();
    await w.engine.signal("quotes", "x".repeat(100_000));
    await w.settled();
    const refused = await w.engine.listRefused();
    expect(refused.map(({ detail }) => detail?.length)).toEqual([1_000, expect.any(Number), expect.any(Number)]);
    const files = (w.path === null ? [] : [w.path, `${w.path}-wal`]).map((name) => ({ name, bytes: readFileSync(name) }));
    const told = JSON.stringify([receipt, refused, error, (error as Error).message, w.lines]);
    expect(leaks([url], [...files, { name: "told", bytes: told }])).toEqual([]);
  });

  test("forged, unknown and malformed ones are not kept, nor any where retention says so", async () => {
    let url = "";
    const wf = workflow("nothing kept", async () => {
      const hook = createWebhook();
      url = hook.url;
      await hook;
    });
    const kept = await world([wf]);
    await kept.start(wf);
    await kept.engine.ingress(post(`${url.slice(0, -4)}AAAA`, "forged"));
    await kept.engine.ingress(post(`${url}/x`, "malformed"));
    await kept.engine.signal("nobody", 1);
    await kept.settled();
    expect(await kept.engine.listRefused()).toEqual([]);
    const off = await world([wf], { retention: { refused: 0 } });
    await off.start(wf);
    await off.engine.ingress(post(url, "1"));
    await off.settled();
    expect((await off.engine.ingress(post(url, "late"))).status).toBe(410);
    await off.settled();
    expect(await off.engine.listRefused()).toEqual([]);
  });

  test("its time over, it goes", async () => {
    const wf = workflow("for a day", async () => {
      createHook({ token: "d" }).dispose();
      await sleep("30d");
    });
    const { engine, start, advance, settled } = await world([wf], { retention: { refused: "1d" } });
    await start(wf);
    await engine.signal("d", 1);
    await settled();
    await advance(day - 1);
    expect(await engine.listRefused()).toHaveLength(1);
    await advance(60_001);
    expect(await engine.listRefused()).toEqual([]);
  });
});

test("an id that is none is told", async () => {
  const { engine } = await createWorld([]);
  for (const id of ["", "dlv_", "dlv_!", "42", "dlv_zzzzzzzzzzzz"])
    await expect(engine.redeliver(id)).rejects.toMatchObject({ code: "bad_argument" });
  await expect(engine.redeliver("dlv_zz")).rejects.toMatchObject({ code: "delivery_not_found" });
});
