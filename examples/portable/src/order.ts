// The workflow: it asks for the order's payment, waits for it as long as three days, and ships.

import { createHook, createWorkflow, err, ok, pendingHook, type Result, type ResumeState } from "ringback/portable";
import { printPaymentLine, refund, ship } from "./outside.ts";

export interface Order {
  readonly item: string;
  readonly cents: number;
}

export interface Payment {
  readonly ref: string;
  readonly cents: number;
  readonly address: string;
}

/** Whether what came from outside is one. With a schema of zod's, `defineHook("payment", { schema })` does this for a hook. */
export function isPayment(value: unknown): value is Payment {
  const { ref, cents, address } = Object(value) as Partial<Payment>;
  return typeof ref === "string" && Number.isSafeInteger(cents) && typeof address === "string";
}

export function isOrder(value: unknown): value is Order {
  const { item, cents } = Object(value) as Partial<Order>;
  return typeof item === "string" && Number.isSafeInteger(cents);
}

const workflow = createWorkflow("order", {
  ask: async (id: string, hookId: string) => ok(printPaymentLine(id, hookId)),
  paid: (hookId: string) => pendingHook<Payment>(hookId, { timeout: "3d" }),
  check: ({ cents }: Order, payment: Payment): Result<void, "PAID_TOO_LITTLE"> => (payment.cents < cents ? err("PAID_TOO_LITTLE") : ok()),
  ship: async (id: string, { address }: Payment) => ship(id, address),
});

interface Start {
  readonly input?: Order;
  readonly resumeState?: ResumeState;
  /** Keeps what is done. */
  readonly checkpoint: (state: ResumeState) => void;
}

/** Runs an order from its beginning or from its state, until it ends or waits. */
export function runOrder(id: string, start: Start) {
  return workflow.runWithState<string, Order>(
    id,
    async ({ step, deps, ctx }) => {
      // The hook's id is made in a step, so that it is the same however often this is run again.
      const { hookId, stepKey } = await step("hook", () => ok(createHook()));
      await step("ask", () => deps.ask(id, hookId));
      const payment = await step("paid", () => deps.paid(hookId), { key: stepKey, compensate: ({ ref }) => refund(id, ref) });
      await step("check", () => deps.check(ctx.input, payment));
      return step("ship", () => deps.ship(id, payment));
    },
    start,
  );
}

/** What an order has come to. */
export type Outcome = Awaited<ReturnType<typeof runOrder>>["result"];
