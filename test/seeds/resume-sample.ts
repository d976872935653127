// The samples about resuming.

import { expect } from "vitest";
import { between, readDocument } from "./document.ts";
import { ask, begin, onlyToken, resultOf, route, type Sample } from "./sample.ts";

const part =
  (after: string, before: string | null): (() => string) =>
  () =>
    between(readDocument("004"), after, before);

export const resumeSamples: readonly Sample[] = [
  {
    what: "the signature of resumeHook",
    code: part("Signature", "Parameters"),
    around: (given) => `import { resumeHook as ours, type ResumedHook as Hook } from "workflow/api";
declare ${given.trim()}
const same: typeof resumeHook = ours;
export const main = async () => typeof same;`,
    async play(stage) {
      expect(await stage.module["main"]?.()).toBe("function");
    },
  },
  {
    what: "a route that resumes a hook",
    code: part("Example", "resumeWebhook"),
    around: (given) => `${route()}${given}`,
    async play(stage) {
      const run = await begin(stage, "waiting", "token-1");
      const answer = await ask(stage, { token: "token-1", data: { a: 1 } });
      expect(await answer.json()).toEqual({ success: true, runId: run.runId });
      await stage.world.settled();
      expect(await resultOf(stage, run)).toEqual({ a: 1 });
      const missing = await ask(stage, { token: "none", data: 1 });
      expect([missing.status, await missing.text()]).toEqual([404, "Hook not found"]);
    },
  },
  {
    what: "the signature of resumeWebhook",
    code: () =>
      part("resumeWebhook", "Common Use Cases")()
        .replace(/^[\s\S]*?^Signature\n/m, "")
        .replace(/^Parameters\n[\s\S]*/m, ""),
    around: (given) => `import { resumeWebhook as ours } from "workflow/api";
declare ${given.trim()}
const same: typeof resumeWebhook = ours;
export const main = async () => typeof same;`,
    async play(stage) {
      expect(await stage.module["main"]?.()).toBe("function");
    },
  },
  {
    what: "a route that hands a request to a webhook",
    code: () =>
      between(part("resumeWebhook", "Common Use Cases")(), "The incoming HTTP request object", null).replace(/^[\s\S]*?^Example\n/m, ""),
    around: (given) => `import { createWebhook } from "workflow";
export async function main() { "use workflow"; return (await createWebhook()).text() }
${given}`,
    async play(stage) {
      const run = await begin(stage, "main");
      const answer = await ask(stage, "hello", { params: { token: await onlyToken(stage) } });
      expect(answer.status).toBe(202);
      await stage.world.settled();
      expect(await resultOf(stage, run)).toBe('"hello"');
    },
  },
  {
    what: "an approval by hand",
    code: part("Manual Approval Flow", "Webhook Integration"),
    around: (given) => `import { createHook } from "workflow";\n${given}`,
    async play(stage) {
      const run = await begin(stage, "approvalWorkflow", "order-1");
      const answer = await ask(stage, { orderId: "order-1", approved: true });
      expect(await answer.json()).toEqual({ success: true });
      await stage.world.settled();
      expect(await resultOf(stage, run)).toBeUndefined();
    },
  },
  {
    what: "a webhook with a token of its own, answered in the workflow",
    code: part("Webhook Integration", null),
    around: (given) => `import { createWebhook } from "workflow";\n${given}`,
    async play(stage) {
      const run = await begin(stage, "paymentWorkflow", "checkout-1");
      const answer = await ask(stage, { paid: true }, { params: { checkoutId: "checkout-1" } });
      expect([answer.status, await answer.text()]).toEqual([200, "OK"]);
      await stage.world.settled();
      expect(await resultOf(stage, run)).toBeUndefined();
    },
  },
];
