// A payment provider, played. It behaves as real ones do: it answers 202 and calls back later, tries again until somebody says 2xx,
// and delivers at least once, here always twice, under one `webhook-id`.
//
//   POST /payments  { orderId, callbackUrl }   asks for a payment
//   POST /settle    { orderId }                the customer has paid: the callbacks go out
//   GET  /payments                             what was asked, and what became of the callbacks

import { createServer } from "node:http";
import { setTimeout } from "node:timers/promises";

const { PROVIDER_PORT = "4000" } = process.env;
const payments = new Map();

function ask({ orderId, callbackUrl }) {
  const payment = payments.get(orderId) ?? { orderId, callbackUrl, asked: 0, attempts: [] };
  payments.set(orderId, payment);
  payment.asked++;
  console.log(`will call back about ${orderId} at ${shortened(callbackUrl)}`);
}

/** Whoever knows the whole address can answer the payment. */
function shortened(url) {
  const { origin, pathname } = new URL(url);
  return `${origin}/…/${pathname.split("/").at(-1).slice(0, 6)}…`;
}

async function settle(payment) {
  await callBack(payment, 1);
  await callBack(payment, 2);
}

/** Tries until it is acknowledged, less and less often. */
async function callBack(payment, copy) {
  for (let waitMs = 250; ; waitMs = Math.min(waitMs * 2, 1_000)) {
    const attempt = await post(payment);
    payment.attempts.push({ copy, ...attempt });
    const isDone = attempt.status >= 200 && attempt.status < 300;
    const what = attempt.error ?? `${attempt.status} ${attempt.disposition}, ${attempt.delivery}`;
    console.log(`callback ${copy} of 2: ${what}${isDone ? "" : `; tries again in ${waitMs / 1_000} s`}`);
    if (isDone) return;
    await setTimeout(waitMs);
  }
}

async function post({ orderId, callbackUrl }) {
  const number = orderId.replace(/^order-/, "");
  try {
    const response = await fetch(callbackUrl, {
      method: "POST",
      headers: { "content-type": "application/json", "webhook-id": `evt_${number}` },
      body: JSON.stringify({ id: `pay_${number}`, status: "paid" }),
      signal: AbortSignal.timeout(10_000),
    });
    await response.arrayBuffer();
    return {
      status: response.status,
      disposition: response.headers.get("ringback-disposition"),
      delivery: response.headers.get("ringback-delivery"),
    };
  } catch (error) {
    const { code = error.message } = error.cause ?? {};
    return { status: 0, error: code === "ECONNREFUSED" ? "connection refused" : code };
  }
}

async function answer(request) {
  if (request.method === "GET") return [200, [...payments.values()].map(({ orderId, asked, attempts }) => ({ orderId, asked, attempts }))];
  const body = JSON.parse(Buffer.concat(await request.toArray()).toString());
  if (request.url === "/payments") {
    ask(body);
    return [202, {}];
  }
  const payment = payments.get(body.orderId);
  if (!payment) return [404, { message: `No payment for ${body.orderId}.` }];
  void settle(payment);
  return [202, {}];
}

const server = createServer((request, response) => {
  void answer(request)
    .catch((error) => [500, { message: error.message }])
    .then(([status, body]) => response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body)));
});
server.listen(Number(PROVIDER_PORT), "127.0.0.1", () => console.log(`takes payments on port ${PROVIDER_PORT} (pid ${process.pid})`));
