// What went wrong, as a line and an exit code: 0 done, 1 refused or not found, 2 wrong usage, 3 no usable store, 4 a fault of ringback's.

import { CommanderError } from "commander";
import { type ErrorCode, RingbackError } from "../errors.ts";
import { plain } from "./columns.ts";

export const exitCode = { done: 0, failed: 1, usage: 2, store: 3, fault: 4 } as const;
export type ExitCode = (typeof exitCode)[keyof typeof exitCode];

/** Said to the user as it stands. */
export class CliError extends Error {
  readonly exitCode: ExitCode;
  constructor(message: string, code: ExitCode) {
    super(message);
    this.exitCode = code;
  }
}

export function usage(message: string): CliError {
  return new CliError(message, exitCode.usage);
}

export interface Failure {
  /** Null where it has been told already. */
  readonly line: string | null;
  readonly code: ExitCode;
}

const storeCodes: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "store_in_use",
  "store_not_found",
  "store_unavailable",
  "store_full",
  "store_corrupt",
  "store_newer",
  "unsafe_durability",
  "bad_keys",
  "missing_key",
  "key_mismatch",
]);
const usageCodes: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["bad_argument", "bad_store_url", "base_url_required"]);

export function failureOf(error: unknown): Failure {
  if (error instanceof CommanderError) return { line: null, code: error.exitCode === 0 ? exitCode.done : exitCode.usage };
  if (error instanceof CliError) return { line: error.message, code: error.exitCode };
  if (RingbackError.is(error, "store_not_found")) {
    const file = error.details.store.replace(/^sqlite:/, "");
    const line = `There is no database at ${file}. Start your app once (npx ringback dev app.ts), or say where its database is: --db sqlite:path, or RINGBACK_DATABASE_URL.`;
    return { line, code: exitCode.store };
  }
  if (RingbackError.is(error, "delivery_not_found")) {
    const line = `No delivery "${plain(error.details.delivery)}" is kept: it was delivered, its time is over, or it never was. "npx ringback refused" lists those there are. (delivery_not_found)`;
    return { line, code: exitCode.failed };
  }
  if (RingbackError.is(error, "schema_unavailable")) {
    const line = `That hook of run ${plain(error.details.run)} has a schema, which stands in the app's code, and the command line loads none of it: nothing is delivered. Deliver where the app runs: to a webhook's URL, by engine.resumeHook() in its code, or through its admin handler. (schema_unavailable)`;
    return { line, code: exitCode.failed };
  }
  if (RingbackError.is(error)) {
    const code = storeCodes.has(error.code) ? exitCode.store : usageCodes.has(error.code) ? exitCode.usage : exitCode.failed;
    return { line: `${oneLine(error.message)} (${error.code})`, code };
  }
  const { syscall, message } = error as NodeJS.ErrnoException;
  if (typeof syscall === "string")
    return { line: `${oneLine(message)}. Check that the path is right, and what this user may do there.`, code: exitCode.store };
  return {
    line: `ringback itself failed: ${oneLine(String(error))}. Run it again with --debug, and report what it prints.`,
    code: exitCode.fault,
  };
}

/** What the code threw, for `--debug`. */
export function traceOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? "" : `\ncaused by ${traceOf(error.cause)}`;
  return `${error.stack ?? String(error)}${cause}`;
}

function oneLine(text: string): string {
  return text.replace(/\s*[\r\n]+\s*/g, " ");
}
