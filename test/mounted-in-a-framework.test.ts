import { randomBytes } from "node:crypto";
import { Agent, request as ask } from "node:http";
import { afterEach, describe, expect, test, vi } from "vitest";
import { adminRoute } from "../src/http/admin.ts";
import type { Handler } from "../src/http/handler.ts";
import { frameworks, portOf } from "./mounted/framework.ts";
import { accepted, cap, echo, held, opened, plain, route, row, sentBack, taken, told, tooLarge, until, world } from "./mounted/webhook.ts";
import { chunked, head, post, Wire } from "./mounted/wire.ts";

afterEach(() => {
  vi.useRealTimers();
});

describe.each(Object.entries(frameworks))("in %s", (_, mount) => {
  async function wire(handler: Handler = world.engine.ingress): Promise<() => Wire> {
    const server = await mount([handler], {});
    return () => new Wire(portOf(server));
  }

  test("every sender gets the same answer as everywhere", async () => {
    await opened();
    const dial = await wire();
    const sent = (...parts: readonly (string | Uint8Array)[]): Promise<unknown> => told(dial, ...parts);
    const unknown = [404, "ringback-disposition: unknown"];
    const method = [405, "allow: POST, PUT, PATCH"];
    const encoded = route + [...plain.slice(route.length)].map((letter) => `%${letter.charCodeAt(0).toString(16)}`).join("");
    expect({
      post: await sent(...post(plain, "{}")),
      put: await sent(head("PUT", plain, "Content-Length: 1"), "x"),
      patch: await sent(head("PATCH", plain, "Content-Length: 0")),
      empty: await sent(head("POST", plain)),
      chunked: await sent(chunked(plain, "body")),
      query: await sent(...post(`${plain}?a=1&b=%2F`, "{}")),
      encoded: await sent(...post(encoded, "{}")),
      absolute: await sent(...post(`http://elsewhere.example${plain}`, "{}")),
      repeat: [await sent(...post(plain, "a", "Webhook-Id: 1")), await sent(...post(plain, "a", "Webhook-Id: 1"))],
      reused: [
        await sent(...post(plain, "a", "Idempotency-Key: 2")),
        (await sent(...post(plain, "b", "Idempotency-Key: 2"))) as unknown[],
      ].map((each) => (each as unknown[])[0]),
      own: await sent(...post(echo, "back")),
      strangeType: await sent(...post(plain, "a", "Content-Type: json")),
      emptyType: await sent(...post(plain, "a", "Content-Type:")),
      brokenJson: await sent(...post(plain, "{", "Content-Type: application/json")),
      form: await sent(...post(plain, "a=b", "Content-Type: application/x-www-form-urlencoded")),
      gzip: await sent(...post(plain, "no gzip at all", "Content-Encoding: gzip")),
      get: await sent(head("GET", plain)),
      delete: await sent(head("DELETE", plain)),
      deleteWithBody: await sent(head("DELETE", plain, "Content-Length: 1", "Content-Type: application/json"), "x"),
      head: await sent(head("HEAD", plain)),
      options: await sent(head("OPTIONS", plain, "Origin: https://a.example", "Access-Control-Request-Method: POST")),
      forged: await sent(...post(`${plain.slice(0, -2)}xx`, "{}")),
      noToken: await sent(...post(`${route}nothing`, "{}")),
      bare: await sent(...post(route, "{}")),
      slash: await sent(...post(`${route}a%2Fb`, "{}")),
      below: await sent(...post(`${plain}/`, "{}")),
      forgedGet: await sent(head("GET", `${route}nothing`)),
    }).toEqual({
      post: accepted,
      put: accepted,
      patch: accepted,
      empty: accepted,
      chunked: accepted,
      query: accepted,
      encoded: accepted,
      absolute: accepted,
      repeat: [accepted, [202, "ringback-disposition: duplicate"]],
      reused: [202, 422],
      own: [201, ...sentBack, "back"],
      strangeType: accepted,
      emptyType: accepted,
      brokenJson: accepted,
      form: accepted,
      gzip: accepted,
      get: method,
      delete: method,
      deleteWithBody: method,
      head: method,
      options: [204],
      forged: unknown,
      noToken: unknown,
      bare: unknown,
      slash: unknown,
      below: unknown,
      forgedGet: unknown,
    });
  });

  test("a body comes back byte for byte, whatever it says it is", async () => {
    await opened();
    const dial = await wire();
    const bodies = [randomBytes(cap), Buffer.from('\ufeff{ "a" : 1.0,\r\n"a":2 }'), Buffer.from([0xff, 0, 0xc3, 0x28, 0x0d, 0x0a])];
    for (const body of bodies)
      for (const type of ["application/json", "text/plain; charset=latin1", "application/x-www-form-urlencoded", "multipart/form-data"]) {
        const line = dial().send(...post(echo, body, `Content-Type: ${type}`));
        expect(Buffer.from((await line.told())?.body ?? "", "latin1").equals(body)).toBe(true);
      }
  });

  test("a body at the cap is taken, one byte more is 413, and the connection goes on", async () => {
    await opened();
    const dial = await wire();
    const line = dial();
    const [fits, over] = ["x".repeat(cap), "x".repeat(cap + 1)];
    const answers: unknown[] = [];
    const inTurn = [post(plain, fits), [chunked(plain, fits)], post(plain, over), post(plain, ""), [chunked(plain, over)], post(plain, "")];
    for (const sent of inTurn) answers.push(row(await line.send(...sent).told()));
    expect(answers).toEqual([accepted, accepted, tooLarge, accepted, tooLarge, accepted]);
    expect(await taken()).toBe(4);
  });

  test("the engine's cap counts, not a framework's own", async () => {
    const bodyBytes = 3 * 1024 * 1024;
    await opened({ bodyBytes });
    const dial = await wire();
    for (const type of ["application/json", "text/plain", "application/octet-stream"])
      expect(await told(dial, ...post(plain, "x".repeat(bodyBytes), `Content-Type: ${type}`))).toEqual(accepted);
  });

  test("a client that keeps its connections alive goes on after far too large a body", async () => {
    await opened();
    const server = await mount([world.engine.ingress], {});
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const sent = (body: string): Promise<number> =>
      new Promise((resolve, reject) => {
        const asked = ask({ agent, port: portOf(server), host: "127.0.0.1", path: plain, method: "POST" }, (response) => {
          response.resume().once("end", () => resolve(response.statusCode ?? 0));
        });
        // What comes after the answer is the sender's loss alone.
        asked.once("error", reject).end(body);
      });
    expect([await sent("x".repeat(2 * cap + 1)), await sent("x"), await sent("x".repeat(2 * cap)), await sent("x")]).toEqual([
      413, 202, 413, 202,
    ]);
    agent.destroy();
  });

  test("an upload that stops half-way leaves nothing, and nobody else notices", async () => {
    await opened();
    const dial = await wire();
    const torn = [
      [head("POST", plain, "Content-Length: 100"), "half"],
      [head("POST", plain, "Transfer-Encoding: chunked"), "4\r\nhalf\r\n"],
      [head("POST", plain, "Content-Length: 100")],
      [head("POST", plain, `Content-Length: ${cap + 100}`), "x".repeat(cap + 1)],
    ];
    for (const parts of torn) {
      const line = dial().send(...parts);
      await new Promise<void>((resolve) => line.socket.once("connect", () => line.socket.end(() => resolve())));
      await line.closed();
    }
    expect(await told(dial, ...post(plain, "whole"))).toEqual(accepted);
    expect(await taken()).toBe(1);
  });

  test("a sender that hangs up before its answer breaks nothing: the delivery stands", async () => {
    await opened();
    const dial = await wire();
    const line = dial().send(...post(echo, "gone", "X-Hold: 1", "Webhook-Id: 1"));
    await until(() => held.length === 1);
    line.socket.destroy();
    await line.closed();
    held[0]?.();
    await world.settled();
    expect(await told(dial, ...post(echo, "again", "Webhook-Id: 1"))).toEqual([
      201,
      "ringback-disposition: duplicate",
      ...sentBack.slice(1),
      "gone",
    ]);
  });

  test("who sends little by little is told that it took too long", async () => {
    await opened();
    const dial = await wire();
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const line = dial().send(head("POST", plain, "Content-Length: 100"), "half");
    await until(() => vi.getTimerCount() > 0);
    vi.advanceTimersByTime(15_000);
    vi.useRealTimers();
    expect(row(await line.told())).toEqual([
      408,
      "content-type: application/json",
      '{"code":"too_slow","message":"The request body did not come in time."}',
    ]);
    expect(await taken()).toBe(0);
  });

  test("below the path of the base URL, or behind a proxy that takes it off", async () => {
    await opened({ baseUrl: "https://app.example/api" });
    const dial = await wire();
    expect(plain.startsWith(`/api${route}`)).toBe(true);
    expect(await told(dial, ...post(plain, "{}"))).toEqual(accepted);
    expect(await told(dial, ...post(plain.slice("/api".length), "{}", "X-Forwarded-Prefix: /elsewhere"))).toEqual(accepted);
  });

  test("what a proxy's headers say is used for nothing", async () => {
    await opened();
    const dial = await wire();
    const forwarded = [
      "X-Forwarded-For: 10.0.0.1",
      "X-Forwarded-Proto: ftp",
      "X-Forwarded-Host: a b",
      "X-Forwarded-Port: x",
      "Forwarded: host=evil",
      "X-Original-URL: /own",
      "X-Rewrite-URL: /own",
      "X-HTTP-Method-Override: DELETE",
    ];
    expect(await told(dial, ...post(plain, "{}", ...forwarded))).toEqual(accepted);
    expect(await told(dial, ...post("/own", "{}", `X-Original-URL: ${plain}`, `X-Rewrite-URL: ${plain}`))).not.toContain(202);
    expect(await taken()).toBe(1);
  });

  test("the admin handler reads no body before it has let its sender in", async () => {
    const asked: string[] = [];
    const authorize = (request: Request): boolean =>
      asked.push(request.headers.get("x-who") ?? "") > 0 && request.headers.get("x-who") === "me";
    await opened({ admin: { authorize } });
    const dial = await wire(world.engine.admin);
    const resume = `${adminRoute}hooks/resume`;
    const headers = ["Content-Type: application/json", "Content-Length: 100000000"];
    expect(((await told(dial, head("POST", resume, ...headers), "never")) as unknown[])[0]).toBe(403);
    expect(((await told(dial, head("POST", resume, "X-Who: me", ...headers), "never")) as unknown[])[0]).toBe(413);
    const line = dial();
    const statuses: unknown[] = [];
    for (const who of ["", "me", "you", "me"])
      statuses.push(
        (await line.send(...post(resume, '{"token":"t","payload":1}', `X-Who: ${who}`, "Content-Type: application/json")).told())?.status,
      );
    expect(statuses).toEqual([403, 404, 403, 404]);
    expect(asked).toEqual(["", "me", "", "me", "you", "me"]);
  });

  test("a sender that is answered and does not finish its body is let go of", async () => {
    await opened();
    const dial = await wire(async () => new Response("done"));
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const line = dial().send(head("POST", "/x", "Content-Length: 100"), "half");
    expect((await line.told())?.body).toBe("done");
    await until(() => vi.getTimerCount() > 0);
    vi.advanceTimersByTime(15_000);
    await line.closed();
  });

  test("a function in the web's standard form is handed the request as it came", async () => {
    await opened();
    const seen: string[] = [];
    const handler: Handler = async (request) => {
      const { pathname, search } = new URL(request.url);
      seen.push(`${request.method} ${pathname}${search} ${request.headers.get("x-a")}`);
      if (pathname === "/unread")
        return new Response("left it", {
          status: 299,
          headers: [
            ["Set-Cookie", "a=1"],
            ["Set-Cookie", "b=2"],
          ],
        });
      return new Response(await request.text().catch(() => "torn"));
    };
    const dial = await wire(handler);
    const line = dial();
    const told = await line.send(...post("/unread?q=%2F", "x".repeat(10_000), "X-A: 1")).told();
    expect([told?.status, told?.headers.getSetCookie(), told?.body]).toEqual([299, ["a=1", "b=2"], "left it"]);
    expect((await line.send(...post("/read", "whole", "X-A: 2")).told())?.body).toBe("whole");
    expect((await line.send(chunked("/read", "chunks", "X-A: 3")).told())?.body).toBe("chunks");
    expect((await line.send(head("GET", "/read", "X-A: 4")).told())?.status).toBe(200);
    const torn = dial().send(head("POST", "/torn", "Content-Length: 9"), "half");
    await until(() => seen.length === 5);
    torn.socket.destroy();
    await torn.closed();
    expect((await line.send(...post("/read", "still", "X-A: 5")).told())?.body).toBe("still");
    expect(seen).toEqual(["POST /unread?q=%2F 1", "POST /read 2", "POST /read 3", "GET /read 4", "POST /torn null", "POST /read 5"]);
  });
});
