// A look into a run that is not in memory here: its code runs against its journal and nothing it asks for counts. For what only live
// code holds, such as the schema of an unnamed hook.

import { Run, type RunHost } from "../core/run.ts";
import type { RunNumber, Store } from "../store/port.ts";
import { nextTurn } from "./next-turn.ts";
import { Live } from "./live.ts";
import { takeTurns } from "./realm.ts";
import type { Registry } from "./registry.ts";

const sliceMs = 5;

/** The run as it stands at the end of its journal; null where it or its workflow is not known here, or its code no longer fits. */
export async function inspect(store: Store, registry: Registry, host: RunHost, number: RunNumber): Promise<Run | null> {
  const row = await store.run({ run: number });
  const definition = row && registry.workflow(row.workflow);
  if (!row || !definition) return null;
  const run = new Run(
    { id: row.id, key: row.key, workflow: row.workflow, codeId: definition.codeId, createdAt: row.createdAt },
    definition,
    host,
  );
  const live = new Live(row, run);
  const journal = await store.journal(number, 0);
  for (const event of journal) run.record(event);
  for (const event of journal) live.receive(event);
  live.isLoading = true;
  await new Promise<void>((resolve) => {
    const replay = (): void =>
      takeTurns(
        run,
        () => {
          if (run.isTurnOpen) run.endTurn();
          const body = nextTurn(live);
          run.isReplaying = true; // nothing is said by a look
          return body;
        },
        sliceMs,
        (isDrained) => (isDrained ? resolve() : replay()),
      );
    replay();
  });
  return run.fault ? null : run;
}
