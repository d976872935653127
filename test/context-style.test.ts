// The context style, from the minting of a webhook to the code after the wait.

import { expect, test } from "vitest";
import { z } from "zod";
import { defineWorkflow, FatalError, SignalTimeoutError, Step, Workflow, type WorkflowCtx } from "../src/context.ts";
import { createContextWorld } from "./context/world.ts";

interface Paid {
  readonly status: "paid" | "failed";
  readonly ref: string;
}

class Psp {
  readonly calls: { readonly id: string; readonly url: string | undefined }[] = [];
  create(id: string, url: string | undefined): void {
    this.calls.push({ id, url });
  }
}

@Workflow({ name: "checkout", version: "1" })
class Checkout {
  readonly psp: Psp;
  constructor(psp: Psp) {
    this.psp = psp;
  }
  async run(ctx: WorkflowCtx, order: { id: string }): Promise<{ id: string; ref: string }> {
    const hook = ctx.webhook<Paid>();
    await ctx.step("start-payment", async () => this.psp.create(order.id, hook.url));
    const result = await hook.wait();
    if (result.status !== "paid") throw new FatalError(`payment ${result.ref} failed`, "payment_failed");
    return ctx.step("fulfil", () => ({ id: order.id, ref: result.ref }));
  }
}

test("a class mints a webhook, hands it out and goes on when it is called, across a crash", async () => {
  const psp = new Psp();
  const world = await createContextWorld({ workflows: [new Checkout(psp)] });
  const run = await world.engine.start(Checkout, { id: "o-1" }, "order-1");
  await world.settled();
  const url = psp.calls[0]?.url;
  expect(url).toMatch(/^https:\/\/api\.example\/durable\/api\/webhooks\/wh:/);
  await world.restart();
  const response = await world.post(url, { status: "paid", ref: "p-9" });
  expect(response.status).toBe(202);
  expect(await world.engine.getRun(run.runId).returnValue).toEqual({ id: "o-1", ref: "p-9" });
  expect(psp.calls).toHaveLength(1);
});

test("a form is a payload, and what is neither JSON nor a form is refused with the wait open", async () => {
  let url: string | undefined;
  const wait = defineWorkflow({ name: "wait" }, async (ctx) => {
    const hook = ctx.webhook<Record<string, string>>();
    await ctx.step("hand-out", () => void (url = hook.url));
    return hook.wait();
  });
  const world = await createContextWorld({ workflows: [wait] });
  const run = await world.engine.start(wait, undefined as never);
  await world.settled();
  expect((await world.post(url, "<xml/>", { "content-type": "application/xml" })).status).toBe(422);
  expect((await world.post(url, "", {})).status).toBe(422);
  const form = { "content-type": "application/x-www-form-urlencoded" };
  expect((await world.post(url, `{"a":`, form)).status).toBe(422);
  expect((await world.post(url, "a=1&b=x+y&a=2&__proto__=z", form)).status).toBe(202);
  expect(await world.engine.getRun(run.runId).returnValue).toEqual({ a: ["1", "2"], b: "x y" });
});

test("a form is read in its charset, or refused", async () => {
  let url: string | undefined;
  const wait = defineWorkflow({ name: "wait" }, async (ctx) => {
    const hook = ctx.webhook<Record<string, string>>();
    await ctx.step("hand-out", () => void (url = hook.url));
    const got = [];
    for await (const form of hook) if (got.push(form) === 4) return got;
    return [];
  });
  const world = await createContextWorld({ workflows: [wait] });
  const run = await world.engine.start(wait);
  await world.settled();
  const form = "application/x-www-form-urlencoded";
  const send = async (body: string, type: string) => (await world.post(url, body, { "content-type": type })).status;
  expect(await send("name=M%FCller", form)).toBe(422);
  expect(await send("a=1", `${form}; charset=no-such`)).toBe(422);
  expect(await send("[1, 2", form)).toBe(422);
  expect(await send("name=M%FCller+%26+S%f6hne", `${form}; charset="ISO-8859-1"`)).toBe(202);
  expect(await send("name=M%C3%BCller&=x&y", form)).toBe(202);
  expect(await send("[0]=a&{b}=c%", form)).toBe(202);
  expect(await send(`[{"a": "="}]`, form)).toBe(202);
  expect(await run.returnValue).toEqual([
    { name: "Müller & Söhne" },
    { name: "Müller", "": "x", y: "" },
    { "[0]": "a", "{b}": "c%" },
    [{ a: "=" }],
  ]);
});

test("JSON that curl sends without saying so is JSON", async () => {
  let url: string | undefined;
  const wait = defineWorkflow({ name: "wait" }, async (ctx) => {
    const hook = ctx.webhook<unknown>();
    await ctx.step("hand-out", () => void (url = hook.url));
    return [await hook.wait(), await hook.wait()];
  });
  const world = await createContextWorld({ workflows: [wait] });
  const run = await world.engine.start(wait);
  await world.settled();
  const form = { "content-type": "Application/X-WWW-Form-Urlencoded; charset=utf-8" };
  await world.post(url, ` {"status": "paid", "note": "a=b&c"}`, form);
  await world.post(url, "status=%7Bpaid%7D&note=%5B1%5D", form);
  expect(await run.returnValue).toEqual([
    { status: "paid", note: "a=b&c" },
    { status: "{paid}", note: "[1]" },
  ]);
});

test("a wait that is over leaves the webhook open, and the next wait has what came", async () => {
  let url: string | undefined;
  const patient = defineWorkflow({ name: "patient" }, async (ctx) => {
    const hook = ctx.webhook({ schema: z.object({ n: z.number() }) });
    await ctx.step("hand-out", () => void (url = hook.url));
    try {
      return await hook.wait({ timeout: "1h" });
    } catch (error) {
      if (!(error instanceof SignalTimeoutError)) throw error;
      await ctx.step("remind", () => "reminded");
      return { late: await hook.wait() };
    }
  });
  const world = await createContextWorld({ workflows: [patient] });
  const run = await world.engine.start(patient, undefined as never);
  await world.settled();
  expect((await world.post(url, { n: "no" })).status).toBe(422);
  await world.advance(3_600_000);
  await world.post(url, { n: 7 });
  expect(await world.engine.getRun(run.runId).returnValue).toEqual({ late: { n: 7 } });
});

class Steps {
  readonly done: string[] = [];
  @Step({ retries: 0 })
  charge(input: { amount: number }): { id: string } {
    this.done.push(`charge ${input.amount}`);
    return { id: "c-1" };
  }
  @Step("refund")
  refund(undo: { input: { amount: number }; output: { id: string } }): void {
    this.done.push(`refund ${undo.output.id} ${undo.input.amount}`);
  }
}

test("steps by reference run on the registered instance, and are undone in reverse when the code throws", async () => {
  const steps = new Steps();
  const done = steps.done;
  const saga = defineWorkflow({ name: "saga" }, async (ctx, amount: number) => {
    await ctx.step("reserve", () => "r-1", { compensate: (id) => void done.push(`release ${id}`) });
    await ctx.step(steps.charge, { amount }, { compensate: steps.refund });
    await ctx.sleep("1h");
    throw new FatalError("out of stock", "no_stock");
  });
  const world = await createContextWorld({ workflows: [saga], steps: [steps] });
  const run = await world.engine.start(saga, 5);
  await world.settled();
  expect(done).toEqual(["charge 5"]);
  await world.restart();
  await world.advance(3_600_000);
  await expect(world.engine.getRun(run.runId).returnValue).rejects.toMatchObject({ cause: { code: "no_stock" } });
  expect(done).toEqual(["charge 5", "refund c-1 5", "release r-1"]);
});

test("signals wait for their reader, updates are judged, breakpoints stand", async () => {
  const talk = defineWorkflow({ name: "talk" }, async (ctx) => {
    const first = await ctx.waitForSignal<string>("talk:1");
    await ctx.breakpoint("look");
    const second = await ctx.waitForSignal<string>("talk:1", { timeoutMs: 1_000 });
    const limit = await ctx.onUpdate<number>("limit", { validate: (n) => (n > 0 ? undefined : "must be above 0") });
    return [first, second, limit];
  });
  const world = await createContextWorld({ workflows: [talk] });
  const run = await world.engine.start(talk, undefined as never, "talk-1");
  await world.settled();
  expect(await world.engine.signal("talk:1", "a")).toMatchObject({ disposition: "accepted" });
  await world.settled();
  await world.engine.signal("talk:1", "b");
  expect(await world.engine.continue("talk-1")).toMatchObject({ disposition: "accepted" });
  await world.settled();
  expect(await world.engine.update("talk-1", "limit", 0)).toMatchObject({
    disposition: "invalid",
    issues: [{ message: "must be above 0" }],
  });
  await world.engine.update("talk-1", "limit", 3);
  await world.settled();
  expect(await run.returnValue).toEqual(["a", "b", 3]);
});

test("a run stays on the version it began with", async () => {
  const version = (name: string) =>
    defineWorkflow({ name: "order", version: name }, async (ctx) => `${await ctx.waitForSignal<string>(`go:${ctx.runId}`)} on ${name}`);
  const world = await createContextWorld({ workflows: [version("1")] });
  await world.engine.start("order", undefined, "old");
  await world.settled();
  await world.restart({ workflows: [version("1"), version("2")] });
  await world.engine.start("order", undefined, "new");
  await world.settled();
  for (const id of ["old", "new"]) await world.engine.signal(`go:${id}`, "on");
  await world.settled();
  expect(await Promise.all(["old", "new"].map((id) => world.engine.getRun(id).returnValue))).toEqual(["on on 1", "on on 2"]);
});

test("a run that is cancelled undoes what it did where it is asked to, and not else", async () => {
  const undone: string[] = [];
  const trip = defineWorkflow({ name: "trip" }, async (ctx) => {
    await ctx.step("book", () => ctx.runId, { compensate: (id) => void undone.push(id) });
    await ctx.waitForSignal("never");
  });
  const world = await createContextWorld({ workflows: [trip] });
  await world.engine.start(trip, undefined as never, "plain");
  await world.settled();
  await world.engine.cancel("plain");
  await world.settled();
  expect(undone).toEqual([]);
  await world.engine.start(trip, undefined as never, "undone");
  await world.settled();
  await world.engine.cancel("undone", { compensate: true });
  await world.settled();
  expect(undone).toEqual(["undone"]);
  expect(await world.engine.getRun("undone").status).toBe("cancelled");
});

test("a signal starts the run that is to have it, once", async () => {
  const order = defineWorkflow({ name: "order" }, async (ctx, first: string) => [
    first,
    await ctx.waitForSignal<string>(`order:${ctx.runId}`),
  ]);
  const world = await createContextWorld({ workflows: [order] });
  const signal = { token: "order:o-1", payload: "paid", key: "evt-1" };
  const { receipt } = await world.engine.signalWithStart(order, "a", "o-1", signal);
  expect(receipt).toMatchObject({ disposition: "buffered" });
  expect((await world.engine.signalWithStart(order, "b", "o-1", signal)).receipt.disposition).toBe("duplicate");
  await world.settled();
  expect(await world.engine.getRun("o-1").returnValue).toEqual(["a", "paid"]);
});
