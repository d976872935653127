// `ringback resume`: answers a hook by hand, as server code would with `resumeHook`.

import { text as readAll } from "node:stream/consumers";
import type { BufferedHook, ResumedHook } from "../../api.ts";
import type { Engine } from "../../index.ts";
import { plain } from "../columns.ts";
import { type Call, type Declare, type Globals, withEngine } from "../command.ts";
import { CliError, exitCode, usage } from "../failure.ts";
import type { Terminal } from "../terminal.ts";

interface Options extends Globals {
  readonly key?: string;
  readonly early?: boolean;
}

export const declareResume: Declare = (root, { action }) => {
  root
    .command("resume")
    .description("Deliver a value to a hook or webhook.")
    .argument("<token>", "The hook's token, or a webhook's whole URL.")
    .argument("<json>", 'The value, as JSON; "-" reads it from stdin.')
    .option("--key <key>", "Deliver once: a repeat with the same key changes nothing.")
    .option("--early", "Keep it for an hour where no hook has had the custom token yet.")
    .addHelpText(
      "after",
      `
Examples:
  $ npx ringback resume approval:42 '{"approved":true}' --key click-1
  $ npx ringback resume http://localhost:3000/.well-known/workflow/v1/webhook/wh:… '{"paid":true}'
  $ npx ringback resume approval:42 - < payload.json`,
    )
    .action(action(resume));
};

async function resume({ terminal, args, options }: Call<Options>): Promise<void> {
  const [target = "", given = ""] = args;
  const token = tokenIn(target);
  const payload = parsePayload(given === "-" ? await readAll(process.stdin) : given, given === "-");
  const { key, early } = options;
  const sending = { ...(key === undefined ? {} : { key }), ...(early ? { early } : {}) };
  await withEngine(options, async (engine) => {
    const resumed = await engine.resumeHook(token, payload, sending);
    const { runId, hookId, delivery }: ResumedHook | BufferedHook = resumed;
    if (options.json) return terminal.json({ runId, hookId, delivery });
    const { id = "", disposition } = delivery;
    if (runId === undefined)
      return terminal.line(`No hook has had this token yet. Kept for an hour, for the one that claims it: ${disposition}, ${id}.`);
    if (disposition === "duplicate")
      terminal.line(`Key "${plain(key ?? "")}" was taken before, by ${id} of run ${plain(runId)}: nothing has changed.`);
    else terminal.line(`Delivered to run ${plain(runId)}, hook ${plain(hookId)}: ${disposition}, ${id}.`);
    await tellWhoGoesOn(engine, runId, terminal);
  });
}

/** The run's code is the app's: without it nothing more happens now. What was asked for is done, whether or not this can be found out. */
export async function tellWhoGoesOn(engine: Engine, runId: string, { note }: Terminal): Promise<void> {
  const found = await engine.diagnose().catch(() => null);
  if (!found) return;
  const { owner } = found.store;
  if (owner) note(`The app (process ${owner.pid}) goes on with it. To see how: npx ringback run ${plain(runId)}`);
  else note(nobodyGoesOn);
}

export const nobodyGoesOn = "No app runs on this store now: the run goes on when one starts.";

const minted = /wh(?::|%3a)[^/?#\s]*/i;

/** A token as it was given, or the one in a URL. */
export function tokenIn(target: string): string {
  if (!/^https?:\/\//i.test(target)) return target;
  const found = minted.exec(target)?.[0];
  if (found === undefined)
    throw usage(`There is no token in ${plain(target)}. Give a webhook's URL as it was printed, or the token alone.`);
  try {
    return decodeURIComponent(found);
  } catch {
    throw usage(`The token in ${plain(target)} is not well encoded. Give the URL as it was printed.`);
  }
}

function parsePayload(text: string, isFromStdin: boolean): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const from = isFromStdin ? "What came on stdin" : plain(text.length > 60 ? `${text.slice(0, 60)}…` : text);
    const { message } = error as Error;
    throw new CliError(
      `${from} is not JSON: ${plain(message)}. Quote it for the shell: '{"ok":true}', and text as '"text"'.`,
      exitCode.usage,
    );
  }
}
