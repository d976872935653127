// `ringback refused`: deliveries that no run has, and why.

import type { ListRefusedOptions, RefusedDelivery } from "../../api.ts";
import { columns, plain } from "../columns.ts";
import { type Call, type Declare, type Globals, withEngine } from "../command.ts";
import { whenText } from "../span.ts";
import type { Terminal } from "../terminal.ts";
import { count } from "./runs.ts";

interface Options extends Globals {
  readonly before?: string;
  readonly limit: number;
}

export const declareRefused: Declare = (root, { action }) => {
  root
    .command("refused")
    .description("List deliveries that were refused, or that no hook claimed in time, newest first, while they are kept.")
    .option("--before <delivery>", "Only those that came before this one.")
    .option("--limit <count>", "At most so many, 1 to 1000.", count, 20)
    .addHelpText("after", "\nExample:\n  $ npx ringback refused\n  $ npx ringback redeliver dlv_2f")
    .action(action(listRefused));
};

async function listRefused({ terminal, options }: Call<Options>): Promise<void> {
  const { before, limit } = options;
  const wanted: ListRefusedOptions = { limit, ...(before === undefined ? {} : { before }) };
  const refused = await withEngine(options, (engine) => engine.listRefused(wanted));
  if (options.json) for (const delivery of refused) terminal.json(delivery);
  else showRefused(refused, terminal, limit);
}

function showRefused(refused: readonly RefusedDelivery[], terminal: Terminal, limit: number): void {
  if (refused.length === 0) return terminal.note("No refused deliveries.");
  const now = new Date();
  const rows = refused.map((delivery) => [
    delivery.deliveryId,
    terminal.paint("yellow", delivery.reason),
    plain(delivery.token ?? delivery.runId ?? "a run that is gone"),
    delivery.method ?? "value",
    `${delivery.size} B`,
    whenText(delivery.receivedAt, now),
    plain(delivery.detail ?? "–"),
  ]);
  const head = ["DELIVERY", "REASON", "FOR", "AS", "SIZE", "CAME", "WHY"].map((each) => terminal.paint("dim", each));
  for (const line of columns([head, ...rows])) terminal.line(line);
  if (refused.length === limit) terminal.note(`There may be more: --before ${refused.at(-1)?.deliveryId}, or raise --limit.`);
}
