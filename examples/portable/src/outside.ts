// What the app does outside: here it prints.

import { err, ok, type Result } from "ringback/portable";

export const port = Number(process.env["PORT"] ?? 3000);

/** The line that calls back. */
export function print(what: string, hookId: string, body: object): void {
  console.log(`${what}: curl -d '${JSON.stringify(body)}' http://localhost:${port}/hooks/${hookId}`);
}

export function ship(id: string, address: string, hookId: string): Result<void, "NO_ADDRESS"> {
  if (address === "") return err("NO_ADDRESS");
  print(`Shipped ${id} to ${address}. When it is delivered`, hookId, { signedBy: "Ada" });
  return ok();
}

export function refund(id: string, ref: string): void {
  console.log(`Refunded ${id}: ${ref}`);
}

export function thank(id: string, signedBy: string): string {
  console.log(`Delivered ${id}: ${signedBy} has signed`);
  return signedBy;
}
