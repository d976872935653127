// `ringback dev` where something is in the way: a hung process, a taken port or store, an app that never loads.

import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { createProject, freePort, isAlive, type Project } from "./cli/project.ts";

let project: Project;
beforeAll(async () => {
  project = await createProject();
});

const quiet = 'import { workflow } from "ringback"; workflow("w", async () => {});';

test("a port or a store that somebody else has is told in a line, and ends it", async () => {
  const cwd = project.newFolder({ "app.js": quiet });
  const server = createServer().listen(0);
  onTestFinished(() => void server.close());
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const taken = await project.run(["dev", "app.js"], { cwd, env: { PORT: String(port) } });
  expect(taken.stderr).toBe(
    `ringback: Port ${port} is taken by another process. Stop that one, or choose another port: PORT=${port + 1} npx ringback dev …\n`,
  );
  expect(taken.code).toBe(1);

  const first = project.start(["dev", "app.js"], { cwd, env: { PORT: await freePort() } });
  await first.shows("callbacks come in");
  const second = await project.run(["dev", "app.js", "--db", `sqlite:${join(cwd, ".ringback/ringback.db")}`], {
    cwd: project.newFolder({ "app.js": quiet }),
    env: { PORT: await freePort() },
  });
  expect(second.stderr).toMatch(/has a worker already: process \d+, since .*\(store_in_use\)/);
  expect(second.code).toBe(3);
});

test("a process whose event loop does not answer is killed and replaced, and its run goes on", async () => {
  const hangs = `
    import { existsSync, writeFileSync } from "node:fs";
    import { createHook, step, workflow } from "ringback";
    import { start } from "ringback/api";
    const once = step("once", async () => {
      if (existsSync("hung")) return "second time";
      writeFileSync("hung", "");
      for (;;);
    });
    export const w = workflow("w", async () => {
      await createHook({ token: "go" });
      return once();
    });
    const run = await start(w, [], { id: "w" });
    void run.returnValue.then((value) => console.log("returned", value));
  `;
  const cwd = project.newFolder({ "app.js": "const = 1;" });
  const dev = project.start(["dev", "app.js", "--json", "--hang-after", "2"], { cwd, env: { PORT: await freePort() } });
  await dev.news("ended");
  const corrected = dev.output.length;
  writeFileSync(join(cwd, "app.js"), hangs);
  await dev.news("hook", corrected);
  const [{ pid }] = [...dev.output.matchAll(/^\{"event":"started".*$/gm)].slice(-1).map(([line]) => JSON.parse(line));
  const before = dev.output.length;
  await project.run(["resume", "go", "1"], { cwd });
  expect(await dev.news("hung", before)).toMatchObject({ pid, forMs: 2_000 });
  const next = await dev.news("started", before);
  expect(next.pid).not.toBe(pid);
  expect(isAlive(pid)).toBe(false);
  await dev.shows("returned second time");
  dev.signal("SIGINT");
  expect(await dev.ended).toBe(0);
});

test("an app that waits at its top level is told of, and what it serves itself works", async () => {
  const waits = `
    import { createEngine, createWebhook, workflow } from "ringback";
    import { serve } from "ringback/node";
    const w = workflow("w", async () => (await createWebhook()).text());
    const engine = createEngine({ workflows: [w] });
    await serve(engine);
    const run = await engine.start(w, [], { id: "w" });
    console.log("returned", await run.returnValue);
  `;
  const cwd = project.newFolder({ "app.js": waits });
  const dev = project.start(["dev", "app.js", "--json"], { cwd, env: { PORT: await freePort() } });
  await dev.news("loading");
  const [hook] = await project.json(["hooks", "--tokens"], { cwd });
  await fetch(hook.url, { method: "POST", body: "at last", headers: { connection: "close" } });
  await dev.shows("returned at last");
  expect(await dev.news("serving")).toMatchObject({ isOwnServer: true, store: "" });
});
