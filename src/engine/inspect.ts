// A look into a run that another process works on: its code runs against its journal, and nothing it asks for counts. For what only live
// code holds, such as the schema of an unnamed hook.

import type { Clock } from "../core/clock.ts";
import type { WorkflowDefinition } from "../core/definition.ts";
import { limits } from "../core/limits.ts";
import type { Run } from "../core/run.ts";
import type { RunRow, Store } from "../store/port.ts";
import { readInto, replay, revive, type RevivingHost } from "./revive.ts";

/** The run as it stands at the end of its journal, or as far as it has come when its time is up. Its code may not fit any more. */
export async function inspect(row: RunRow, definition: WorkflowDefinition, store: Store, host: RevivingHost, clock: Clock): Promise<Run> {
  const live = revive(row, definition, host);
  await readInto(live, store, host);
  const takeBack = clock.alarm(clock.now() + limits.lookMs, () => {
    live.isGone = true;
  });
  await new Promise<void>((resolve) => replay(live, true, resolve));
  takeBack();
  return live.run;
}
