// Cases of the limits that hold at doors: rates, schemas, health.

import { onTestFinished } from "vitest";
import type { StandardSchema } from "../src/core/definition.ts";
import { type Limit, limits } from "../src/core/limits.ts";
import { createWebhook, defineHook, step, workflow } from "../src/index.ts";
import { RateLimit } from "../src/ingress/rate-limit.ts";
import { sqliteStore } from "../src/store/sqlite/store.ts";
import { createEngine, type Engine } from "../src/wiring.ts";
import { testKeys, type World } from "./harness.ts";

/** Makes something of this size, or count, and says what became of it: "ok", or an error's code, or a status. */
export type Case = (size: number) => Promise<string | number>;

export interface Row {
  readonly refused: string | number;
  readonly taken?: string | number;
  /** A limit that is lowered to this first, where the true one takes too long to come to. */
  readonly to?: number;
  readonly cases: { readonly [name: string]: (world: World) => Case };
}

let url = "";
const give = step("give url", async (given: string) => void (url = given));
const waits = workflow("waits at a door", async () => {
  const hook = createWebhook();
  await give(hook.url);
  return (await hook).text();
});
/** A method that resumes nothing: it counts all the same. */
const asked = async (world: World, at: string): Promise<number> =>
  (await world.engine.ingress(new Request(at, { method: "DELETE" }))).status;

async function last(world: World, at: string, count: number): Promise<number> {
  let status = 0;
  for (let sent = 0; sent < count; sent++) status = await asked(world, at);
  return status;
}

async function opened(world: World): Promise<void> {
  await world.restart({ workflows: [waits] });
  await world.start(waits);
}

const forged = (): string => `${url.slice(0, -4)}AAAA`;

let workflows = 0;
/** A hook whose schema stands in its run's code alone. */
async function judged(world: World, validate: StandardSchema["~standard"]["validate"]): Promise<{ run: string; engine: Engine }> {
  const schema: StandardSchema = { "~standard": { version: 1, vendor: "test", validate } };
  const wf = workflow(`judged ${++workflows}`, async () => defineHook({ schema }).create({ token: "j" }));
  await world.restart({ workflows: [wf] });
  const { runId } = await world.start(wf);
  const store = sqliteStore({ path: world.path as string, clock: world.clock });
  const beside = createEngine({
    store,
    role: "ingress",
    clock: world.clock,
    keys: testKeys,
    baseUrl: null,
    logger: false,
    workflows: [wf],
  });
  onTestFinished(() => beside.close());
  await beside.open();
  return { run: runId, engine: beside };
}

const toldBy = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => "ok",
    (error: { code: string }) => error.code,
  );

type DoorLimit = Extract<
  Limit,
  | `token${"PerSecond" | "Burst"}`
  | `forged${string}`
  | "rateBuckets"
  | `schema${string}`
  | `look${string}`
  | `issues${string}`
  | `health${string}`
>;

export const doorRows: { readonly [name in DoorLimit]: Row } = {
  tokenBurst: {
    taken: 405,
    refused: 429,
    cases: { "requests at one token at once": (world) => async (size) => (await opened(world), last(world, url, size)) },
  },
  tokenPerSecond: {
    taken: 405,
    refused: 429,
    cases: {
      "requests at one token in a second": (world) => async (size) => {
        await opened(world);
        await last(world, url, limits.tokenBurst);
        world.clock.advance(1_000);
        return last(world, url, size);
      },
    },
  },
  forgedBurst: {
    taken: 404,
    refused: 429,
    cases: { "forgeries at once": (world) => async (size) => (await opened(world), last(world, forged(), size)) },
  },
  forgedPerSecond: {
    taken: 404,
    refused: 429,
    cases: {
      "forgeries in a second": (world) => async (size) => {
        await opened(world);
        await last(world, forged(), limits.forgedBurst);
        world.clock.advance(1_000);
        return last(world, forged(), size);
      },
    },
  },
  rateBuckets: {
    taken: "all",
    refused: "fewer",
    cases: {
      "addresses that are remembered": () => async (size) => {
        const rate = new RateLimit({ perSecond: 1, burst: 1_000 }, limits.rateBuckets);
        for (let address = 0; address < size; address++) rate.take(String(address), 0);
        return rate.size === size ? "all" : "fewer";
      },
    },
  },
  schemaMs: {
    refused: "schema_unavailable",
    cases: {
      // It answers a millisecond before the time is up, or as it is.
      "how long a schema thinks": (world) => async (size) => {
        let ask = (): void => {};
        const asked = new Promise<void>((resolve) => void (ask = resolve));
        const { engine } = await judged(world, (value) => {
          ask();
          return new Promise((resolve) => world.clock.alarm(world.clock.now() + size - 1, () => resolve({ value })));
        });
        const receipt = toldBy(engine.signal("j", 1));
        await asked;
        world.clock.advance(size - 1);
        return receipt;
      },
    },
  },
  lookEvents: {
    refused: "schema_unavailable",
    to: 2,
    cases: {
      "a journal that a door replays": (world) => async (size) => {
        const { engine, run } = await judged(world, (value) => ({ value }));
        const row = await world.store.run({ id: run });
        // Its journal has two events; a limit one less is the same as one more of them.
        Object.assign(limits, { lookEvents: limits.lookEvents - (size - (row?.seq ?? 0)) });
        return toldBy(engine.signal("j", 1));
      },
    },
  },
  lookMs: {
    refused: "schema_unavailable",
    cases: {
      "how long a door replays": (world) => async (size) => {
        const { engine } = await judged(world, (value) => ({ value }));
        const { store } = engine.core.parts;
        const { chapter } = store;
        store.chapter = async (...which) => {
          world.clock.advance(size - 1);
          return chapter.apply(store, which);
        };
        return toldBy(engine.signal("j", 1));
      },
    },
  },
  issuesTold: {
    taken: "all",
    refused: "fewer",
    cases: {
      "issues of a payload": (world) => async (size) => {
        const { engine } = await judged(world, () => ({ issues: Array.from({ length: size }, () => ({ message: "no" })) }));
        const { issues = [] } = await engine.signal("j", 1);
        return issues.length === size ? "all" : "fewer";
      },
    },
  },
  healthRows: {
    taken: "all",
    refused: "fewer",
    to: 3,
    cases: {
      "runs that are looked at": (world) => async (size) => {
        await world.restart({ workflows: [waits] });
        for (let run = 0; run < size; run++) await world.start(waits);
        return (await world.engine.health()).runs.open === size ? "all" : "fewer";
      },
    },
  },
  healthMs: {
    taken: "reached",
    refused: "away",
    cases: {
      "how long the store takes": (world) => async (size) => {
        const { store } = world;
        const { nextDue } = store;
        store.nextDue = async () => {
          await new Promise<void>((resolve) => world.clock.alarm(world.clock.now() + size - 1, resolve));
          return nextDue.call(store);
        };
        const health = world.engine.health();
        await new Promise<void>((resolve) => setImmediate(resolve));
        world.clock.advance(size - 2);
        await new Promise<void>((resolve) => setImmediate(resolve));
        world.clock.advance(1);
        store.nextDue = nextDue;
        return (await health).store.isReachable ? "reached" : "away";
      },
    },
  },
};
