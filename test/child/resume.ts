// A process that takes callbacks for the order of test/resuming.ts, on a SQLite file: what it does it writes to a log. Its clock is ahead by as
// many ms as it is told; it kills itself at a write of its store, where it is told to.

import { appendFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { toListener } from "../../src/adapters/node.ts";
import { createWorkflow, ok, pendingHook } from "../../src/portable.ts";
import { resumeHandler } from "../../src/resume.ts";
import { sqliteResumeStore } from "../../src/sqlite.ts";
import type { Clock } from "../../src/core/clock.ts";

const [path, log, ahead, killAt, when] = process.argv.slice(2) as [string, string, string, string, "before" | "after"];
const clock: Clock = {
  now: () => Date.now() + Number(ahead),
  alarm: (at, wake) => {
    const timer = setTimeout(wake, Math.max(0, at - clock.now())).unref();
    return () => clearTimeout(timer);
  },
};
const store = sqliteResumeStore(path, { clock });
let writes = 0;
const workflow = createWorkflow("order", { wait: async (id: string) => pendingHook<any>(id) });
const note = (line: string) => async () => ok(appendFileSync(log, `${line}\n`));

const handler = resumeHandler({
  ...store,
  async save(...given) {
    const isLast = writes++ === Number(killAt);
    if (isLast && when === "before") process.kill(process.pid, "SIGKILL");
    const saved = await store.save(...given);
    if (isLast) process.kill(process.pid, "SIGKILL");
    return saved;
  },
  clock,
  run: (options) =>
    workflow.runWithState(async ({ step, deps, ctx }) => {
      const id = ctx.workflowId;
      await step("charge", note("charge"));
      const paid = await step("pay", () => deps.wait(`${id}:pay`), { key: `hook:${id}:pay` });
      await step("pack", note("pack"));
      const shipped = await step("ship", () => deps.wait(`${id}:ship`), { key: `hook:${id}:ship` });
      await step("tell", note("tell"));
      return [paid, shipped];
    }, options),
});

const server = createServer((request, response) => {
  const runId = /^\/start\/(.+)$/.exec(request.url ?? "")?.[1];
  if (runId === undefined) return toListener(handler)(request, response);
  void handler.start({ runId }).then(() => response.end());
});
await handler.recover();
server.listen(0, "127.0.0.1", () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
