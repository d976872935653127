// With encryption on, nothing that users or senders wrote can be read in the database, its WAL or the log; and all goes on as without it,
// over rotations, lost keys, and stores that were plain before.

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { start } from "../src/api.ts";
import { callPublish } from "../src/core/call.ts";
import { here } from "../src/engine/realm.ts";
import {
  continueAsNew,
  createHook,
  createWebhook,
  defineHook,
  FatalError,
  getWritable,
  type RequestWithResponse,
  type Workflow,
  sleep,
  step,
  workflow,
} from "../src/index.ts";
import { coldModes, createWorld, type Mode, type World } from "./harness.ts";

const k1 = `k1=${"a1".repeat(32)}`;
const fileModes: readonly Mode[] = coldModes.filter((mode) => mode !== "two-workers");

const stem = "Märker";
const each = 4;

/** What goes through a door in a round: a few markers, the same on every replay, and each known by its number. */
function createMarkers(): { mark: (door: string, round: number) => string; doors: Map<string, string> } {
  const made = new Map<string, string>();
  const doors = new Map<string, string>();
  const mark = (door: string, round: number): string => {
    const known = made.get(`${door} ${round}`);
    if (known !== undefined) return known;
    const numbers = Array.from({ length: each }, (_, index) => String(doors.size + index + 1).padStart(5, "0"));
    for (const number of numbers) doors.set(number, door);
    const text = numbers.map((number) => stem + number).join(" ");
    made.set(`${door} ${round}`, text);
    return text;
  };
  return { mark, doors };
}

/** The stem as it stands in what is encoded once: text, UTF-16, base64 at each of its three alignments, hex, percent, JSON escapes. */
const forms: readonly (readonly [string, Buffer])[] = [
  ["utf-8", Buffer.from(stem)],
  ["latin1", Buffer.from(stem, "latin1")],
  ["utf-16", Buffer.from(stem, "utf16le")],
  ...[0, 1, 2].map((shift) => ["base64", Buffer.from(base64Core(stem, shift))] as const),
  ["hex", Buffer.from(Buffer.from(stem).toString("hex"))],
  ["HEX", Buffer.from(Buffer.from(stem).toString("hex").toUpperCase())],
  ["percent", Buffer.from(encodeURIComponent(stem))],
  ["double percent", Buffer.from(encodeURIComponent(encodeURIComponent(stem)))],
  ["escaped", Buffer.from("M\\u00e4rker")],
];

/** What is the same of a text's base64 whatever stands around it. */
function base64Core(text: string, shift: number): string {
  const encoded = Buffer.concat([Buffer.alloc(shift), Buffer.from(text)]).toString("base64");
  return encoded.slice(shift === 0 ? 0 : 4, encoded.length - 4);
}

function artefacts(world: World): Buffer[] {
  const folder = dirname(world.path ?? "");
  return [...readdirSync(folder).map((name) => readFileSync(join(folder, name))), Buffer.from(world.lines.join("\n"))];
}

/** In which forms any marker stands anywhere, and the numbers of those that stand as text. */
function found(world: World): { forms: string[]; numbers: Set<string> } {
  const all = artefacts(world);
  const numbers = new Set(
    all.flatMap((bytes) => [...bytes.toString("latin1").matchAll(/M\xc3\xa4rker(\d{5})/g)].map(([, number]) => number as string)),
  );
  return { forms: [...new Set(forms.filter(([, form]) => all.some((bytes) => bytes.includes(form))).map(([name]) => name))], numbers };
}

async function post(world: World, url: string, init: RequestInit = {}): Promise<Response> {
  return world.engine.ingress(new Request(url, { method: "POST", ...init }));
}

/** Sends markers through every door there is, so many times, and waits for what they lead to. */
async function throughEveryDoor(rounds: number, options: { encryption?: string; mode: Mode }) {
  const { mark, doors } = createMarkers();
  const urls: string[] = [];
  const seen: unknown[] = [];
  const told = step("told", async (url: string) => void urls.push(url));
  const echo = step("echo", async (value: unknown) => value);
  const flaky = step(
    "flaky",
    async (round: number) => {
      throw new Error(mark("step error", round));
    },
    { maxRetries: 1 },
  );
  const judged = defineHook<{ ok: boolean }>("judged", {
    schema: {
      "~standard": {
        version: 1,
        vendor: "test",
        validate: (value: unknown) =>
          (value as { ok?: unknown }).ok === true
            ? { value: value as { ok: boolean } }
            : { issues: [{ message: `not ${JSON.stringify(value)}` }] },
      },
    },
  });
  const child = workflow("child", async (round: number, value: unknown) => ({ value, own: mark("child result", round) }));
  const doorsOf = workflow("doors", async (round: number, given: unknown) => {
    if (round < 0) return sleep("1h");
    seen.push(given);
    const webhook = createWebhook({ metadata: mark("metadata", round) });
    const answered = createWebhook({
      respondWith: new Response(mark("static answer", round), { headers: { "x-told": encodeURIComponent(mark("answer header", round)) } }),
    });
    const manual = createWebhook({ respondWith: "manual" });
    const hook = createHook<unknown>({ token: `hook:${round}`, metadata: { of: mark("metadata of a hook", round) } });
    const strict = judged.create({ token: `strict:${round}` });
    const early = createHook<unknown>({ token: `early:${round}` });
    callPublish(here("publish()"), "of", { of: mark("published value", round) });
    await told(webhook.url);
    await told(answered.url);
    await told(manual.url);
    await echo({
      text: mark("step input", round),
      bytes: new TextEncoder().encode(mark("bytes of a step", round)),
      map: new Map([[mark("key of a map", round), new Date(0)]]),
    });
    await flaky(round).catch((error: Error) => seen.push(error.message));
    const request = await webhook;
    seen.push(await request.text(), request.headers.get("authorization"), new URL(request.url).search);
    seen.push(await echo(request));
    seen.push(await (await answered).text());
    const asked = (await manual) as RequestWithResponse;
    await asked.respondWith(new Response(mark("manual answer", round)));
    seen.push(await hook, await strict, await early);
    const run = await start(child, [round, mark("child argument", round)]);
    seen.push(await run.returnValue);
    void Promise.reject(new Error(mark("warning", round)));
    await sleep("1m");
    return continueAsNew([-1 - round, mark("next chapter", round)]);
  });
  const fails = workflow("fails", async (round: number) => {
    throw Object.assign(new FatalError(mark("error of a run", round)), { of: mark("field of an error", round) });
  });
  const world = await createWorld([doorsOf, child, fails], { ...options, early: ["early:*", "never:*"] });
  await lead(world, rounds, { doorsOf, fails }, mark, urls);
  return { world, doors, seen };
}

interface Workflows {
  readonly doorsOf: Workflow<[number, unknown], unknown>;
  readonly fails: Workflow<[number], unknown>;
}

/** What comes from outside. */
async function lead(
  world: World,
  rounds: number,
  { doorsOf, fails }: Workflows,
  mark: (door: string, round: number) => string,
  urls: string[],
): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    urls.length = 0;
    await world.engine.resumeHook(`early:${round}`, mark("early payload", round));
    await world.engine.resumeHook(`never:${round}`, mark("early payload nobody claims", round));
    const headers = {
      authorization: `Bearer ${encodeURIComponent(mark("early credentials", round))}`,
      "x-of": encodeURIComponent(mark("early header", round)),
    };
    await world.engine.resumeWebhook(
      `never:${round}`,
      new Request("https://x.example/", { method: "POST", body: mark("early body", round), headers }),
    );
    const run = await world.engine.start(doorsOf, [round, { of: mark("argument", round) }]);
    await world.settled();
    await world.advance(120_000); // the retry
    const [plain, answered, manual] = urls as [string, string, string];
    await post(world, `${plain}?q=${encodeURIComponent(mark("query", round))}`, {
      body: mark("body", round),
      headers: {
        authorization: `Bearer ${encodeURIComponent(mark("credentials", round))}`,
        "x-of": encodeURIComponent(mark("header", round)),
        "idempotency-key": `k${round}`,
      },
    });
    await post(world, plain, { body: mark("body under a used key", round), headers: { "idempotency-key": `k${round}` } });
    await post(world, answered, { body: mark("body of one", round) });
    await world.settled();
    const answering = post(world, manual, { body: mark("body of another", round) });
    await world.settled();
    expect((await answering).status).toBe(200);
    await world.engine.resumeHook(`strict:${round}`, { of: mark("refused", round) }).catch(() => {});
    await world.engine.resumeHook(`strict:${round}`, { ok: true, of: mark("judged", round) });
    await world.engine.resumeHook(`hook:${round}`, { of: mark("payload", round) }, { key: `own${round}` });
    await world.advance(60_000);
    await run.cancel();
    await world.settled();
    await world.engine.resumeHook(`hook:${round}`, mark("closed", round)).catch(() => {});
    await world.engine.start(fails, [round]);
    await world.settled();
  }
}

describe.each(fileModes)("encryption at rest (%s)", (mode) => {
  test("1,000 markers through every door stand nowhere", async () => {
    const { world, doors } = await throughEveryDoor(9, { mode, encryption: k1 });
    expect(doors.size).toBeGreaterThan(1_000);
    expect(found(world)).toEqual({ forms: [], numbers: new Set() });
    expect((await world.engine.listRefused()).map(({ detail }) => detail).join()).toContain(stem); // and are there
    await world.engine.close({ graceMs: 0 });
    expect(found(world)).toEqual({ forms: [], numbers: new Set() });
  });

  test("the same search finds those of every door where nothing is encrypted", async () => {
    const { world, doors } = await throughEveryDoor(1, { mode });
    const { forms: shown, numbers } = found(world);
    expect(shown).toEqual(expect.arrayContaining(["utf-8", "base64", "percent"]));
    const silent = new Set([...doors].filter(([number]) => !numbers.has(number)).map(([, door]) => door));
    // These are stored in another form: in base64, percent-encoded as headers and URLs are, struck out.
    expect([...silent].sort()).toEqual([
      "answer header",
      "bytes of a step",
      "credentials",
      "early credentials",
      "early header",
      "header",
      "query",
    ]);
  });

  test("code sees the same values", async () => {
    const plain = await throughEveryDoor(1, { mode });
    const encrypted = await throughEveryDoor(1, { mode, encryption: k1 });
    const values = ({ seen }: { readonly seen: readonly unknown[] }): unknown => new Set(seen.map((value) => JSON.stringify(value)));
    expect(values(encrypted)).toEqual(values(plain));
    expect(plain.seen.length).toBeGreaterThan(10);
  });
});

describe("what is held encrypted", () => {
  test("an early request that nobody claimed loses its sender's credentials, and nothing else", async () => {
    const wf = workflow("late", async () => {
      const request = await createWebhook({ token: "late", respondWith: new Response("ok") });
      return [await request.text(), request.headers.get("authorization"), request.headers.get("x-of"), new URL(request.url).search];
    });
    const world = await createWorld([wf], { mode: "hot", encryption: k1, early: "late" });
    const headers = { authorization: "Bearer 1234", "x-of": "5678", cookie: "a=b" };
    await world.engine.resumeWebhook("late", new Request("https://x.example/?q=1", { method: "POST", body: "body", headers }));
    await world.advance(2 * 3_600_000);
    const [row] = await world.engine.listRefused();
    expect(row).toMatchObject({ reason: "unclaimed", method: "POST", size: 4 });
    const run = await world.start(wf);
    expect(await world.engine.redeliver(row?.deliveryId ?? "")).toMatchObject({ disposition: "accepted" });
    expect(await run.returnValue).toEqual(["body", "[removed]", "5678", "?q=1"]);
  });

  test("what a run is started with is unreadable until its hook has it, also under the next key; a repeat is known", async () => {
    const k2 = `k2=${"b2".repeat(32)}`;
    let arrive = (): void => {};
    const arrived = new Promise<void>((resolve) => (arrive = resolve));
    const prepare = step("prepare", () => arrived);
    const wf = workflow("told", async (from: string) => {
      await prepare();
      return [from, await createHook<string>({ token: "told" })];
    });
    const world = await createWorld([wf], { mode: "hot", encryption: k1 });
    const tell = () => world.engine.signalWithStart(wf, [stem], { id: "told", token: "told", payload: stem, key: "key" });
    const { receipt } = await tell();
    expect(receipt.disposition).toBe("buffered");
    await world.restart({ encryption: `${k2},${k1}` }, false);
    expect((await tell()).receipt).toEqual({ ...receipt, disposition: "duplicate" });
    expect(found(world).forms).toEqual([]);
    arrive();
    expect(await world.engine.getRun("told").returnValue).toEqual([stem, stem]);
    expect((await tell()).receipt.disposition).toBe("duplicate");
    expect(found(world).forms).toEqual([]);
  });

  test("a refused delivery is listed, and delivered again, under the next key", async () => {
    const k2 = `k2=${"b2".repeat(32)}`;
    const wf = workflow("again", async () => await createHook<string>({ token: "again" }));
    const world = await createWorld([wf], { mode: "hot", encryption: k1 });
    await (await world.start(wf)).cancel();
    await world.settled();
    await world.engine.signal("again", "value", { key: "key" });
    await world.settled();
    const run = await world.start(wf);
    await world.restart({ encryption: `${k2},${k1}` });
    const [row] = await world.engine.listRefused();
    expect(row).toMatchObject({ reason: "closed", detail: expect.stringContaining("cancelled"), size: 8 });
    expect(await world.engine.redeliver(row?.deliveryId ?? "")).toMatchObject({ disposition: "accepted" });
    expect(await world.engine.signal("again", "value", { key: "key" })).toMatchObject({ disposition: "duplicate" });
    expect(await world.engine.getRun(run.runId).returnValue).toBe("value");
  });
});

test("a log names what went wrong, and quotes nothing", async () => {
  const fails = workflow("fails", async () => {
    throw Object.assign(new TypeError(`no ${stem}`), { code: stem });
  });
  const warns = workflow("warns", async () => void Promise.reject(new Error(stem)));
  const stops = workflow("stops", async () => {
    createHook({ token: "wh:mine" });
  });
  const world = await createWorld([fails, warns, stops], { mode: "hot", encryption: k1 });
  for (const each of [fails, warns, stops]) await world.start(each);
  await world.settled();
  expect(world.lines.map((line) => line.replace(/run_\w+/, "ID"))).toEqual([
    "ringback: run ID (fails) failed: TypeError; the run's timeline has its message",
    "ringback: run ID (warns): a warning, which run.ending has",
    "ringback: run ID (stops) failed: RingbackError (bad_argument); the run's timeline has its message",
  ]);
});

test("what steps write to streams, and streams that are passed on, stand nowhere; who reads has them, also after a rotation", async () => {
  const mark = `${stem}00001`;
  const echo = step("echo stream", async (stream: ReadableStream<string>) => {
    const writer = getWritable({ namespace: "out" }).getWriter();
    for await (const chunk of stream) await writer.write(chunk);
    return ReadableStream.from([`${mark} back`]);
  });
  const streams = workflow("streams", async (given: ReadableStream<string>) => {
    const back = await echo(given);
    await createHook({ token: "streams" });
    return { again: await echo(given), back };
  });
  const world = await createWorld([streams], { mode: "hot", encryption: k1 });
  const run = await world.start(streams, ReadableStream.from([mark, `${mark} too`]));
  expect([found(world).forms, found(world).numbers.size]).toEqual([[], 0]);
  await world.restart({ encryption: `k2=${"b2".repeat(32)},${k1}` });
  await world.engine.resumeHook("streams", null);
  await world.settled();
  const { again, back } = await world.engine.getRun<{ again: ReadableStream; back: ReadableStream }>(run.runId).returnValue;
  const read = async (stream: ReadableStream): Promise<unknown[]> => {
    const chunks: unknown[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    return chunks;
  };
  expect([await read(again), await read(back)]).toEqual([[`${mark} back`], [`${mark} back`]]);
  const twice = [mark, `${mark} too`];
  expect(await read(world.engine.getRun(run.runId).getReadable({ namespace: "out" }))).toEqual([...twice, ...twice]);
  expect([found(world).forms, found(world).numbers.size]).toEqual([[], 0]);
});
