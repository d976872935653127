// A webhook's request is a Request whose body can be read inside a turn, and that stands once however often it is written (Q1–Q3).

import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { RingbackError } from "../src/core/errors.ts";
import { limits } from "../src/core/limits.ts";
import { CapturedRequest, captured, type RequestRecord, readResponse, type RespondResult, toResponse } from "../src/core/request.ts";
import { noSeal } from "../src/core/seal.ts";
import { createSerialiser, deliveriesIn, type Unfinished } from "../src/core/serialise.ts";
import { bodyDigest, captureRequest, deliveryKey, header, parseJsonBody, requestOf } from "../src/ingress/capture.ts";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const multipart =
  '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b\r\nContent-Disposition: form-data; name="f"; filename="f.txt"\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b--\r\n';

function record(
  body: string,
  headers: readonly string[] = ["Content-Type", "application/json", "X-A", "1", "x-a", "2"],
  method: string = "POST",
): RequestRecord {
  return { method, url: "https://app.example/hooks/1?x=%20y", headers, body: utf8(body) };
}

/** What `code` came to within one macrotask, with other ticks held back; "late" when it was not done by its end. */
function inTurn<T>(code: () => Promise<T>): Promise<T | "late"> {
  return new Promise((resolve, reject) => {
    setImmediate(() => {
      const tick = process.nextTick;
      process.nextTick = () => {};
      let result: { value: T } | { error: unknown } | null = null;
      code().then(
        (value) => {
          result = { value };
        },
        (error: unknown) => {
          result = { error };
        },
      );
      queueMicrotask(() =>
        tick(() => {
          process.nextTick = tick;
          if (result === null) resolve("late");
          else if ("value" in result) resolve(result.value);
          else reject(result.error);
        }),
      );
    });
  });
}

describe("a captured request", () => {
  test("is a Request, with what a Request has", () => {
    const request = captured(record("{}"));
    expect(request).toBeInstanceOf(Request);
    expect(request).toBeInstanceOf(CapturedRequest);
    expect(Object.prototype.toString.call(request)).toBe("[object Request]");
    expect([request.method, request.url, request.headers.get("X-A")]).toEqual(["POST", "https://app.example/hooks/1?x=%20y", "1, 2"]);
    const real = new Request(request.url, { method: "POST", body: "{}" });
    const described = Object.entries(Object.getOwnPropertyDescriptors(Request.prototype)).filter(
      ([name, { get }]) => get && !["signal", "headers", "body", "url"].includes(name),
    );
    for (const [name] of described) expect([name, request[name as "mode"]]).toEqual([name, real[name as "mode"]]);
    expect(request.signal.aborted).toBe(false);
    expect(inspect(request)).toContain("https://app.example/hooks/1");
  });

  const form = ["content-type", "application/x-www-form-urlencoded"];
  const parts = ["content-type", "multipart/form-data; boundary=b"];
  test.each<[string, RequestRecord, (request: Request) => Promise<unknown>, unknown]>([
    ["json", record('\ufeff{"a":[1]}'), (r) => r.json(), { a: [1] }],
    ["text", record("ünï"), (r) => r.text(), "ünï"],
    ["arrayBuffer", record("ab"), async (r) => [...new Uint8Array(await r.arrayBuffer())], [97, 98]],
    ["bytes", record("ab"), async (r) => [...(await (r as unknown as CapturedRequest).bytes())], [97, 98]],
    [
      "blob",
      record("ab"),
      async (r) => {
        const blob = await r.blob();
        return [blob.size, blob.type];
      },
      [2, "application/json"],
    ],
    ["text of a megabyte", record("x".repeat(1 << 20)), async (r) => (await r.text()).length, 1 << 20],
    ["a clone, then both", record("1"), async (r) => [await r.clone().json(), await r.json()], [1, 1]],
    [
      "formData, urlencoded",
      record("a=1&a=2&b=%26", form),
      async (r) => [...(await r.formData())],
      [
        ["a", "1"],
        ["a", "2"],
        ["b", "&"],
      ],
    ],
    [
      "formData, multipart",
      record(multipart, parts),
      async (r) => {
        const data = await r.formData();
        return [data.get("a"), (data.get("f") as File).name, (data.get("f") as File).type];
      },
      ["1", "f.txt", "text/plain"],
    ],
    [
      "a body that is not there",
      record("", [], "GET"),
      async (r) => [r.body, await r.text(), await r.text(), r.bodyUsed],
      [null, "", "", false],
    ],
    ["a body that is not JSON", record("{"), (r) => r.json().catch((error: unknown) => error instanceof SyntaxError), true],
    [
      "a second read",
      record("1"),
      async (r) => {
        await r.text();
        return r.json().catch((error: unknown) => error instanceof TypeError);
      },
      true,
    ],
  ])("%s, within the turn", async (_name, given, read, expected) => {
    const request = captured(given);
    expect(await inTurn(() => read(request))).toEqual(expected);
  });

  test("a body is read once, and says so", async () => {
    const request = captured(record("1"));
    expect(request.bodyUsed).toBe(false);
    const first = request.text();
    expect(request.bodyUsed).toBe(true);
    await expect(request.json()).rejects.toThrow("already been read");
    expect(() => request.clone()).toThrow(TypeError);
    expect(await first).toBe("1");
  });

  test("as a stream, which then counts as read or locked", async () => {
    const request = captured(record("streamed"));
    const stream = request.body;
    expect(request.body).toBe(stream);
    const chunks: Uint8Array[] = [];
    const reader = (stream as ReadableStream<Uint8Array>).getReader();
    await expect(request.text()).rejects.toThrow("locked");
    expect(() => request.clone()).toThrow(TypeError);
    for (let next = await reader.read(); !next.done; next = await reader.read()) chunks.push(next.value);
    expect(Buffer.concat(chunks).toString()).toBe("streamed");
    expect(request.bodyUsed).toBe(true);
    const other = captured(record("streamed"));
    expect(other.body).not.toBe(null);
    expect(await other.text()).toBe("streamed");
    expect((await captured(record("x")).body?.getReader().read())?.value).toEqual(utf8("x"));
  });

  test("nobody can change what the next reader reads", async () => {
    const given = record("abc");
    const [one, two] = [captured(given), captured(given)];
    new Uint8Array(await one.arrayBuffer()).fill(0);
    expect(await two.text()).toBe("abc");
  });

  test("can be sent on as any request", async () => {
    const request = new Request("https://other.example/in", captured(record('{"a":1}')));
    expect([request.method, request.url, request.headers.get("x-a")]).toEqual(["POST", "https://other.example/in", "1, 2"]);
    expect(await request.json()).toEqual({ a: 1 });
  });

  test("respondWith is the engine's; without one the sender has had an answer", async () => {
    const answers: string[] = [];
    const respond = async (response: Response): Promise<RespondResult> => {
      answers.push(await response.text());
      return { sent: true };
    };
    const request = captured(record("{}"), { respond });
    expect(await request.clone().respondWith(new Response("hi"))).toEqual({ sent: true });
    expect(answers).toEqual(["hi"]);
    expect(await captured(record("{}")).respondWith(new Response())).toEqual({ sent: false, reason: "answered" });
  });
});

describe("a captured request in a value", () => {
  const loaded = captured(record('{"a":1}'), { delivery: 7 });
  const serialiser = createSerialiser({ seal: noSeal, revive: (delivery) => (delivery === 7 ? loaded : undefined) });

  test("is a reference to its delivery, read or not, cloned or not", async () => {
    const request = captured(record('{"a":1}'), { delivery: 7 });
    await request.json();
    const text = serialiser.serialise({ request, again: [request, loaded.clone()] }, "x");
    expect(text).not.toContain("app.example");
    expect(deliveriesIn(text)).toEqual([7]);
    const back = serialiser.parse(text) as { request: Request; again: Request[] };
    expect(back.request).toBe(loaded);
    expect(back.again[0]).toBe(back.request);
  });

  test("one that has not been loaded is told by its number", () => {
    const text = serialiser.serialise([captured(record("1"), { delivery: 8 }), captured(record("1"), { delivery: 7 })], "x");
    expect(deliveriesIn(text)).toEqual([8, 7]);
    expect(() => serialiser.parse(text)).toThrow("delivery 8, which has not been loaded");
    expect(deliveriesIn(serialiser.serialise({ 'x["Delivery",1]': '["Delivery",1]' }, "x"))).toEqual([]);
  });

  test("without a delivery it is written whole", async () => {
    const text = serialiser.serialise(captured(record("ü")), "x");
    expect(deliveriesIn(text)).toEqual([]);
    const back = serialiser.parse(text) as Request;
    expect([back instanceof CapturedRequest, back.method, back.url, back.headers.get("x-a"), await back.text()]).toEqual([
      true,
      "POST",
      "https://app.example/hooks/1?x=%20y",
      "1, 2",
      "ü",
    ]);
  });
});

describe("an author's request, response or headers in a value", () => {
  const serialiser = createSerialiser({ seal: noSeal });
  const withBodies = (value: unknown): Promise<string> => (serialiser.serialiseWithBodies(value, "The value") as Unfinished).text;
  const refused = (code: () => unknown): RingbackError => {
    try {
      code();
    } catch (error) {
      if (RingbackError.is(error)) return error;
    }
    throw new Error("It was not refused.");
  };

  test("without a body it is written at once", async () => {
    const headers = new Headers([
      ["set-cookie", "a=1"],
      ["set-cookie", "b=2"],
      ["x", "y"],
    ]);
    const value = {
      headers,
      response: new Response(null, { status: 204, headers }),
      request: new Request("https://x.example/", { headers: { a: "b" } }),
    };
    const back = serialiser.parse(serialiser.serialise(value, "x")) as typeof value;
    expect([...back.headers]).toEqual([...headers]);
    expect([back.response.status, back.response.headers.getSetCookie(), await back.response.text()]).toEqual([204, ["a=1", "b=2"], ""]);
    expect([back.request.method, back.request.url, back.request.headers.get("a")]).toEqual(["GET", "https://x.example/", "b"]);
    expect(typeof serialiser.serialiseWithBodies(value, "x")).toBe("string");
  });

  test.each<[string, () => Response, string]>([
    ["text", () => new Response("ünï"), "ünï"],
    ["bytes", () => new Response(utf8("abc")), "abc"],
    ["JSON", () => Response.json({ a: 1 }), '{"a":1}'],
    ["a form", () => new Response(new URLSearchParams("a=1")), "a=1"],
    ["empty text", () => new Response(""), ""],
  ])("a body of %s is in hand within the turn", async (_name, make, expected) => {
    const text = await inTurn(() => withBodies({ deep: [make()] }));
    const {
      deep: [response],
    } = serialiser.parse(text) as { deep: [Response] };
    expect(await response.text()).toBe(expected);
  });

  test("everything is as it was at the call, and stays readable", async () => {
    const value = {
      note: "then",
      response: new Response("body", { status: 201, statusText: "Made", headers: { "x-a": "1" } }),
      request: new Request("https://x.example/", { method: "PUT", body: "put" }),
      bytes: utf8('["Body",1]'),
      text: '["Body",1]',
    };
    const text = withBodies({ ...value, again: value.response });
    value.note = "now";
    expect(await value.response.text()).toBe("body");
    const back = serialiser.parse(await text) as typeof value & { again: Response };
    expect(back.note).toBe("then");
    expect(back.again).toBe(back.response);
    expect([back.response.status, back.response.statusText, back.response.headers.get("x-a"), await back.response.text()]).toEqual([
      201,
      "Made",
      "1",
      "body",
    ]);
    expect([back.request.method, await back.request.text(), back.text, Buffer.from(back.bytes).toString()]).toEqual([
      "PUT",
      "put",
      '["Body",1]',
      '["Body",1]',
    ]);
  });

  test("where nobody can wait, a body is refused with its path", () => {
    const error = refused(() => serialiser.serialise({ a: [new Response("x")] }, "The value"));
    expect([error.code, error.details]).toEqual(["body_not_in_hand", { path: "$.a[0]" }]);
  });

  test("a stream is not in hand when the turn ends; what to say is at hand", async () => {
    const unfinished = serialiser.serialiseWithBodies({ a: new Response(new ReadableStream()) }, "The value") as Unfinished;
    expect(await inTurn(() => unfinished.text)).toBe("late");
    expect(unfinished.refusal().message).toContain("the body of $.a is not in hand. Read it first");
    const broken = new Response(new ReadableStream({ start: (controller) => controller.error(new Error("torn")) }));
    await expect(withBodies(broken)).rejects.toMatchObject({ code: "body_not_in_hand", cause: { message: "torn" } });
  });

  test("a body that was read, and a response that is none, are refused", async () => {
    const read = new Response("x");
    await read.text();
    expect(refused(() => serialiser.serialiseWithBodies({ read }, "The value")).details).toEqual({ path: "$.read", type: "Response" });
    expect(refused(() => serialiser.serialise([Response.error()], "The value")).details).toEqual({
      path: "$[0]",
      type: "Response of status 0",
    });
  });

  test("limits hold for what bodies bring", async () => {
    await expect(
      (serialiser.serialiseWithBodies(new Response("x".repeat(200)), "The value", 200) as Unfinished).text,
    ).rejects.toMatchObject({ code: "too_large" });
  });

  test("an answer is read within the turn, without using the response up", async () => {
    const response = Response.json(
      { ok: true },
      {
        status: 201,
        headers: [
          ["set-cookie", "a=1"],
          ["set-cookie", "b=2"],
        ],
      },
    );
    const answer = await inTurn(() => readResponse(response, "The response"));
    expect(answer).toEqual({
      status: 201,
      headers: ["content-type", "application/json", "set-cookie", "a=1", "set-cookie", "b=2"],
      body: utf8('{"ok":true}'),
    });
    expect(await response.json()).toEqual({ ok: true });
    if (answer === "late") throw new Error("late");
    const again = toResponse(answer);
    expect([again.status, again.headers.getSetCookie(), await again.json()]).toEqual([201, ["a=1", "b=2"], { ok: true }]);
    await expect(readResponse(new Response("x".repeat(limits.answerBytes + 1)), "The response")).rejects.toMatchObject({
      code: "too_large",
    });
    await expect(readResponse(response, "The response")).rejects.toMatchObject({ code: "unserialisable" });
  });
});

describe("a request at a door", () => {
  test("becomes a plain record, and a Request again", async () => {
    const request = new Request("https://app.example/h/a%2Fb?x=1&y", { method: "POST", body: "ünï", headers: { "X-A": "1" } });
    const capture = await captureRequest(request);
    expect({ ...capture, headers: header(capture.headers, "X-A") }).toEqual({
      method: "POST",
      origin: "https://app.example",
      path: "/h/a%2Fb",
      search: "?x=1&y",
      headers: "1",
      body: utf8("ünï"),
    });
    const again = requestOf(capture, "https://other.example");
    expect([again.url, await again.text()]).toEqual(["https://other.example/h/a%2Fb?x=1&y", "ünï"]);
    expect((await captureRequest(new Request("https://x.example"))).body.length).toBe(0);
  });

  test("is cut off at the cap, whether or not it says how long it is", async () => {
    const post = (body: string | ReadableStream, headers: Record<string, string> = {}): Request =>
      new Request("https://x.example", { method: "POST", body, headers, duplex: "half" });
    let isCancelled = false;
    let pulls = 0;
    const endless = new ReadableStream(
      {
        pull: (controller) => {
          pulls++;
          controller.enqueue(new Uint8Array(40));
        },
        cancel: () => {
          isCancelled = true;
        },
      },
      { highWaterMark: 0 },
    );
    await expect(captureRequest(post(endless), 100)).rejects.toMatchObject({ code: "too_large", details: { limit: 100, actual: 120 } });
    expect(pulls).toBe(3);
    expect(isCancelled).toBe(false); // under many servers the connection would go with it, and the answer too
    await expect(captureRequest(post("x", { "content-length": "101" }), 100)).rejects.toMatchObject({ details: { actual: 101 } });
    expect((await captureRequest(post("x".repeat(100)), 100)).body.length).toBe(100);
  });

  test("headers are found in any case, whatever they are called", () => {
    const headers = ["Host", "a", "__proto__", "b", "X-Two", "1", "x-two", "2", "constructor", "c"];
    expect([
      header(headers, "HOST"),
      header(headers, "__proto__"),
      header(headers, "x-two"),
      header(headers, "constructor"),
      header(headers, "toString"),
    ]).toEqual(["a", "b", "1, 2", "c", null]);
  });

  test("the delivery key is the first there is, with its name", () => {
    const headers = ["X-GitHub-Delivery", "g", "Svix-Id", "s", "Webhook-Id", "w", "Idempotency-Key", " i "];
    const keys: (string | null)[] = [];
    for (let length = headers.length; length >= 0; length -= 2) keys.push(deliveryKey(headers.slice(0, length)));
    expect(keys).toEqual(["idempotency-key:i", "webhook-id:w", "svix-id:s", "x-github-delivery:g", null]);
    expect(deliveryKey(["idempotency-key", " ", "svix-id", "s"])).toBe("svix-id:s");
    expect(() => deliveryKey(["webhook-id", "x".repeat(256)])).toThrow("The webhook-id header has 256 bytes");
    expect(bodyDigest(utf8("abc"))).toBe("ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
  });

  test("JSON is judged by its depth before it is parsed", () => {
    const nested = (depth: number, open: string = "[", close: string = "]"): Uint8Array => utf8(open.repeat(depth) + close.repeat(depth));
    expect(parseJsonBody(nested(limits.depth))).toHaveLength(1);
    expect(() => parseJsonBody(nested(limits.depth + 1))).toThrow(expect.objectContaining({ code: "too_deep" }));
    expect(() => parseJsonBody(utf8(`${'{"a":['.repeat(300_000)}`))).toThrow(expect.objectContaining({ code: "too_deep" }));
    const flat = JSON.stringify(Array.from({ length: 1_000 }, (_, i) => ({ [`[{"${i}`]: ['\\"[[', "]"] })));
    expect(JSON.stringify(parseJsonBody(utf8(flat)))).toBe(flat);
    expect(parseJsonBody(utf8(JSON.stringify("[".repeat(1_000))))).toHaveLength(1_000);
  });

  test.each([
    ["", "is empty"],
    ["{", "not JSON"],
    ["undefined", "not JSON"],
    ["\u00ff", "not JSON"],
  ])("%j is no JSON", (text, message) => {
    expect(() => parseJsonBody(Buffer.from(text, "latin1"))).toThrow(
      expect.objectContaining({ code: "invalid_payload", message: expect.stringContaining(message) }),
    );
  });

  test("a key called __proto__ is left out, however it is written", () => {
    const parsed = parseJsonBody(utf8('{"a":[{"__proto__":{"x":1},"b":1}],"\\u005f_proto__":{"x":1},"c":"__proto__","d":null}')) as object;
    expect(parsed).toStrictEqual({ a: [{ b: 1 }], c: "__proto__", d: null });
    expect(Object.getOwnPropertyNames(parsed)).toEqual(["a", "c", "d"]);
    expect("x" in Object.assign({}, parsed)).toBe(false);
  });
});
