// The workflow: an order waits for its payment as long as three days, then for the carrier to have delivered it.

import { createWorkflow, defineHook, err, ok, type Result } from "ringback/portable";
import type { ResumeRunOptions } from "ringback/resume";
import { print, refund, ship, thank } from "./outside.ts";

export interface Order {
  readonly item: string;
  readonly cents: number;
}

export interface Payment {
  readonly ref: string;
  readonly cents: number;
  readonly address: string;
}

export interface Delivery {
  readonly signedBy: string;
}

export function isOrder(value: unknown): value is Order {
  const { item, cents } = Object(value) as Partial<Order>;
  return typeof item === "string" && Number.isSafeInteger(cents);
}

function isPayment(value: unknown): value is Payment {
  const { ref, cents, address } = Object(value) as Partial<Payment>;
  return typeof ref === "string" && Number.isSafeInteger(cents) && typeof address === "string";
}

function isDelivery(value: unknown): value is Delivery {
  return typeof (Object(value) as Partial<Delivery>).signedBy === "string";
}

/** A schema by hand; one of zod, valibot or arktype stands in its place. */
function schemaOf<T>(is: (value: unknown) => value is T, message: string) {
  const validate = (value: unknown) => (is(value) ? { value } : { issues: [{ message }] });
  return { "~standard": { version: 1, vendor: "example", validate } } as const;
}

const payment = defineHook("payment", { schema: schemaOf(isPayment, "Give ref, cents and address.") });
const delivery = defineHook("delivery", { schema: schemaOf(isDelivery, "Give signedBy.") });

const workflow = createWorkflow("order", {
  hook: () => ok(payment.create()),
  ask: (id: string, hookId: string) => ok(print(`To pay for ${id}`, hookId, { ref: `p-${id}`, cents: 4200, address: "Paris" })),
  paid: (hookId: string) => payment.pending(hookId, { timeout: "3d", metadata: { for: "its payment" } }),
  check: ({ cents }: Order, paid: Payment): Result<void, "PAID_TOO_LITTLE"> => (paid.cents < cents ? err("PAID_TOO_LITTLE") : ok()),
  ship: (id: string, { address }: Payment, hookId: string) => ship(id, address, hookId),
  delivered: (hookId: string) => delivery.pending(hookId, { timeout: "14d", metadata: { for: "its delivery" } }),
  thank: (id: string, signedBy: string) => ok(thank(id, signedBy)),
});

/** Runs an order from where it stands until it ends or waits. */
export function runOrder(options: ResumeRunOptions) {
  return workflow.runWithState<string, Order>(async ({ step, deps, ctx }) => {
    const id = ctx.workflowId;
    // A hook's id is made in a step, so that it is the same however often this is run again.
    const toPay = await step("pay-hook", () => deps.hook());
    await step("ask", () => deps.ask(id, toPay.hookId));
    const paid = await step("paid", () => deps.paid(toPay.hookId), { key: toPay.stepKey, compensate: ({ ref }) => refund(id, ref) });
    await step("check", () => deps.check(ctx.input, paid));
    const toDeliver = await step("delivery-hook", () => deps.hook());
    await step("ship", () => deps.ship(id, paid, toDeliver.hookId));
    const { signedBy } = await step("delivered", () => deps.delivered(toDeliver.hookId), { key: toDeliver.stepKey });
    return step("thank", () => deps.thank(id, signedBy));
  }, options);
}
