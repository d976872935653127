// `ringback doctor`: whether the store, its keys and its runs are as they should be, and what to do where they are not.

import type { Diagnosis, KeyState, StandingRun } from "../../api.ts";
import { createEngine, type Engine } from "../../index.ts";
import { RingbackError } from "../../errors.ts";
import { columns, plain } from "../columns.ts";
import { type Call, type Declare, engineOptions, type Globals } from "../command.ts";
import { type ExitCode, exitCode, failureOf } from "../failure.ts";
import { version } from "../manifest.ts";
import { spanText, whenText } from "../span.ts";
import type { Terminal } from "../terminal.ts";

interface Check {
  readonly name: string;
  readonly state: "ok" | "note" | "wrong";
  /** What was found. */
  readonly text: string;
  /** What to do about it. */
  readonly advice?: string;
}

export const declareDoctor: Declare = (root, { action }) => {
  root
    .command("doctor")
    .description("Check the store, its keys and its runs, and say what to do where something is wrong.")
    .addHelpText("after", "\nExits with 1 where something is wrong, with 3 where the store cannot be opened.")
    .action(action(examine));
};

async function examine({ terminal, options }: Call): Promise<ExitCode> {
  const checks: Check[] = [nodeCheck()];
  const found = await look(options, checks);
  if (found) checks.push(...storeChecks(found), ...keys(found), ...runChecks(found));
  const isWrong = checks.some(({ state }) => state === "wrong");
  if (options.json) terminal.json({ ok: !isWrong, ringback: version(), node: process.versions.node, checks, diagnosis: found });
  else show(terminal, checks);
  return found === null ? exitCode.store : isWrong ? exitCode.failed : exitCode.done;
}

/** The diagnosis; null where the store cannot be opened, which is then a check of its own. */
async function look(options: Globals, checks: Check[]): Promise<Diagnosis | null> {
  try {
    const engine = openable(options, checks);
    try {
      const found = await engine.diagnose();
      if (found.webhookRoot !== null) checks.push({ name: "base URL", state: "ok", text: `${found.webhookRoot}…` });
      return found;
    } finally {
      await engine.close({ graceMs: 0 });
    }
  } catch (error) {
    const { line } = failureOf(error);
    checks.push({ name: "store", state: "wrong", text: plain(line ?? String(error)) });
    return null;
  }
}

/** With the base URL that an app in this environment would have. */
function openable(options: Globals, checks: Check[]): Engine {
  const { baseUrl: _, ...rest } = engineOptions(options);
  try {
    return createEngine(rest);
  } catch (error) {
    if (!RingbackError.is(error, "base_url_required") && !RingbackError.is(error, "bad_argument")) throw error;
    checks.push({ name: "base URL", state: "wrong", text: error.message });
    return createEngine({ ...rest, baseUrl: null });
  }
}

const oldestNode = [20, 19] as const;

function nodeCheck(): Check {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const isOld = major < oldestNode[0] || (major === oldestNode[0] && minor < oldestNode[1]);
  const text = `${process.versions.node} (${process.platform} ${process.arch}), ringback ${version()}`;
  return isOld
    ? { name: "Node", state: "wrong", text, advice: `Use Node ${oldestNode.join(".")} or newer.` }
    : { name: "Node", state: "ok", text };
}

function storeChecks({ store, storeTime, processTime }: Diagnosis): Check[] {
  const { name, driver, versions, settings, owner, bytes } = store;
  const size = bytes === null ? "" : `, ${bytesText(bytes)}`;
  const versionText = Object.entries(versions).map(([of, each]) => `${of} ${each}`);
  const driverText = driver in versions ? versionText : [driver, ...versionText];
  const unsafe = settings.filter((each) => !each.isAsNeeded);
  const apart = Math.abs(storeTime.getTime() - processTime.getTime());
  return [
    { name: "store", state: "ok", text: `${plain(name)}${size}` },
    { name: "driver", state: "ok", text: driverText.join(", ") },
    {
      name: "durability",
      state: unsafe.length > 0 ? "wrong" : "ok",
      text: settings.map((each) => `${each.name}=${each.value}`).join(" ") || "nothing outlives the process",
      ...(unsafe.length > 0
        ? { advice: `Not as needed: ${unsafe.map((each) => each.name).join(", ")}. Put the file on a local disk.` }
        : {}),
    },
    owner
      ? { name: "owner", state: "ok", text: `process ${owner.pid}, since ${whenText(owner.since, processTime)}` }
      : {
          name: "owner",
          state: "note",
          text: "no app runs on this store",
          advice: "Runs go on, and callbacks are taken, when one starts.",
        },
    apart > 1_000
      ? {
          name: "clock",
          state: "wrong",
          text: `the store's is ${spanText(apart)} away from this machine's`,
          advice: "Set this machine's clock (NTP).",
        }
      : { name: "clock", state: "ok", text: "the store's and this machine's agree" },
  ];
}

function keys({ keys: all }: Diagnosis): Check[] {
  if (all.length === 0)
    return [
      {
        name: "keys",
        state: "note",
        text: "there is no key yet",
        advice: "The app makes a key file when it starts, or takes RINGBACK_KEYS.",
      },
    ];
  return all.map(keyCheck);
}

function keyCheck({ kid, isCurrent, isUsed, state, fingerprint }: KeyState): Check {
  const facts = [
    ...(isCurrent ? ["current"] : []),
    isUsed ? "open hooks use it" : "no open hook uses it",
    ...(fingerprint === null ? [] : [`fingerprint ${fingerprint}`]),
  ].join(", ");
  if (state === "missing")
    return {
      name: "key",
      state: "wrong",
      text: `${kid} is missing: ${facts}`,
      advice: "Add it to RINGBACK_KEYS, or bring back the key file.",
    };
  if (state === "different")
    return {
      name: "key",
      state: "wrong",
      text: `${kid} is not the key this store has been used with: ${facts}`,
      advice: "Bring back the old one; give a new key a new id.",
    };
  return { name: "key", state: "ok", text: `${kid}: ${facts}${state === "new" ? ", not used yet" : ""}` };
}

function runChecks({ openCount, blocked, stuck, store, processTime }: Diagnosis): Check[] {
  const more = openCount === 1_000 ? " or more" : "";
  return [
    { name: "runs", state: "ok", text: `${openCount}${more} open` },
    blocked.length === 0
      ? { name: "blocked", state: "ok", text: "none" }
      : {
          name: "blocked",
          state: "wrong",
          text: blocked
            .slice(0, 5)
            .map((run) => `${runText(run, processTime)}: ${run.reason}`)
            .concat(restOf(blocked))
            .join("; "),
          advice: `To see why: npx ringback run ${plain(blocked[0]?.runId ?? "")}`,
        },
    stuck.length === 0
      ? { name: "stuck", state: "ok", text: "none" }
      : {
          name: "stuck",
          state: store.owner ? "wrong" : "note",
          text: stuck
            .slice(0, 5)
            .map((run) => runText(run, processTime))
            .concat(restOf(stuck))
            .join("; "),
          advice: store.owner
            ? "Is their workflow registered in the app? Does the app's event loop answer?"
            : "They go on when the app starts.",
        },
  ];
}

function runText({ runId, workflowName, since }: StandingRun, now: Date): string {
  return `${plain(runId)} (${plain(workflowName)}) since ${whenText(since, now)}`;
}

function restOf(runs: readonly StandingRun[]): string[] {
  return runs.length > 5 ? [`and ${runs.length - 5}${runs.length === 1_000 ? " or more" : ""} others`] : [];
}

function bytesText(bytes: number): string {
  return bytes < 1_000_000 ? `${Math.ceil(bytes / 1_000)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

function show(terminal: Terminal, checks: readonly Check[]): void {
  const marks = { ok: terminal.paint("green", "✓"), note: terminal.paint("yellow", "–"), wrong: terminal.paint("red", "✗") };
  const rows = checks.flatMap(({ name, state, text, advice }) => [
    [marks[state], name, text],
    ...(advice === undefined ? [] : [["", "", terminal.paint(state === "wrong" ? "red" : "dim", advice)]]),
  ]);
  for (const line of columns(rows)) terminal.line(line);
  const wrong = checks.filter(({ state }) => state === "wrong").length;
  terminal.line();
  terminal.line(wrong === 0 ? "Nothing is wrong." : `${wrong} ${wrong === 1 ? "thing is" : "things are"} wrong.`);
}
