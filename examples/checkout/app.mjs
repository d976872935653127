// A shop's checkout: an order asks the payment provider for its money, waits for the callback, and is shipped.
// This process may die at any line. Start it again, and every order goes on where it was.

import { appendFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createEngine, createWebhook, getStepMetadata, step, workflow } from "ringback";
import { serve } from "ringback/node";

const { PROVIDER_URL = "http://127.0.0.1:4000", ORDERS_PORT = "3001", LEDGER = ".ringback/ledger.jsonl" } = process.env;

// Steps touch the world. A step's result is recorded, and a recorded step never runs again.

const startPayment = step("start-payment", async (orderId, callbackUrl) => {
  console.log(orderId, "asks the provider for its payment");
  const response = await fetch(`${PROVIDER_URL}/payments`, {
    method: "POST",
    headers: { "content-type": "application/json", "idempotency-key": getStepMetadata().idempotencyKey },
    body: JSON.stringify({ orderId, callbackUrl }),
  });
  if (!response.ok) throw new Error(`The provider answered ${response.status}.`); // thrown errors are retried
});

const fulfil = step("fulfil", async (orderId, payment) => {
  console.log(orderId, "is", payment.status, "and ships");
  await appendFile(LEDGER, `${JSON.stringify({ orderId, payment: payment.id })}\n`);
});

// The workflow is plain code.

const checkout = workflow("checkout", async (orderId) => {
  const callback = createWebhook({ timeout: "3d" });
  await startPayment(orderId, callback.url);
  const request = await callback; // restart, redeploy, wait three days: it continues here
  const payment = await request.json();
  await fulfil(orderId, payment);
  return { orderId, payment };
});

// The engine keeps its journal in SQLite, under .ringback/ unless RINGBACK_DATABASE_URL says otherwise. Callbacks come in on PORT.

const engine = createEngine({ workflows: [checkout] });
const callbacks = await serve(engine, { host: "127.0.0.1" });

// The shop's own API: POST /orders places an order, GET /orders/<id> tells how it is doing.

async function answer(request) {
  const [, root, orderId] = request.url.split("/");
  if (root !== "orders") return [404, { message: "There are only /orders here." }];
  if (request.method === "POST") {
    const order = JSON.parse(Buffer.concat(await request.toArray()).toString());
    const run = await engine.start(checkout, [order.orderId], { id: order.orderId }); // the same order twice is one run
    return [202, { orderId: run.runId }];
  }
  const run = engine.getRun(orderId);
  if (!(await run.exists)) return [404, { message: `No order ${orderId}.` }];
  const state = await run.state;
  return [200, { state, timeline: await run.timeline, result: state === "completed" ? await run.returnValue : null }];
}

const orders = createServer((request, response) => {
  void answer(request)
    .catch((error) => [500, { message: error.message }])
    .then(([status, body]) => response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body)));
});
orders.listen(Number(ORDERS_PORT), "127.0.0.1", () => {
  console.log(`takes orders on port ${ORDERS_PORT}, callbacks on port ${callbacks.port} (pid ${process.pid})`);
});

// Asked to stop, it finishes what is under way. Nothing depends on that.

async function stop() {
  orders.close();
  await callbacks.close();
  await engine.close();
}
process.once("SIGTERM", () => void stop());
