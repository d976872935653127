// The matrix: what becomes of a delivery depends on the state of its hook, and on nothing else: not on the door it comes by, on the store,
// nor on whether its run is in memory.

import { describe, expect, test } from "vitest";
import { createHook, createWebhook, defineHook, sleep, type Webhook, workflow } from "../src/index.ts";
import { RingbackError } from "../src/errors.ts";
import type { StandardSchema } from "../src/core/definition.ts";
import { asDefault } from "./default-engine.ts";
import { createWorld, modesOfLength, type World } from "./harness.ts";

const positive: StandardSchema<{ n: number }> = {
  "~standard": {
    version: 1,
    vendor: "test",
    validate: async (value) => ((value as { n?: unknown }).n === 1 ? { value: { n: 1 } } : { issues: [{ message: "n is not 1" }] }),
  },
};
const plain = defineHook();
const judged = defineHook("judged in the matrix", { schema: positive });

/** What a sender is told, whatever the door calls it. */
type Told = "accepted" | "buffered" | "duplicate" | "closed" | "invalid" | "unknown" | "method" | "key_reused" | "unavailable";

const situations = [
  "first",
  "duplicate",
  "duplicate after finish",
  "key reused",
  "late after finish",
  "late after timeout",
  "late after dispose",
  "late after cancel",
  "wrong schema",
  "early",
  "early, with leave",
  "forged",
  "foreign",
  "malformed",
  "wrong method",
  "store outage",
] as const;
type Situation = (typeof situations)[number];

const expected: { readonly [situation in Situation]: Told } = {
  first: "accepted",
  duplicate: "duplicate",
  "duplicate after finish": "duplicate",
  "key reused": "key_reused",
  "late after finish": "closed",
  "late after timeout": "closed",
  "late after dispose": "closed",
  "late after cancel": "closed",
  "wrong schema": "invalid",
  early: "unknown",
  "early, with leave": "buffered",
  forged: "unknown",
  foreign: "unknown",
  malformed: "unknown",
  "wrong method": "method",
  "store outage": "unavailable",
};

interface Sending {
  readonly world: World;
  readonly token: string;
  readonly url: string;
  readonly body: unknown;
  readonly key: string | null;
  readonly method: string;
  readonly early: boolean;
}

interface DoorUnderTest {
  readonly name: string;
  /** What hooks it delivers to. */
  readonly hook: "webhook" | "custom webhook" | "hook" | "custom hook";
  readonly send: (sending: Sending) => Promise<Told>;
  /** Situations that cannot be at this door. */
  readonly without: readonly Situation[];
}

const byStatus: { readonly [status: number]: Told } = { 405: "method", 503: "unavailable" };

async function toldBy(response: Response): Promise<Told> {
  const disposition = response.headers.get("ringback-disposition") as Told | null;
  if (response.status === 422 && !disposition) return (JSON.parse(await response.text()) as { code: Told }).code;
  const statuses: { readonly [told: string]: number } = {
    accepted: 202,
    buffered: 202,
    duplicate: 202,
    closed: 410,
    invalid: 422,
    unknown: 404,
  };
  if (disposition) expect(response.status).toBe(statuses[disposition]);
  if (response.status === 405) expect(response.headers.get("allow")).toBe("POST, PUT, PATCH");
  if (response.status === 503) expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
  return disposition ?? (byStatus[response.status] as Told);
}

function requestOf({ url, method, body, key }: Sending): Request {
  const headers = key === null ? {} : { "idempotency-key": key };
  return new Request(url, { method, headers, ...(method === "GET" ? {} : { body: JSON.stringify(body) }) });
}

const codes: { readonly [code: string]: Told } = {
  hook_not_found: "unknown",
  hook_closed: "closed",
  invalid_payload: "invalid",
  store_unavailable: "unavailable",
};

async function toldByError(call: Promise<{ readonly delivery: { readonly disposition: string } }>): Promise<Told> {
  try {
    return (await call).delivery.disposition as Told;
  } catch (error) {
    return codes[(error as RingbackError).code] as Told;
  }
}

const options = ({ key, early }: Sending): object => ({ ...(key === null ? {} : { key }), ...(early ? { early } : {}) });
const noKeyReuse = ["key reused", "wrong method"] as const;
const mintedOnly = ["early", "early, with leave"] as const;
const customOnly = ["forged", "foreign", "malformed"] as const;

const doors: readonly DoorUnderTest[] = [
  {
    name: "the public route",
    hook: "webhook",
    send: async (sending) => toldBy(await sending.world.engine.ingress(requestOf(sending))),
    without: mintedOnly,
  },
  {
    name: "resumeWebhook, minted",
    hook: "webhook",
    send: async (sending) => toldBy(await sending.world.engine.resumeWebhook(sending.token, requestOf(sending))),
    without: mintedOnly,
  },
  {
    name: "resumeWebhook, custom",
    hook: "custom webhook",
    send: async (sending) => toldBy(await sending.world.engine.resumeWebhook(sending.token, requestOf(sending))),
    without: customOnly,
  },
  ...(["hook", "custom hook"] as const).flatMap((hook): DoorUnderTest[] => {
    const without = [...noKeyReuse, ...(hook === "hook" ? mintedOnly : customOnly)];
    return [
      {
        name: `resumeHook, ${hook}`,
        hook,
        send: (sending) => toldByError(sending.world.engine.resumeHook(sending.token, sending.body, options(sending))),
        without,
      },
      {
        name: `defineHook().resume, ${hook}`,
        hook,
        send: (sending) => {
          asDefault(sending.world);
          return toldByError(plain.resume(sending.token, sending.body, options(sending)));
        },
        without,
      },
      {
        name: `the admin handler, ${hook}`,
        hook,
        send: async (sending) => {
          const { token, body: payload } = sending;
          const request = new Request("https://app.example/ringback/admin/v1/hooks/resume", {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: JSON.stringify({ token, payload, ...options(sending) }),
          });
          const answer = (await (await sending.world.engine.admin(request)).json()) as { code: string; delivery?: { disposition: Told } };
          return answer.delivery?.disposition ?? (codes[answer.code] as Told);
        },
        without,
      },
      {
        name: `signal, ${hook}`,
        hook,
        send: (sending) =>
          sending.world.engine.signal(sending.token, sending.body, options(sending)).then(
            ({ disposition }) => disposition as Told,
            (error: RingbackError) => codes[error.code] as Told,
          ),
        without,
      },
    ];
  }),
];

type End = "reads" | "times out" | "disposes" | "waits";

describe.each(modesOfLength)("%s", (mode) => {
  test.each(doors.map((door) => [door.name, door] as const))("%s", async (_, door) => {
    const urls = new Map<string, { url: string; token: string }>();
    const wf = workflow(`matrix ${door.name}`, async (name: string, end: End, schema: boolean) => {
      const own = door.hook.startsWith("custom") ? { token: `t:${name}` } : {};
      const timeout = end === "times out" ? { timeout: "1h" } : {};
      const isWebhook = door.hook.endsWith("webhook");
      const base = { ...own, ...timeout };
      const hook = isWebhook
        ? createWebhook({ ...base, respondWith: new Response(null, { status: 202 }), ...(schema ? { schema: positive } : {}) })
        : schema
          ? judged.create(base)
          : createHook(base);
      const token = hook.token;
      urls.set(name, { token, url: isWebhook && !own.token ? (hook as Webhook).url : "https://app.example/own" });
      if (end === "disposes") hook.dispose();
      else if (end === "reads") return void (await hook);
      await sleep("3d");
    });
    const found: { [situation: string]: Told } = {};
    for (const situation of situations) {
      if (door.without.includes(situation)) continue;
      // A situation has a world of its own, so that an outage ends with it.
      const world = await createWorld([wf], { mode, admin: { authorize: () => true } });
      found[situation] = await play(situation, door, world, async (end, schema = false) => {
        const run = await world.start(wf, situation, end, schema);
        return { run, ...(urls.get(situation) as { url: string; token: string }) };
      });
    }
    const wanted = Object.fromEntries(situations.filter((each) => !door.without.includes(each)).map((each) => [each, expected[each]]));
    expect(found).toEqual(wanted);
  });
});

async function play(
  situation: Situation,
  door: DoorUnderTest,
  world: World,
  open: (end: End, schema?: boolean) => Promise<{ run: { cancel(): Promise<void> }; url: string; token: string }>,
): Promise<Told> {
  const usual = { world, body: { n: 1 }, key: null, method: "POST", early: false };
  const nowhere = { token: "t:nobody", url: "https://app.example/own" };
  switch (situation) {
    case "first":
      return door.send({ ...usual, ...(await open("waits")) });
    case "duplicate":
    case "key reused":
    case "duplicate after finish": {
      const at = await open(situation === "duplicate after finish" ? "reads" : "waits");
      expect(await door.send({ ...usual, ...at, key: "k" })).toBe("accepted");
      await world.settled();
      return door.send({ ...usual, ...at, key: "k", ...(situation === "key reused" ? { body: { n: 2 } } : {}) });
    }
    case "late after finish": {
      const at = await open("reads");
      await door.send({ ...usual, ...at });
      await world.settled();
      return door.send({ ...usual, ...at });
    }
    case "late after timeout": {
      const at = await open("times out");
      await world.advance(3_600_000);
      return door.send({ ...usual, ...at });
    }
    case "late after dispose":
      return door.send({ ...usual, ...(await open("disposes")) });
    case "late after cancel": {
      const at = await open("waits");
      await at.run.cancel();
      return door.send({ ...usual, ...at });
    }
    case "wrong schema":
      return door.send({ ...usual, ...(await open("waits", true)), body: { n: "one" } });
    case "early":
      return door.send({ ...usual, ...nowhere });
    case "early, with leave": {
      if (!door.name.startsWith("resumeWebhook")) return door.send({ ...usual, ...nowhere, early: true });
      const eager = await createWorld([], { mode: world.mode, early: "t:*" });
      return door.send({ ...usual, ...nowhere, world: eager });
    }
    case "forged": {
      const { token, url } = await open("waits");
      const forge = (text: string): string => text.slice(0, -3) + (text.endsWith("AAA") ? "BBB" : "AAA");
      return door.send({ ...usual, token: forge(token), url: forge(url) });
    }
    case "foreign": {
      const { token, url } = await open("waits");
      const [, kid] = token.split(":") as [string, string];
      return door.send({ ...usual, token: token.replace(kid, "other"), url: url.replace(`wh:${kid}`, "wh:other") });
    }
    case "malformed": {
      const { url } = await open("waits");
      return door.send({ ...usual, token: "wh:", url: `${url}%` });
    }
    case "wrong method":
      return door.send({ ...usual, ...(await open("waits")), method: "GET" });
    case "store outage": {
      const at = await open("waits");
      const { store } = world;
      const away = (): Promise<never> =>
        Promise.reject(new RingbackError("store_unavailable", "The store is away.", { details: { store: "test" } }));
      const has = { commit: store.commit.bind(store), hook: store.hook.bind(store) };
      Object.assign(store, { commit: away, hook: away });
      try {
        return await door.send({ ...usual, ...at });
      } finally {
        Object.assign(store, has);
      }
    }
  }
}

test("a path that is no webhook's is 404, OPTIONS is 204, at the public route", async () => {
  const { engine } = await createWorld([]);
  for (const path of ["", "/", "/.well-known/workflow/v1/webhook/", "/.well-known/workflow/v1/webhook/a/b", "/x"])
    expect((await engine.ingress(new Request(`https://app.example${path}`, { method: "POST" }))).status).toBe(404);
  const options = await engine.ingress(new Request("https://app.example/.well-known/workflow/v1/webhook/any", { method: "OPTIONS" }));
  expect(options.status).toBe(204);
});
