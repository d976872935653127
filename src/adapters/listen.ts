// One request of `node:http`, handed to a handler. The body is read byte for byte, once; nothing that a proxy's headers say is used.
//
// A plain handler gets the whole body, read up to its cap. A function in the web's standard form gets it as a stream.

import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable, pipeline } from "node:stream";
import type { Answer } from "../core/event.ts";
import type { BodyFault, Handler, PlainHandler } from "../http/handler.ts";

/** A request as frameworks leave it: with what a parser made of its body, and what was cut off its path. */
export interface Received extends IncomingMessage {
  readonly originalUrl?: string;
  readonly rawBody?: unknown;
  readonly body?: unknown;
}

/** How long a body may take once it has begun. Servers have their own limits for all of a request, some of them none. */
const bodyMs = 15_000;
/** Of a body that a handler left unread, so much is read and dropped for the connection to go on; of more, it is cut. */
const droppedBytes = 1024 * 1024;

/** Answers `request`; `target` is its path and query as they came, in full. */
export function listen(handler: Handler, request: Received, response: ServerResponse, target: string): void {
  if (!isPlain(handler)) return void answer(handler, request, response, target);
  const { method = "GET" } = request;
  const headers = headersOf(request);
  const { path, search } = split(target);
  readBody(request, response, handler, (body) => {
    handler.handle({ method, path, search, headers, body }, (told) => write(response, told));
  });
}

/** A target may be sent in absolute form (`POST http://host/path`), as to a proxy; its path is what counts. */
export function originForm(target: string = "/"): string {
  if (target.startsWith("/")) return target;
  const rest = target.replace(/^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i, "");
  return rest === target || rest.startsWith("/") ? rest : `/${rest}`;
}

/** Whether a handler answers this path, or leaves it to the app around it. */
export function isOwn({ route }: Handler, target: string): boolean {
  return route === undefined || split(target).path.includes(route);
}

function split(target: string): { readonly path: string; readonly search: string } {
  const cut = target.indexOf("?");
  return cut < 0 ? { path: target, search: "" } : { path: target.slice(0, cut), search: target.slice(cut) };
}

/** Over HTTP/2 the method and the target stand among them, under names that no header may have. */
function headersOf({ rawHeaders }: IncomingMessage): readonly string[] {
  if (rawHeaders[0]?.startsWith(":") !== true) return rawHeaders;
  return rawHeaders.filter((_, at) => !rawHeaders[at - (at % 2)]?.startsWith(":"));
}

function isPlain(handler: Handler): handler is PlainHandler {
  return "handle" in handler;
}

function write(response: ServerResponse, { status, headers, body }: Answer): void {
  try {
    writeHead(response, status, status === 204 || status === 304 ? [...headers] : [...headers, "Content-Length", String(body.length)]);
    response.end(body.length === 0 ? undefined : body);
  } catch {
    response.destroy();
  }
}

/** Where the app has set headers of its own, Node keeps only the last of several of one name, such as cookies: there they are set singly. */
function writeHead(response: ServerResponse, status: number, headers: string[]): void {
  if (response.getHeaderNames().length === 0) return void response.writeHead(status, headers);
  for (let at = 0; at + 1 < headers.length; at += 2) response.removeHeader(headers[at] as string);
  for (let at = 0; at + 1 < headers.length; at += 2) response.appendHeader(headers[at] as string, headers[at + 1] as string);
  response.writeHead(status);
}

/**
 * A sender that aborts leaves nothing behind: `read` is called with whole bodies only. A body that is a little over the cap is dropped as it
 * comes, so that the sender reads its answer and the connection goes on; of one that is twice the cap, or too slow, it is cut.
 */
function readBody(request: Received, response: ServerResponse, handler: PlainHandler, read: (body: Uint8Array) => void): void {
  const { bodyBytes: limit, refuse } = handler;
  const announced = Number(request.headers["content-length"] ?? Number.NaN);
  const cut = (fault: BodyFault): void => {
    if (response.headersSent) return;
    const told = refuse(fault);
    response.once("finish", () => hangUp(request, response));
    write(response, request.httpVersionMajor > 1 ? told : { ...told, headers: [...told.headers, "Connection", "close"] });
  };
  const finish = (body: Uint8Array, length: number): void => {
    if (length <= limit) read(body);
    else if (!response.headersSent) write(response, refuse("too_large"));
  };
  if (isBegun(request)) {
    const body = bytesInHand(request);
    return body ? finish(body, body.length) : write(response, refuse("consumed"));
  }
  if (announced > 2 * limit) cut("too_large");
  const chunks: Buffer[] = [];
  let length = 0;
  let timer: NodeJS.Timeout | undefined;
  request.on("data", (chunk: Buffer) => {
    length += chunk.length;
    if (response.headersSent) return length > limit + droppedBytes ? hangUp(request, response) : undefined;
    if (length <= limit) chunks.push(chunk);
    else {
      chunks.length = 0;
      if (length > 2 * limit) cut("too_large");
    }
    if (timer || length === announced) return;
    timer = setTimeout(cut, bodyMs, "too_slow");
    request.once("close", () => clearTimeout(timer));
  });
  request.on("end", () => {
    if (!response.headersSent) finish(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks), length);
  });
  request.on("error", ignore);
}

/** Whether somebody has read of the body before. */
function isBegun(request: Received): boolean {
  return request.readableDidRead || request.readableEnded;
}

/** What was read before, where it was kept as it came: an empty body, or raw bytes that nothing was unpacked of. */
function bytesInHand({ readableDidRead, rawBody, body, headers }: Received): Uint8Array<ArrayBuffer> | null {
  if (!readableDidRead) return new Uint8Array();
  const kept = rawBody ?? body;
  const isAsSent = (headers["content-encoding"] ?? "identity") === "identity";
  return isAsSent && kept instanceof Uint8Array ? (kept as Uint8Array<ArrayBuffer>) : null;
}

async function answer(handler: Handler, request: Received, response: ServerResponse, target: string): Promise<void> {
  request.on("error", ignore);
  try {
    const told = await handler(toRequest(request, response, target));
    writeHead(response, told.status, [...told.headers].flat());
    const { body } = told as { readonly body: Parameters<typeof Readable.fromWeb>[0] | null };
    const source = body === null ? Readable.from([]) : Readable.fromWeb(body);
    pipeline(
      source.once("end", () => leave(request, response)),
      response,
      ignore,
    );
  } catch {
    response.destroy();
  }
}

/** The origin says nothing: a `Host` is whatever the sender likes. */
function toRequest(request: Received, response: ServerResponse, target: string): Request {
  const { method = "GET" } = request;
  const raw = headersOf(request);
  const headers = new Headers();
  for (let at = 0; at + 1 < raw.length; at += 2) headers.append(raw[at] as string, raw[at + 1] as string);
  const url = `http://localhost${target}`;
  if (method === "GET" || method === "HEAD") return new Request(url, { method, headers });
  const init = { method, headers, duplex: "half" } as const;
  if (!isBegun(request)) return new Request(url, { ...init, body: streamOf(request, response) });
  const kept = bytesInHand(request);
  const made = new Request(url, { ...init, body: kept ?? "gone" });
  if (kept === null) void made.text(); // it then says of itself that its body was read
  return made;
}

/** The body as a stream that reads only when it is read. What is left of it when the answer stands is dropped. */
function streamOf(request: IncomingMessage, response: ServerResponse): ReadableStream<Uint8Array> {
  let left = droppedBytes;
  let isLeft = false;
  const start = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
    request.pause().on("data", (chunk: Buffer) => {
      if (isLeft || response.writableEnded) {
        left -= chunk.length;
        if (left < 0) hangUp(request, response);
        return;
      }
      controller.enqueue(chunk);
      request.pause();
    });
    request.once("end", () => isLeft || controller.close()).once("error", (error) => controller.error(error));
  };
  const cancel = (): void => {
    isLeft = true;
    request.resume();
  };
  return new ReadableStream({ start, pull: () => void request.resume(), cancel }, { highWaterMark: 0 });
}

/** The handler is done with the request. What it left unread is dropped as it comes, for a while. */
function leave(request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  if (request.complete) return;
  const timer = setTimeout(hangUp, bodyMs, request, response).unref();
  request.once("close", () => clearTimeout(timer));
}

/** Over HTTP/2 a request has no connection of its own: there the response holds the stream. */
function hangUp(request: IncomingMessage, response: ServerResponse): void {
  request.destroy();
  response.destroy();
}

function ignore(): void {}
