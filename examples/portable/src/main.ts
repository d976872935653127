// The app: routes for orders and for the callback that each of them waits for.

import { createServer, type IncomingMessage } from "node:http";
import { match, tryInjectHook } from "ringback/portable";
import { isOrder, isPayment, type Order, type Outcome, type Payment, runOrder } from "./order.ts";
import { port } from "./outside.ts";
import { kept, load, save } from "./shelf.ts";

const outcomes = new Map<string, Outcome>();
const turns = new Map<string, Promise<unknown>>();

/** What is done with one order is done one after the other: nobody saves a state over one that he has not seen. */
function inTurn<T>(id: string, act: () => T | Promise<T>): Promise<T> {
  const turn = (turns.get(id) ?? Promise.resolve()).then(act);
  turns.set(
    id,
    turn.catch(() => {}),
  );
  return turn;
}

/** Runs an order until it ends or waits, from its state where it has one. */
async function goOn(id: string, input?: Order): Promise<void> {
  const state = load(id);
  const { result, wakeAt } = await runOrder(id, {
    ...(input === undefined ? {} : { input }),
    ...(state === null ? {} : { resumeState: state }),
    checkpoint: (latest) => save(id, latest),
  });
  outcomes.set(id, result);
  // The time of a wait may be up while nobody calls.
  if (wakeAt !== null) setTimeout(() => void inTurn(id, () => goOn(id)), Math.max(0, wakeAt - Date.now())).unref();
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}
const notFound: Answer = { status: 404, body: { error: "not found" } };
const unfit: Answer = { status: 422, body: { error: "not what is wanted here" } };

async function place(id: string, order: Order): Promise<Answer> {
  await inTurn(id, () => (load(id) === null ? goOn(id, order) : undefined));
  return { status: 202, body: { id } };
}

function show(id: string): Answer {
  const outcome = outcomes.get(id);
  if (outcome === undefined) return notFound;
  const body = match(outcome, {
    ok: (parcel) => ({ state: "shipped", parcel }),
    PENDING_HOOK: () => ({ state: "waits for its payment" }),
    PENDING_APPROVAL: () => ({ state: "waits for somebody" }),
    HookTimedOut: () => ({ state: "not paid in time" }),
    PAID_TOO_LITTLE: () => ({ state: "refunded", reason: "paid too little" }),
    NO_ADDRESS: () => ({ state: "refunded", reason: "no address" }),
    UnexpectedError: ({ message }) => ({ state: "failed", reason: message }),
  });
  return { status: 200, body };
}

/** The callback: its payload is kept before it is answered. What comes again is answered as before, and does nothing. */
async function pay(id: string, hookId: string, value: Payment): Promise<Answer> {
  const taken = await inTurn(id, (): Answer | null => {
    const state = load(id);
    if (state === null) return notFound;
    const injected = tryInjectHook(state, { hookId, value });
    if (injected.ok) save(id, injected.value);
    return match(injected, {
      ok: () => null,
      HookNotPending: ({ reason }) => ({ status: { unknown: 404, answered: 202, expired: 410 }[reason], body: { reason } }),
      err: ({ message }) => ({ status: 422, body: { error: message } }),
    });
  });
  if (taken !== null) return taken;
  inTurn(id, () => goOn(id)).catch(console.error);
  return { status: 202, body: { id } };
}

async function answer(request: IncomingMessage): Promise<Answer> {
  const [, orders, id = "", payments, hookId = ""] = (request.url ?? "").split("/").map(decodeURIComponent);
  if (orders !== "orders" || id === "") return notFound;
  if (request.method === "GET") return show(id);
  if (request.method !== "POST") return { status: 405, body: { error: "POST or GET" } };
  const body: unknown = JSON.parse(Buffer.concat(await request.toArray()).toString());
  if (payments === undefined) return isOrder(body) ? place(id, body) : unfit;
  return isPayment(body) ? pay(id, hookId, body) : unfit;
}

function failed(error: unknown): Answer {
  if (error instanceof SyntaxError || error instanceof URIError) return { status: 400, body: { error: error.message } };
  console.error(error);
  return { status: 500, body: { error: "failed" } };
}

const server = createServer(async (request, response) => {
  const { status, body } = await answer(request).catch(failed);
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
});

// What a process that has died has left goes on, or waits on.
await Promise.all(kept().map((id) => inTurn(id, () => goOn(id))));
server.listen(port, () => console.log(`listening on ${port}`));
