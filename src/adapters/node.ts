// Serves an engine's handlers with `node:http`.

import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Answer, Ingress } from "../http/ingress.ts";

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

/** A handler as a listener for `node:http`, and for whatever takes one. The raw body is read once, up to the cap. */
export function toListener(handler: Ingress): RequestListener {
  return (request, response) => {
    const { method = "GET" } = request;
    const url = originForm(request.url ?? "/");
    const cut = url.indexOf("?");
    const path = cut < 0 ? url : url.slice(0, cut);
    const search = cut < 0 ? "" : url.slice(cut);
    readBody(request, response, handler, (body) => {
      handler.handle({ method, path, search, headers: request.rawHeaders, body }, (answer) => write(response, answer));
    });
  };
}

/** A target may be sent in absolute form (`POST http://host/path`), as to a proxy; its path is what counts. */
function originForm(target: string): string {
  if (target.startsWith("/")) return target;
  const rest = target.replace(/^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i, "");
  return rest === target || rest.startsWith("/") ? rest : `/${rest}`;
}

function write(response: ServerResponse, { status, headers, body }: Answer): void {
  try {
    response.writeHead(status, status === 204 || status === 304 ? [...headers] : [...headers, "Content-Length", String(body.length)]);
    response.end(body.length === 0 ? undefined : body);
  } catch {
    response.destroy();
  }
}

/** A sender that aborts leaves nothing behind: `read` is called with whole bodies only. */
function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  { bodyBytes: limit, tooLarge }: Pick<Ingress, "bodyBytes" | "tooLarge">,
  read: (body: Uint8Array) => void,
): void {
  const chunks: Buffer[] = [];
  let length = 0;
  request.on("data", (chunk: Buffer) => {
    length += chunk.length;
    if (length <= limit) chunks.push(chunk);
    else if (!response.headersSent) {
      response.once("finish", () => request.destroy());
      write(response, { ...tooLarge, headers: [...tooLarge.headers, "Connection", "close"] });
    }
  });
  request.on("end", () => {
    if (length <= limit) read(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks));
  });
  request.on("error", ignore);
}

function ignore(): void {}
