// A process of its own that opens a SQLite file as its worker, starts a run, says so, and stays until it is killed.

import { sqliteStore } from "../../src/store/sqlite/store.ts";
import { createManualClock } from "../../src/testing/manual-clock.ts";

const store = sqliteStore({ path: process.argv[2]!, clock: createManualClock() });
await store.open({ role: "worker" });
await store.commit([
  { op: "start", run: { id: "run-1", key: "key-1", workflow: "w", codeId: "c", args: "[]", seed: "s" }, worker: "killed" },
]);
process.stdout.write("open\n");
setInterval(() => undefined, 60_000);
