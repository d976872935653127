// The rules of the codebase, as a program. Each rule judges the project, and its canaries judge the rule.

import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { documentCanaries } from "./tidy/canary-document.ts";
import { globalCanaries } from "./tidy/canary-global.ts";
import { invariantCanaries } from "./tidy/canary-invariant.ts";
import { layerCanaries } from "./tidy/canary-layer.ts";
import { sizeCanaries } from "./tidy/canary-size.ts";
import { layers } from "./tidy/layer.ts";
import { Project, readProject } from "./tidy/project.ts";
import { match } from "./tidy/rule-layer.ts";
import { rules } from "./tidy/rule.ts";

const canaries = [...layerCanaries, ...globalCanaries, ...sizeCanaries, ...documentCanaries, ...invariantCanaries];
const project = readProject(fileURLToPath(new URL("..", import.meta.url)));

describe("the project", () => {
  for (const rule of rules) {
    test(rule.name, () => {
      const found = rule.check(project).map(({ file, line, message }) => `${file}:${line} ${message}`);
      if (found.length > 0) throw new Error(`${found.length} times not: ${rule.name}\n${found.join("\n")}`);
    });
  }
});

describe("the rules", () => {
  for (const canary of canaries) {
    test(`${canary.at.length > 0 ? "refuse" : "allow"} ${canary.what.slice(0, 120)}`, () => {
      const found = canary.rule.check(new Project(new Map(Object.entries(canary.files))));
      expect([...new Set(found.map(({ file, line }) => `${file}:${line}`))]).toEqual(canary.at);
    });
  }

  test.each(rules)("$name: has a canary", (rule) => {
    expect(canaries.some((canary) => canary.rule === rule && canary.at.length > 0)).toBe(true);
  });

  test.each(layers.map((layer) => layer.files).filter((files) => files !== "src/wiring.ts"))("the layer %s has a canary", (files) => {
    const isFirst = (path: string): boolean => layers.find((layer) => match(layer.files, path) !== null)?.files === files;
    expect(canaries.some((canary) => canary.at.length > 0 && Object.keys(canary.files).some(isFirst))).toBe(true);
  });
});
