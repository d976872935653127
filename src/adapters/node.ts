// Serves an engine's handlers with `node:http`.

import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Handler } from "../http/handler.ts";
import type { Ingress } from "../http/ingress.ts";
import { listen, originForm } from "./listen.ts";

/** Where to listen. */
export interface ServeOptions {
  /** The TCP port. Default: the environment's `PORT`, else 3000. 0 takes a free one. */
  readonly port?: number;
  /** The address to listen at. Default: all interfaces. */
  readonly host?: string;
}

/** A server that listens. */
export interface Served {
  /** Node's own. */
  readonly server: Server;
  /** The port it listens at, also where 0 was asked for. */
  readonly port: number;
  /** Takes no new connection, and resolves when the open requests are answered. The engine stays open: close it next. */
  close(): Promise<void>;
}

interface Servable {
  open(): Promise<void>;
  readonly ingress: Ingress;
}

/** How long a sender may take. Node looks only every `connectionsCheckingInterval` (30 s unless told), so that is part of each span. */
export interface Patience {
  readonly headersTimeout: number;
  readonly requestTimeout: number;
  readonly connectionsCheckingInterval: number;
}

const patience: Patience = { headersTimeout: 10_000, requestTimeout: 15_000, connectionsCheckingInterval: 1_000 };

/**
 * Opens the engine and serves its callbacks over HTTP; resolves when it listens, rejects where it cannot. Slow senders are cut off: 10 s
 * for headers, 15 s for a request. TLS is a proxy's business.
 */
export async function serve(engine: { open(): Promise<void>; readonly ingress: Ingress }, options: ServeOptions = {}): Promise<Served> {
  return serveWithin(patience, engine, options);
}

/** `serve` with spans of one's own. */
export async function serveWithin(spans: Patience, engine: Servable, options: ServeOptions): Promise<Served> {
  await engine.open();
  const server = createServer({ ...spans, maxHeaderSize: 16_384 }, toListener(engine.ingress));
  const { port = Number(process.env["PORT"] ?? 3000), host } = options;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeIdleConnections();
    });
  return { server, port: (server.address() as AddressInfo).port, close };
}

/**
 * A handler as a listener for `node:http`: `createServer(toListener(engine.ingress))`. The raw body is read once, up to the cap. One handler
 * at a time: a listener for `engine.ingress` never serves `engine.admin`.
 */
export function toListener(handler: Handler): RequestListener {
  return (request, response) => listen(handler, request, response, originForm(request.url));
}
