// An app that starts the Workflow DevKit's World at boot starts the default engine here.

import { expect, test, vi } from "vitest";
import { defaultEngine } from "workflow/api";
import { getWorld } from "workflow/runtime";

test("getWorld().start() opens the default engine, and close() closes it", async () => {
  vi.stubEnv("RINGBACK_DATABASE_URL", "memory:");
  vi.stubEnv("RINGBACK_BASE_URL", "https://app.example");
  const world = getWorld();
  expect((await defaultEngine().health()).isOpen).toBe(false);
  await world.start();
  await world.start();
  expect((await defaultEngine().health()).isOpen).toBe(true);
  await world.close();
  expect((await defaultEngine().health()).isOpen).toBe(false);
  vi.unstubAllEnvs();
});
