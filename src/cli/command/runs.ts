// `ringback runs`: which runs there are, newest first.

import { InvalidArgumentError, Option } from "commander";
import type { ListRunsOptions, RunInfo } from "../../api.ts";
import { columns, plain } from "../columns.ts";
import { type Call, type Declare, type Globals, withEngine } from "../command.ts";
import { whenText } from "../span.ts";
import type { Style, Terminal } from "../terminal.ts";

interface Options extends Globals {
  readonly workflow?: string;
  readonly state?: NonNullable<ListRunsOptions["state"]>;
  readonly before?: string;
  readonly attribute?: ListRunsOptions["attributes"];
  readonly limit: number;
}

export const declareRuns: Declare = (root, { action }) => {
  root
    .command("runs")
    .description("List runs, newest first.")
    .option("--workflow <name>", "Only runs of this workflow.")
    .addOption(
      new Option("--state <state>", "Only runs in this state; open runs have not ended and are not blocked.").choices([
        "open",
        "blocked",
        "completed",
        "failed",
        "cancelled",
      ]),
    )
    .option("--attribute <name=value>", "Only runs with this attribute; may be given more than once.", attribute)
    .option("--before <run>", "Only runs that were started before this one: to read on.")
    .option("--limit <count>", "At most so many, 1 to 1000.", count, 20)
    .addHelpText("after", "\nExamples:\n  $ npx ringback runs --state open --workflow checkout\n  $ npx ringback runs --json | jq .runId")
    .action(action(listRuns));
};

/** A count as an option of a list. */
export function count(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= 1_000) return value;
  throw new InvalidArgumentError("Give a whole number from 1 to 1000.");
}

/** One more attribute to look for. */
function attribute(text: string, before: ListRunsOptions["attributes"]): NonNullable<ListRunsOptions["attributes"]> {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError("Give a name and a value, such as order=42.");
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

async function listRuns({ terminal, options }: Call<Options>): Promise<void> {
  const { workflow, state, attribute: attributes, before, limit } = options;
  const wanted: ListRunsOptions = {
    limit,
    ...(workflow === undefined ? {} : { workflow }),
    ...(state === undefined ? {} : { state }),
    ...(attributes === undefined ? {} : { attributes }),
    ...(before === undefined ? {} : { before }),
  };
  const runs = await withEngine(options, async (engine) => engine.listRuns(wanted));
  if (options.json) for (const run of runs) terminal.json(run);
  else showRuns(runs, terminal, limit);
}

function showRuns(runs: readonly RunInfo[], terminal: Terminal, limit: number): void {
  if (runs.length === 0) return terminal.note("No runs.");
  const now = new Date();
  const rows = runs.map(({ runId, workflowName, state, createdAt, completedAt }) => [
    plain(runId),
    plain(workflowName),
    paintState(terminal, state),
    whenText(createdAt, now),
    completedAt ? whenText(completedAt, now) : "–",
  ]);
  const head = ["RUN", "WORKFLOW", "STATE", "STARTED", "ENDED"].map((each) => terminal.paint("dim", each));
  for (const line of columns([head, ...rows])) terminal.line(line);
  const last = runs.at(-1);
  if (last && runs.length === limit) terminal.note(`There may be more: --before ${plain(last.runId)}`);
}

const colours: { readonly [state in RunInfo["state"]]: Style } = {
  pending: "cyan",
  running: "cyan",
  waiting: "yellow",
  completed: "green",
  failed: "red",
  cancelled: "dim",
  blocked: "red",
};

export function paintState(terminal: Terminal, state: RunInfo["state"]): string {
  return terminal.paint(colours[state], state);
}
