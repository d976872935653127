// A look into a run that another process works on: its code runs against its journal, and nothing it asks for counts. For what only live
// code holds, such as the schema of an unnamed hook.

import type { Run } from "../core/run.ts";
import type { RunNumber, Store } from "../store/port.ts";
import type { Registry } from "./registry.ts";
import { readInto, replay, revive, type RevivingHost } from "./revive.ts";

/** The run as it stands at the end of its journal; null where it or its workflow is not known here. Its code may not fit any more. */
export async function inspect(store: Store, registry: Registry, host: RevivingHost, number: RunNumber): Promise<Run | null> {
  const row = await store.run({ run: number });
  const definition = row && registry.workflow(row.workflow);
  if (!row || !definition) return null;
  const live = revive(row, definition, host);
  await readInto(live, store, host);
  await new Promise<void>((resolve) => replay(live, true, resolve));
  return live.run;
}
