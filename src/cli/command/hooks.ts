// `ringback hooks`: what can be answered, of which run.

import type { HookInfo, ListHooksOptions } from "../../api.ts";
import { columns, plain } from "../columns.ts";
import { type Call, type Declare, type Globals, withEngine } from "../command.ts";
import { CliError, exitCode } from "../failure.ts";
import { whenText } from "../span.ts";
import type { Terminal } from "../terminal.ts";
import { count } from "./runs.ts";

interface Options extends Globals {
  readonly run?: string;
  readonly all?: boolean;
  readonly tokens?: boolean;
  readonly limit: number;
}

export const declareHooks: Declare = (root, { action }) => {
  root
    .command("hooks")
    .description("List open hooks, those of the newest run first.")
    .option("--run <run>", "Only hooks of this run.")
    .option("--all", "Closed hooks, too.")
    .option("--tokens", "Show minted tokens and URLs. They are secrets: whoever has one can answer the hook.")
    .option("--limit <count>", "At most so many, 1 to 1000.", count, 20)
    .addHelpText("after", "\nExamples:\n  $ npx ringback hooks --run order-1042 --tokens\n  $ npx ringback hooks --all --json")
    .action(action(listHooks));
};

async function listHooks({ terminal, options }: Call<Options>): Promise<void> {
  const { run, all = false, tokens = false, limit } = options;
  const wanted: ListHooksOptions = { all, withTokens: tokens, limit, ...(run === undefined ? {} : { runId: run }) };
  const hooks = await withEngine(options, async (engine) => {
    if (run !== undefined && !(await engine.getRun(run).exists)) throw noRun(run);
    return engine.listHooks(wanted);
  });
  if (options.json) for (const hook of hooks) terminal.json(hook);
  else showHooks(hooks, terminal, limit);
}

export function noRun(run: string): CliError {
  return new CliError(`No run "${plain(run)}" in this store. "npx ringback runs" lists those there are.`, exitCode.failed);
}

function showHooks(hooks: readonly HookInfo[], terminal: Terminal, limit: number): void {
  if (hooks.length === 0) return terminal.note("No open hooks.");
  const now = new Date();
  const rows = hooks.map((hook) => [
    plain(hook.hookId),
    plain(hook.workflowName),
    hook.isWebhook ? "webhook" : "hook",
    terminal.paint(hook.state === "open" ? "yellow" : "dim", hook.state),
    whenText(hook.createdAt, now),
    hook.expiresAt ? whenText(hook.expiresAt, now) : "–",
    addressOf(hook),
  ]);
  const head = ["HOOK", "WORKFLOW", "KIND", "STATE", "OPENED", "UNTIL", "TOKEN"].map((each) => terminal.paint("dim", each));
  for (const line of columns([head, ...rows])) terminal.line(line);
  if (hooks.length === limit) terminal.note("There may be more: raise --limit, or name a --run.");
}

/** Where it can be answered; a minted token that was not asked for is not shown. */
export function addressOf({ url, token }: Pick<HookInfo, "url" | "token">): string {
  return url ?? (token === null ? "minted (--tokens shows it)" : plain(token));
}
