import { json } from "@sveltejs/kit";
import { start } from "workflow/api";
import { order } from "../../../workflows/order.ts";

export async function POST({ request }) {
  const { orderId } = await request.json();
  const run = await start(order, [orderId]);
  return json({ runId: run.runId }, { status: 202 });
}
