// The process that crash tests kill: an engine on a SQLite file, its callbacks and a few plain routes over HTTP. Its steps write what
// they do to a ledger, one line each, and tell the parent of it.
//
// CRASH_STORE and CRASH_LEDGER name the files, RINGBACK_KEYS and RINGBACK_ROLE are the engine's own. With CRASH_CLOCK=short no alarm
// further ahead than a second ever rings: what would wait for a lease, or for the next sweep, waits for ever.

import { appendFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setImmediate } from "node:timers";
import type { Clock } from "../../src/core/clock.ts";
import { systemClock } from "../../src/engine/clock.ts";
import {
  continueAsNew,
  createEngine,
  createHook,
  createWebhook,
  getStepMetadata,
  getWorkflowMetadata,
  getWritable,
  type RequestWithResponse,
  sleep,
  step,
  workflow,
} from "../../src/index.ts";
import { toListener } from "../../src/node.ts";
import type { Entry } from "./driver.ts";

const { CRASH_STORE = "", CRASH_LEDGER = "", CRASH_CLOCK, CRASH_POISON } = process.env;

/** What a step does to the world outside. */
function note(value: unknown): void {
  const { stepName, attempt, idempotencyKey } = getStepMetadata();
  const entry: Entry = { run: getWorkflowMetadata().workflowRunId, step: stepName, attempt, key: idempotencyKey, value };
  appendFileSync(CRASH_LEDGER, `\n${JSON.stringify(entry)}\n`);
  process.send?.({ type: "entry", entry });
}

const handOut = step("hand out", async (urls: Record<string, string>) => note(urls));
const take = step("take", async (text: string) => {
  note(text);
  await new Promise<void>((resolve) => setImmediate(resolve));
  return text;
});
const answer = step("answer", async (request: RequestWithResponse) => {
  const text = await request.text();
  note(text);
  await request.respondWith(Response.json({ taken: text }, { status: 200, headers: { "x-taken": text } }));
  return text;
});
const flaky = step(
  "flaky",
  async () => {
    const { attempt } = getStepMetadata();
    note(attempt);
    if (attempt % 2 === 1) throw new Error("The first attempt, and any odd one, fails.");
  },
  { maxRetries: 1_000, backoff: 2, maxBackoff: 2 },
);
const seal = step("seal", async (taken: readonly string[]) => {
  note(taken.length);
  return [...taken];
});

/** Takes `count` deliveries at each kind of address, in any order of arrival, and returns what it took. */
const trade = workflow("trade", async (count: number) => {
  const id = getWorkflowMetadata().workflowRunId;
  const plain = createWebhook();
  const fixed = createWebhook({ respondWith: new Response(`thanks, ${id}`, { status: 201, headers: { "x-order": id } }) });
  const manual = createWebhook({ respondWith: "manual", respondWithin: "1h" });
  const direct = createHook<string>({ token: `direct:${id}` });
  await handOut({ plain: plain.url, fixed: fixed.url, manual: manual.url });
  const readAll = async (read: () => PromiseLike<string>): Promise<string[]> => {
    const taken: string[] = [];
    for (let n = 0; n < count; n++) taken.push(await read());
    return taken;
  };
  const [first, second] = await Promise.all([
    readAll(async () => take(await (await plain).text())),
    readAll(async () => answer(await manual)),
  ]);
  await flaky();
  const third = await readAll(async () => take(await (await fixed).text()));
  await sleep(5);
  const fourth = await readAll(async () => take(await direct));
  return seal([...first, ...second, ...third, ...fourth]);
});

/** Waits for one callback, and says so at once. */
const single = workflow("single", async () => {
  const hook = createWebhook();
  await handOut({ plain: hook.url });
  const text = await (await hook).text();
  return take(text);
});

/** Takes what it is started with. */
const told = workflow("told", async (id: string) => take(await createHook<string>({ token: `told:${id}` })));

/** Kills the process whenever its code has its callback. */
const poison = workflow("poison", async () => {
  const hook = createWebhook();
  await handOut({ plain: hook.url });
  await hook;
  if (CRASH_POISON) process.kill(process.pid, "SIGKILL");
  return "survived";
});

/** A cancel finds it waiting, and then cleaning up for ever. */
const stubborn = workflow("stubborn", async () => {
  const hook = createWebhook();
  await handOut({ plain: hook.url });
  try {
    await hook;
  } catch {
    await sleep("1d");
  }
});

/** Takes one callback in each of `count` chapters, at one URL. */
const relay = workflow("relay", async (count: number, taken: readonly string[] = []): Promise<readonly string[]> => {
  const hook = createWebhook({ name: "relay" });
  if (taken.length === 0) await handOut({ plain: hook.url });
  const text = await take(await (await hook).text());
  const next = [...taken, text];
  return next.length === count ? seal(next) : continueAsNew([count, next], { carry: [hook] });
});

const say = step("say", async (n: number) => {
  note(n);
  await getWritable().getWriter().write({ n, attempt: getStepMetadata().attempt });
});

/** Writes `count` chunks, each in a step of its own. */
const speak = workflow("speak", async (count: number) => {
  for (let n = 0; n < count; n++) await say(n);
});

const workflows = { speak, trade, single, told, poison, stubborn, relay };
const shortSighted: Clock = {
  now: systemClock.now,
  alarm: (at, wake) => (at - systemClock.now() > 1_000 ? () => {} : systemClock.alarm(at, wake)),
};
const engine = createEngine({
  store: `sqlite:${CRASH_STORE}`,
  baseUrl: "https://app.example",
  workflows: process.env["RINGBACK_ROLE"] === "ingress" ? [] : Object.values(workflows),
  hotRuns: Number(process.env["CRASH_HOT"] ?? 1_000),
  cancelGraceMs: 200,
  ...(CRASH_CLOCK === "short" ? { clock: shortSighted } : {}),
});

/** `/start/<workflow>/<id>/<count>`, `/result/<id>`, `/state/<id>`, `/cancel/<id>`, `/resume/<token>/<key>` and `/tell/<id>/<key>` with the payload as body. */
const routes: Record<string, (args: string[], body: string) => Promise<unknown>> = {
  start: async ([name, id, count]) => (await engine.start(workflows[name as "trade"], [Number(count)], { id: id as string })).runId,
  result: async ([id]) => engine.getRun(id as string).returnValue,
  state: async ([id]) => [await engine.getRun(id as string).state, (await engine.getRun(id as string).blocked)?.message],
  cancel: async ([id]) => engine.getRun(id as string).cancel(),
  tell: async ([id = "", key = ""], payload) =>
    (await engine.signalWithStart(told, [id], { id, token: `told:${id}`, payload, key })).receipt,
  resume: async ([token, key], body) => (await engine.resumeHook(token as string, body, { key: key as string })).delivery,
};

async function serveRoute(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
  const [, name = "", ...args] = (request.url ?? "/").split("/").map(decodeURIComponent);
  const route = Object.hasOwn(routes, name) ? routes[name] : undefined;
  if (!route) return false;
  let body = "";
  for await (const chunk of request.setEncoding("utf8")) body += chunk;
  const said = await route(args, body).then(
    (value) => [200, value] as const,
    (error: { code?: string; message?: string }) =>
      [error.code === "engine_closed" ? 503 : 500, { code: error.code, message: error.message }] as const,
  );
  response.writeHead(said[0], { "content-type": "application/json" }).end(JSON.stringify(said[1] ?? null));
  return true;
}

const ingress = toListener(engine.ingress);
const server = createServer((request, response) => {
  if (request.url?.startsWith("/.well-known/")) ingress(request, response);
  else void serveRoute(request, response);
});

process.on("message", (message: { type: string; graceMs?: number }) => {
  if (message.type !== "close") return;
  const over = new Promise((resolve) => server.close(resolve));
  void engine
    .close({ graceMs: message.graceMs ?? 10_000 })
    .then(() => server.closeIdleConnections())
    .then(() => over)
    .then(() => process.disconnect());
});

engine.open().then(
  () => server.listen(0, "127.0.0.1", () => process.send?.({ type: "ready", port: (server.address() as AddressInfo).port })),
  (error: { code?: string; message?: string; details?: unknown }) => {
    process.send?.({ type: "refused", code: error.code, message: error.message, details: error.details }, () => process.disconnect());
  },
);
