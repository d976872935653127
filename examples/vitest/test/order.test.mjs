import { createServer } from "node:http";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createEngine } from "workflow";
import { settled } from "workflow/testing";

// The provider, who is given an address to call.
const asked = new Map();
const provider = createServer(async (request, response) => {
  const { orderId, callbackUrl } = JSON.parse(Buffer.concat(await request.toArray()).toString());
  asked.set(orderId, callbackUrl);
  response.end();
});
beforeAll(() => new Promise((listening) => void provider.listen(0, listening)));
afterAll(() => void provider.close());

async function placed(orderId) {
  process.env["PROVIDER_URL"] = `http://localhost:${provider.address().port}`;
  const { order } = await import("../order-app/order.ts");
  const engine = createEngine({ store: "memory:", workflows: [order], baseUrl: "https://shop.example" });
  const run = await engine.start(order, [orderId]);
  await settled(engine);
  const callBack = (body) => engine.ingress(new Request(asked.get(orderId) ?? "", { method: "POST", body: JSON.stringify(body) }));
  return { run, callBack };
}

test("an order that is paid is shipped", async () => {
  const { run, callBack } = await placed("one");
  expect((await callBack({ paid: true, address: "Paris" })).status).toBe(202);
  expect(await run.returnValue).toEqual({ orderId: "one", parcel: "one to Paris" });
});

test("an order that is not paid fails", async () => {
  const { run, callBack } = await placed("two");
  await callBack({ paid: false });
  await expect(run.returnValue).rejects.toThrow("Order two is not paid.");
});

test("a step just runs where no run is around", async () => {
  const { ship } = await import("../order-app/step.ts");
  expect(await ship("three", "Rome")).toBe("three to Rome");
});
