// Every limit, at it and one past it: what fits is taken, what does not is a clear error and leaves the rest as it was.

import { setImmediate } from "node:timers";
import { expect, onTestFinished, test } from "vitest";
import { callPublish } from "../src/core/call.ts";
import { type Limit, limits } from "../src/core/limits.ts";
import { here } from "../src/engine/realm.ts";
import {
  continueAsNew,
  createHook,
  createWebhook,
  defineHook,
  type RequestWithResponse,
  setAttributes,
  step,
  workflow,
} from "../src/index.ts";
import type { WebhookOptions } from "../src/styles/plain/hook.ts";
import { createWorld, type World } from "./harness.ts";
import { doorRows, type Row } from "./limit-door.ts";
import { keptRows } from "./limit-kept.ts";
import { streamRows } from "./limit-stream.ts";

const x = (length: number): string => "x".repeat(length);
const told = (call: Promise<unknown> | (() => unknown)): Promise<string> =>
  (async () => (typeof call === "function" ? call() : call))().then(
    () => "ok",
    (error: unknown) => (error as { code?: string }).code ?? String(error),
  );

let url = "";
const give = step("give", async (given: string) => void (url = given));
/** Does what it is told, and gives back what became of it. */
const does = workflow("does", async (what: string, size: number) => {
  const call = calls[what] as (size: number) => unknown;
  return told(async () => call(size));
});
const receives = workflow("receives", async (token: string) => createHook({ token }));
const listens = workflow("listens", async (options: { methods?: string[] } & Pick<WebhookOptions, "respondWith">) => {
  const hook = createWebhook(options);
  await give(hook.url);
  const request = (await hook) as RequestWithResponse;
  if (options.respondWith !== "manual") return request.text();
  return told(request.respondWith(new Response(x(Number(await request.text())))));
});

/** What workflow code asks for. */
const calls: { readonly [what: string]: (size: number) => unknown } = {
  result: (size) => step.run("gives", () => x(size)),
  input: (size) => step("takes", async (_text: string) => 0)(x(size)),
  metadata: (size) => void createHook({ metadata: x(size) }),
  "published value": (size) => callPublish(here("publish()"), "key", x(size)),
  "published key": (size) => callPublish(here("publish()"), x(size), 1),
  token: (size) => void createHook({ token: x(size) }),
  reserve: (size) => void createHook({ token: "reserved", reserve: size }),
  "reserve until": (size) => void createHook({ token: "until", reserve: new Date(Date.now() + size) }),
  "attributes in a step": (size) =>
    step.run("labels", () => setAttributes(Object.fromEntries(Array.from({ length: size }, (_, at) => [`a${at}`, ""])))),
  attributes: (size) => setAttributes(Object.fromEntries(Array.from({ length: size }, (_, at) => [`a${at}`, ""]))),
  "an attribute's name": (size) => setAttributes({ [x(size)]: "" }),
  "an attribute": (size) => setAttributes({ a: x(size) }),
  names: (size) => void Array.from({ length: size }, (_, at) => createHook({ name: `n${at}` })),
  answer: (size) => step.run("none", () => 0).then(() => void createWebhook({ respondWith: new Response(x(size)) })),
};

async function done(world: World, what: string, size: number): Promise<string> {
  const run = await world.start(does, what, size);
  return run.returnValue;
}

/** Lowers a limit for this test, where the true one takes too long to come to. */
function lowered(limit: Limit, value: number): void {
  const known = limits[limit];
  Object.assign(limits, { [limit]: value });
  onTestFinished(() => void Object.assign(limits, { [limit]: known }));
}

const open = (): Promise<World> => createWorld([does, receives, listens], { mode: "hot" });
const posted = (world: World, init: RequestInit): Promise<Response> => world.engine.ingress(new Request(url, { method: "POST", ...init }));

/** For each limit: the ways to come to it, given a size; and what one past it is told. */
const table: { readonly [name in Limit]: Row } = {
  ...doorRows,
  ...keptRows,
  ...streamRows,
  bodyBytes: {
    refused: 413,
    taken: 202,
    cases: {
      "a callback": (world) => async (size) => (await world.start(listens, {}), (await posted(world, { body: x(size) })).status),
      "a request handed over": (world) => async (size) => {
        await world.start(listens, {});
        const request = new Request(url, { method: "POST", body: x(size) });
        return (await world.engine.resumeWebhook(url.split("/").at(-1) as string, request)).status;
      },
    },
  },
  headBytes: {
    refused: 413,
    taken: 202,
    cases: {
      "URL and headers": (world) => async (size) => {
        await world.start(listens, {});
        const { pathname } = new URL(url);
        return (await posted(world, { headers: { "x-h": x(size - pathname.length - 3) } })).status;
      },
    },
  },
  valueBytes: {
    refused: "too_large",
    cases: {
      "a payload": (world) => async (size) => (await world.start(receives, "t"), told(world.engine.resumeHook("t", x(size - 3)))),
      "a payload for a webhook": (world) => async (size) => {
        await world.start(listens, {});
        return told(world.engine.resumeHook(url.split("/").at(-1) as string, x(size - 2)));
      },
      arguments: (world) => async (size) => told(world.engine.start(receives, [x(size - 5)])),
      "a step's result": (world) => (size) => done(world, "result", size - 3),
      "a step's input": (world) => (size) => done(world, "input", size - 5),
      "a run's result": (world) => async (size) => {
        const wf = workflow(`returns ${size}`, async () => x(size - 3));
        await world.restart({ workflows: [wf] });
        const run = await world.start(wf);
        return run.returnValue.then(
          () => "ok",
          (error: Error) => (error.cause as { code: string }).code,
        );
      },
    },
  },
  metadataBytes: { refused: "too_large", cases: { metadata: (world) => (size) => done(world, "metadata", size - 3) } },
  publishedBytes: { refused: "too_large", cases: { "a published value": (world) => (size) => done(world, "published value", size - 3) } },
  tokenBytes: { refused: "too_large", cases: { "a custom token": (world) => (size) => done(world, "token", size) } },
  attributes: {
    refused: "too_large",
    cases: {
      "in workflow code": (world) => (size) => done(world, "attributes", size),
      "in a step": (world) => (size) => done(world, "attributes in a step", size),
      "at the start": (world) => (size) =>
        told(
          world.engine.start(receives, ["t"], { attributes: Object.fromEntries(Array.from({ length: size }, (_, at) => [`a${at}`, ""])) }),
        ),
    },
  },
  attributeNameBytes: { refused: "too_large", cases: { "its name": (world) => (size) => done(world, "an attribute's name", size) } },
  attributeBytes: { refused: "too_large", cases: { "its value": (world) => (size) => done(world, "an attribute", size) } },
  reserveMs: {
    refused: "bad_argument",
    cases: {
      "a span": (world) => (size) => done(world, "reserve", size),
      "an instant": (world) => (size) => done(world, "reserve until", size),
    },
  },
  runIdBytes: {
    refused: "too_large",
    cases: { "a run's id": (world) => (size) => told(world.engine.start(receives, ["t"], { id: x(size) })) },
  },
  nameBytes: {
    refused: "too_large",
    cases: {
      "a workflow": () => (size) => told(() => workflow(x(size), async () => 0)),
      "a version": () => (size) => told(() => workflow(`v${size}`, async () => 0, { version: x(size) })),
      "a step": () => (size) => told(() => step(x(size), async () => 0)),
      "a hook": () => (size) => told(() => defineHook(x(size))),
      "a published value's key": (world) => (size) => done(world, "published key", size),
    },
  },
  hookNames: {
    refused: "bad_argument",
    cases: {
      "names of one run's hooks": (world) => (size) => done(world, "names", size),
    },
  },
  deliveryKeyBytes: {
    refused: "too_large",
    cases: {
      "an option": (world) => async (size) => {
        await world.start(receives, "t");
        return told(world.engine.resumeHook("t", 1, { key: x(size) }));
      },
      "a header": (world) => async (size) => {
        await world.start(listens, {});
        const response = await posted(world, { headers: { "idempotency-key": x(size) } });
        return response.status === 202 ? "ok" : ((await response.json()) as { code: string }).code;
      },
    },
  },
  depth: {
    refused: "too_deep",
    cases: {
      "a value": (world) => async (size) => {
        let value: unknown = 1;
        for (let level = 0; level < size; level++) value = [value];
        await world.start(receives, "t");
        return told(world.engine.resumeHook("t", value));
      },
      "JSON that is read": (world) => async (size) => {
        const wf = workflow(`parses ${size}`, async () => {
          const hook = createWebhook();
          await give(hook.url);
          const request = await hook;
          return told(request.json());
        });
        await world.restart({ workflows: [wf] });
        const run = await world.start(wf);
        await posted(world, { body: "[".repeat(size) + "]".repeat(size) });
        return run.returnValue;
      },
      "JSON that is written": (world) => async (size) => {
        let value: unknown = 1;
        for (let level = 0; level < size; level++) value = { value };
        await world.start(listens, {});
        return told(world.engine.resumeHook(url.split("/").at(-1) as string, value));
      },
    },
  },
  journalEvents: {
    refused: "too_large",
    to: 40,
    cases: {
      // The journal: the start, the hook, then a payload each.
      "calls and reads": (world) => async (size) => {
        const wf = workflow(`grows ${size}`, async () => {
          const hook = createHook<number>({ token: "t" });
          for (let n = 0; n < size - 2; n++) await hook;
          return told(async () => hook);
        });
        await world.restart({ workflows: [wf] });
        const run = await world.start(wf);
        for (let n = 0; n < size - 1; n++) {
          await world.engine.signal("t", n); // the last one finds the run ended where the read was refused
          await world.settled();
        }
        return run.returnValue;
      },
      "a chapter of it": (world) => async (size) => {
        const wf = workflow(`continues ${size}`, async (chapter: number): Promise<string> => {
          const hook = createHook<number>({ token: "t" });
          for (let n = 0; n < size - 2; n++) await hook;
          return chapter === 1 ? continueAsNew([2]) : told(async () => hook);
        });
        await world.restart({ workflows: [wf] });
        const run = await world.start(wf, 1);
        for (let n = 0; n < 2 * size - 3; n++) {
          await world.engine.signal("t", n);
          await world.settled();
        }
        return run.returnValue;
      },
    },
  },
  callsPerEvent: {
    refused: "misuse",
    to: 50,
    cases: {
      "calls in one turn": (world) => async (size) => {
        const wf = workflow(`calls ${size}`, async () => {
          const hooks = Array.from({ length: size }, () => createHook());
          return hooks.length;
        });
        await world.restart({ workflows: [wf] });
        const run = await world.start(wf);
        return (await run.blocked)?.reason ?? ((await run.returnValue) === size ? "ok" : "lost");
      },
    },
  },
  refusals: {
    taken: "all",
    refused: "some",
    to: 20,
    cases: {
      "errors that one who has left its turn gets": (world) => async (size) => {
        let errors = 0;
        const wf = workflow(`insists ${size}`, async () => {
          void (async () => {
            await new Promise((resolve) => setTimeout(resolve, 0));
            for (let n = 0; n < size; n++) await step.run("late", () => 0).catch(() => errors++);
          })();
          return createHook();
        });
        await world.restart({ workflows: [wf] });
        const run = await world.engine.start(wf, []);
        while ((await run.blocked) === null) await new Promise<void>((resolve) => setImmediate(resolve));
        await world.settled();
        return errors === size ? "all" : "some";
      },
    },
  },
  loadsWithoutProgress: {
    refused: "blocked",
    taken: "waiting",
    cases: {
      // The load that looks is one more than the processes that died.
      "processes that died of a run": (world) => async (size) => {
        const run = await world.start(receives, `t${size}`);
        await world.restart({ role: "ingress" });
        const row = await world.store.run({ id: run.runId });
        for (let n = 1; n < size; n++) {
          const worker = `dead-${n}`;
          await world.store.commit([
            { op: "beat", worker, leaseMs: 1 },
            { op: "claim", run: row?.run ?? 0, worker },
            { op: "release", worker },
          ]);
        }
        await world.engine.signal(`t${size}`, 1);
        await world.restart();
        const state = await world.engine.getRun(run.runId).state;
        return state === "completed" ? "waiting" : state;
      },
    },
  },
  stepRestarts: {
    taken: "begun",
    refused: "blocked",
    to: 3,
    cases: {
      "processes that end while a step runs": (world) => async (size) => {
        let begun = 0;
        const wf = workflow(`hangs ${size}`, async () => step.run("hang", () => (begun++, new Promise<void>(() => {}))));
        await world.restart({ workflows: [wf] });
        const run = await world.engine.start(wf, []);
        for (let process = 0; process <= size; process++) {
          while (begun <= process && (await world.engine.getRun(run.runId).blocked) === null)
            await new Promise<void>((resolve) => setImmediate(resolve));
          if (process < size) await world.restart({ workflows: [wf] }, false);
        }
        return begun > size ? "begun" : world.engine.getRun(run.runId).state;
      },
    },
  },
  answerBytes: {
    refused: "too_large",
    cases: {
      "a static answer": (world) => async (size) => {
        const run = await world.start(does, "answer", size);
        const blocked = await run.blocked;
        return blocked === null
          ? run.returnValue
          : blocked.message.includes(`the limit is ${limits.answerBytes}`)
            ? "too_large"
            : blocked.message;
      },
      "a manual answer": (world) => async (size) => {
        const run = await world.start(listens, { respondWith: "manual" });
        void posted(world, { body: String(size) });
        return run.returnValue as Promise<string>;
      },
    },
  },
  rowsListed: {
    refused: "bad_argument",
    cases: {
      runs: (world) => (limit) => told(world.engine.listRuns({ limit })),
      hooks: (world) => (limit) => told(world.engine.listHooks({ limit })),
    },
  },
  warnings: {
    taken: "all",
    refused: "some",
    cases: {
      "rejections that nobody handles": (world) => async (size) => {
        const wf = workflow(`warns ${size}`, async () => {
          for (let n = 0; n < size; n++) void Promise.reject(new Error(`stray ${n}`));
        });
        await world.restart({ workflows: [wf] });
        const run = await world.start(wf);
        const warnings = await warningsOf(world, run);
        const kept = warnings.filter((warning) => warning.includes("stray")).length;
        expect(warnings.length - kept).toBe(kept === size ? 0 : 1);
        return kept === size ? "all" : "some";
      },
    },
  },
  warningCharacters: {
    taken: "whole",
    refused: "cut",
    cases: {
      "what a run threw": (world) => warnsOf(world, async () => {}),
      "what a chapter of a run threw": (world) => warnsOf(world, () => continueAsNew([null])),
    },
  },
};

/** Whether a warning of this size is kept whole by a run that goes on with `end`. */
function warnsOf(world: World, end: () => Promise<void>): (size: number) => Promise<string> {
  return async (size) => {
    const warns = workflow("warns at length", async (text: string | null) => {
      if (text === null) return;
      void Promise.reject(new Error(text));
      return end();
    });
    await world.restart({ workflows: [warns] });
    const [short] = await warningsOf(world, await world.start(warns, "x"));
    const [long] = await warningsOf(world, await world.start(warns, x(size - (short as string).length + 1)));
    return long?.length === size ? "whole" : "cut";
  };
}

async function warningsOf(world: World, run: { readonly runId: string }): Promise<readonly string[]> {
  return (await world.journal(run)).flatMap((event) =>
    event.kind === "run_ended" || event.kind === "run_continued" ? event.warnings : [],
  );
}

test("each limit has its cases here, and a value", () => {
  expect(Object.keys(table).sort()).toEqual(Object.keys(limits).sort());
  for (const [name, { cases }] of Object.entries(table)) expect(Object.keys(cases).length, name).toBeGreaterThan(0);
  for (const value of Object.values(limits)) expect(Number.isSafeInteger(value) && value > 0).toBe(true);
});

const rows = Object.entries(table).flatMap(([limit, row]) =>
  Object.entries(row.cases).map(([name, make]) => ({ limit: limit as Limit, name, row, make })),
);

test.each(rows)("$limit: $name", async ({ limit, row, make }) => {
  if (row.to !== undefined) lowered(limit, row.to);
  const { taken = "ok", refused } = row;
  expect(await make(await open())(limits[limit])).toBe(taken);
  expect(await make(await open())(limits[limit] + 1)).toBe(refused);
});
