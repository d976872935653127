// One life of a process with a run of the context style, which takes two callbacks in two chapters; the provider sends both in each life.
// argv: the folder, and the crash point to die at.

import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const [folder = "", crashAt] = process.argv.slice(2);
const ledger = join(folder, "ledger");

async function main(): Promise<void> {
  if (crashAt !== undefined) process.env["RINGBACK_CRASH_AT"] = crashAt; // before the engine looks
  const { createEngine, getStepMetadata } = await import("../../src/index.ts");
  const { defineWorkflow, WorkflowEngine } = await import("../../src/context.ts");
  let handOut: (token: string) => void;
  const handedOut = new Promise<string>((resolve) => (handOut = resolve));
  /** What a step does to the world outside. */
  const note = (value: string): void => {
    const { stepName, idempotencyKey } = getStepMetadata();
    appendFileSync(ledger, `${JSON.stringify({ step: stepName, key: idempotencyKey, value })}\n`);
  };
  const journey = defineWorkflow({ name: "journey", version: "7" }, async (ctx, got: number[]): Promise<number[]> => {
    const hook = ctx.webhook<number>({ name: "callback" });
    if (got.length === 0) {
      await ctx.step("hand out", () => (note(hook.token), handOut(hook.token)));
      await ctx.setAttributes({ order: "o-42" });
      await ctx.setEvent("stage", "waiting");
    }
    const paid = await hook.wait();
    await ctx.step("ship", () => note(String(paid)));
    return got.length === 0 ? ctx.continueAsNew([paid]) : [...got, paid];
  });
  const engine = createEngine({
    store: `sqlite:${join(folder, "test.db")}`,
    keys: "t1=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
    baseUrl: null,
    webhookUrl: (token) => `https://api.example/${token}`,
    logger: false,
  });
  const runs = new WorkflowEngine(engine, { workflows: [journey] });
  const run = await runs.start(journey, [], "journey-1");
  const token = tokenIn(ledger) ?? (await handedOut);
  const told: (string | null)[] = [];
  for (const n of [1, 2]) {
    const headers = { "content-type": "application/json", "idempotency-key": `evt_${n}` };
    const url = `https://api.example/.well-known/workflow/v1/webhook/${token}`;
    const answer = await engine.ingress(new Request(url, { method: "POST", headers, body: String(n) }));
    told.push(answer.headers.get("ringback-disposition"));
  }
  const result = await run.returnValue;
  const kinds = (await run.timeline).map(({ event }) => event);
  const attributes = (await runs.listRuns({ attributes: { order: "o-42" } })).map(({ runId }) => runId);
  process.stdout.write(JSON.stringify({ result, told, kinds, attributes, stage: await runs.getEvent("journey-1", "stage") }));
  await runs.close();
}

/** What an earlier life has handed out. */
function tokenIn(path: string): string | null {
  if (!existsSync(path)) return null;
  return (JSON.parse(readFileSync(path, "utf8").split("\n")[0] as string) as { value: string }).value;
}
void main();
