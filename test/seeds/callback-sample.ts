// The samples about callbacks of external services.

import { expect } from "vitest";
import { ask, begin, call, onlyUrl, readSamples, resultOf, route, type Sample } from "./sample.ts";

const sample = readSamples("002");

export const callbackSamples: readonly Sample[] = [
  {
    what: "a ledger of payment events",
    code: sample(0),
    // The sample only declares the step that the next one has.
    around: (given) => `${given.replace(/^declare function processEvent.*$/m, "")}\n${sample(1)().replace(/^import .*$/m, "")}`,
    async play(stage) {
      const run = await begin(stage, "paymentWebhook", "order-1");
      const url = await onlyUrl(stage);
      const actions: unknown[] = [];
      for (const type of ["payment.failed", "payment.created", "payment.succeeded"])
        actions.push(await (await call(stage, { type }, url)).json());
      expect(actions).toEqual([
        { ack: true, action: "flagged" },
        { ack: true, action: "ignored" },
        { ack: true, action: "captured" },
      ]);
      expect(await resultOf(stage, run)).toEqual({
        orderId: "order-1",
        webhookUrl: url,
        ledger: [{ type: "payment.failed" }, { type: "payment.created" }, { type: "payment.succeeded" }],
        status: "settled",
      });
    },
  },
  {
    what: "the step that answers each event",
    code: sample(1),
    around: (given) => `import { createWebhook } from "workflow";
export async function main() { "use workflow"; return processEvent(await createWebhook({ respondWith: "manual" })) }
${given}`,
    async play(stage) {
      const run = await begin(stage, "main");
      const answer = await stage.world.engine.ingress(new Request(await onlyUrl(stage), { method: "POST", body: "no JSON" }));
      expect(await answer.json()).toEqual({ ack: true, action: "ignored" });
      await stage.world.settled();
      expect(await resultOf(stage, run)).toEqual({ type: "unknown" });
    },
  },
  {
    what: "a callback against a deadline",
    code: sample(2),
    async play(stage) {
      const run = await begin(stage, "asyncVerification", "doc-1");
      const url = await onlyUrl(stage);
      expect(stage.sent).toEqual([
        { url: "https://vendor.example.com/verify", body: JSON.stringify({ documentId: "doc-1", callbackUrl: url }) },
      ]);
      expect(await (await call(stage, { approved: true, details: "ok" }, url)).json()).toEqual({ ack: true });
      expect(await resultOf(stage, run)).toEqual({ documentId: "doc-1", status: "verified", details: "ok" });
      const late = await begin(stage, "asyncVerification", "doc-2");
      const lateUrl = await onlyUrl(stage);
      await stage.world.advance(30_000);
      expect(await resultOf(stage, late)).toEqual({ documentId: "doc-2", status: "timed_out" });
      expect((await call(stage, { approved: true }, lateUrl)).status).toBe(410);
    },
  },
  {
    what: "a large payload by reference",
    code: sample(3),
    async play(stage) {
      const run = await begin(stage, "importLargeFile", "import-1");
      await stage.world.engine.resumeHook("upload:import-1", { blobToken: "blob-1" });
      await stage.world.settled();
      expect(await resultOf(stage, run)).toEqual({ importId: "import-1", blobToken: "blob-1", status: "indexed" });
      expect(stage.sent).toEqual([{ url: "https://storage.example.com/blobs/blob-1", body: "" }]);
    },
  },
  {
    what: "the route that says the upload is complete",
    code: sample(4),
    around: (given) => `${route()}${given}`,
    async play(stage) {
      const run = await begin(stage, "waiting", "upload:import-1");
      const answer = await ask(stage, { importId: "import-1", blobToken: "blob-1" });
      expect(await answer.json()).toEqual({ ok: true });
      await stage.world.settled();
      expect(await resultOf(stage, run)).toEqual({ blobToken: "blob-1" });
    },
  },
];
