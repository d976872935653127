// Plays a script against a program, hot, and notes where each event's effects end, so that a cold replay can be compared prefix by prefix.

import { type Code, DrivenRun, type MailboxMaker, replay } from "./driver.ts";
import type { Action } from "./program.ts";

export interface Played {
  readonly run: DrivenRun;
  /** Length of the trace after the start, and after each event. */
  readonly marks: readonly number[];
  /** Actions that found nothing to happen to. */
  readonly idle: readonly Action[];
}

/** `look` sees the run whenever all that could happen has happened. */
export async function play(
  code: Code,
  script: readonly Action[],
  makeMailbox?: MailboxMaker,
  look: (run: DrivenRun) => void = () => {},
): Promise<Played> {
  const run = new DrivenRun(makeMailbox);
  const idle: Action[] = [];
  await run.start(code);
  look(run);
  const marks = [run.trace.length];
  for (const action of script) {
    const event = run.ended ? null : run.eventOf(action);
    if (!event) {
      idle.push(action);
      continue;
    }
    await run.apply(event);
    look(run);
    marks.push(run.trace.length);
  }
  return { run, marks, idle };
}

/** The first prefix of the journal whose replay differs from what happened hot, with both traces; null when there is none (G7). */
export async function findDifference(
  code: Code,
  { run, marks }: Played,
  makeMailbox?: MailboxMaker,
): Promise<{ prefix: number; hot: string[]; cold: string[] } | null> {
  for (const [prefix, mark] of marks.entries()) {
    const hot = run.trace.slice(0, mark);
    const cold = (await replay(code, run.journal.slice(0, prefix), makeMailbox)).trace;
    if (hot.join("\n") !== cold.join("\n")) return { prefix, hot, cold };
  }
  return null;
}
