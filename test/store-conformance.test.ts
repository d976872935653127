// Every store keeps the laws of the port (P1–P9), and answers random commands as the memory store does.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { memoryStore } from "../src/store/memory/store.ts";
import { sqliteStore } from "../src/store/sqlite/store.ts";
import { storeConformance } from "../src/testing/conformance.ts";

const isLong = process.env["RINGBACK_LONG"] === "1";
const options = { sequences: isLong ? 200 : 8, groups: 60 };

describe("memory", () => {
  storeConformance(test, expect, async (clock) => ({ store: memoryStore({ clock }) }), options);
});

describe("memory, one worker", () => {
  storeConformance(test, expect, async (clock) => ({ store: memoryStore({ clock, isExclusive: true }) }), { sequences: 1 });
});

describe("sqlite", () => {
  storeConformance(
    test,
    expect,
    async (clock) => {
      const folder = await mkdtemp(join(tmpdir(), "ringback-store-"));
      const path = join(folder, "test.db");
      return {
        store: sqliteStore({ path, clock }),
        reopen: async () => sqliteStore({ path, clock }),
        dispose: () => rm(folder, { recursive: true }),
      };
    },
    options,
  );
});
