// A portable workflow in a real browser: the package is loaded as a module, and an order goes on from page load to page load, and from worker
// to worker. The browser is `CHROMIUM_PATH`, else the system's Chromium or Chrome; where there is none, the tests are skipped and say so.

import { accessSync, constants } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { delimiter, join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bundle, program } from "./portable/bundle.ts";
import { answers, expected, type Round } from "./portable/order.ts";

const given = process.env["CHROMIUM_PATH"];
const executablePath = (given === undefined ? systemPaths() : [given]).find((path) => canRun(path)) ?? null;
const absence =
  executablePath === null ? ` (no Chromium: ${given === undefined ? "none in PATH, no CHROMIUM_PATH" : "CHROMIUM_PATH is none"})` : "";

function systemPaths(): string[] {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  return ["chromium", "chromium-browser", "google-chrome"].flatMap((name) => folders.map((folder) => join(folder, name)));
}

function canRun(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** What the server has: the page, where the package is a module of its own, what its worker runs, and the order's state. */
const files = {
  "/": `<!doctype html>
    <script type="importmap">{ "imports": { "ringback/portable": "/portable.js" } }</script>
    <script type="module">
      import * as portable from "ringback/portable";
      import { goOn } from "/order.js";
      const shelf = { load: async () => localStorage.getItem("order"), save: async (state) => localStorage.setItem("order", state) };
      globalThis.inPage = (answer) => goOn(portable, shelf, answer);
      globalThis.inWorker = (answer) => new Promise((resolve, reject) => {
        const worker = new Worker("/worker.js");
        worker.onmessage = ({ data }) => { worker.terminate(); resolve(data); };
        worker.onerror = ({ message }) => reject(new Error(message));
        worker.postMessage(answer);
      });
    </script>`,
  "/portable.js": (): string => bundle('export * from "./src/portable.ts"', "esm"),
  "/order.js": (): string => bundle('export * from "./test/portable/order.ts"', "esm"),
  "/worker.js": (): string =>
    program(`
      const shelf = {
        load: async () => { const response = await fetch("/state"); return response.ok ? response.text() : null; },
        save: async (state) => { await fetch("/state", { method: "PUT", body: state }); },
      };
      onmessage = async ({ data }) => postMessage(await goOn(portable, shelf, data));
    `),
};

function serve(): Server {
  let state: string | null = null;
  return createServer(async (request, response) => {
    const path = request.url ?? "/";
    if (path === "/state" && request.method === "PUT") {
      state = "";
      for await (const part of request.setEncoding("utf8")) state += part;
      return response.writeHead(204).end();
    }
    const file = path === "/state" ? state : (files as { readonly [path: string]: string | (() => string) })[path];
    response.setHeader("content-type", path.endsWith(".js") ? "text/javascript" : path === "/" ? "text/html" : "application/json");
    return file == null ? response.writeHead(404).end() : response.end(typeof file === "function" ? file() : file);
  });
}

describe.skipIf(executablePath === null)(`in Chromium${absence}`, () => {
  let server: Server;
  let browser: Browser | undefined;
  let page: Page;
  const troubles: string[] = [];

  beforeAll(async () => {
    server = serve();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    // No name but the server's is looked up, whatever the browser would like to ask of the world.
    const args = ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"];
    browser = await chromium.launch({ executablePath: executablePath as string, headless: true, args });
    page = await browser.newPage();
    page.on("pageerror", ({ message }) => troubles.push(message));
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  });
  afterAll(async () => {
    await browser?.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  async function rounds(place: "inPage" | "inWorker"): Promise<Round[]> {
    const all: Round[] = [];
    for (const answer of answers) {
      await page.reload();
      all.push(await page.evaluate(`${place}(${JSON.stringify(answer)})`));
    }
    return all;
  }

  test("an order goes on from page load to page load, its state in localStorage", async () => {
    expect(await rounds("inPage")).toEqual(expected);
    expect(troubles).toEqual([]);
  });

  test("an order goes on from worker to worker, its state with the server", async () => {
    expect(await rounds("inWorker")).toEqual(expected);
    expect(troubles).toEqual([]);
  });
});
