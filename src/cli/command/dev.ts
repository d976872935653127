// `ringback dev FILE`: serves an app's workflows while they are written.

import { relative } from "node:path";
import { plain } from "../columns.ts";
import type { Call, Declare, Globals } from "../command.ts";
import { runtimeFor } from "../dev/runtime.ts";
import { type News, Supervisor } from "../dev/supervisor.ts";
import { type ExitCode, usage } from "../failure.ts";
import { spanText } from "../span.ts";
import type { Terminal } from "../terminal.ts";
import { seconds } from "./cancel.ts";

interface Options extends Globals {
  readonly hangAfter: number;
}

export const declareDev: Declare = (root, { action }) => {
  root
    .command("dev")
    .description("Serve the workflows of a file, and start again when it, or what it imports, changes.")
    .argument("<file>", "The file that declares your workflows, JavaScript or TypeScript.")
    .option("--hang-after <seconds>", "Replace the process when its event loop has not answered for so long.", seconds, 10)
    .addHelpText(
      "after",
      `
Callbacks are served on PORT (3000), through the engine that the file exports, else through the default engine, which RINGBACK_DATABASE_URL,
RINGBACK_BASE_URL and RINGBACK_KEYS configure. TypeScript, and functions with "use workflow" or "use step", are compiled as they are loaded.
Ctrl-C stops; what waits goes on at the next start.

Examples:
  $ npx ringback dev app.ts
  $ PORT=4000 npx ringback dev src/workflows.js`,
    )
    .action(action(dev));
};

async function dev({ terminal, args, options }: Call<Options>): Promise<ExitCode> {
  const [file = ""] = args;
  const supervisor = new Supervisor({
    runtime: runtimeFor(file),
    port: portFrom(process.env["PORT"]),
    environment: { ...process.env, ...(options.db === undefined ? {} : { RINGBACK_DATABASE_URL: options.db }) },
    // For programs stdout has news and nothing else: what the app prints goes to stderr.
    stdio: ["ignore", options.json ? 2 : "inherit", "inherit", "ipc"],
    hangMs: Math.max(options.hangAfter, 0.1) * 1_000,
    tell: options.json ? (news) => terminal.json(news) : (news) => say(news, file, terminal),
  });
  const stop = (): void => supervisor.stop();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, stop);
  supervisor.start();
  return (await supervisor.over) as ExitCode;
}

function portFrom(text: string | undefined): number {
  const port = Number(text || 3_000);
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port;
  throw usage(`PORT is "${plain(text ?? "")}". Give a port from 1 to 65535, such as PORT=3000.`);
}

function say(news: News, file: string, terminal: Terminal): void {
  const { paint } = terminal;
  const line = (text: string): void => terminal.line(`${paint("dim", "ringback")}  ${text}`);
  switch (news.event) {
    case "started":
      return line(paint("dim", `${plain(file)} runs as process ${news.pid}`));
    case "serving":
      if (!news.isOwnServer) {
        line(`callbacks come in at ${paint("cyan", `${news.url}…`)}`);
        line(`runs are kept in ${plain(news.store)}; to look at them: npx ringback runs`);
      } else if (news.store === "") line(`${plain(file)} has an engine of its own; export it, and its hooks are shown here`);
      else line(`${plain(file)} serves callbacks itself; runs are kept in ${plain(news.store)}`);
      return;
    case "loading":
      line(`${plain(file)} is not loaded to its end: it waits for something at its top level, such as a run's returnValue`);
      return line("what it serves itself works; callbacks are served, and hooks shown, here once it is loaded");
    case "hook":
      return sayHook(news, line, terminal);
    case "changed":
      return line(`${plain(relative(process.cwd(), news.file))} has changed: starts again`);
    case "hung":
      line(paint("red", `its event loop has not answered for ${spanText(news.forMs)}: process ${news.pid} is killed, and another started`));
      return line("a run whose code does this three times is set aside as blocked (crash_loop)");
    case "ended":
      return line(paint("red", `${plain(file)} ended (${news.signal ?? `exit code ${news.code}`}): starts again when it changes`));
    case "failed":
      return terminal.note(`${terminal.paintNote("red", "ringback:")} ${plain(news.line)}`);
  }
}

function sayHook(hook: Extract<News, { event: "hook" }>, line: (text: string) => void, { paint }: Terminal): void {
  const { runId, workflowName, isWebhook, hasSchema, url, token } = hook;
  line(`run ${paint("bold", plain(runId))} (${plain(workflowName)}) waits at a ${isWebhook ? "webhook" : "hook"}:`);
  if (url !== null) line(`  curl -i -d '{}' ${paint("cyan", url)}`);
  // Its schema is in the app's code, which the command line does not load.
  else if (hasSchema)
    line(`  in the app: resumeHook(${paint("cyan", JSON.stringify(plain(token ?? "")))}, …), since its schema judges there`);
  else line(`  npx ringback resume ${paint("cyan", quoted(plain(token ?? "")))} '{}'`);
}

/** For a shell, where it needs to be. */
function quoted(text: string): string {
  return /^[\w:.@/-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
