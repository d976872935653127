// The laws of reading, for any program and any script (H1–H6). Each speaks of what can be seen from outside the readers.

import type { DrivenRun, MailboxMaker } from "./driver.ts";
import { findDifference, play } from "./play.ts";
import { canLosePart, Execution, payloadsIn, type RandomProgram } from "./random-program.ts";
import type { Api } from "./program.ts";

/** The first law that the program breaks, with the evidence; null when it keeps them all. */
export async function brokenLaw(program: RandomProgram, makeMailbox?: MailboxMaker): Promise<string | null> {
  let run: DrivenRun | null = null;
  const execution = new Execution(program, (hook) => isSpent(run, hook));
  const stranded: string[] = [];
  const code = (api: Api): Promise<unknown> => execution.run(api);
  const played = await play(code, program.script, makeMailbox, (now) => {
    run = now;
    if (!now.ended) stranded.push(...strandedIn(now, execution));
  });
  if (stranded.length > 0) return `stranded: ${stranded[0]}`;
  const law = onceEach(played.run) ?? (canLosePart(program) ? null : await noneVanished(played.run, execution));
  if (law) return law;
  const again = (api: Api): Promise<unknown> => new Execution(program, () => false).run(api);
  const difference = await findDifference(again, played, makeMailbox);
  return (
    difference &&
    `hot and cold differ after ${difference.prefix} events:\n${difference.hot.join("\n")}\n--- cold\n${difference.cold.join("\n")}`
  );
}

function isSpent(run: DrivenRun | null, hook: number): boolean {
  const mailbox = run?.hooks[hook]?.mailbox;
  return mailbox !== undefined && mailbox.isClosed && mailbox.unreadCount === 0;
}

/** Nobody waits at a hook that has something to give. */
function strandedIn(run: DrivenRun, execution: Execution): string[] {
  return execution.waitsFor().flatMap((hook) => {
    const mailbox = run.hooks[hook]?.mailbox;
    if (!mailbox || (mailbox.unreadCount === 0 && !mailbox.isClosed)) return [];
    return [
      `code waits for hook ${hook}, which has ${mailbox.unreadCount} unread${mailbox.isClosed ? " and is closed" : ""} (event ${run.seq})`,
    ];
  });
}

/** A payload goes to at most one reader, and what was handed over and what is unread make up what was delivered. */
function onceEach(run: DrivenRun): string | null {
  const delivered = run.journal.flatMap((event) => (event.type === "received" ? [event.value] : []));
  const twice = run.handed.find((value, index) => run.handed.indexOf(value) !== index);
  if (twice) return `handed over twice: ${twice}`;
  const kept = [...run.handed, ...run.unread].sort().join(" ");
  return kept === delivered.sort().join(" ") ? null : `delivered ${delivered.join(" ")}, handed over or unread ${kept}`;
}

/** What was handed over, code has got: no read that nobody waits for took it. */
async function noneVanished(run: DrivenRun, execution: Execution): Promise<string | null> {
  const seen = new Set(execution.log);
  for (const promise of execution.held) {
    if (promise instanceof Promise)
      void Promise.prototype.then.call(
        promise,
        (value) => payloadsIn(value).forEach((payload) => seen.add(payload)),
        () => {},
      );
  }
  await new Promise(setImmediate);
  const lost = run.handed.find((value) => !seen.has(value));
  return lost ? `nobody got ${lost}, which was handed over` : null;
}
