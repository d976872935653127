// `ringback purge`: removes what is over, now.

import { InvalidArgumentError } from "commander";
import type { Purged } from "../../api.ts";
import { type Call, type Declare, type Globals, withEngine } from "../command.ts";

interface Options extends Globals {
  readonly olderThan: string;
}

export const declarePurge: Declare = (root, { action }) => {
  root
    .command("purge")
    .description("Remove, now, runs that ended long ago, and refused deliveries and delivery keys whose time is over.")
    .option("--older-than <span>", "Runs that ended longer ago than this, such as 7d or 12h.", span, "30d")
    .addHelpText(
      "after",
      `
An app does so by itself every minute, as its "retention" says. The keys of deliveries are kept for 30 days, whatever becomes of their
runs. Callbacks are taken meanwhile, and the file shrinks.

Example:
  $ npx ringback purge --older-than 7d`,
    )
    .action(action(purge));
};

/** What is removed is gone: a number without a unit would be milliseconds, which nobody means. */
function span(text: string): string {
  if (/[a-z]/i.test(text)) return text;
  throw new InvalidArgumentError("Give a span with its unit, such as 7d or 12h.");
}

async function purge({ terminal, options }: Call<Options>): Promise<void> {
  const { olderThan } = options;
  const progress = ({ runs }: Purged): void => terminal.progress(`${runsText(runs)} removed …`);
  const purged = await withEngine(options, (engine) => engine.purge({ olderThan, progress })).finally(() => terminal.progress(""));
  if (options.json) terminal.json(purged);
  else terminal.line(`Removed ${runsText(purged.runs)}, ${purged.rows} rows in all.`);
}

function runsText(count: number): string {
  return count === 1 ? "1 run" : `${count} runs`;
}
