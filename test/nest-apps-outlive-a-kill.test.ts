// The example of a Nest app, installed from the package and built as its users build it: orders outlive a kill of the app, which takes up
// what came meanwhile before anybody calls it, and stack traces lead to the author's files.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createEngine } from "../src/index.ts";
import { FrameworkApp, freePort, type Started } from "./example/framework-app.ts";
import { Workshop } from "./example/pack.ts";

const isLong = process.env["RINGBACK_LONG"] === "1";
const start = ["--enable-source-maps", "dist/main.js"];
const route = "/durable/api/webhooks/";

let workshop: Workshop;
beforeAll(() => {
  if (isLong) workshop = new Workshop();
});
afterAll(() => workshop?.remove());

test.runIf(isLong)("a Nest app, built by tsc", async () => {
  const app = new FrameworkApp(workshop.installed("nest", "ringback"), process.execPath);
  try {
    app.run("typescript/bin/tsc", []);
    await ordersOutlive(app);
  } finally {
    await app.remove();
  }
});

async function ordersOutlive(app: FrameworkApp): Promise<void> {
  const port = await freePort();
  const base = `http://127.0.0.1:${port}`;
  const store = `sqlite:${join(app.folder, ".ringback/orders.db")}`;
  const env = { PORT: `${port}`, NO_COLOR: "1", RINGBACK_DATABASE_URL: store, RINGBACK_BASE_URL: base };

  const first = await app.start(start, env);
  await first.prints(/successfully started/);
  expect((await fetch(`${base}/orders/none`)).status).toBe(404);
  const place = (id: string, cents = 4200) => order(base, first, { id, cents });
  const [paid, unpaid, lost, early] = [await place("paid"), await place("unpaid"), await place("lost", 0), await place("early")];
  await first.kill();

  // Another process takes a callback while the app is down. The app goes on with it by itself.
  const ingress = createEngine({ store, baseUrl: null, role: "ingress", workflows: [] });
  const request = new Request(early.replace(route, ingress.ingress.route), payment("paid", "e-1"));
  expect((await ingress.ingress(request)).status).toBe(202);
  await ingress.close();
  const second = await app.start(start, env);
  await second.prints(/Shipped early/); // it may listen only then
  await second.prints(/successfully started/);

  expect((await fetch(paid, payment("paid", "p-1"))).status).toBe(202);
  expect((await fetch(unpaid, payment("failed", "u-1"))).status).toBe(202);
  expect((await fetch(lost, payment("paid", "l-1"))).status).toBe(202);
  for (const told of [/Shipped paid/, /order-unpaid .* failed/, /order-lost .* failed/]) await second.prints(told);
  await second.kill("SIGTERM");

  const third = await app.start(start, env);
  await third.prints(/successfully started/);
  const shown = await Promise.all(["paid", "early", "unpaid", "lost"].map(async (id) => (await fetch(`${base}/orders/${id}`)).json()));
  expect(shown).toEqual([
    { state: "completed", result: { orderId: "paid", ref: "p-1", parcel: "parcel of paid" } },
    { state: "completed", result: { orderId: "early", ref: "e-1", parcel: "parcel of early" } },
    { state: "failed", reason: "Payment u-1 of order unpaid failed." },
    { state: "failed", reason: "0 cents are no price for order lost." },
  ]);
  await third.prints(frame("CheckoutWorkflow.run", app, "checkout.workflow.ts", "new FatalError("));
  await third.prints(frame("PaymentService.ship", app, "payment.service.ts", "new FatalError("));
  await third.kill("SIGTERM");
}

/** Places an order, and gives the address that it waits at. */
async function order(base: string, app: Started, { id, cents }: { readonly id: string; readonly cents: number }): Promise<string> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${base}/orders`, { method: "POST", headers, body: JSON.stringify({ id, cents }) });
  expect([response.status, await response.json()]).toEqual([202, { runId: `order-${id}` }]);
  const [, url = ""] = await app.prints(new RegExp(`To pay for ${id}: curl .* (\\S+)`));
  expect(url.startsWith(base + route)).toBe(true);
  return url;
}

function payment(status: string, ref: string): RequestInit {
  return { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ status, ref }) };
}

/** The frame of a stack that stands where this piece of the file does. */
function frame(name: string, app: FrameworkApp, file: string, piece: string): RegExp {
  const source = readFileSync(join(app.folder, "src", file), "utf8");
  const lines = source.slice(0, source.indexOf(piece)).split("\n");
  const place = `${file.replaceAll(".", "\\.")}:${lines.length}:${(lines.at(-1) as string).length + 1}`;
  return new RegExp(`at (?:async )?${name} \\(\\S*${place}\\)`);
}
