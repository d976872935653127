// Each framework's example, installed from the package and built: a parked order outlives the app, which takes up what came meanwhile before
// anybody calls it, and stack traces lead to the author's files.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createEngine } from "../src/index.ts";
import { FrameworkApp, freePort, type Started } from "./example/framework-app.ts";
import { Workshop } from "./example/pack.ts";

interface Framework {
  readonly example: string;
  /** The least Node that the framework takes. */
  readonly node: number;
  readonly build: readonly [program: string, ...args: string[]];
  readonly start: readonly string[];
  readonly workflow: string;
}

const frameworks: Readonly<Record<string, Framework>> = {
  "Next.js by Turbopack": {
    example: "next",
    node: 20,
    build: ["next/dist/bin/next", "build"],
    start: ["--enable-source-maps", "node_modules/next/dist/bin/next", "start"],
    workflow: "workflows/order.ts",
  },
  "Next.js by webpack": {
    example: "next",
    node: 20,
    build: ["next/dist/bin/next", "build", "--webpack"],
    start: ["--enable-source-maps", "node_modules/next/dist/bin/next", "start"],
    workflow: "workflows/order.ts",
  },
  Nitro: {
    example: "nitro",
    node: 20,
    build: ["nitro/dist/cli/index.mjs", "build"],
    start: ["--enable-source-maps", ".output/server/index.mjs"],
    workflow: "workflows/order.ts",
  },
  SvelteKit: {
    example: "sveltekit",
    node: 22,
    build: ["vite/bin/vite.js", "build"],
    start: ["--enable-source-maps", "build"],
    workflow: "src/workflows/order.ts",
  },
  Astro: {
    example: "astro",
    node: 22,
    build: ["astro/bin/astro.mjs", "build"],
    start: ["--enable-source-maps", "dist/server/entry.mjs"],
    workflow: "src/workflows/order.ts",
  },
  Nuxt: {
    example: "nuxt",
    node: 22,
    build: ["nuxt/bin/nuxt.mjs", "build"],
    start: ["--enable-source-maps", ".output/server/index.mjs"],
    workflow: "server/workflows/order.ts",
  },
};

const examples = fileURLToPath(new URL("../examples", import.meta.url));
const isLong = process.env["RINGBACK_LONG"] === "1" && (process.env["RINGBACK_TEST_MODE"] ?? "hot") === "hot";

describe.skipIf(!isLong)("a built app", () => {
  let workshop: Workshop;
  beforeAll(() => {
    workshop = new Workshop();
  });
  afterAll(() => workshop.remove());
  for (const [name, framework] of Object.entries(frameworks)) {
    const node = nodeFor(framework.node);
    test.skipIf(node === null)(`of ${name}${node === null ? ` (no Node ${framework.node} or newer is to be had)` : ""}`, async () => {
      const app = new FrameworkApp(workshop.installed(framework.example), node as string);
      try {
        app.run(framework.build[0], framework.build.slice(1));
        await ordersOutlive(app, framework);
      } finally {
        await app.remove();
      }
    });
  }
});

async function ordersOutlive(app: FrameworkApp, { start, workflow }: Framework): Promise<void> {
  const port = await freePort();
  const base = `http://127.0.0.1:${port}`;
  const store = `sqlite:${join(app.folder, ".ringback/orders.db")}`;
  const bare = { PORT: `${port}`, HOST: "127.0.0.1", RINGBACK_DATABASE_URL: store };
  const env = { ...bare, RINGBACK_BASE_URL: base };
  // Where nobody has told a built app how it is reached, it guesses nothing.
  const unaware = await app.start(start, bare);
  await unaware.prints(/In production RINGBACK_BASE_URL/);
  await unaware.kill();

  const first = await app.start(start, env);
  await first.prints(/:\d+|ready/i);
  const [paid, unpaid, lost, early, late] = await Promise.all(
    ["paid", "unpaid", "lost", "early", "late"].map((id) => order(base, first, id)),
  );
  await first.kill();

  // Another process takes a callback while the app is down. The app goes on with it by itself.
  const ingress = createEngine({ store, baseUrl: base, role: "ingress", workflows: [] });
  expect((await ingress.ingress(payment(early?.url, 1))).status).toBe(202);
  await ingress.close();
  const second = await app.start(start, env);
  await second.prints(/Shipped early/);

  for (const [each, amount] of [
    [paid, 20],
    [unpaid, 0],
    [lost, -1],
  ] as const) {
    expect((await fetch(payment(each?.url, amount))).status).toBe(202);
  }
  const result = await fetch(`${base}/api/orders/${paid?.runId}`);
  expect(await result.json()).toEqual({ orderId: "paid", amount: 20, parcel: "parcel of paid" });
  for (const each of [unpaid, lost]) expect((await fetch(`${base}/api/orders/${each?.runId}`)).status).toBe(500);
  const source = readFileSync(join(app.folder, workflow), "utf8");
  await second.prints(frame("order", workflow, source, "new FatalError(`Nothing"));
  await second.prints(frame("ship", workflow, source, "new FatalError(`${amount}"));
  await second.kill("SIGTERM");

  const newer = nodeFor(24);
  if (newer === null) return;
  const third = await app.start(start, env, newer);
  await third.prints(/:\d+|ready/i);
  expect((await fetch(payment(late?.url, 20))).status).toBe(202);
  await third.prints(/Shipped late/);
  await third.kill();
}

async function order(base: string, app: Started, orderId: string): Promise<{ readonly runId: string; readonly url: string }> {
  const body = JSON.stringify({ orderId });
  const response = await fetch(`${base}/api/orders`, { method: "POST", headers: { "content-type": "application/json" }, body });
  expect(response.status).toBe(202);
  const { runId } = (await response.json()) as { runId: string };
  const [, url = ""] = await app.prints(new RegExp(`To pay for ${orderId}: curl -d \\S+ (\\S+)`));
  expect(url.startsWith(`${base}/.well-known/workflow/v1/webhook/`)).toBe(true);
  return { runId, url };
}

/** As a provider's form, which frameworks would take for one of another site. */
function payment(url: string | undefined, amount: number): Request {
  return new Request(url as string, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: JSON.stringify({ amount }),
  });
}

/** The frame of a stack that stands where this piece of the file does. */
function frame(name: string, file: string, source: string, piece: string): RegExp {
  const lines = source.slice(0, source.indexOf(piece)).split("\n");
  return new RegExp(
    `at (?:async )?${name} \\(\\S*${file.replaceAll(".", "\\.")}:${lines.length}:${(lines.at(-1) as string).length + 1}\\)`,
  );
}

test("the order app is the same one in every framework", () => {
  const files = [...new Set(Object.values(frameworks).map(({ example, workflow }) => join(examples, example, workflow)))];
  expect(new Set(files.map((file) => readFileSync(file, "utf8"))).size).toBe(1);
});

/** The running Node if it will do, else one that npm has; null where neither is to be had. */
function nodeFor(least: number): string | null {
  if (Number.parseInt(process.versions.node, 10) >= least) return process.execPath;
  if (!isLong) return null;
  try {
    const args = ["-y", "-p", "node@24", "node", "-p", "process.execPath"];
    return execFileSync("npx", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return null;
  }
}
