import { start } from "workflow/api";
import { order } from "../../../workflows/order.ts";

export const prerender = false;

export async function POST({ request }) {
  const { orderId } = await request.json();
  const run = await start(order, [orderId]);
  return Response.json({ runId: run.runId }, { status: 202 });
}
