// The program: global options, the table of commands, help, and how errors are told.

import { Command } from "commander";
import { plain } from "./columns.ts";
import { commands } from "./command/table.ts";
import { createHost } from "./command.ts";
import { type ExitCode, exitCode, failureOf, traceOf } from "./failure.ts";
import { version } from "./manifest.ts";
import type { Terminal } from "./terminal.ts";

const epilogue = `
Examples:
  $ npx ringback dev app.ts                    serve the workflows of app.ts, and start again when it changes
  $ npx ringback runs --state blocked          what has been set aside
  $ npx ringback run order-1042                what happened to a run, and what it waits for
  $ npx ringback resume 'wh:…' '{"ok":true}'   answer a hook by hand

Exit codes:
  0  done
  1  refused, failed or not found; "doctor" found something wrong
  2  wrong usage: unknown command or option, bad JSON
  3  the store cannot be used: no database, its keys are missing, a newer format …
  4  a fault of ringback's own

"npx ringback help COMMAND" says more about a command. Commands work beside a running app.`;

/** Runs what the arguments ask for; resolves with the exit code, and never rejects. */
export async function runCommand(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  let code: ExitCode = exitCode.done;
  const program = createProgram(terminal, (ended) => {
    code = ended;
  });
  try {
    if (args.length === 0) program.outputHelp();
    else await program.parseAsync(args, { from: "user" });
    return code;
  } catch (error) {
    const failure = failureOf(error);
    if (failure.line !== null) terminal.note(`${terminal.paintNote("red", "ringback:")} ${plain(failure.line)}`);
    if (program.opts()["debug"] === true && failure.line !== null) terminal.note(traceOf(error));
    return failure.code;
  }
}

function createProgram(terminal: Terminal, ended: (code: ExitCode) => void): Command {
  const program = new Command("ringback")
    .description("Looks at durable hooks and webhooks, acts on them, and serves them while you develop.")
    .usage("COMMAND [options]")
    .version(version(), "-v, --version", "Print the version.")
    .helpOption("-h, --help", "Print help for the command.")
    .helpCommand("help [command]", "Print help for a command.")
    .option("--db <url>", "The store, such as sqlite:path/to/file.db. Default: RINGBACK_DATABASE_URL, else sqlite:.ringback/ringback.db.")
    .option("--json", "Print JSON: one document, or a line per item of a list.")
    .option("--debug", "Print where an error comes from.")
    .configureHelp({
      showGlobalOptions: true,
      helpWidth: Math.min(terminal.width, 120),
      styleTitle: (title) => terminal.paint("bold", title),
    })
    .configureOutput({
      writeOut: (text) => terminal.line(text.replace(/\n$/, "")),
      writeErr: (text) => terminal.note(text.replace(/\n$/, "")),
      outputError: (text) => terminal.note(`${terminal.paintNote("red", "ringback:")} ${plain(usageLine(text))}`),
    })
    .addHelpText("after", epilogue)
    .exitOverride();
  const host = createHost(terminal, ended);
  for (const declare of commands) declare(program, host);
  return program;
}

/** Commander's words, as one sentence and what to do. */
function usageLine(text: string): string {
  const [what = "", hint] = text
    .trim()
    .replace(/^error: /, "")
    .split("\n");
  const sentence = what.charAt(0).toUpperCase() + what.slice(1).replace(/\.$/, "");
  return `${sentence}. ${hint ? hint.replace(/^\((.*)\)$/, "$1") : "Add --help to see what the command takes."}`;
}
