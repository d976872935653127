// POST /orders/<id> places an order, GET /orders/<id> tells how it ended; callbacks come in at /.well-known/workflow/v1/webhook/…

import { createServer } from "node:http";
import { defaultEngine, getRun, start } from "workflow/api";
import { toListener } from "workflow/node";
import { order } from "./order.ts";

const callbacks = toListener(defaultEngine().ingress);

const server = createServer(async (request, response) => {
  const [, root, orderId] = (request.url ?? "").split("/");
  if (root !== "orders" || !orderId) return callbacks(request, response);
  const answer = (status: number, body: unknown) =>
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  try {
    const run = request.method === "POST" ? await start(order, [orderId], { id: orderId }) : getRun(orderId);
    answer(200, request.method === "POST" ? { runId: run.runId } : await run.returnValue);
  } catch (error) {
    answer(500, { message: (error as Error).message, cause: ((error as Error).cause as Error | undefined)?.stack });
  }
});
server.listen(Number(process.env["PORT"] ?? 3000), () => console.log("listening"));
