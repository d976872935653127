// Kills a checkout while it waits for its payment, and shows what is left of it: everything.
// App and provider are processes of their own; what is said at the end is checked, and a check that fails is a non-zero exit.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { endChild, endChildren, freePort, startChild } from "./child.mjs";
import { elapsed, paint, say, seconds, show, title } from "./screen.mjs";

const orderId = "order-1042";
const dataRoot = fileURLToPath(new URL(".ringback", import.meta.url));
const trouble = new AbortController();
const stop = (reason) => trouble.abort(reason);

for (const [signal, number] of Object.entries({ SIGHUP: 1, SIGINT: 2, SIGTERM: 15 })) {
  process.once(signal, () => stop(Object.assign(new Error(`stopped by ${signal}`), { exitCode: 128 + number })));
}
process.stdout.on("error", stop);
globalThis.setTimeout(() => stop(new Error("it took longer than 50 s")), 50_000).unref();

process.exitCode = await main();

async function main() {
  mkdirSync(dataRoot, { recursive: true });
  const folder = mkdtempSync(join(dataRoot, "demo-"));
  try {
    return judge(await play(folder));
  } catch (error) {
    title(paint("bad", `The demo did not come to its end: ${error.message}.`));
    return error.exitCode ?? 1;
  } finally {
    await endChildren();
    rmSync(folder, { recursive: true, force: true });
    removeIfEmpty(dataRoot);
  }
}

/** The story. Returns what a judge needs to know. */
async function play(folder) {
  const [port, ordersPort, providerPort] = [await freePort(), await freePort(), await freePort()];
  const [app, provider] = [`http://127.0.0.1:${ordersPort}`, `http://127.0.0.1:${providerPort}`];
  const ledger = join(folder, "ledger.jsonl");
  const environment = {
    PORT: port,
    ORDERS_PORT: ordersPort,
    PROVIDER_PORT: providerPort,
    PROVIDER_URL: provider,
    LEDGER: ledger,
    RINGBACK_DATABASE_URL: `sqlite:${join(folder, "ringback.db")}`,
    RINGBACK_BASE_URL: `http://127.0.0.1:${port}`,
  };
  const start = (name) => startChild(name, `${name}.mjs`, environment, stop);

  title("A checkout waits for its payment, and its process is killed meanwhile.");
  await start("provider");
  const first = await start("app");
  say("demo", `places an order: POST /orders ${orderId}`);
  await ask(`${app}/orders`, { orderId });
  const parked = await until("the run waits for its callback", async () => {
    const { state } = await ask(`${app}/orders/${orderId}`);
    return state === "waiting" ? state : null;
  });
  say("demo", "the run is parked at `await callback`");

  const killedBy = await endChild(first, "SIGKILL");
  const killedAt = Date.now();
  say("demo", paint("bad", `kills the app: ${killedBy}, pid ${first.pid}`));
  say("demo", "the customer pays, and nobody is there to hear it");
  await ask(`${provider}/settle`, { orderId });
  const payment = async () => (await ask(`${provider}/payments`)).find((each) => each.orderId === orderId);
  await until("callbacks find nobody", async () => (await payment()).attempts.length > 1);

  say("demo", "starts the app again: same file, same port, another process");
  const restartedAt = Date.now();
  const second = await start("app");
  await until("both callbacks are acknowledged", async () => acknowledged(await payment()).length === 2);
  const run = await until("the run completes", async () => {
    const { state, ...rest } = await ask(`${app}/orders/${orderId}`);
    return state === "completed" || state === "failed" || state === "blocked" ? { state, ...rest } : null;
  });
  say("demo", `the run has ${run.state}`);

  showTimeline(run.timeline, [
    { at: killedAt, what: "the app is killed" },
    { at: restartedAt, what: "the app is started again" },
  ]);
  const shipped = existsSync(ledger) ? readFileSync(ledger, "utf8").trim().split("\n") : [];
  return { parked, killedBy, pids: [first.pid, second.pid], payment: await payment(), run, shipped };
}

function acknowledged({ attempts }) {
  return attempts.filter(({ status }) => status >= 200 && status < 300);
}

/** The journal's facts, with what no journal can know drawn between them. */
function showTimeline(timeline, interruptions) {
  title("What the run's journal says");
  const [{ at: begin }] = timeline;
  const facts = timeline.map(({ at, event, position, name, detail }) => {
    const where = [position === undefined ? "" : `#${position}`, name].filter(Boolean).join(" ");
    return { at: Date.parse(at), line: `${event.padEnd(16)}  ${where.padEnd(18)}${paint("dim", detail ?? "")}` };
  });
  const cuts = interruptions.map(({ at, what }) => ({ at, line: paint("bad", `· · · ${what} · · ·`) }));
  for (const { at, line } of [...facts, ...cuts].sort((a, b) => a.at - b.at)) {
    show(`${paint("dim", `+${seconds(at - Date.parse(begin))}`.padStart(8))}  ${line}`.trimEnd());
  }
}

/** Prints each check; 0 where all hold. */
function judge({ parked, killedBy, pids, payment, run, shipped }) {
  const answers = acknowledged(payment);
  const told = answers.map(({ status, disposition }) => `${status} ${disposition}`).join(", ");
  const refused = payment.attempts.length - answers.length;
  const expected = { orderId, payment: { id: "pay_1042", status: "paid" } };
  const isOneDelivery = new Set(answers.map(({ delivery }) => delivery)).size === 1;
  const checks = [
    [
      `the app was killed by ${killedBy} while its run was ${parked}; pid ${pids.join(", then ")}`,
      killedBy === "SIGKILL" && parked === "waiting" && pids[0] !== pids[1],
    ],
    [`the provider was asked for the payment: ${times(payment.asked)}`, payment.asked === 1],
    [`callbacks that found nobody: ${refused}, and the provider tried again`, refused > 0],
    [`callbacks acknowledged: ${told}; one delivery`, told === "202 accepted, 202 duplicate" && isOneDelivery],
    [`the order was shipped: ${times(shipped.length)}`, shipped.length === 1],
    [`the run ${run.state} with ${JSON.stringify(run.result)}`, run.state === "completed" && isDeepStrictEqual(run.result, expected)],
  ];
  title("Checked");
  for (const [what, holds] of checks) show(`  ${holds ? paint("good", "✓") : paint("bad", "✗")} ${what}`);
  const failures = checks.filter(([, holds]) => !holds).length;
  if (failures > 0) title(paint("bad", `Not as promised: ${failures} of ${checks.length} checks failed.`));
  else title(paint("good", `Nothing was lost, and nothing happened twice. (${seconds(elapsed())})`));
  return failures > 0 ? 1 : 0;
}

function times(count) {
  return count === 1 ? "once" : `${count} times`;
}

/** A GET, or a POST of `body`; the answer's JSON. */
async function ask(url, body) {
  // A connection of its own each time: a kept one may lead to a process that is no more.
  const headers = { "content-type": "application/json", connection: "close" };
  const post = body && { method: "POST", body: JSON.stringify(body) };
  const response = await fetch(url, { ...post, headers, signal: AbortSignal.any([trouble.signal, AbortSignal.timeout(10_000)]) });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${answer.message}`);
  return answer;
}

/** Asks again and again, until there is an answer. */
async function until(what, probe) {
  for (const giveUpAt = performance.now() + 20_000; performance.now() < giveUpAt; ) {
    trouble.signal.throwIfAborted();
    const found = await probe();
    if (found) return found;
    await setTimeout(25);
  }
  throw new Error(`gave up waiting until ${what}`);
}

function removeIfEmpty(folder) {
  try {
    rmdirSync(folder);
  } catch {
    // Another demo is under way.
  }
}
