// Nothing is left out in silence: what is misspelt or misplaced stops the build, what will not replay is warned of, what was not compiled
// says so when it is used.

import { describe, expect, test } from "vitest";
import { compile, type ModuleToCompile } from "../src/transform.ts";
import { load } from "./directive/module.ts";
import { lints, refusals } from "./directive/refusal.ts";
import { createWorld } from "./harness.ts";

const compiled = (code: string, more: Partial<ModuleToCompile> = {}): ReturnType<typeof compile> =>
  compile({ code, file: "src/app.ts", module: "src/app", ...more });

describe("refused, with the place", () => {
  test.each(refusals)("$what", ({ code, at, says }) => {
    expect(() => compiled(code)).toThrow(expect.objectContaining({ code: "bad_directive", message: expect.stringContaining(says) }));
    if (at === "") return;
    const [line, column] = at.split(":").map(Number);
    expect(() => compiled(code)).toThrow(expect.objectContaining({ details: { file: "src/app.ts", line, column } }));
  });
});

describe("left as it is", () => {
  test.each([
    ["no directive", "export const a = 1;"],
    ["a directive of others", '"use client";\nfunction f() { "use strict"; return useState("use strict") }'],
    ["a directive of others that begins alike", 'function f() { "use server"; }\nfunction g() { "use cache"; }'],
    ["the words in text", 'const a = "use workflow"; const b = ["use step"]; // "use workflow"'],
    ["a hook that is defined with a name", 'import { defineHook } from "workflow"; const a = defineHook("a");'],
    ["defineHook of others", 'import { defineHook } from "other"; const a = defineHook();'],
    ["a file that cannot be parsed, and holds no directive", 'const a: = "use stepping stones"; defineHook(;'],
    ["defineHook in a function", 'import { defineHook } from "workflow"; const a = () => defineHook();'],
  ])("%s", (_, code) => {
    expect(compiled(code)).toBeNull();
  });

  test("what has been compiled", () => {
    const once = compiled('export async function f() { "use step" }')?.code ?? "";
    expect(compiled(once)).toBeNull();
  });
});

describe("warned of", () => {
  test.each(lints)("$what", ({ before = "", body, says }) => {
    const found = compiled(`${before}\nexport async function main() {\n  "use workflow";\n  ${body}\n}`)?.warnings ?? [];
    if (says === null) expect(found).toEqual([]);
    else
      expect(found).toEqual([
        expect.objectContaining({ file: "src/app.ts", line: before.includes(says) ? 1 : 4, message: expect.stringContaining(says) }),
      ]);
  });
});

describe("not compiled", () => {
  test("a workflow: start() names the function, its place and what to do", async () => {
    const { checkout: raw } = await uncompiled<{ checkout: () => Promise<number> }>(
      'export async function checkout() { "use workflow"; return 1 }',
    );
    const world = await createWorld([]);
    await expect(world.engine.start(raw)).rejects.toMatchObject({
      code: "not_compiled",
      message: expect.stringMatching(/Function checkout.*"use workflow".*ringback\/register/s),
    });
  });

  test("a step that a workflow imports: the run is set aside before it calls it", async () => {
    const { main } = await load<{ main: () => Promise<number> }>({
      "app.ts": `import { raw } from "./raw";\nexport async function main() { "use workflow"; return raw() }`,
      "raw.ts": `export { raw } from ${JSON.stringify(addressOf('export async function raw() { "use step"; return 1 }'))};`,
    });
    const world = await createWorld([main]);
    const run = await world.start(main);
    await world.settled();
    expect(await run.state).toBe("blocked");
    expect(await run.blocked).toMatchObject({ reason: "misuse", message: expect.stringMatching(/Function raw.*"use step"/) });
  });
});

/** A module that no plugin sees. */
function addressOf(code: string): string {
  return `data:text/javascript,${encodeURIComponent(code)}`;
}

async function uncompiled<M>(code: string): Promise<M> {
  return (await import(/* @vite-ignore */ addressOf(code))) as M;
}
