// The app: routes for orders, and one for all callbacks.

import { createServer } from "node:http";
import { toListener } from "ringback/node";
import { match } from "ringback/portable";
import { resumeHandler } from "ringback/resume";
import { sqliteResumeStore } from "ringback/sqlite";
import { isOrder, runOrder } from "./order.ts";
import { port } from "./outside.ts";

const orders = resumeHandler({
  ...sqliteResumeStore(process.env["ORDERS"] ?? ".ringback/orders.db"),
  run: runOrder,
  leaseMs: Number(process.env["LEASE_MS"] ?? 5000), // so long after a kill the order goes on that was being worked at
  onError: (error, id) => console.error(id, error),
});

async function place(id: string, request: Request): Promise<Response> {
  const input: unknown = await request.json().catch(() => null);
  if (!isOrder(input)) return Response.json({ error: "Give item and cents." }, { status: 422 });
  await orders.start({ runId: id, input }); // the same order again is the one that is there
  return Response.json({ id }, { status: 202 });
}

async function show(id: string): Promise<Response> {
  const { result } = await orders.resume(id);
  if (result === null) return Response.json({ error: "Not there, or another process works at it." }, { status: 404 });
  const shown = match(result, {
    ok: (signedBy) => ({ state: "delivered", signedBy }),
    PENDING_HOOK: ({ metadata }) => ({ state: "waits", ...metadata }),
    PENDING_APPROVAL: () => ({ state: "waits", for: "somebody" }),
    HookTimedOut: ({ step }) => ({ state: `not ${step} in time` }),
    PAID_TOO_LITTLE: () => ({ state: "refunded", reason: "paid too little" }),
    NO_ADDRESS: () => ({ state: "refunded", reason: "no address" }),
    UnexpectedError: ({ message }) => ({ state: "failed", reason: message }),
  });
  return Response.json(shown);
}

async function app(request: Request): Promise<Response> {
  const [, first, id = ""] = new URL(request.url).pathname.split("/");
  if (first === "hooks") return orders(request); // POST /hooks/:hookId
  if (first !== "orders" || id === "") return Response.json({ error: "Not found." }, { status: 404 });
  return request.method === "POST" ? place(id, request) : show(id);
}

function failed(error: unknown): Response {
  console.error(error);
  return Response.json({ error: "Send it again later." }, { status: 503 });
}

/** What a process before this one has left, and what is due. */
const recover = () => orders.recover().catch(console.error);

await recover();
setInterval(recover, 60_000).unref();
createServer(toListener((request) => app(request).catch(failed))).listen(port, () => console.log(`listening on ${port}`));
