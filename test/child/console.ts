// Prints from workflow code, in lives that are hot, cold, or of two processes' engines. argv: the folder, how many runs stay hot.

import { join } from "node:path";
import { createHook, sleep, step, workflow } from "../../src/index.ts";
import { openWorld } from "./engine.ts";

let lives = 0;
const work = step("work", async () => console.log("in a step"));
const wf = workflow("prints", async () => {
  lives++;
  const hook = createHook<number>({ token: "say" });
  console.log("begin");
  await work();
  console.log("worked");
  for (let n = 0; n < 3; n++) console.log(`said ${await hook}`);
  for (const method of ["info", "warn", "error", "debug", "dir"] as const) console[method](method);
  console.table([["table"]]);
  console.count("count");
  console.assert(false, "assert");
  await sleep("1h");
  console.log("end");
});

const [folder = "", hotRuns = "0"] = process.argv.slice(2);
const store = `sqlite:${join(folder, "test.db")}`;
async function main(): Promise<void> {
  const first = await openWorld({ store, hotRuns: Number(hotRuns), workflows: [wf] });
  const run = await first.engine.start(wf, []);
  await first.settled();
  for (let n = 0; n < 3; n++) {
    await first.engine.resumeHook("say", n);
    await first.settled();
  }
  await first.engine.core.abandon();
  await first.engine.close();
  const second = await openWorld({ store, hotRuns: Number(hotRuns), workflows: [wf] }, first.clock);
  await second.settled();
  await second.advance(3_600_000);
  await second.engine.getRun(run.runId).returnValue;
  console.log(`lives ${lives}`);
  await second.engine.close();
}
void main();
