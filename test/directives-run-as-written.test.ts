// Functions with directives, compiled by the plugin as a user's tests are, on a real engine.

import { expect, test } from "vitest";
import { createHook, createWebhook, sleep } from "workflow";
import { createWorld } from "./harness.ts";

const charged: string[] = [];

async function charge(orderId: string, amount: number) {
  "use step";
  charged.push(`${orderId}:${amount}`);
  return { charged: amount };
}

async function checkout(orderId: string) {
  "use workflow";
  const webhook = createWebhook();
  const rate = 2;
  const seen = { count: 0 };
  async function double(amount: number) {
    "use step";
    seen.count++;
    return amount * rate + seen.count;
  }
  const { amount } = (await (await webhook).json()) as { amount: number };
  const receipt = await charge(orderId, await double(amount));
  return { ...receipt, seen };
}

test("a workflow and its steps run durably under ids made of module and name", async () => {
  const world = await createWorld([checkout]);
  const run = await world.start(checkout, "order-1");
  await world.settled();
  const [hook] = await world.engine.listHooks({ withTokens: true });
  const url = hook?.url as string;
  expect(hook?.workflowName).toBe("test/directives-run-as-written.test//checkout");
  await world.restart();
  expect((await world.engine.ingress(new Request(url, { method: "POST", body: '{"amount":20}' }))).status).toBe(202);
  await world.settled();
  expect(await world.engine.getRun(run.runId).returnValue).toEqual({ charged: 41, seen: { count: 0 } });
  expect(charged).toEqual(["order-1:41"]);
  const steps = (await world.journal(run)).flatMap((event) => (event.kind === "step_scheduled" ? [event.name] : []));
  expect(steps).toEqual(["test/directives-run-as-written.test//checkout/double", "test/directives-run-as-written.test//charge"]);
});

async function pollUntilPaid(token: string) {
  "use workflow";
  using hook = createHook<number>({ token });
  const seen: number[] = [];
  for (let pass = 0; pass < 4; pass++) {
    const side = await Promise.race([read(), sleep("1h").then(() => "late")]);
    if (typeof side === "number") seen.push(side);
  }
  return seen;

  async function read() {
    return hook;
  }
}

test("a call in a race's array is a branch, so a payload is never lost to the side that lost", async () => {
  const world = await createWorld([pollUntilPaid]);
  const run = await world.start(pollUntilPaid, "paid");
  await world.advance(3_600_000);
  await world.advance(3_600_000);
  await world.engine.resumeHook("paid", 7);
  await world.engine.resumeHook("paid", 8);
  await world.settled();
  expect(await world.engine.getRun(run.runId).returnValue).toEqual([7, 8]);
});

test("a step that is called where no run is around just runs", async () => {
  expect(await charge("order-9", 1)).toEqual({ charged: 1 });
});

async function capturing() {
  "use workflow";
  const webhook = createWebhook();
  async function handOver() {
    "use step";
    return webhook.url;
  }
  return await handOver();
}

test("a nested step that reads its workflow's webhook is told to take the URL", async () => {
  const world = await createWorld([capturing]);
  const run = await world.start(capturing);
  await world.settled();
  await expect(run.returnValue).rejects.toThrow(/is a Webhook\. .*pass webhook\.url/);
});
