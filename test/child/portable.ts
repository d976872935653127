// A portable workflow on an engine whose process is killed: once where it waits, once within a step. Its hook's id is made at each load.

import { appendFileSync, readFileSync } from "node:fs";
import { createEngine } from "../../src/index.ts";
import { createHook, createWorkflow, ok, pendingHook } from "../../src/portable.ts";

const [folder = "", life = ""] = process.argv.slice(2);
const log = `${folder}/log`;
const note = (line: string): void => appendFileSync(log, `${line}\n`);
const die = (): Promise<never> => {
  process.kill(process.pid, "SIGKILL");
  return new Promise(() => {});
};

const { hookId, stepKey } = createHook();
const payment = createWorkflow("payment", { pay: async () => pendingHook<{ ref: string }>(hookId) });
const engine = createEngine({ store: `sqlite:${folder}/ringback.db`, baseUrl: null, logger: false });
const run = await engine.run(
  payment,
  async ({ step, deps }) => {
    await step("charge", () => ok(note(`charge ${hookId}`)));
    const { ref } = await step("wait", () => deps.pay(), { key: stepKey });
    await step("fulfil", async () => {
      note(`fulfil ${ref}`);
      return life === "2" ? die() : ok();
    });
    return `paid by ${ref}`;
  },
  { id: "order-1" },
);
const sent = (): string => /charge (\S+)/.exec(readFileSync(log, "utf8"))?.[1] ?? "";

if (life === "1") {
  while ((await engine.listHooks({ runId: run.runId })).length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  await die();
}
const callback = new Request("https://shop.example/", { method: "POST", body: '{"ref":"r-1"}', headers: { "Idempotency-Key": "k" } });
const { status, headers } = await engine.callback(sent(), callback);
note(`${status} ${headers.get("Ringback-Disposition")}`);
note(JSON.stringify(await run.result()));
await engine.close();
