// An order waits for its payment, however long that takes, and is shipped.

import { createWebhook, FatalError } from "workflow";

export async function order(orderId: string) {
  "use workflow";

  using payment = createWebhook();
  await askForPayment(orderId, payment.url);
  const request = await payment; // the process may stop here and start again, days later
  const { amount } = (await request.json()) as { amount: number };
  if (amount === 0) throw new FatalError(`Nothing was paid for ${orderId}.`);
  return { orderId, amount, parcel: await ship(orderId, amount) };
}

async function askForPayment(orderId: string, callbackUrl: string) {
  "use step";
  console.log(`To pay for ${orderId}: curl -d '{"amount":20}' ${callbackUrl}`);
}

async function ship(orderId: string, amount: number) {
  "use step";
  if (amount < 0) throw new FatalError(`${amount} is no price for ${orderId}.`);
  console.log(`Shipped ${orderId}.`);
  return `parcel of ${orderId}`;
}
