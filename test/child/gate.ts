// A store of its own on a file that others have open, too: commits what it is told, when it is told. Lines of JSON in and out.

import { createInterface } from "node:readline";
import { systemClock } from "../../src/engine/clock.ts";
import { sqliteStore } from "../../src/store/sqlite/store.ts";
import type { Command } from "../../src/store/port.ts";

const [path = ""] = process.argv.slice(2);
const store = sqliteStore({ path, clock: systemClock });
await store.open({ role: "ingress" });
const say = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value)}\n`);
say("open");
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line) as Command;
  say("ready"); // next comes the commit, which waits at the gate
  const [outcome] = await store.commit([command]);
  say(outcome);
}
await store.close();
