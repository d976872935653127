// The samples about hooks and webhooks: what each leaves out, and what must come of it.

import { expect } from "vitest";
import { ask, begin, call, onlyToken, onlyUrl, readSamples, resultOf, route, type Sample } from "./sample.ts";

const sample = readSamples("001");
const told = "declare global { var told: unknown[] }\n";

export const hookSamples: readonly Sample[] = [
  {
    what: "the first hook",
    code: sample(0),
    async play(stage) {
      const run = await begin(stage, "approvalWorkflow");
      await stage.world.engine.resumeHook(await onlyToken(stage), { approved: true, comment: "fine" });
      await stage.world.settled();
      expect(await resultOf(stage, run)).toBeUndefined();
      expect(stage.printed).toEqual([
        "Waiting for approval...",
        expect.stringMatching(/^Send approval to token: ./),
        "Approved with comment: fine",
      ]);
    },
  },
  {
    what: "a route that resumes a hook",
    code: sample(1),
    around: (given) => `${route()}${given}`,
    async play(stage) {
      const run = await begin(stage, "waiting", "token-1");
      const answer = await ask(stage, { token: "token-1", approved: true, comment: "yes" });
      expect(await answer.json()).toEqual({ success: true, runId: run.runId });
      await stage.world.settled();
      expect(await resultOf(stage, run)).toEqual({ approved: true, comment: "yes" });
      expect((await ask(stage, { token: "none" })).status).toBe(404);
    },
  },
  {
    what: "a hook with a token of its own, read in a loop",
    code: sample(2),
    around: (given) => `interface SlackMessage { user: string; text: string }\n${given}`,
    async play(stage) {
      const run = await begin(stage, "slackChannelBot", "general");
      for (const text of ["hello", "more", "/stop", "too late"]) {
        await stage.world.engine.resumeHook("slack_messages:general", { user: "ann", text }).catch(() => {});
        await stage.world.settled();
      }
      expect(await resultOf(stage, run)).toBeUndefined();
      expect(stage.printed).toEqual(["ann: hello", "ann: more", "ann: /stop"]);
    },
  },
  {
    what: "a route that finds the run by that token",
    code: sample(3),
    around: (given) => `${route()}${given}`,
    async play(stage) {
      const run = await begin(stage, "waiting", "slack_messages:general");
      const answer = await ask(stage, { channel: "general", text: "hello" });
      expect([answer.status, await answer.text()]).toEqual([200, "OK"]);
      await stage.world.settled();
      expect(await resultOf(stage, run)).toEqual({ channel: "general", text: "hello" });
      expect((await ask(stage, { channel: "none" })).status).toBe(404);
    },
  },
  {
    what: "several events until the last",
    code: sample(4),
    async play(stage) {
      const run = await begin(stage, "dataCollectionWorkflow");
      const token = await onlyToken(stage);
      for (const value of [1, 2, 3]) await stage.world.engine.resumeHook(token, { value, done: value === 3 });
      await stage.world.settled();
      expect(await resultOf(stage, run)).toEqual([1, 2, 3]);
      expect(stage.printed).toEqual(["Collected values: [ 1, 2, 3 ]"]);
    },
  },
  {
    what: "a token that is let go in the middle of a run",
    code: sample(5),
    async play(stage) {
      const run = await begin(stage, "handoffWorkflow", "general");
      await stage.world.engine.resumeHook("channel:general", { message: "one" });
      await stage.world.settled();
      await stage.world.engine.resumeHook("channel:general", { message: "two", handoff: true });
      await stage.world.settled();
      expect(await resultOf(stage, run)).toBeUndefined();
      expect(stage.printed).toEqual(["Received: one", "Received: two", "Continuing with other work..."]);
      const next = await begin(stage, "handoffWorkflow", "general");
      expect((await stage.world.engine.resumeHook("channel:general", { message: "three" })).runId).toBe(next.runId);
    },
  },
  {
    what: "dispose by hand",
    code: sample(6),
    around: (given) =>
      `import { createHook } from "workflow";\nexport async function main(channelId: string) {\n"use workflow";\n${given}\nreturn payload;\n}`,
    async play(stage) {
      const run = await begin(stage, "main", "general");
      await stage.world.engine.resumeHook("channel:general", { message: "one" });
      await stage.world.settled();
      expect(await resultOf(stage, run)).toEqual({ message: "one" });
      await expect(stage.world.engine.resumeHook("channel:general", { message: "two" })).rejects.toMatchObject({ code: "hook_closed" });
    },
  },
  {
    what: "the first webhook",
    code: sample(7),
    async play(stage) {
      const run = await begin(stage, "webhookWorkflow");
      const url = await onlyUrl(stage);
      expect((await call(stage, { paid: true })).status).toBe(202);
      expect(await resultOf(stage, run)).toBeUndefined();
      expect(stage.printed).toEqual([`Send HTTP requests to: ${url}`, `Received request: POST ${url}`, "Data: { paid: true }"]);
    },
  },
  {
    what: "a webhook that always gives one answer",
    code: sample(8),
    async play(stage) {
      const run = await begin(stage, "webhookWithStaticResponse");
      const answer = await call(stage, { a: 1 });
      expect([answer.status, await answer.json()]).toEqual([200, { success: true, message: "Webhook received" }]);
      expect(await resultOf(stage, run)).toBeUndefined();
    },
  },
  {
    what: "a webhook that is answered from a step",
    code: sample(9),
    async play(stage) {
      for (const [type, message] of [
        ["urgent", "Processing urgently"],
        ["other", "Processing normally"],
      ]) {
        await begin(stage, "webhookWithDynamicResponse");
        const answer = await call(stage, { type });
        expect([answer.status, answer.headers.get("content-type"), await answer.json()]).toEqual([200, "application/json", { message }]);
      }
    },
  },
  {
    what: "a webhook that takes several requests and answers each",
    code: sample(10),
    async play(stage) {
      const run = await begin(stage, "eventCollectorWorkflow");
      const url = await onlyUrl(stage);
      for (const type of ["one", "two"]) {
        const answer = await call(stage, { type }, url);
        expect(await answer.json()).toEqual({ received: true, message: "Event received" });
      }
      expect(await (await call(stage, { type: "done" }, url)).json()).toEqual({ received: true, message: "Workflow complete" });
      expect(await resultOf(stage, run)).toBeUndefined();
      expect(stage.printed).toEqual([`Send events to: ${url}`, "Processing event: { type: 'one' }", "Processing event: { type: 'two' }"]);
      expect((await call(stage, { type: "late" }, url)).status).toBe(410);
    },
  },
  {
    what: "a hook with a schema, and the route that resumes it",
    code: sample(11),
    async play(stage) {
      const run = await begin(stage, "documentApprovalWorkflow", "doc-1");
      const approval = { requestId: "r-1", approved: true, approvedBy: "ann", comment: "  fine  " };
      const refused = await ask(stage, { documentId: "doc-1", ...approval, approved: "yes" });
      expect([refused.status, await refused.json()]).toEqual([400, { error: "Invalid token or validation failed" }]);
      // Every door asks the schema, not the definition's own alone.
      await expect(stage.world.engine.resumeHook("approval:doc-1", { approved: 1 })).rejects.toMatchObject({ code: "invalid_payload" });
      const taken = await ask(stage, { documentId: "doc-1", ...approval });
      expect([taken.status, await taken.text()]).toEqual([200, "OK"]);
      await stage.world.settled();
      expect(await resultOf(stage, run)).toBeUndefined();
      expect(stage.printed).toEqual(["Document r-1 approved", "By: ann, Comment: fine"]);
      expect((await ask(stage, { documentId: "none", ...approval })).status).toBe(400);
    },
  },
  {
    what: "a loop that stops itself",
    code: sample(12),
    around: (given) => `import { createHook } from "workflow";
interface Event { n: number }
async function processEvent(event: Event) { "use step"; globalThis.told.push(event) }
const shouldStop = ({ n }: Event) => n === 2;
export async function main() {
"use workflow";
${given}
}
${told}`,
    async play(stage) {
      const run = await begin(stage, "main");
      const token = await onlyToken(stage);
      for (const n of [1, 2]) await stage.world.engine.resumeHook(token, { n });
      await stage.world.settled();
      expect(await resultOf(stage, run)).toBeUndefined();
      expect(stage.told).toEqual([{ n: 1 }, { n: 2 }]);
    },
  },
];
