// A request at a door as a plain record: nothing of it is trusted, nothing of it is parsed before it is verified.

import { hash } from "node:crypto";
import { InvalidPayloadError, RingbackError } from "../core/errors.ts";
import { parseJson } from "../core/json.ts";
import { limits, tooLarge } from "../core/limits.ts";
import { keyHeaders } from "../core/receipt.ts";
import { isForm, isJsonText, parseForm } from "./form.ts";
import { CapturedRequest, flatten } from "../core/request.ts";

export interface Capture {
  readonly method: string;
  /** Scheme and host, where the request came with them. */
  readonly origin?: string;
  /** As it came, percent-encoding and all. */
  readonly path: string;
  /** The query with its `?`, or empty. */
  readonly search: string;
  /** Names and values in turn, as received. */
  readonly headers: readonly string[];
  readonly body: Uint8Array;
}

/**
 * Reads a request up to `limitBytes` of body; more is `too_large`, noticed before it is read where the sender says so. A body that somebody
 * has read before is `body_consumed`. Rejects with the signal's reason where that comes first.
 */
export async function captureRequest(request: Request, limitBytes: number = limits.bodyBytes, signal?: AbortSignal): Promise<Capture> {
  const { origin, pathname, search } = new URL(request.url);
  signal?.throwIfAborted();
  if (request.bodyUsed || request.body?.locked) throw bodyConsumed();
  const announced = Number(request.headers.get("content-length") ?? 0);
  if (announced > limitBytes) throw tooLarge("The request body", limitBytes, announced);
  return {
    method: request.method,
    origin,
    path: pathname,
    search,
    headers: flatten(request.headers),
    body: await readBody(request.body, limitBytes, signal),
  };
}

/** The record as a `Request` at `origin`, for verifiers and schemas that take one. */
export function requestOf({ method, path, search, headers, body }: Capture, origin: string): Request {
  return new CapturedRequest({ method, url: origin + path + search, headers, body }) as CapturedRequest & Request;
}

/** A header's value, whatever the case of its name; several as the web standard joins them; null where there is none. */
export function header(headers: readonly string[], name: string): string | null {
  const wanted = name.toLowerCase();
  let found: string | null = null;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (headers[i]?.length !== wanted.length || headers[i]?.toLowerCase() !== wanted) continue;
    found = found === null ? (headers[i + 1] as string) : `${found}, ${headers[i + 1]}`;
  }
  return found;
}

/** The delivery's key with the name of its header, such as `webhook-id:msg_2x`; null where the sender gave none. */
export function deliveryKey(headers: readonly string[]): string | null {
  for (const name of keyHeaders) {
    const value = header(headers, name)?.trim();
    if (value === undefined || value === "") continue;
    if (Buffer.byteLength(value) > limits.deliveryKeyBytes)
      throw tooLarge(`The ${name} header`, limits.deliveryKeyBytes, Buffer.byteLength(value));
    return `${name}:${value}`;
  }
  return null;
}

/** Tells whether a key came again with another body. */
export function bodyDigest(body: Uint8Array): string {
  return hash("sha256", body, "base64url");
}

/** A body as JSON (`too_deep`); anything that is not JSON in UTF-8 is `invalid_payload`. */
export function parseJsonBody(body: Uint8Array): unknown {
  try {
    return parseJson(body, new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (cause) {
    if (RingbackError.is(cause)) throw cause;
    const message = body.length === 0 ? "The body is empty, and JSON is expected." : "The body is not JSON in UTF-8.";
    throw new InvalidPayloadError(message, { details: { issues: [{ message }] }, cause });
  }
}

/**
 * What a body says: of a form (`application/x-www-form-urlencoded`) its fields as text, a name that comes again as an array; of any other
 * content type its JSON. JSON that says it is a form is JSON: `curl -d` says so of everything. `invalid_payload` where it is neither,
 * `too_deep` as there.
 */
export function bodyValue(headers: readonly string[], body: Uint8Array): unknown {
  const type = header(headers, "content-type") ?? "";
  return isForm(type) && !isJsonText(body) ? parseForm(body, type) : parseJsonBody(body);
}

/** What is left of a refused body is not cancelled: many servers would close the connection before the sender has its answer. */
async function readBody(body: ReadableStream<Uint8Array> | null, limitBytes: number, signal?: AbortSignal): Promise<Uint8Array> {
  if (body === null) return new Uint8Array();
  const reader = body.getReader();
  const stopped = signal && new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await (stopped ? Promise.race([reader.read(), stopped]) : reader.read());
    if (done) break;
    length += value.length;
    if (length > limitBytes) throw tooLarge("The request body", limitBytes, length);
    chunks.push(value);
  }
  const [first] = chunks;
  return chunks.length === 1 && first !== undefined ? first : concat(chunks, length);
}

/** The body is gone, and what a parser made of it is not what the sender signed. */
export function bodyConsumed(): RingbackError<"body_consumed"> {
  const message =
    "The app read this request's body before Ringback came to it. Mount Ringback before whatever reads bodies, such as a JSON parser for the whole app.";
  return new RingbackError("body_consumed", message, { details: {} });
}

function concat(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const all = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}
