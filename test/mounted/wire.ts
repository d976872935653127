// A sender that writes its own bytes, so that nothing between test and server repairs them.

import { connect, type Socket } from "node:net";

export interface Told {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

/** Answers that came over one connection, in order. */
export class Wire {
  readonly socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #isClosed = false;
  #wake: () => void = () => {};

  constructor(port: number) {
    this.socket = connect(port, "127.0.0.1");
    this.socket.on("error", () => {});
    this.socket.on("data", (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake();
    });
    this.socket.once("close", () => {
      this.#isClosed = true;
      this.#wake();
    });
  }

  send(...parts: readonly (string | Uint8Array)[]): this {
    for (const part of parts) this.socket.write(part);
    return this;
  }

  /** The next answer; null where the other side closed instead. One to HEAD has no body whatever its length says. */
  async told(isHead = false): Promise<Told | null> {
    for (;;) {
      const answer = this.#parse(isHead);
      if (answer) return answer;
      if (this.#isClosed) return null;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** Until the other side has closed. */
  async closed(): Promise<void> {
    while (!this.#isClosed) await new Promise<void>((resolve) => (this.#wake = resolve));
  }

  #parse(isHead: boolean): Told | null {
    const text = this.#received.toString("latin1");
    const end = text.indexOf("\r\n\r\n");
    if (end < 0) return null;
    const [first = "", ...lines] = text.slice(0, end).split("\r\n");
    const headers = new Headers(lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1)]));
    const status = Number(first.split(" ")[1]);
    const rest = text.slice(end + 4);
    if (isHead || status === 204) return this.#took(end + 4, { status, headers, body: "" });
    if (headers.get("transfer-encoding") === "chunked") {
      const last = rest.indexOf("0\r\n\r\n");
      if (last < 0) return null;
      const body = rest.slice(0, last).replace(/[\da-f]+\r\n([^]*?)\r\n/gi, "$1");
      return this.#took(end + 4 + last + 5, { status, headers, body });
    }
    const length = Number(headers.get("content-length") ?? 0);
    return rest.length < length ? null : this.#took(end + 4 + length, { status, headers, body: rest.slice(0, length) });
  }

  #took(bytes: number, told: Told): Told {
    this.#received = this.#received.subarray(bytes);
    return told;
  }
}

/** The head of a request, up to its body. */
export function head(method: string, target: string, ...headers: readonly string[]): string {
  return `${[`${method} ${target} HTTP/1.1`, "Host: app.example", ...headers].join("\r\n")}\r\n\r\n`;
}

/** A whole request. */
export function post(target: string, body: string | Uint8Array, ...headers: readonly string[]): (string | Uint8Array)[] {
  return [head("POST", target, `Content-Length: ${Buffer.byteLength(body)}`, ...headers), body];
}

/** The same, in chunks. */
export function chunked(target: string, body: string, ...headers: readonly string[]): string {
  const half = Math.ceil(body.length / 2);
  const chunks = [body.slice(0, half), body.slice(half)].filter((part) => part !== "");
  const frames = chunks.map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join("");
  return `${head("POST", target, "Transfer-Encoding: chunked", ...headers)}${frames}0\r\n\r\n`;
}
