import { start } from "workflow/api";
import { order } from "../../../workflows/order";

export async function POST(request: Request) {
  const { orderId } = await request.json();
  const run = await start(order, [orderId]);
  return Response.json({ runId: run.runId }, { status: 202 });
}
