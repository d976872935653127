// The samples about webhooks of a context in a Nest app: what each leaves out, and what must come of it.

import { expect } from "vitest";
import { piece, readDocument } from "./document.ts";
import type { NestWorld } from "./nest-world.ts";

export interface NestSample {
  readonly what: string;
  /** The module it becomes. */
  readonly file: string;
  readonly code: () => string;
  /** Text around the sample, which is left as it is. */
  readonly around: (sample: string) => string;
  readonly play: (world: NestWorld) => Promise<void>;
}

const sample =
  (text: RegExp): (() => string) =>
  () =>
    piece(readDocument("003"), text);

const paid = (providerRef: string): object => ({ status: "paid", providerRef });
const result = `interface PaymentResult { status: "paid" | "failed"; providerRef: string }`;

export const nestSamples: readonly NestSample[] = [
  {
    what: "a webhook that is minted",
    file: "minting",
    code: sample(/^const hook = ctx\.webhook[^]*?^hook\.url.*$/),
    around: (given) => `import { Workflow, type WorkflowCtx } from "ringback/context";
import { PaymentProviderService } from "./app.ts";
${result}
@Workflow({ name: "minting" })
export class Minting {
  constructor(private readonly psp: PaymentProviderService) {}
  async run(ctx: WorkflowCtx, { id }: { id: string }) {
${given}
    await ctx.step("hand over", () => this.psp.createPayment({ orderId: id, amountCents: 1, callbackUrl: hook.url ?? hook.token }));
    const payload = await hook.wait();
    return { token: hook.token, url: hook.url, payload };
  }
}`,
    async play(world) {
      await world.start("minting", "minted");
      const { callbackUrl } = await world.provider.called("payments", "minted");
      expect(callbackUrl).toMatch(/^https:\/\/api\.example\.com\/durable\/api\/webhooks\/wh:/);
      await world.parked("minted");
      if (!world.isBrief) await world.restart();
      expect(await world.call(callbackUrl, paid("m-1"))).toMatchObject({ status: 202, disposition: "accepted" });
      const token = callbackUrl.slice(callbackUrl.indexOf("wh:"));
      expect(await world.ending("minted")).toEqual({ returned: { token, url: callbackUrl, payload: paid("m-1") } });
      expect(world.provider.calls("payments", "minted")).toHaveLength(1);
    },
  },
  {
    what: "the options of the module",
    file: "durable",
    code: sample(/^DurableModule\.forRoot\(\{[^]*?^\}\);$/),
    around: (given) => `import type { DynamicModule } from "@nestjs/common";
import { DurableModule } from "ringback/nest";
import { store } from "./app.ts";
const transport = { kind: "in-process" };
export function durable(): DynamicModule {
  return ${given}
}`,
    async play(world) {
      await world.start("minting", "posted");
      const { callbackUrl } = await world.provider.called("payments", "posted");
      const body = { nested: [{ a: null }, "é ☕"], n: 1.5 };
      expect((await world.call(`${callbackUrl.slice(0, -1)}!`, body)).status).toBe(404);
      expect(await world.call(callbackUrl, body)).toMatchObject({ status: 202, disposition: "accepted" });
      expect(await world.ending("posted")).toMatchObject({ returned: { payload: body } });
      expect((await world.call(callbackUrl, { late: true })).status).toBe(410);
    },
  },
  {
    what: "the type of the handle",
    file: "handle",
    code: sample(/^interface DurableWebhook[^]*?^\}$/),
    around: (given) => `import { type DurableWebhook as Ours, Workflow, type WorkflowCtx } from "ringback/context";
import { PaymentProviderService } from "./app.ts";
${given}
${result}
const asTheirs = <T>(own: Ours<T>): DurableWebhook<T> => own;
const asOurs = <T>(theirs: DurableWebhook<T>): Pick<Ours<T>, keyof DurableWebhook> => theirs;
@Workflow({ name: "typed" })
export class Typed {
  constructor(private readonly psp: PaymentProviderService) {}
  async run(ctx: WorkflowCtx, { id }: { id: string }): Promise<PaymentResult> {
    const hook = asTheirs(ctx.webhook<PaymentResult>());
    await ctx.step("hand over", () => this.psp.createPayment({ orderId: id, amountCents: 1, callbackUrl: hook.url }));
    return asOurs(hook).wait();
  }
}`,
    async play(world) {
      await world.start("typed", "typed");
      const { callbackUrl } = await world.provider.called("payments", "typed");
      expect((await world.call(callbackUrl, paid("t-1"))).status).toBe(202);
      expect(await world.ending("typed")).toEqual({ returned: paid("t-1") });
    },
  },
  {
    what: "a payment that calls back",
    file: "checkout",
    code: sample(/^import \{ remoteStep[^]*?^export class CheckoutWorkflow[^]*?^\}$/),
    around: (given) => `import { FatalError, Step, Workflow, type WorkflowCtx } from "ringback/context";
import { Injectable } from "@nestjs/common";
import { type Order, PaymentProviderService, ship } from "./app.ts";
${given}
export interface CheckoutWorkflow {
  fulfil(order: Order, providerRef: string): Promise<void>;
}
CheckoutWorkflow.prototype.fulfil = (order, providerRef) => ship(order.id, providerRef);

const quote = remoteStep({ name: "quote", input: z.object({ id: z.string() }), output: z.object({ cents: z.number() }) });
@Injectable()
export class Quotes {
  @Step({ name: "quote" })
  quote({ id }: { id: string }) {
    return { cents: id.length };
  }
}
@Workflow({ name: "quoting" })
export class Quoting {
  async run(ctx: WorkflowCtx, order: { id: string }) {
    const { cents } = await ctx.step(quote, order);
    return cents + 1;
  }
}`,
    async play(world) {
      await world.start("quoting", "quoted");
      expect(await world.ending("quoted")).toEqual({ returned: "quoted".length + 1 });
      await killTour(world);
    },
  },
  {
    what: "a controller that delivers",
    file: "callback",
    code: sample(/^@Controller\([^]*?^\}$/),
    around: (given) => `import { Body, Controller, Param, Post } from "@nestjs/common";
import { WorkflowEngine } from "ringback/context";
${given}`,
    async play(world) {
      const unbuilt = { NEST_BUILDER: "none" };
      await world.restart(unbuilt);
      await world.start("minting", "unbuilt");
      const { callbackUrl: token } = await world.provider.called("payments", "unbuilt");
      expect(token).toMatch(/^wh:/);
      if (!world.isBrief) await world.restart(unbuilt);
      const answer = await world.post(`/webhooks/${token}`, paid("u-1"));
      expect([answer.status, JSON.parse(answer.body)]).toEqual([201, { ok: true }]);
      expect(await world.ending("unbuilt")).toEqual({ returned: { token, payload: paid("u-1") } });
    },
  },
];

/** Orders at every place of their way, when the app is killed: while it asks for the payment, after it, while the payment is told, after it. */
async function killTour(world: NestWorld): Promise<void> {
  const { provider } = world;
  const place = (id: string) => world.start("checkout", id, { total: 4200 });
  for (const id of ["asking", "early"]) provider.leaveUnanswered("payments", id);
  provider.leaveUnanswered("shipments", "shipping");
  const ids = ["asking", "early", "parked", "unpaid", "shipping", "answered"];
  for (const id of ids) await place(id);
  const asked = await Promise.all(ids.map((id) => provider.called("payments", id)));
  const urls = new Map(asked.map((request) => [request.orderId, request.callbackUrl]));
  expect(new Set(urls.values()).size).toBe(ids.length);
  expect(asked[0]).toMatchObject({ orderId: "asking", amountCents: 4200 });
  const pay = (id: string, payment = paid(id)) => world.call(urls.get(id) as string, payment);

  for (const id of ["parked", "unpaid"]) await world.parked(id);
  expect(await pay("early")).toMatchObject({ status: 202, disposition: "accepted" });
  expect(await pay("shipping")).toMatchObject({ status: 202, disposition: "accepted" });
  await provider.called("shipments", "shipping");
  expect(await pay("answered")).toMatchObject({ status: 202, disposition: "accepted" });
  await world.restart();

  for (const id of ["early", "shipping", "answered"])
    expect(await world.ending(id)).toEqual({ returned: { orderId: id, providerRef: id } });
  // What was under way is done again, with the same address; what was recorded is not.
  for (const id of ["asking", "early"]) expect((await provider.called("payments", id, 2)).callbackUrl).toBe(urls.get(id));
  await provider.called("shipments", "shipping", 2);
  for (const id of ["asking", "parked", "unpaid"]) await world.parked(id);
  for (const id of ["parked", "unpaid", "shipping", "answered"]) expect(provider.calls("payments", id)).toHaveLength(1);

  // Before the payment is written, and after that before its sender is told: it tries again.
  const { status } = await (world.isBrief
    ? pay("parked")
    : world.dieAt(["deliver.before_commit", "deliver.after_commit"], () => pay("parked")));
  expect(status).toBe(202);
  expect(await world.ending("parked")).toEqual({ returned: { orderId: "parked", providerRef: "parked" } });

  expect((await pay("unpaid", { status: "failed", providerRef: "u-1" })).status).toBe(202);
  const thrown = { name: "FatalError", message: "payment u-1 failed", code: "payment_failed" };
  expect(await world.ending("unpaid")).toEqual({ thrown });
  expect(provider.calls("shipments", "unpaid")).toHaveLength(0);
  expect((await pay("asking")).status).toBe(202);
  expect(await world.ending("asking")).toEqual({ returned: { orderId: "asking", providerRef: "asking" } });
}

/** Where the app dies on the way of an order: the store's commits from the start to the end, and around the bodies of both steps. */
export const places: readonly string[] = [
  ...["append.before_commit", "append.after_commit", "append.before_commit:2", "append.after_commit:2"],
  ...["step.before_body", "step.before_commit", "step.after_commit", "step.before_body:2", "step.before_commit:2", "step.after_commit:2"],
  ...["deliver.before_commit", "deliver.after_commit", "end.before_commit", "end.after_commit", "load.after_claim"],
];

/** An order that is placed and paid by who tries again until there is an answer, while the app dies once. */
export async function dyingAt(world: NestWorld, place: string): Promise<void> {
  const { provider } = world;
  const id = place.replaceAll(/[.:]/g, "-");
  const start = () => world.start("checkout", id, { total: 1 });
  if (place === "load.after_claim") await start().then(() => world.parked(id)); // only what is not in memory is loaded
  const { status } = await world.dieAt([place], async () => {
    await start();
    const { callbackUrl } = await provider.called("payments", id);
    return world.call(callbackUrl, paid(id));
  });
  expect(status).toBe(202);
  expect(await world.ending(id)).toEqual({ returned: { orderId: id, providerRef: id } });
  expect(new Set(provider.calls("payments", id).map(({ callbackUrl }) => callbackUrl)).size).toBe(1);
  const steps = (["payments", "shipments"] as const).map((path) => provider.calls(path, id).length);
  // A step is repeated where it is not known that it was done, and else not.
  expect(Math.max(...steps)).toBeLessThanOrEqual(place.startsWith("step.before_commit") ? 2 : 1);
}
