// What an order does to the world outside: each of these is done once, also where the process dies in between.

import { FatalError } from "workflow";

const { PROVIDER_URL = "http://localhost:4000" } = process.env;

export async function askForPayment(orderId: string, callbackUrl: string): Promise<void> {
  "use step";
  const response = await fetch(`${PROVIDER_URL}/payments`, { method: "POST", body: JSON.stringify({ orderId, callbackUrl }) });
  if (!response.ok) throw new Error(`The provider answered ${response.status}.`);
}

export async function ship(orderId: string, address: string): Promise<string> {
  "use step";
  if (address === "") throw new FatalError(`Order ${orderId} has no address.`);
  return `${orderId} to ${address}`;
}
