// `ringback cancel`: asks a run to end.

import { InvalidArgumentError } from "commander";
import { plain } from "../columns.ts";
import { type Call, type Declare, type Globals, withEngine } from "../command.ts";
import { type ExitCode, exitCode } from "../failure.ts";
import { noRun } from "./hooks.ts";
import { tellWhoGoesOn } from "./resume.ts";

interface Options extends Globals {
  readonly grace: number;
  readonly compensate?: true;
}

const ended: ReadonlySet<string> = new Set(["completed", "failed", "cancelled"]);

export const declareCancel: Declare = (root, { action }) => {
  root
    .command("cancel")
    .description("Ask a run to end. Its waits reject, so that its code can clean up; a second time ends it at once.")
    .argument("<run>", "The run's id.")
    .option("--grace <seconds>", "How long its code may clean up.", seconds, 60)
    .option("--compensate", "Have it undo what it did, for as long as that takes; only a cancel without this ends it at once.")
    .addHelpText("after", "\nExits with 1 where the run has ended already.\n\nExample:\n  $ npx ringback cancel order-1042")
    .action(action(cancel));
};

/** A span as an option, in seconds. */
export function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && value >= 0 && value <= 86_400) return value;
  throw new InvalidArgumentError("Give a number of seconds, 0 to 86400.");
}

async function cancel({ terminal, args, options }: Call<Options>): Promise<ExitCode> {
  const [runId = ""] = args;
  return withEngine(
    options,
    async (engine) => {
      const run = engine.getRun(runId);
      if (!(await run.exists)) throw noRun(runId);
      const before = await run.state;
      const isOver = ended.has(before);
      const { compensate = false } = options;
      if (!isOver) await run.cancel({ compensate });
      const state = await run.state;
      if (options.json) terminal.json({ runId, isRequested: !isOver, state });
      else if (isOver) terminal.note(`Run ${plain(runId)} has ended already: ${before}. There is nothing to cancel.`);
      else terminal.line(`Run ${plain(runId)} is asked to end${compensate ? ", and to undo what it did" : ""}.`);
      if (!isOver && !options.json) await tellWhoGoesOn(engine, runId, terminal);
      return isOver ? exitCode.failed : exitCode.done;
    },
    { cancelGraceMs: options.grace * 1_000 },
  );
}
