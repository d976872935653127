// Cases of the limits on what is kept beside runs: early deliveries, refused ones, the keys of runs that are gone.

import { type Limit, limits } from "../src/core/limits.ts";
import { createHook, workflow } from "../src/index.ts";
import type { World } from "./harness.ts";
import type { Row } from "./limit-door.ts";

const receives = workflow("receives what is kept", async () => createHook<string>({ token: "kept" }));

async function early(world: World, token: string, value: string): Promise<string> {
  return world.engine.signal(token, value, { early: true }).then(
    (receipt) => (receipt.disposition === "buffered" ? "ok" : receipt.disposition),
    (error: { code: string }) => error.code,
  );
}

/** Refuses so many deliveries, each of this size at rest: their hook's run has ended. */
async function refuse(world: World, count: number, size: number): Promise<void> {
  await world.restart({ workflows: [receives] });
  await world.start(receives);
  await world.engine.signal("kept", "");
  await world.settled();
  for (let sent = 0; sent < count; sent++) await world.engine.signal("kept", "x".repeat(size - 3));
  await world.settled();
}

type KeptLimit = Extract<Limit, `early${string}` | `refused${string}` | "keysMs" | "purgedRows">;

export const keptRows: { readonly [name in KeptLimit]: Row } = {
  earlyPerToken: {
    refused: "early_full",
    cases: {
      "early deliveries at one token": (world) => async (size) => {
        let last = "";
        for (let sent = 0; sent < size; sent++) last = await early(world, "e", "x");
        return last;
      },
    },
  },
  earlyRows: {
    refused: "early_full",
    to: 5,
    cases: {
      "early deliveries": (world) => async (size) => {
        let last = "";
        for (let sent = 0; sent < size; sent++) last = await early(world, `e${sent}`, "x");
        return last;
      },
    },
  },
  earlyBytes: {
    refused: "early_full",
    to: 1_000,
    cases: { "what an early delivery holds": (world) => (size) => early(world, "e", "x".repeat(size - 3)) },
  },
  earlyMs: {
    taken: "completed",
    refused: "waiting",
    cases: {
      // It is kept to the millisecond before its time is over.
      "how late a hook is": (world) => async (size) => {
        await early(world, "kept", "x");
        await world.restart({ workflows: [receives] });
        await world.advance(size - 1);
        const run = await world.start(receives);
        return run.state;
      },
    },
  },
  refusedRows: {
    taken: "all",
    refused: "fewer",
    to: 5,
    cases: {
      "refused deliveries": (world) => async (size) => {
        await refuse(world, size, 10);
        return (await world.engine.listRefused()).length === size ? "all" : "fewer";
      },
    },
  },
  refusedBytes: {
    taken: "all",
    refused: "fewer",
    to: 1_000,
    cases: {
      "what a refused delivery holds": (world) => async (size) => {
        await refuse(world, 1, size);
        return (await world.engine.listRefused()).length === 1 ? "all" : "fewer";
      },
    },
  },
  keysMs: {
    taken: "duplicate",
    refused: "unknown",
    to: 100_000,
    cases: {
      "how long a key outlives its run": (world) => async (size) => {
        await world.restart({ workflows: [receives] });
        await world.start(receives);
        await world.engine.signal("kept", "x", { key: "k" });
        await world.settled();
        await world.advance(2_000);
        await world.engine.purge({ olderThan: "1s" });
        await world.advance(size - 1 - 2_000);
        await world.engine.purge({ olderThan: "1s" });
        return (await world.engine.signal("kept", "x", { key: "k" })).disposition;
      },
    },
  },
  purgedRows: {
    taken: "at once",
    refused: "in portions",
    to: 3,
    cases: {
      "rows that are over": (world) => async (size) => {
        await refuse(world, size, 10);
        const { store } = world;
        const commit = store.commit.bind(store);
        let largest = 0;
        store.commit = async (group) => {
          const outcomes = await commit(group);
          for (const outcome of outcomes) if (outcome.type === "purged") largest = Math.max(largest, outcome.rows);
          return outcomes;
        };
        await world.advance(8 * 24 * 3_600_000);
        const left = (await world.engine.listRefused()).length;
        return left > 0
          ? `${left} left`
          : largest === size
            ? "at once"
            : largest === limits.purgedRows
              ? "in portions"
              : `portions of ${largest}`;
      },
    },
  },
};
