// Apps under `ringback/register` go on after a crash, with nothing in them that asks for it; an engine of their own comes first.

import { cpSync, symlinkSync } from "node:fs";
import { createServer } from "node:http";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { createProject, freePort, type Project, Running } from "./cli/project.ts";
import { nodes } from "./register/node.ts";

let project: Project;
beforeAll(async () => {
  project = await createProject();
  symlinkSync(join(project.folder, "node_modules/ringback"), join(project.folder, "node_modules/workflow"), "junction");
});

const register = ["--import", "workflow/register"];
const example = fileURLToPath(new URL("../examples/register", import.meta.url));

/** The payment provider of the example: gives the address that it was told for an order, once or again. */
async function provider(): Promise<{ readonly url: string; readonly told: (order: string) => Promise<string> }> {
  const told = new Map<string, string>();
  let heard = (): void => {};
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const part of request) body += String(part);
    const { orderId, callbackUrl } = JSON.parse(body) as { orderId: string; callbackUrl: string };
    told.set(orderId, callbackUrl);
    response.end("{}");
    heard();
  }).listen(0);
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const { port } = server.address() as { port: number };
  const toldOf = async (order: string): Promise<string> => {
    while (!told.has(order)) await new Promise<void>((resolve) => (heard = resolve));
    return told.get(order) as string;
  };
  return { url: `http://localhost:${port}`, told: toldOf };
}

/** Each on a connection of its own: none is left from a process that was killed. */
function call(url: string, { headers, ...init }: RequestInit = {}): Promise<Response> {
  return fetch(url, { ...init, headers: { ...(headers as Record<string, string>), connection: "close" } });
}

/** A step that never ends in the process that starts the run; what is printed tells who came how far. */
const flow = `
  export async function ship(id: string): Promise<string> {
    "use step";
    console.log("ships", id);
    if (process.env.HANGS) await new Promise(() => {});
    return "shipped";
  }
  export async function order(id: string): Promise<string> {
    "use workflow";
    const how: string = await ship(id);
    console.log(how, id);
    return how;
  }
`;
const hold = "setInterval(() => {}, 1e9);";
const starts = `import { start } from "workflow/api"; import { order } from "./flow.ts"; await start(order, ["o-1"], { id: "o-1" }); ${hold}`;

describe.each(nodes())("on $name", { timeout: 120_000 }, ({ program: node }) => {
  /** An app that was killed while a step ran. */
  async function killed(files: Readonly<Record<string, string>>): Promise<string> {
    const cwd = project.newFolder({ "flow.ts": flow, "starts.ts": starts, ...files });
    const first = new Running([...register, "starts.ts"], { cwd, node, env: { HANGS: "1" } });
    await first.shows("ships o-1");
    await first.kill();
    return cwd;
  }

  test("the example: an order waits, its app is killed and started again, the callback comes over HTTP, the order is done", async () => {
    const cwd = project.newFolder();
    cpSync(example, cwd, { recursive: true, filter: (path) => !/node_modules|\.ringback/.test(path) });
    const { url, told } = await provider();
    const port = await freePort();
    const options = { cwd, node, env: { PORT: port, PROVIDER_URL: url } };
    const first = new Running([...register, "src/server.ts"], options);
    await first.shows("listening");
    const order = `http://localhost:${port}/orders/o-1`;
    expect(await (await call(order, { method: "POST" })).json()).toEqual({ runId: "o-1" });
    const callback = await told("o-1");
    await first.kill();

    const second = new Running([...register, "src/server.ts"], options);
    await second.shows("listening");
    const paid = { method: "POST", body: JSON.stringify({ paid: true, address: "Kiel" }), headers: { "idempotency-key": "p-1" } };
    expect((await call(callback, paid)).status).toBe(202);
    expect((await call(callback, paid)).status).toBe(202);
    expect(await (await call(order)).json()).toEqual({ orderId: "o-1", parcel: "o-1 to Kiel" });

    await call(order.replace("o-1", "o-2"), { method: "POST" });
    await call(await told("o-2"), { method: "POST", body: '{"paid":true,"address":""}' });
    const { cause } = (await (await call(order.replace("o-1", "o-2"))).json()) as { cause: string };
    expect(cause).toMatch(/^Error: Order o-2 has no address\.\n.*src\/step\.ts:12:29\)?\n/);
  });

  test("an app that only declares workflows goes on with what was left", async () => {
    const cwd = await killed({ "app.ts": `import "./flow.ts"; ${hold}` });
    const second = new Running([...register, "app.ts"], { cwd, node });
    await second.shows(/ships o-1\nshipped o-1/);
  });

  test("an engine that the app makes late takes the place of the one that went on, on the same store", async () => {
    const late = `
      import { once } from "node:events";
      import { createEngine } from "workflow";
      import { ship, order } from "./flow.ts";
      const log = console.log;
      const begun = new Promise<void>((resolve) => { console.log = (...text: unknown[]) => { log(...text); if (text[0] === "ships") resolve(); }; });
      await begun; // the default engine runs the step
      delete process.env.HANGS;
      const engine = createEngine({ store: "sqlite:.ringback/ringback.db", baseUrl: null, workflows: [order] });
      await engine.open();
      log(await engine.getRun("o-1").returnValue, "by its own");
    `;
    const cwd = await killed({ "late.ts": late });
    const second = new Running([...register, "late.ts"], { cwd, node, env: { HANGS: "1" } });
    await second.shows(/ships o-1\nships o-1\nshipped o-1\nshipped by its own/);
  });

  test("an engine that the app makes at once is the only one; where there is no store none is made", async () => {
    const own = `import { createEngine } from "workflow"; import "./flow.ts"; const engine = createEngine({ store: "memory:", baseUrl: null }); console.log("mine"); setImmediate(() => setImmediate(() => process.exit()));`;
    const cwd = await killed({ "own.ts": own });
    expect(await project.runNode([...register, "own.ts"], { cwd, node })).toEqual({ code: 0, stdout: "mine\n", stderr: "" });
    const empty = project.newFolder({
      "flow.ts": flow,
      "app.ts":
        'import "./flow.ts"; import { readdirSync } from "node:fs"; process.on("exit", () => console.log(readdirSync(".").join()));',
    });
    expect(await project.runNode([...register, "app.ts"], { cwd: empty, node })).toEqual({
      code: 0,
      stdout: "app.ts,flow.ts,package.json\n",
      stderr: "",
    });
  });

  test("a script beside the running app ends by itself and is told nothing; what stands in the way is told, and stops no app", async () => {
    const cwd = await killed({ "app.ts": `import "./flow.ts"; ${hold}`, "script.ts": 'import "./flow.ts"; console.log("done");' });
    const server = new Running([...register, "app.ts"], { cwd, node, env: { HANGS: "1" } });
    await server.shows("ships o-1");
    expect(await project.runNode([...register, "script.ts"], { cwd, node })).toEqual({ code: 0, stdout: "done\n", stderr: "" });
    await server.kill();
    const { code, stdout, stderr } = await project.runNode([...register, "script.ts"], { cwd, node, env: { RINGBACK_KEYS: "bad" } });
    expect([code, stdout]).toEqual([0, "done\n"]);
    expect(stderr).toMatch(/^ringback: the runs that were left do not go on: The key ring/);
  });
});
