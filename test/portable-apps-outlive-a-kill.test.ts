// The example of an app without an engine, as its users start it: orders outlive a kill of the app, and each payment counts once.

import { spawnSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";
import { expect, test } from "vitest";
import { FrameworkApp, freePort, type Started } from "./example/framework-app.ts";
import { Workshop } from "./example/pack.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

const source = join(root, "examples/portable");

/** What the compiler says of the example, with the package's types from there. */
function typesOf(folder: string, paths: object): string {
  const compilerOptions = { lib: ["ES2023"], types: ["node"], typeRoots: [join(root, "node_modules/@types")], paths };
  const config = join(folder, "tsconfig.types.json");
  writeFileSync(config, JSON.stringify({ extends: join(source, "tsconfig.json"), compilerOptions, include: [join(source, "src")] }));
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  return spawnSync(process.execPath, [tsc, "-p", config, "--pretty", "false"], { encoding: "utf8" }).stdout;
}

test("an app without an engine, bundled with the package's source", async () => {
  const folder = mkdtempSync(join(tmpdir(), "ringback-portable-app-"));
  const app = new FrameworkApp(folder, process.execPath);
  try {
    const portable = join(root, "src/portable.ts");
    expect(typesOf(folder, { "ringback/portable": [portable] })).toBe("");
    buildSync({
      entryPoints: [join(source, "src/main.ts")],
      outfile: join(folder, "main.mjs"),
      bundle: true,
      platform: "node",
      format: "esm",
      alias: { "ringback/portable": portable },
      logLevel: "silent",
    });
    await ordersOutlive(app, ["main.mjs"]);
  } finally {
    await app.remove();
  }
});

test.runIf(process.env["RINGBACK_LONG"] === "1")("an app without an engine, with the package installed", async () => {
  const workshop = new Workshop();
  const app = new FrameworkApp(workshop.installed("portable", "ringback"), process.execPath);
  try {
    expect(typesOf(app.folder, { "ringback/portable": [join(app.folder, "node_modules/ringback/dist/portable.d.ts")] })).toBe("");
    await ordersOutlive(app, ["--import", "ringback/register", "src/main.ts"]);
  } finally {
    await app.remove();
    workshop.remove();
  }
});

async function ordersOutlive(app: FrameworkApp, start: readonly string[]): Promise<void> {
  const port = await freePort();
  const base = `http://localhost:${port}/orders`;
  const begin = async (): Promise<Started> => {
    const started = await app.start(start, { PORT: `${port}`, NO_COLOR: "1" });
    await started.prints(/listening/);
    return started;
  };
  const first = await begin();
  const ids = ["paid", "little", "lost", "open"];
  const urls = new Map<string, string>();
  for (const id of ids) {
    expect(await send(`${base}/${id}`, { item: "book", cents: 4200 })).toEqual([202, { id }]);
    const [, url = ""] = await first.prints(new RegExp(`To pay for ${id}: curl .* (\\S+)`));
    urls.set(id, url);
  }
  expect(await (await fetch(`${base}/none`)).json()).toEqual({ error: "not found" });
  await first.kill();

  const second = await begin();
  const pay = (id: string, payment: object): Promise<unknown> =>
    send(urls.get(id) as string, { ref: `p-${id}`, cents: 4200, address: "Paris", ...payment });
  expect(await pay("paid", {})).toEqual([202, { id: "paid" }]);
  // Its payload is kept when it is answered: what the app has not done yet, the next one does.
  await second.kill();

  const third = await begin();
  const again = await Promise.all([pay("paid", {}), pay("paid", { ref: "p-other" })]);
  expect(again).toEqual([202, 202].map((status) => [status, { reason: "answered" }]));
  expect(await send(`${base}/open/payments/no-hook`, { ref: "p", cents: 1, address: "" })).toEqual([404, { reason: "unknown" }]);
  expect(await pay("little", { cents: 1 })).toEqual([202, { id: "little" }]);
  expect(await pay("lost", { address: "" })).toEqual([202, { id: "lost" }]);
  for (const told of [/Refunded little: p-little/, /Refunded lost: p-lost/]) await third.prints(told);
  await third.kill();

  const fourth = await begin();
  const shown = await Promise.all(ids.map(async (id) => (await fetch(`${base}/${id}`)).json()));
  expect(shown).toEqual([
    { state: "shipped", parcel: "parcel of paid" },
    { state: "refunded", reason: "paid too little" },
    { state: "refunded", reason: "no address" },
    { state: "waits for its payment" },
  ]);
  await fourth.kill();
}

async function send(url: string, body: object): Promise<[status: number, body: unknown]> {
  const response = await fetch(url, { method: "POST", body: JSON.stringify(body) });
  return [response.status, await response.json()];
}
