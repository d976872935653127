import { connect, type Socket } from "node:net";
import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { serve, serveWithin } from "../src/adapters/node.ts";
import type { BodyFault } from "../src/http/handler.ts";
import type { Ingress } from "../src/http/ingress.ts";
import { answerForBody } from "../src/http/status.ts";
import { createEngine } from "../src/index.ts";

const paths: string[] = [];
beforeEach(() => void paths.splice(0));
const handle: Ingress["handle"] = ({ path, search }, answered) => {
  paths.push(path + search);
  answered({ status: 202, headers: [], body: new Uint8Array() });
};
const engine = {
  open: async () => {},
  ingress: Object.assign(async () => new Response(), {
    handle,
    route: "/",
    basePath: "",
    bodyBytes: 1024,
    refuse: (fault: BodyFault) => answerForBody(fault, 1024),
  }),
};
const address = { port: 0, host: "127.0.0.1" };
const short = { headersTimeout: 60, requestTimeout: 120, connectionsCheckingInterval: 20 };

/** Sends `text` and nothing more; what came back until the other side closed. */
async function sent(port: number, text: string, begun: (socket: Socket) => void = () => {}): Promise<string> {
  const socket = connect(port, "127.0.0.1", () => socket.write(text));
  begun(socket);
  let answer = "";
  socket.on("data", (chunk: Buffer) => (answer += chunk.toString()));
  await new Promise<void>((resolve) => socket.once("close", () => resolve()));
  return answer;
}

async function started(starting: ReturnType<typeof serve>): ReturnType<typeof serve> {
  const served = await starting;
  onTestFinished(async () => {
    served.server.closeAllConnections();
    await served.close();
  });
  return served;
}

test("who does not finish the headers, or the request, is cut off", async () => {
  const { port } = await started(serveWithin(short, engine, address));
  const unfinished = ["", "POST /a HTTP/1.1\r\nHost: a\r\n", "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf"];
  const answers = await Promise.all(unfinished.map((text) => sent(port, text)));
  for (const answer of answers) expect(answer).toMatch(/^HTTP\/1\.1 408 /);
  expect(paths).toEqual([]);
});

test("a sender that keeps sending little by little is cut off too", async () => {
  const { port } = await started(serveWithin(short, engine, address));
  const answer = await sent(port, "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n", (socket) => {
    const trickle = setInterval(() => socket.write("x"), 10);
    socket.on("error", () => {}).once("close", () => clearInterval(trickle));
  });
  expect(answer).toMatch(/^(?:HTTP\/1\.1 408 |$)/);
  expect(paths).toEqual([]);
});

test("a server has 10 s for headers and 15 s for a request, and looks each second", async () => {
  const { server } = await started(serve(engine, address));
  expect([server.headersTimeout, server.requestTimeout]).toEqual([10_000, 15_000]);
  // Node keeps it under this name, undocumented.
  expect((server as unknown as { connectionsCheckingInterval: number }).connectionsCheckingInterval).toBe(1_000);
});

test("a target in absolute form is routed by its path", async () => {
  const { port } = await started(serve(engine, address));
  const targets = ["http://host/a/b?c=1", "HTTPS://host:1/a//b", "http://host", "http://host?c=http://d/e", "/http://host/a", "//host/a"];
  for (const target of targets) {
    const answer = await sent(port, `POST ${target} HTTP/1.1\r\nHost: host\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 202 /);
  }
  expect(paths).toEqual(["/a/b?c=1", "/a//b", "/", "/?c=http://d/e", "/http://host/a", "//host/a"]);
});

test("who sends more than the cap is told so, in the handler's words, and cut off", async () => {
  const { port } = await started(serve(engine, address));
  const answer = await sent(port, `POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n${"x".repeat(2_000)}`);
  expect(answer).toMatch(/^HTTP\/1\.1 413 .*\r\nContent-Type: application\/json\r\nConnection: close\r\n/);
  expect(answer).toContain('{"code":"too_large","message":"The request body has more than 1024 bytes."}');
  expect(paths).toEqual([]);
});

test("a request that was answered is held by no timer, nor is one that was refused", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  const { ingress } = createEngine({ store: "memory:", baseUrl: null, workflows: [], bodyBytes: 10 });
  const sent = async (body: string | null): Promise<number> =>
    (await ingress(new Request("https://a.example/.well-known/workflow/v1/webhook/x", { method: "POST", body }))).status;
  const before = vi.getTimerCount();
  expect([await sent("body"), await sent(null), await sent("more than ten")]).toEqual([404, 404, 413]);
  expect(vi.getTimerCount()).toBe(before);
});
