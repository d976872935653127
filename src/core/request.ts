// Requests and responses as values: bytes in hand, read without leaving the turn.
//
// Q1. The body methods of a `CapturedRequest` settle in microtasks alone, so workflow code may await them.
// Q2. Making one costs next to nothing (a `Request` of Node 20 costs 15–20 µs): what only a `Request` of the platform can answer is asked
//     of one that is built when first needed.
// Q3. Bodies are copied out, never handed out: no reader can change what the next one reads.

import { RingbackError } from "./errors.ts";
import type { Answer } from "./event.ts";
import { parseJson } from "./json.ts";
import { limits, tooLarge } from "./limits.ts";

/** A request with its body in hand. */
export interface RequestRecord {
  readonly method: string;
  readonly url: string;
  /** Names and values in turn, as received. */
  readonly headers: readonly string[];
  readonly body: Uint8Array;
}

/** What became of an answer: it was sent, or something else had been before. */
export type RespondResult = { readonly sent: true } | { readonly sent: false; readonly reason: "answered" | "deadline" };

/** A webhook's request. `respondWith` answers its sender where the webhook was made with `respondWith: "manual"`. */
export interface RequestWithResponse extends Request {
  /** Answers the sender, once; the body is read within the turn and ≤ 1 MiB. In workflow code it is a step of its own. */
  respondWith(response: Response): Promise<RespondResult>;
}

export interface CaptureOptions {
  /** The delivery that brought it. A request with one serialises as a reference to it, */
  readonly delivery?: number;
  /** in the store that has it; elsewhere the number would be another's. */
  readonly store?: object;
  /** Sends an answer. Without it the sender has been answered already. */
  readonly respond?: (response: Response) => Promise<RespondResult>;
}

const decoder = new TextDecoder();

type BodyType = "json" | "text" | "arrayBuffer" | "bytes" | "blob" | "formData";

/**
 * A `Request` over captured bytes. To send it on, `new Request(url, captured)` and `fetch(url, captured)` work as with any request; a bare
 * `fetch(captured)` does not, since the platform keeps a request's target where no subclass can put it.
 */
export class CapturedRequest
  implements Pick<Request, Exclude<BodyType, "bytes"> | "method" | "url" | "headers" | "body" | "bodyUsed" | "clone">
{
  static {
    Object.setPrototypeOf(this.prototype, Request.prototype);
    for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(Request.prototype))) {
      if (property.get === undefined || Object.hasOwn(this.prototype, name)) continue;
      Object.defineProperty(this.prototype, name, { configurable: true, get: platformGetter(name as keyof Request) });
    }
  }

  readonly #record: RequestRecord;
  readonly #options: CaptureOptions;
  #isUsed = false;
  #headers: Headers | null = null;
  #platform: Request | null = null;
  /** Holds the body as a stream, once somebody has asked for it. */
  #streaming: Response | null = null;

  constructor(record: RequestRecord, options: CaptureOptions = {}) {
    this.#record = record;
    this.#options = options;
  }

  static isCaptured(value: unknown): value is CapturedRequest {
    return typeof value === "object" && value !== null && #record in value;
  }

  /** The request as data, whether or not its body has been read. */
  static record(request: CapturedRequest): RequestRecord {
    return request.#record;
  }

  /** The delivery of this store that brought the request, or null. */
  static delivery(request: CapturedRequest, store: object | undefined): number | null {
    return request.#options.store === store ? (request.#options.delivery ?? null) : null;
  }

  /** A real request without a body, for all that is not answered here. */
  static platform(request: CapturedRequest): Request {
    request.#platform ??= new Request(request.#record.url, { method: request.#record.method, headers: pairs(request.#record.headers) });
    return request.#platform;
  }

  get method(): string {
    return this.#record.method;
  }

  get url(): string {
    return this.#record.url;
  }

  get headers(): Headers {
    this.#headers ??= new Headers(pairs(this.#record.headers));
    return this.#headers;
  }

  get body(): ReadableStream<Uint8Array<ArrayBuffer>> | null {
    if (!this.#hasBody) return null;
    if (this.#streaming === null) {
      this.#streaming = new Response(copyOf(this.#record.body));
      if (this.#isUsed) void this.#streaming.body?.cancel();
    }
    return this.#streaming.body as ReadableStream<Uint8Array<ArrayBuffer>> | null;
  }

  get bodyUsed(): boolean {
    return this.#isUsed || this.#streaming?.bodyUsed === true;
  }

  get #hasBody(): boolean {
    return this.#record.body.length > 0 && this.method !== "GET" && this.method !== "HEAD";
  }

  /** Measured before it is parsed (`too_deep`), and without keys called `__proto__`. */
  async json(): Promise<unknown> {
    const taken = this.#take("json");
    const bytes = taken instanceof Uint8Array ? taken : await taken;
    return parseJson(bytes, decoder.decode(bytes));
  }

  async text(): Promise<string> {
    const bytes = this.#take("text");
    return decoder.decode(bytes instanceof Uint8Array ? bytes : await bytes);
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    return copyOf(await this.#take("arrayBuffer")).buffer;
  }

  async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return copyOf(await this.#take("bytes"));
  }

  async blob(): Promise<Blob> {
    return new Blob([copyOf(await this.#take("blob"))], { type: this.headers.get("content-type") ?? "" });
  }

  /** Both encodings are parsed by the platform, whose parser settles in microtasks where the bytes are in hand. */
  async formData(): Promise<FormData> {
    const type = this.headers.get("content-type");
    return new Response(copyOf(await this.#take("formData")), type === null ? {} : { headers: { "content-type": type } }).formData();
  }

  clone(): CapturedRequest & RequestWithResponse {
    if (this.bodyUsed || this.#streaming?.body?.locked === true)
      throw new TypeError("Failed to execute 'clone' on 'Request': the body has been read.");
    return asRequest(new CapturedRequest(this.#record, this.#options));
  }

  /** Answers the sender, once; later calls, and calls on a request that had its answer, resolve `{ sent: false }`. */
  async respondWith(response: Response): Promise<RespondResult> {
    return this.#options.respond === undefined ? { sent: false, reason: "answered" } : this.#options.respond(response);
  }

  /** The bytes, and the body counts as read. One that was handed out as a stream is read from there. */
  #take(method: BodyType): Uint8Array | Promise<Uint8Array> {
    if (!this.#hasBody) return new Uint8Array();
    if (this.bodyUsed || this.#streaming?.body?.locked === true) {
      throw new TypeError(
        `Failed to execute '${method}' on 'Request': the body has already been read, or its stream is locked. Use request.clone() to read it twice.`,
      );
    }
    this.#isUsed = true;
    return this.#streaming === null ? this.#record.body : this.#streaming.arrayBuffer().then((buffer) => new Uint8Array(buffer));
  }
}

/** A captured request as code sees it. */
export function captured(record: RequestRecord, options?: CaptureOptions): CapturedRequest & RequestWithResponse {
  return asRequest(new CapturedRequest(record, options));
}

/** It is one by its prototype, which the type system cannot see. */
function asRequest(request: CapturedRequest): CapturedRequest & RequestWithResponse {
  return request as CapturedRequest & RequestWithResponse;
}

function platformGetter(name: keyof Request): (this: CapturedRequest) => unknown {
  return function () {
    return CapturedRequest.platform(this)[name];
  };
}

/**
 * The author's `Response` as an answer: cloned at once, its bytes read as they come. Text, bytes, JSON and forms are read within the turn;
 * a stream or a `Blob` need not be, and whoever waits decides how long.
 */
export async function readResponse(response: Response, what: string): Promise<Answer> {
  checkAnswer(response, what);
  const { status, url } = response;
  const reading = bodyOf(response, what, "$");
  const headers = new Headers(response.headers);
  const body = new Uint8Array(await reading);
  if (body.length > limits.answerBytes) throw tooLarge(what, limits.answerBytes, body.length);
  return { status, headers: flatten(answerHeaders(headers, body, url !== "")), body };
}

/** Refuses what no sender can be told: `bad_argument`. */
export function checkAnswer({ status }: Response, what: string): void {
  if (status >= 200) return;
  const message = `${what} has status ${status}, which cannot be sent: Response.error() and opaque responses have none. Pass a Response with a status from 200 to 599.`;
  throw new RingbackError("bad_argument", message, { details: { argument: "response", value: `Response of status ${status}` } });
}

/** What of `headers` may be passed on: nothing that speaks of another's connection, or of bytes as they were before `fetch` decoded them. */
function answerHeaders(headers: Headers, body: Uint8Array, isFetched: boolean): Headers {
  const named = wordsOf(headers.get("connection"));
  const codings = wordsOf(headers.get("content-encoding"));
  for (const name of [...headers.keys()]) if (named.includes(name) || notPassedOn.test(name)) headers.delete(name);
  if (codings.length > 0 && isDecoded(codings, body, isFetched)) headers.delete("content-encoding");
  return headers;
}

/** Headers of one connection (RFC 9110, 7.6.1), the length, which whoever sends the bytes knows, and the engine's own. */
const notPassedOn = /^(?:connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|content-length|ringback-.*)$/;
const decodedByFetch: ReadonlySet<string> = new Set(["gzip", "x-gzip", "deflate", "br", "zstd"]);
const magic: { readonly [coding: string]: readonly number[] } = {
  gzip: [0x1f, 0x8b],
  "x-gzip": [0x1f, 0x8b],
  zstd: [0x28, 0xb5, 0x2f, 0xfd],
};

/**
 * Whether `body` is no longer in these codings. `fetch` keeps the header of a body it has decoded, and nothing else says that it has; bytes
 * that lack the mark of their last coding are not in it. Not every `fetch` decodes zstd: there the mark alone decides.
 */
function isDecoded(codings: readonly string[], body: Uint8Array, isFetched: boolean): boolean {
  const last = codings.at(-1) ?? "";
  const mark = magic[last];
  if (mark?.some((byte, index) => body[index] !== byte)) return true;
  return isFetched && last !== "zstd" && codings.every((coding) => decodedByFetch.has(coding));
}

function wordsOf(list: string | null): string[] {
  return (list ?? "")
    .toLowerCase()
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");
}

/** An answer as the platform's `Response`. */
export function toResponse({ status, headers, body }: Answer, statusText: string = ""): Response {
  return new Response(body.length > 0 ? (body as Uint8Array<ArrayBuffer>) : null, { status, statusText, headers: pairs(headers) });
}

/** A `Response` as it is stored. One that came from elsewhere says from where. */
export interface ResponseRecord {
  readonly status: number;
  readonly statusText: string;
  readonly headers: readonly string[];
  readonly url?: string;
  readonly redirected?: boolean;
}

/** A stored response as code sees it, with headers that are true of the bytes at hand; an answer without a body keeps all. */
export function storedResponse(
  { status, statusText, headers: stored, url, redirected }: ResponseRecord,
  body: ArrayBuffer | null,
): Response {
  const headers = new Headers(pairs(stored));
  const bytes = new Uint8Array(body ?? []);
  const codings = wordsOf(headers.get("content-encoding"));
  if (body !== null && codings.length > 0 && isDecoded(codings, bytes, url !== undefined)) headers.delete("content-encoding");
  if (body !== null && headers.get("content-length") !== String(bytes.length)) headers.delete("content-length");
  const response = toResponse({ status, headers: flatten(headers), body: bytes }, statusText);
  return url === undefined ? response : from(response, { url, redirected: redirected === true });
}

/** The platform makes no response that knows its address: this one, and what is cloned of it, is told. */
function from(response: Response, origin: { readonly url: string; readonly redirected: boolean }): Response {
  return Object.defineProperties(response, {
    url: { value: origin.url },
    redirected: { value: origin.redirected },
    clone: { value: () => from(Response.prototype.clone.call(response), origin) },
  });
}

/** Begins to read a body, leaving its owner unread. A body that has been read is refused, naming `path`. */
export function bodyOf(owner: Request | Response, what: string, path: string): Promise<ArrayBuffer> | ArrayBuffer {
  if (owner.body === null) return new ArrayBuffer(0);
  if (!owner.bodyUsed && !owner.body.locked) return owner.clone().arrayBuffer();
  const type = owner instanceof Request ? "Request" : "Response";
  const message = `${what} cannot be stored: at ${path} stands a ${type} whose body has been read. Pass a clone made before, or what was read.`;
  throw new RingbackError("unserialisable", message, { details: { path, type } });
}

/** Headers as names and values in turn; each cookie stands alone. */
export function flatten(headers: Headers): string[] {
  return [...headers].flat();
}

/** Names and values in turn as `Headers` takes them. */
export function pairs(headers: readonly string[]): [string, string][] {
  const list: [string, string][] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) list.push([headers[i] as string, headers[i + 1] as string]);
  return list;
}

function copyOf(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}
