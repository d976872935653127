// POST /orders/<id> places an order, GET /orders/<id> tells how it ended; callbacks come in at /.well-known/workflow/v1/webhook/…

import { createServer, type ServerResponse } from "node:http";
import { defaultEngine, getRun, start } from "workflow/api";
import { toListener } from "workflow/node";
import { order } from "./order.ts";

const engine = defaultEngine();
const callbacks = toListener(engine.ingress);

const server = createServer((request, response) => {
  const [, root, orderId] = (request.url ?? "").split("/");
  if (root !== "orders" || !orderId) return callbacks(request, response);
  const told = request.method === "POST" ? place(orderId) : outcome(orderId);
  told.then(
    (body) => answer(response, 200, body),
    (error: Error) => answer(response, 500, { stack: error.stack, cause: (error.cause as Error | undefined)?.stack }),
  );
});
// Opened first, so that orders which an earlier process left go on.
void engine.open().then(() => server.listen(Number(process.env["PORT"] ?? 3000), () => console.log("listening")));

async function place(orderId: string): Promise<{ runId: string }> {
  const { runId } = await start(order, [orderId], { id: orderId }); // the same order twice is one run
  return { runId };
}

async function outcome(orderId: string): Promise<unknown> {
  return getRun(orderId).returnValue;
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
