// An order waits for its payment, however long that takes, and is shipped.

import { FatalError, Workflow, type WorkflowCtx } from "ringback/nest";
import { PaymentService } from "./payment.service";

export interface Order {
  readonly id: string;
  readonly cents: number;
}

interface Payment {
  readonly status: "paid" | "failed";
  readonly ref: string;
}

@Workflow({ name: "checkout", version: "1" })
export class CheckoutWorkflow {
  constructor(private readonly payments: PaymentService) {}

  async run(ctx: WorkflowCtx, order: Order) {
    const callback = ctx.webhook<Payment>({ timeout: "14d" });
    await ctx.step("ask for payment", () => this.payments.ask(order.id, order.cents, callback.url));
    const payment = await callback.wait(); // the process may stop here and start again, days later
    if (payment.status !== "paid") throw new FatalError(`Payment ${payment.ref} of order ${order.id} failed.`, "payment_failed");
    const parcel = await ctx.step(this.payments.ship, order);
    return { orderId: order.id, ref: payment.ref, parcel };
  }
}
