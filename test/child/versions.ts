// Begins a run under version 1, sets it aside where only version 2 is, and dies there. argv: the folder.

import { join } from "node:path";
import { createHook, step } from "../../src/index.ts";
import { pinned } from "../pinned.ts";
import { openWorld } from "./engine.ts";

const say = step("say", async (text: string) => text);
const order = (pin: string) =>
  pinned("order", pin, async () => {
    const said = await say(`by ${pin}`);
    return `${said}: ${await createHook<string>({ token: "order" })}`;
  });

async function main(): Promise<void> {
  const store = `sqlite:${join(process.argv[2] ?? "", "test.db")}`;
  const first = await openWorld({ store, workflows: [order("1")] });
  const { runId } = await first.engine.start(order("1"), [], { id: "order-1" });
  await first.settled();
  await first.engine.close();
  const second = await openWorld({ store, workflows: [order("2")] }, first.clock);
  await second.engine.signal("order", "kept");
  await second.settled();
  await second.advance(5_000);
  process.stdout.write(await second.engine.getRun(runId).state, () => process.kill(process.pid, "SIGKILL"));
}
void main();
