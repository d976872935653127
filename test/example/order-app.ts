// The order app as its users start it, once it is built: a process, a payment provider, callbacks over HTTP.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished } from "vitest";

const source: string = fileURLToPath(new URL("../../examples/order-app/src", import.meta.url));

/** How to start a built app. */
export interface Start {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

class App {
  readonly #process: ChildProcess;
  readonly #port: number;
  #output = "";

  constructor({ command, args, cwd }: Start, port: number, env: Record<string, string>) {
    this.#port = port;
    const { NODE_ENV: _env, VITEST: _vitest, ...own } = process.env;
    this.#process = spawn(command, args, { cwd, env: { ...own, ...env, PORT: String(port) }, stdio: ["ignore", "pipe", "pipe"] });
    onTestFinished(() => void this.#process.kill("SIGKILL"));
    for (const stream of [this.#process.stdout, this.#process.stderr]) stream?.on("data", (text: Buffer) => void (this.#output += text));
  }

  async listens(): Promise<this> {
    const ended = once(this.#process, "close").then(() => Promise.reject(new Error(`The app ended:\n${this.#output}`)));
    ended.catch(() => {});
    while (!this.#output.includes("listening")) await Promise.race([once(this.#process.stdout as never, "data"), ended]);
    return this;
  }

  async kill(): Promise<void> {
    const closed = once(this.#process, "close");
    this.#process.kill("SIGKILL");
    await closed;
  }

  async order(orderId: string, method: "GET" | "POST"): Promise<Answer> {
    const response = await fetch(`http://localhost:${this.#port}/orders/${orderId}`, { method });
    return { status: response.status, body: await response.json() };
  }
}

/**
 * Places orders, kills the app while they wait, starts it again and calls back: the paid one is shipped, and the errors of a workflow and of a
 * step tell the author's file, line and column, which is that of `new`; in JavaScriptCore's stacks that of the class after it.
 */
export async function ordersOutliveTheApp(start: Start, { isNewSkipped = false }: { readonly isNewSkipped?: boolean } = {}): Promise<void> {
  const shift = isNewSkipped ? "new ".length : 0;
  const provider = await payments();
  const port = await freePort();
  const env = { PROVIDER_URL: provider.url, RINGBACK_DATABASE_URL: `sqlite:${join(start.cwd, "orders.db")}` };
  const first = await new App(start, port, env).listens();
  for (const order of ["paid", "unpaid", "lost"]) expect(await first.order(order, "POST")).toEqual({ status: 200, body: { runId: order } });
  const urls = await provider.asked(["paid", "unpaid", "lost"]);
  await first.kill();
  const second = await new App(start, port, env).listens();
  const call = async (order: string, payment: object): Promise<void> => {
    const response = await fetch(urls.get(order) as string, { method: "POST", body: JSON.stringify(payment) });
    expect(response.status).toBe(202);
  };
  await call("paid", { paid: true, address: "Paris" });
  await call("unpaid", { paid: false });
  await call("lost", { paid: true, address: "" });
  expect(await second.order("paid", "GET")).toEqual({ status: 200, body: { orderId: "paid", parcel: "paid to Paris" } });
  expect(stackOf(await second.order("unpaid", "GET"))).toContain(placeOf("order.ts", "new Error(", shift));
  expect(stackOf(await second.order("lost", "GET"))).toContain(placeOf("step.ts", "new FatalError(", shift));
  await second.kill();
}

function stackOf({ status, body }: Answer): string {
  expect(status).toBe(500);
  const { stack, cause } = body as { readonly stack: string; readonly cause?: string };
  return `${stack}\n${cause ?? ""}`;
}

/** Where a piece of a file of the app stands, as a stack ends a frame. */
function placeOf(file: string, piece: string, shift: number): string {
  const before = readFileSync(join(source, file), "utf8").split(piece)[0] as string;
  const lines = before.split("\n");
  return `order-app/${file}:${lines.length}:${(lines.at(-1) as string).length + 1 + shift})`;
}

interface Payments {
  readonly url: string;
  /** The callback address of each of these orders, once the provider has them all. */
  asked(orders: readonly string[]): Promise<ReadonlyMap<string, string>>;
}

async function payments(): Promise<Payments> {
  const urls = new Map<string, string>();
  const server: Server = createServer((request, response) => {
    void request.toArray().then((chunks) => {
      const { orderId, callbackUrl } = JSON.parse(Buffer.concat(chunks).toString()) as { orderId: string; callbackUrl: string };
      urls.set(orderId, callbackUrl);
      response.writeHead(204).end();
      server.emit("asked");
    });
  });
  server.listen(0, "localhost");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const asked = async (orders: readonly string[]): Promise<ReadonlyMap<string, string>> => {
    while (!orders.every((order) => urls.has(order))) await once(server, "asked");
    return urls;
  };
  return { url: `http://localhost:${(server.address() as AddressInfo).port}`, asked };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
