// A portable workflow on an engine outlives its process, wherever that is killed.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { runChild } from "./child/child.ts";

test("a process that is killed where its run waits, and one that is killed in a step, lose nothing", async () => {
  const folder = mkdtempSync(join(tmpdir(), "ringback-portable-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const life of ["1", "2", "3"]) await runChild("portable", folder, life);
  const lines = readFileSync(join(folder, "log"), "utf8").trim().split("\n");
  expect(lines).toHaveLength(6);
  const [charged, ...rest] = lines;
  expect(charged).toMatch(/^charge [-0-9a-f]{36}$/);
  const result = '{"ok":true,"value":"paid by r-1"}';
  // The step that the process died in is done again.
  expect(rest.filter((line) => line === "fulfil r-1")).toHaveLength(2);
  expect(rest.filter((line) => line !== "fulfil r-1")).toEqual(["202 accepted", "202 duplicate", result]);
});
