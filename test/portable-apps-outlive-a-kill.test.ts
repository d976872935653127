// The example of an app without an engine, as its users start it: orders outlive kills of the app, and each callback counts once.

import { spawnSync } from "node:child_process";
import { mkdtempSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";
import { expect, test } from "vitest";
import { FrameworkApp, freePort, type Started } from "./example/framework-app.ts";
import { Workshop } from "./example/pack.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

const source = join(root, "examples/portable");
const entries = ["node", "portable", "resume", "sqlite"];

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
    const sources = Object.fromEntries(entries.map((entry) => [`ringback/${entry}`, join(root, "src", `${entry}.ts`)]));
    const paths = Object.fromEntries(Object.entries(sources).map(([entry, file]) => [entry, [file]]));
    expect(typesOf(folder, paths)).toBe("");
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"), "junction");
    buildSync({
      entryPoints: [join(source, "src/main.ts")],
      outfile: join(folder, "main.mjs"),
      bundle: true,
      platform: "node",
      format: "esm",
      external: ["@photostructure/sqlite"],
      alias: sources,
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
    const paths = entries.map((entry) => [`ringback/${entry}`, [join(app.folder, `node_modules/ringback/dist/${entry}.d.ts`)]]);
    expect(typesOf(app.folder, Object.fromEntries(paths))).toBe("");
    await ordersOutlive(app, ["--import", "ringback/register", "src/main.ts"]);
  } finally {
    await app.remove();
    workshop.remove();
  }
});

async function ordersOutlive(app: FrameworkApp, start: readonly string[]): Promise<void> {
  const port = await freePort();
  const base = `http://localhost:${port}`;
  const begin = async (): Promise<Started> => {
    const started = await app.start(start, { PORT: `${port}`, LEASE_MS: "200", NO_COLOR: "1" });
    await started.prints(/listening/);
    return started;
  };
  /** The line for who calls back, and its URL. */
  const told = async (by: Started, line: string): Promise<string> =>
    (await by.prints(new RegExp(`${line}: curl .* (\\S+/hooks/\\S+)`)))[1] as string;
  const shown = async (id: string): Promise<object> => (await (await fetch(`${base}/orders/${id}`)).json()) as object;

  const first = await begin();
  const ids = ["paid", "soon", "little", "lost", "open"];
  const urls = new Map<string, string>();
  const place = async (id: string): Promise<void> => {
    expect(await send(`${base}/orders/${id}`, { item: "book", cents: 4200 })).toEqual([202, null, { id }]);
    urls.set(id, await told(first, `To pay for ${id}`));
  };
  await Promise.all(ids.map(place));
  await first.kill(); // while they wait

  const second = await begin();
  const pay = (id: string, payment: object): Promise<unknown> =>
    send(urls.get(id) as string, { ref: `p-${id}`, cents: 4200, address: "Paris", ...payment });
  expect(await pay("paid", { cents: "many" })).toMatchObject([422, "invalid", { issues: [{ message: "Give ref, cents and address." }] }]);
  expect(await pay("paid", {})).toEqual([202, "accepted", null]);
  const delivery = await told(second, "Shipped paid to Paris. When it is delivered");
  expect(await pay("soon", {})).toEqual([202, "accepted", null]);
  await second.kill(); // within a step, or behind it: its payload is kept when it is answered, and the next one does what is left

  const third = await begin();
  expect(await Promise.all([pay("soon", {}), pay("soon", { ref: "p-other" })])).toMatchObject([
    [202, "duplicate", null],
    [410, "closed", { by: "answered" }],
  ]);
  expect(await pay("little", { cents: 1 })).toEqual([202, "accepted", null]);
  expect(await pay("lost", { address: "" })).toEqual([202, "accepted", null]);
  for (const refund of [/Refunded little: p-little/, /Refunded lost: p-lost/]) await third.prints(refund);
  // Whom the dead process has left "paid" may not have found out yet: it is kept until then.
  expect(await send(delivery, { signedBy: "Ada" })).toEqual([202, expect.stringMatching(/^(?:accepted|buffered)$/), null]);
  await third.prints(/Delivered paid: Ada has signed/);
  await third.kill();

  const fourth = await begin();
  expect(await shown("none")).toEqual({ error: "Not there, or another process works at it." });
  const ended = { paid: { state: "delivered", signedBy: "Ada" }, little: refunded("paid too little"), lost: refunded("no address") };
  const waiting = { soon: { state: "waits", for: "its delivery" }, open: { state: "waits", for: "its payment" } };
  for (const [id, state] of Object.entries({ ...ended, ...waiting })) {
    let seen = await shown(id);
    while ("error" in seen) seen = await shown(id); // until nobody else has it
    expect([id, seen]).toEqual([id, state]);
  }
  await fourth.kill();
}

function refunded(reason: string): object {
  return { state: "refunded", reason };
}

/** The status, what became of a callback, and what is said of it. */
async function send(url: string, body: object): Promise<[status: number, disposition: string | null, body: unknown]> {
  const response = await fetch(url, { method: "POST", body: JSON.stringify(body) });
  const text = await response.text();
  return [response.status, response.headers.get("ringback-disposition"), text === "" ? null : JSON.parse(text)];
}
