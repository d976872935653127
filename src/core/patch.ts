// Which of two versions of its code a run goes on with.
//
// PA1. An answer follows from the journal alone. True is recorded where it was first given, and replays; false is what a turn says that
//      was recorded before the patch was there, takes no position, and is not recorded.
// PA2. The first answer stands for the run: one that began a loop without the patch stays without it, until a new chapter.

import type { Run } from "./run.ts";

/** Whether the run comes to this patch new. */
export function callPatched(run: Run, id: string): boolean {
  run.spend();
  if (run.knows("patch_taken", id, "")) {
    run.ask("patch_taken", id, "");
    return answer(run, id, true);
  }
  const before = run.patches?.get(id);
  if (before !== undefined) return before;
  if (!run.isNew || run.fault) return answer(run, id, false);
  const { position, turn, name, digest } = run.ask("patch_taken", id, "");
  run.asked.push({ kind: "patch_taken", turn, position, name, digest });
  return answer(run, id, true);
}

function answer(run: Run, id: string, isPatched: boolean): boolean {
  (run.patches ??= new Map<string, boolean>()).set(id, isPatched);
  return isPatched;
}
