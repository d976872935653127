// `ringback run ID`: what happened to a run, what it waits for, how it ended.

import type { Blocked, HookInfo, Run, RunEnding, TimelineEntry } from "../../api.ts";
import { RingbackError } from "../../errors.ts";
import type { Engine } from "../../index.ts";
import { columns, plain } from "../columns.ts";
import { type Call, type Declare, type Globals, withEngine } from "../command.ts";
import { spanText, whenText } from "../span.ts";
import type { Terminal } from "../terminal.ts";
import { timelineLines } from "../timeline-text.ts";
import { type Wait, waitsOf } from "../wait.ts";
import { addressOf, noRun } from "./hooks.ts";
import { nobodyGoesOn } from "./resume.ts";
import { paintState } from "./runs.ts";

interface Options extends Globals {
  readonly tokens?: boolean;
}

/** Everything that is said of a run; what `--json` prints. */
interface RunView {
  readonly runId: string;
  readonly workflowName: string;
  readonly state: Awaited<Run["state"]>;
  readonly createdAt: Date;
  readonly completedAt: Date | null;
  readonly attributes: Awaited<Run["attributes"]>;
  readonly blocked: Blocked | null;
  readonly waits: readonly Wait[];
  readonly hooks: readonly HookInfo[];
  readonly outcome: Outcome | null;
  /** What it left behind; null while it has not ended. */
  readonly ending: RunEnding | null;
  readonly timeline: readonly TimelineEntry[];
}

type Outcome =
  | { readonly type: "completed"; readonly result: unknown }
  | { readonly type: "completed"; readonly unreadable: string }
  | { readonly type: "failed"; readonly error: string }
  | { readonly type: "cancelled" };

export const declareRun: Declare = (root, { action }) => {
  root
    .command("run")
    .description("Show a run: what it waits for, its timeline, how it ended.")
    .argument("<run>", "The run's id.")
    .option("--tokens", "Show minted tokens and URLs. They are secrets: whoever has one can answer the hook.")
    .addHelpText("after", "\nExamples:\n  $ npx ringback run order-1042\n  $ npx ringback run order-1042 --json | jq .outcome")
    .action(action(showRun));
};

async function showRun({ terminal, args, options }: Call<Options>): Promise<void> {
  const [runId = ""] = args;
  const [view, isLeft] = await withEngine(options, async (engine) => {
    const found = await viewOf(engine, runId, options.tokens ?? false);
    return [found, hasToGoOn.has(found.state) && (await engine.diagnose()).store.owner === null];
  });
  if (options.json) return terminal.json(view);
  show(view, terminal);
  if (isLeft) terminal.note(nobodyGoesOn);
}

/** There is something for its code to do. */
const hasToGoOn: ReadonlySet<RunView["state"]> = new Set(["pending", "running"] as const);

async function viewOf(engine: Engine, runId: string, withTokens: boolean): Promise<RunView> {
  const run = engine.getRun(runId);
  if (!(await run.exists)) throw noRun(runId);
  const timeline = await run.timeline;
  const ending = await run.ending;
  const state = await run.state;
  const hooks = await engine.listHooks({ runId, limit: 1_000, withTokens });
  return {
    runId,
    workflowName: await run.workflowName,
    state,
    createdAt: await run.createdAt,
    completedAt: (await run.completedAt) ?? null,
    attributes: await run.attributes,
    blocked: await run.blocked,
    waits: ending ? [] : waitsOf(timeline, hooks),
    hooks,
    outcome: ending ? await outcomeOf(run, ending, timeline.at(-1)?.error) : null,
    ending,
    timeline,
  };
}

/** A result may be of a class that only the app registers. */
async function outcomeOf(run: Run, ending: RunEnding, error = ""): Promise<Outcome> {
  if (ending.outcome === "failed") return { type: "failed", error };
  if (ending.outcome === "cancelled") return { type: "cancelled" };
  try {
    return { type: "completed", result: await run.returnValue };
  } catch (error) {
    if (!RingbackError.is(error)) throw error;
    return { type: "completed", unreadable: error.message };
  }
}

function show(view: RunView, terminal: Terminal): void {
  const now = new Date();
  const { runId, workflowName, state, createdAt, completedAt } = view;
  terminal.line(`${terminal.paint("bold", plain(runId))}  ${plain(workflowName)}  ${paintState(terminal, state)}`);
  terminal.line();
  const facts: string[][] = [["started", whenText(createdAt, now)]];
  if (completedAt) facts.push(["ended", `${whenText(completedAt, now)}, after ${spanText(completedAt.getTime() - createdAt.getTime())}`]);
  for (const [at, [name, value]] of Object.entries(view.attributes).entries())
    facts.push([at === 0 ? "attributes" : "", `${plain(name)}=${plain(value)}`]);
  for (const [at, wait] of view.waits.entries()) facts.push([at === 0 ? "waits for" : "", waitText(wait, now)]);
  if (view.outcome) facts.push(outcomeFact(view.outcome));
  for (const { hookId, delivery, at } of view.ending?.unread ?? [])
    facts.push(["unread", `${delivery} at hook ${plain(hookId)}, ${whenText(at, now)}`]);
  if (view.ending && view.ending.abandoned.length > 0)
    facts.push(["not begun", view.ending.abandoned.map((each) => `#${each}`).join(", ")]);
  for (const warning of view.ending?.warnings ?? []) facts.push(["warning", terminal.paint("yellow", plain(warning))]);
  for (const line of columns(facts)) terminal.line(`  ${line}`);
  if (view.blocked) showBlocked(view.blocked, terminal);
  terminal.line();
  for (const line of timelineLines(view.timeline, terminal)) terminal.line(`  ${line}`);
}

function waitText(wait: Wait, now: Date): string {
  const name = wait.name === null ? "" : ` ${plain(wait.name)}`;
  const address = wait.kind === "hook" || wait.kind === "webhook" ? `, token ${addressOf(wait)}` : "";
  const since = `since ${whenText(wait.since, now)}`;
  const until = wait.until === null ? "" : `, until ${whenText(wait.until, now)}`;
  const error = wait.error === null ? "" : `, after ${plain(wait.error)}`;
  return `${wait.kind}${name} #${wait.position} ${since}${until}${error}${address}`;
}

function outcomeFact(outcome: Outcome): string[] {
  if (outcome.type === "failed") return ["failed", plain(outcome.error)];
  if (outcome.type === "cancelled") return ["outcome", "cancelled"];
  if ("unreadable" in outcome) return ["result", `cannot be read here: ${plain(outcome.unreadable)}`];
  const text = JSON.stringify(outcome.result) ?? "nothing";
  return ["result", plain(text.length > 500 ? `${text.slice(0, 500)}… (--json shows all)` : text)];
}

function showBlocked({ reason, message, difference }: Blocked, terminal: Terminal): void {
  terminal.line();
  terminal.line(`  ${terminal.paint("red", `blocked: ${reason}`)}`);
  if (difference) {
    const rows = [
      ["the journal has", terminal.paint("green", plain(difference.expected))],
      ["the code has", terminal.paint("red", plain(difference.found))],
      ...(difference.site === null ? [] : [["at", plain(difference.site)]]),
    ];
    for (const line of columns(rows)) terminal.line(`    ${line}`);
  }
  terminal.line(`    ${plain(message)}`);
}
