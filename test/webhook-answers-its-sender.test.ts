// The sender of a webhook gets one answer: at once, a static one, or what the workflow decides in time (A1, A2).

import { describe, expect, test } from "vitest";
import { createWebhook, sleep, step, workflow, type RequestWithResponse } from "../src/index.ts";
import { createWorld, modes, type World } from "./harness.ts";

async function send(
  world: World,
  url: string,
  init: RequestInit = {},
): Promise<{ status: number; text: string; headers: Record<string, string> }> {
  const response = await world.engine.ingress(new Request(url, { method: "POST", ...init }));
  return { status: response.status, text: await response.text(), headers: Object.fromEntries(response.headers) };
}

describe.each(modes)("webhooks (%s)", (mode) => {
  test("the request arrives as it was sent, and the sender gets 202", async () => {
    let url = "";
    const wf = workflow("plain", async () => {
      const hook = createWebhook();
      await step.run("give", () => void (url = hook.url));
      const request = await hook;
      await sleep("1s");
      return [
        request instanceof Request,
        request.method,
        request.url === `${hook.url}?a=1`,
        request.headers.get("X-Sig"),
        await request.clone().json(),
        await request.text(),
        request.bodyUsed,
      ];
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    expect(url).toMatch(/^https:\/\/app\.example\/\.well-known\/workflow\/v1\/webhook\/wh:t1:/);
    const answer = await send(world, `${url}?a=1`, { body: '{"x": 1}', headers: { "x-sig": "s" } });
    expect(answer).toMatchObject({ status: 202, text: "", headers: { "ringback-disposition": "accepted" } });
    await world.restart();
    await world.advance(1_000);
    expect(await world.engine.getRun(run.runId).returnValue).toEqual([true, "POST", true, "s", { x: 1 }, '{"x": 1}', true]);
    expect(await send(world, url)).toMatchObject({ status: 410, headers: { "ringback-disposition": "closed" } });
  });

  test("a static response is sent each time, and again after a restart", async () => {
    let url = "";
    const wf = workflow("static", async () => {
      const hook = createWebhook({ respondWith: Response.json({ thanks: true }, { status: 201, headers: { "x-own": "1" } }) });
      await step.run("give", () => void (url = hook.url));
      await hook;
      await hook;
    });
    const world = await createWorld([wf], { mode });
    await world.start(wf);
    const first = await send(world, url, { headers: { "webhook-id": "m1" } });
    expect(first).toMatchObject({ status: 201, text: '{"thanks":true}', headers: { "x-own": "1", "content-type": "application/json" } });
    await world.restart();
    const again = await send(world, url, { headers: { "webhook-id": "m1" } });
    expect({ ...again, headers: { ...again.headers, "ringback-disposition": "accepted" } }).toEqual(first);
    expect(again.headers["ringback-disposition"]).toBe("duplicate");
  });

  test("a manual answer comes from a step, or from workflow code, once", async () => {
    let url = "";
    const results: unknown[] = [];
    const answer = step("answer", async (request: RequestWithResponse) => {
      const body = (await request.json()) as { n: number };
      results.push(await request.respondWith(Response.json({ got: body.n })));
      results.push(await request.respondWith(new Response("twice")));
    });
    const wf = workflow("manual", async () => {
      const hook = createWebhook({ respondWith: "manual" });
      await step.run("give", () => void (url = hook.url));
      await answer(await hook);
      const second = await hook;
      const sent = await second.respondWith(new Response(`code ${await second.text()}`, { status: 203 }));
      return [sent, await second.respondWith(new Response("late"))];
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    expect(await send(world, url, { body: '{"n":1}' })).toMatchObject({ status: 200, text: '{"got":1}' });
    await world.settled();
    expect(results).toEqual([{ sent: true }, { sent: false, reason: "answered" }]);
    expect(await send(world, url, { body: "b" })).toMatchObject({ status: 203, text: "code b" });
    expect(await run.returnValue).toEqual([{ sent: true }, { sent: false, reason: "answered" }]);
  });

  test("nobody waits past the deadline: the default is decided, and a later answer is told so", async () => {
    let url = "";
    const wf = workflow("deadline", async () => {
      const hook = createWebhook({ respondWith: "manual", respondWithin: "10s" });
      await step.run("give", () => void (url = hook.url));
      const request = await hook;
      await sleep("1m");
      return request.respondWith(new Response("late"));
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    const sending = send(world, url, { headers: { "idempotency-key": "k" } });
    await world.settled();
    await world.advance(10_000);
    expect(await sending).toMatchObject({ status: 202, text: "" });
    expect(await send(world, url, { headers: { "idempotency-key": "k" } })).toMatchObject({
      status: 202,
      headers: { "ringback-disposition": "duplicate" },
    });
    await world.advance(60_000);
    expect(await run.returnValue).toEqual({ sent: false, reason: "deadline" });
  });

  test("a webhook with a custom token has no public URL and answers through resumeWebhook", async () => {
    const codes: unknown[] = [];
    const wf = workflow("custom", async (id: string) => {
      const hook = createWebhook({ token: `payment-${id}` });
      try {
        void hook.url;
      } catch (error) {
        codes.push((error as { code: string }).code);
      }
      return hook.then(async (request) => {
        const body = await request.json();
        await request.respondWith(new Response("OK", { status: 200 }));
        return body;
      });
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf, "7");
    const response = await world.engine.resumeWebhook(
      "payment-7",
      new Request("https://app.example/pay/7", { method: "POST", body: '{"paid":true}' }),
    );
    expect([response.status, await response.text()]).toEqual([200, "OK"]);
    expect(await run.returnValue).toEqual({ paid: true });
    expect(codes[0]).toBe("no_public_url");
    expect(await send(world, "https://app.example/.well-known/workflow/v1/webhook/payment-7")).toMatchObject({ status: 404 });
    expect((await world.engine.resumeWebhook("payment-8", new Request("https://app.example/", { method: "POST" }))).status).toBe(404);
  });

  test("other methods never resume: 405 on a known token, 404 on any other, OPTIONS 204", async () => {
    let url = "";
    const wf = workflow("methods", async () => {
      const hook = createWebhook();
      await step.run("give", () => void (url = hook.url));
      return (await hook).method;
    });
    const world = await createWorld([wf], { mode });
    const run = await world.start(wf);
    for (const method of ["GET", "HEAD", "DELETE"])
      expect(await send(world, url, { method })).toMatchObject({ status: 405, headers: { allow: "POST, PUT, PATCH" } });
    expect(await send(world, url, { method: "OPTIONS" })).toMatchObject({ status: 204 });
    expect(await send(world, `${url}x`, { method: "GET" })).toMatchObject({ status: 404 });
    expect(await run.state).toBe("waiting");
    expect(await send(world, url, { method: "PATCH" })).toMatchObject({ status: 202 });
    expect(await run.returnValue).toBe("PATCH");
  });

  test("a body at the cap is taken, one byte more is 413, and nothing is stored", async () => {
    let url = "";
    const wf = workflow("cap", async () => {
      const hook = createWebhook();
      await step.run("give", () => void (url = hook.url));
      return (await (await hook).text()).length;
    });
    const world = await createWorld([wf], { mode, bodyBytes: 1_000 });
    const run = await world.start(wf);
    expect(await send(world, url, { body: "x".repeat(1_001) })).toMatchObject({ status: 413 });
    expect((await world.journal(run)).some((event) => event.kind === "hook_received")).toBe(false);
    expect(await send(world, url, { body: "x".repeat(1_000) })).toMatchObject({ status: 202 });
    expect(await run.returnValue).toBe(1_000);
  });
});
