// What a command is made of: how it is declared, what it is given, and the engine it asks.

import type { Command } from "commander";
import { createEngine, type Engine, type EngineOptions } from "../index.ts";
import { type ExitCode, exitCode } from "./failure.ts";
import type { Terminal } from "./terminal.ts";

/** Options that every command takes. */
export interface Globals {
  readonly db?: string;
  readonly json?: boolean;
  readonly debug?: boolean;
}

/** A command declares itself: name, arguments, options, help, and what `run` does with them. */
export type Declare = (root: Command, host: CommandHost) => void;

export interface CommandHost {
  readonly terminal: Terminal;
  /** Makes an action of a function; what it resolves with is the process's exit code. */
  action<O extends Globals>(run: (call: Call<O>) => Promise<ExitCode | void>): (...given: unknown[]) => Promise<void>;
}

/** One call of a command. */
export interface Call<O extends Globals = Globals> {
  readonly terminal: Terminal;
  readonly args: readonly string[];
  /** The command's own and the global ones. */
  readonly options: O;
}

/** Called with the exit code of each action. */
export function createHost(terminal: Terminal, ended: (code: ExitCode) => void): CommandHost {
  return {
    terminal,
    action:
      (run) =>
      async (...given) => {
        const command = given.at(-1) as Command;
        ended((await run({ terminal, args: command.args, options: command.optsWithGlobals() })) ?? exitCode.done);
      },
  };
}

/** Beside a running app: as an ingress, which takes no owner's lock, and never makes a database. */
export function engineOptions({ db }: Globals): EngineOptions {
  return { role: "ingress", create: false, logger: false, workflows: [], baseUrl: null, ...(db === undefined ? {} : { store: db }) };
}

/** Asks an engine, and closes it. */
export async function withEngine<T>(options: Globals, ask: (engine: Engine) => Promise<T>, more: EngineOptions = {}): Promise<T> {
  const engine = createEngine({ ...engineOptions(options), ...more });
  try {
    return await ask(engine);
  } finally {
    await engine.close({ graceMs: 0 });
  }
}
