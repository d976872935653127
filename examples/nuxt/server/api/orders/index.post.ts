import { start } from "workflow/api";
import { order } from "../../workflows/order.ts";

export default defineEventHandler(async (event) => {
  const { orderId } = await readBody(event);
  const run = await start(order, [orderId]);
  setResponseStatus(event, 202);
  return { runId: run.runId };
});
