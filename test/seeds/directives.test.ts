// Every sample of the directive documents, read from where they lie and compiled as it stands, runs as it says.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { printed, record } from "./printed.ts"; // before the engine
import { load } from "../directive/module.ts";
import { asDefault } from "../default-engine.ts";
import { createWorld } from "../harness.ts";
import { absence, codeOutside, readDocument } from "./document.ts";
import { callbackSamples } from "./callback-sample.ts";
import { hookSamples } from "./hook-sample.ts";
import { resumeSamples } from "./resume-sample.ts";
import type { Exports, Sample } from "./sample.ts";

/** By the numbers of the documents, with how many samples each has: one more or less is one without a test. */
const samples: { readonly [number: string]: readonly Sample[] } = { "001": hookSamples, "002": callbackSamples, "004": resumeSamples };
const counts: { readonly [number: string]: number } = { "001": 13, "002": 5, "004": 6 };

const root = fileURLToPath(new URL("../..", import.meta.url));
const sent: { url: string; body: string }[] = [];
const told: unknown[] = [];

beforeEach(() => {
  for (const list of [sent, told]) list.length = 0;
  vi.stubGlobal("told", told);
  vi.stubGlobal("fetch", async (input: string | URL | Request, init?: RequestInit) => {
    const request = new Request(input, init);
    sent.push({ url: request.url, body: await request.text() });
    return new Response("stored");
  });
  const stop = record();
  onTestFinished(() => {
    stop();
    vi.unstubAllGlobals();
  });
});

describe.each(Object.keys(samples))("document %s", (number) => {
  test.skipIf(absence)(`has a test for each sample${absence === null ? "" : ` (${absence})`}`, () => {
    const own = samples[number] ?? [];
    expect(own).toHaveLength(counts[number] as number);
    const texts = own.map(({ code }) => code());
    expect(texts.every((text) => text.length > 20)).toBe(true);
    const parts = texts.map((text) => text.trimEnd());
    const left = codeOutside(readDocument(number), parts);
    expect(left.filter((line) => !/^\{\/\*.*\*\/\}$/.test(line))).toEqual([]);
  });

  test.skipIf(absence).each(samples[number] ?? [])("$what", async ({ what, code, around = (sample) => sample, play }) => {
    const module = await load<Exports>({ [`src/${number}/${what.replaceAll(/[^a-z]+/g, "-")}.ts`]: around(code()) });
    const world = asDefault(await createWorld(workflowsOf(module)));
    await play({ world, module, printed, sent, told });
  });
});

test.skipIf(absence)("every sample type-checks, with no plugin", () => {
  const folder = mkdtempSync(join(tmpdir(), "ringback-samples-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"), "junction");
  const files = Object.entries(samples).flatMap(([number, own]) =>
    own.map(({ code, around = (sample: string) => sample }, index) => {
      const name = `sample-${number}-${index}.ts`;
      writeFileSync(join(folder, name), around(code()));
      return name;
    }),
  );
  const compilerOptions = {
    lib: ["ES2023", "ESNext.Disposable", "ESNext.Promise", "DOM", "DOM.Iterable"],
    verbatimModuleSyntax: false,
    isolatedDeclarations: false,
    declaration: false,
    allowImportingTsExtensions: true,
    paths: { workflow: [join(root, "src/index.ts")], "workflow/*": [join(root, "src/*.ts")] },
  };
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  writeFileSync(
    join(folder, "tsconfig.json"),
    JSON.stringify({ extends: join(root, "tsconfig.json"), compilerOptions, include: [], files }),
  );
  const { stdout } = spawnSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", folder], { encoding: "utf8" });
  expect(stdout).toBe("");
});

/** What the compile step made workflows: their names lead to functions of the module. */
function workflowsOf(module: Exports): Exports[string][] {
  return Object.values(module).filter((value) => typeof value === "function" && Symbol.for("ringback/workflow") in value);
}
