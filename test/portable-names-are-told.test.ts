// The page about workflows without an engine is their reference: it has each name that the entries of that style export.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const text = (file: string): string => readFileSync(fileURLToPath(new URL(`../${file}`, import.meta.url)), "utf8");
const page = text("docs/portable.md");

test.each(["portable", "resume", "sqlite"])("ringback/%s: each exported name is on its page", (entry) => {
  const report = text(`api-reports/${entry}.api.md`);
  const names = [...report.matchAll(/^export (?:const|function|interface|class|type) (\w+)/gm)].map(([, name]) => name as string);
  expect(names.length).toBeGreaterThan(0);
  expect(names.filter((name) => !new RegExp(`\\b${name}\\b`).test(page))).toEqual([]);
});
