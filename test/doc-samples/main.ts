// Runs examples in this process, and ends with them. Two things are not as in the world: hosts named `….example` are answered here, and a
// port that an example listens at is a free one, which `localhost:PORT` still reaches.

import { Server } from "node:net";
import type { AddressInfo } from "node:net";
import { format } from "node:util";
import { answerOf, print } from "./proof.ts";

const ports = new Map<string, number>();
const { listen } = Server.prototype;
Server.prototype.listen = function (this: Server, wanted: unknown, ...rest: unknown[]): Server {
  const port = typeof wanted === "object" ? (wanted as { port?: unknown }).port : wanted;
  const free = typeof wanted === "object" ? { ...wanted, port: 0 } : 0;
  this.once("listening", () => ports.set(`localhost:${String(port)}`, (this.address() as AddressInfo).port));
  return listen.call(this, free as number, ...(rest as []));
} as typeof listen;

const { fetch } = globalThis;
globalThis.fetch = async (input, init) => {
  const request = new Request(input, init);
  const url = new URL(request.url);
  if (url.hostname.endsWith(".example")) return answerOf(request, init?.signal ?? request.signal);
  const port = ports.get(url.host);
  if (port === undefined) return fetch(request);
  url.host = `127.0.0.1:${port}`;
  const body = ["GET", "HEAD"].includes(request.method) ? null : await request.arrayBuffer();
  return fetch(url, { method: request.method, headers: request.headers, body });
};

for (const name of ["log", "error"] as const) {
  const shown = console[name];
  console[name] = (...values: unknown[]) => {
    print(format(...values));
    shown(...values);
  };
}

for (const path of process.argv.slice(2)) await import(path);
process.exit();
