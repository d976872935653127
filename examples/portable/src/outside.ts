// What the app does outside: here it prints.

import { err, ok, type Result } from "ringback/portable";

export const port = Number(process.env["PORT"] ?? 3000);

export function printPaymentLine(id: string, hookId: string): void {
  const body = JSON.stringify({ ref: `p-${id}`, cents: 4200, address: "Paris" });
  console.log(`To pay for ${id}: curl -d '${body}' http://localhost:${port}/orders/${id}/payments/${hookId}`);
}

export function ship(id: string, address: string): Result<string, "NO_ADDRESS"> {
  if (address === "") return err("NO_ADDRESS");
  console.log(`Shipped ${id} to ${address}`);
  return ok(`parcel of ${id}`);
}

export function refund(id: string, ref: string): void {
  console.log(`Refunded ${id}: ${ref}`);
}
