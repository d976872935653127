#!/usr/bin/env node
// `npx ringback`: takes the process's arguments, and ends it with the exit code of what was asked.

import { runCommand } from "./program.ts";
import { createTerminal } from "./terminal.ts";

void runCommand(process.argv.slice(2), createTerminal()).then((code) => {
  // Not `process.exit`: what was written to a pipe may still be on its way.
  process.exitCode = code;
});
