// Raw HTTP/1.1 over a socket: for requests that no client would send.

import { connect } from "node:net";
import type { Engine } from "../src/wiring.ts";
import { onTestFinished } from "vitest";
import { serve, type Served } from "../src/adapters/node.ts";

export async function served(engine: Pick<Engine, "open" | "ingress">): Promise<Served> {
  const serving = await serve(engine, { port: 0, host: "127.0.0.1" });
  onTestFinished(async () => {
    serving.server.closeAllConnections();
    await serving.close();
  });
  return serving;
}

/** Sends bytes and reads until the other side has closed, or `isEnough` of what came. A reset is the end, too. */
export async function exchanged(
  port: number,
  bytes: string | Buffer,
  isEnough: (answer: string) => boolean = () => false,
): Promise<string> {
  const socket = connect(port, "127.0.0.1", () => socket.write(bytes));
  let answer = "";
  socket.setEncoding("latin1").on("error", () => {});
  socket.on("data", (text: string) => {
    answer += text;
    if (isEnough(answer)) socket.destroy();
  });
  await new Promise<void>((resolve) => socket.once("close", () => resolve()));
  return answer;
}

/** One request, of which every line is the caller's, as latin1. */
export function requestText(line: string, headers: readonly string[], body: string = ""): Buffer {
  return Buffer.from([line, "Host: a", ...headers, "", body].join("\r\n"), "latin1");
}

/** The status codes of all answers in what came. */
export function statuses(answer: string): number[] {
  return [...answer.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((found) => Number(found[1]));
}

/** Sends the beginning of a request and goes away; resolves when the server has seen that. */
export async function aborted({ port, server }: Served, bytes: string | Buffer): Promise<void> {
  const socket = connect(port, "127.0.0.1");
  const seen = new Promise<void>((resolve) => server.once("connection", (peer) => peer.once("close", () => resolve())));
  socket.on("error", () => {});
  socket.write(bytes, () => socket.resetAndDestroy());
  await seen;
}
