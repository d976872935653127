// An order: the payment provider is given an address to call, and the order waits for that call, however long it takes.

import { createWebhook } from "workflow";
import { askForPayment, ship } from "./step.ts";

interface Payment {
  readonly paid: boolean;
  readonly address: string;
}

interface Outcome {
  readonly orderId: string;
  readonly parcel: string;
}

export async function order(orderId: string): Promise<Outcome> {
  "use workflow";
  using callback = createWebhook();
  await askForPayment(orderId, callback.url);
  const request = await callback;
  const payment = (await request.json()) as Payment;
  if (!payment.paid) throw new Error(`Order ${orderId} is not paid.`);
  return { orderId, parcel: await ship(orderId, payment.address) };
}
