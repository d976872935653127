// The order app, built by each tool as its example says, runs as it was written: parked orders survive a kill of the built app, and errors
// tell the author's lines. Vite builds in every run of the suite; what must be installed first, in the long one.

import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ordersOutliveTheApp, type Start } from "./example/order-app.ts";
import { Workshop } from "./example/pack.ts";

let workshop: Workshop;
beforeAll(() => {
  workshop = new Workshop();
});
afterAll(() => workshop.remove());

function npm(cwd: string, ...args: readonly string[]): string {
  const { NODE_ENV: _env, VITEST: _vitest, ...env } = process.env;
  return execFileSync("npm", [...args], { cwd, env, encoding: "utf8", stdio: "pipe" });
}

/** What `npm start` says, without npm between this process and the app. */
function startOf(cwd: string): Start {
  const { scripts } = JSON.parse(readFileSync(join(cwd, "package.json"), "utf8")) as { readonly scripts: { readonly start: string } };
  const [command, ...args] = scripts.start.split(" ");
  return { command: command === "node" ? process.execPath : (command as string), args, cwd };
}

test("built by Vite", async () => {
  const copy = workshop.linked("vite", ["vite"]);
  npm(copy, "run", "build", "--silent");
  await ordersOutliveTheApp(startOf(copy));
});

describe.runIf(process.env["RINGBACK_LONG"])("with its own lock file", () => {
  test.each(["vite", "rollup", "rolldown", "esbuild", "webpack", "rspack"])("built by %s", async (tool) => {
    const copy = workshop.installed(tool);
    npm(copy, "run", "build");
    await ordersOutliveTheApp(startOf(copy));
  });

  test.each([
    ["webpack", "webpack"],
    ["rspack", "@rspack/core"],
  ])("%s keeps what only declares workflows, and builds nothing of them for a browser", async (example, library) => {
    const copy = workshop.installed(example);
    const files = {
      "side/package.json": '{ "name": "side", "type": "module", "sideEffects": false }',
      "side/main.js": 'import "./declares.js";\nimport { nothing } from "./plain.js";\nconsole.log("started");\n',
      "side/declares.js":
        'import { mkdirSync, readFileSync, writeFileSync } from "node:fs";\nimport { sleep } from "workflow";\nexport async function nap() {\n  "use workflow";\n  await sleep(readFileSync("span", "utf8"));\n}\n',
      "side/plain.js": 'console.log("left out");\nexport const nothing = 0;\n',
      "side/page.js": 'import { nap } from "./declares.js";\nnap().catch(console.log);\n',
    };
    mkdirSync(join(copy, "side"));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(copy, name), text);
    const script = `
      const { [process.argv[1] === "webpack" ? "default" : "rspack"]: pack } = await import(process.argv[1]);
      const { workflow } = await import("workflow/" + process.argv[2]);
      for (const [target, entry] of [["node20", "./side/main.js"], ["web", "./side/page.js"]]) {
        const stats = await new Promise((done, fail) =>
          pack({ mode: "production", target, entry, output: { filename: target + ".cjs" }, plugins: [workflow()] }, (error, made) => (error ? fail(error) : done(made))));
        if (stats.hasErrors()) throw new Error(stats.toString());
      }`;
    execFileSync(process.execPath, ["--input-type=module", "-e", script, library, example], { cwd: copy, stdio: "pipe" });
    const [server, page] = ["node20", "web"].map((target) => readFileSync(join(copy, "dist", `${target}.cjs`), "utf8"));
    expect(server).toContain("declares//nap");
    expect(server).not.toContain("left out");
    expect(page).toContain("nap is a workflow: it runs on the server");
    expect(page).not.toMatch(/node:fs|readFileSync|workflow["']/);
  });

  test("on Bun", async ({ skip }) => {
    const copy = workshop.installed("bun");
    // The first is put there by an install script, which may not have run.
    const command = [".bin/bun", "@oven/bun-linux-x64/bin/bun", "@oven/bun-linux-aarch64/bin/bun"]
      .map((name) => join(copy, "node_modules", name))
      .find((path) => spawnSync(path, ["--version"]).status === 0);
    if (command === undefined) return skip("there is no Bun for this machine");
    npm(copy, "run", "prestart");
    await ordersOutliveTheApp({ ...startOf(copy), command }, { isNewSkipped: true });
  });

  test("in vitest", () => {
    expect(npm(workshop.installed("vitest"), "test")).toMatch(/Tests .*3 passed/);
  });
});
