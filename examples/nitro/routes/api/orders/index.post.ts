import { defineHandler } from "nitro/h3";
import { start } from "workflow/api";
import { order } from "../../../workflows/order.ts";

export default defineHandler(async ({ req, res }) => {
  const { orderId } = await req.json();
  const run = await start(order, [orderId]);
  res.status = 202;
  return { runId: run.runId };
});
