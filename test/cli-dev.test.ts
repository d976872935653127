// `ringback dev`: serves an app, prints its hooks, starts it again when its files change, and leaves no process behind.

import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { createProject, freePort, isAlive, link, type Project } from "./cli/project.ts";

let project: Project;
beforeAll(async () => {
  project = await createProject();
});

const app = `
import { createHook, createWebhook, workflow } from "ringback";
import { start } from "ringback/api";
import { greeting } from "./greeting.js";

export const order = workflow("order", async (id) => {
  const callback = createWebhook();
  createHook({ token: "also:" + id });
  return (await callback).text();
});
console.log(greeting);
const run = await start(order, ["o-1"], { id: "o-1" });
void run.returnValue.then((paid) => console.log("paid", paid));
`;
const greeting = (text: string): string => `export const greeting = ${JSON.stringify(text)};\n`;

test("it serves the default engine, prints each hook once, takes callbacks, and starts again when what the file imports changes", async () => {
  const cwd = project.newFolder({ "app.js": app, "greeting.js": greeting("hello one") });
  const port = await freePort();
  const dev = project.start(["dev", "app.js", "--json"], { cwd, env: { PORT: port } });
  const { pid } = await dev.news("started");
  expect(await dev.news("serving")).toMatchObject({ url: `http://localhost:${port}/.well-known/workflow/v1/webhook/`, isOwnServer: false });
  const hook = await dev.news("hook");
  expect(hook).toMatchObject({ runId: "o-1", workflowName: "order", isWebhook: true });
  await dev.shows("hello one");
  await dev.shows(/"hookId":"o-1:2".*\n/);

  const before = dev.output.length;
  writeFileSync(join(cwd, "greeting.js"), greeting("hello two"));
  expect(await dev.news("changed", before)).toMatchObject({ file: join(cwd, "greeting.js") });
  await dev.shows("hello two", before);
  await dev.news("serving", before);
  expect(isAlive(pid)).toBe(false);
  expect(dev.output.slice(before)).not.toContain('"event":"hook"');

  const answer = await fetch(hook.url, { method: "POST", body: "7 euros", headers: { connection: "close" } });
  expect(answer.status).toBe(202);
  await dev.shows("paid 7 euros", before);
  const stdout = dev.stdout.trim().split("\n");
  expect(stdout.every((line) => "event" in JSON.parse(line))).toBe(true);
});

test("RT1: it serves an app that knows the package under another name", async () => {
  project.installAs("workflow");
  const aliased = app.replaceAll('"ringback', '"workflow');
  const cwd = project.newFolder({ "app.js": aliased, "greeting.js": greeting("hello") });
  const dev = project.start(["dev", "app.js", "--json"], { cwd, env: { PORT: await freePort() } });
  const { url } = await dev.news("hook");
  const answer = await fetch(url, { method: "POST", body: "7 euros", headers: { connection: "close" } });
  expect(answer.status).toBe(202);
  await dev.shows("paid 7 euros");
});

test.each(["SIGINT", "SIGTERM"] as const)(
  "%s ends it and the app, at its next start the run is there, and it exits with 0",
  async (signal) => {
    const cwd = project.newFolder({ "app.js": app, "greeting.js": greeting("hello") });
    const dev = project.start(["dev", "app.js"], { cwd, env: { PORT: await freePort() } });
    const [, pid] = await dev.shows(/app\.js runs as process (\d+)/);
    const [, url = ""] = await dev.shows(/curl -i -d '\{\}' (http\S+)/);
    expect(dev.output).toMatch(/callbacks come in at http:\S+…\n/);
    // A terminal's Ctrl-C reaches the app, too; other signals only the command.
    if (signal === "SIGINT") dev.signal(signal);
    else dev.child.kill(signal);
    expect(await dev.ended).toBe(0);
    expect(isAlive(Number(pid))).toBe(false);
    expect(readdirSync(join(cwd, ".ringback"))).not.toContain("ringback.db-owner.json");
    const [hook] = await project.json(["hooks", "--tokens"], { cwd });
    expect(hook.url).toBe(url);
  },
);

test("when the command itself is killed the app ends, too", async () => {
  const cwd = project.newFolder({ "app.js": app, "greeting.js": greeting("hello") });
  const dev = project.start(["dev", "app.js", "--json"], { cwd, env: { PORT: await freePort() } });
  const { pid } = await dev.news("started");
  await dev.news("serving");
  dev.child.kill("SIGKILL");
  await dev.ended; // when nobody holds its output any more
  expect(isAlive(pid)).toBe(false);
});

test("an app that cannot be loaded is shown as Node shows it, and starts again when it is corrected", async () => {
  const cwd = project.newFolder({ "app.js": 'import { greeting } from "./greeting.js";\nconst = 1;\n' });
  const dev = project.start(["dev", "app.js", "--json"], { cwd, env: { PORT: await freePort() } });
  expect(await dev.news("ended")).toMatchObject({ code: 1, signal: null });
  expect(dev.output).toMatch(/app\.js:2\nconst = 1;[\s\S]*SyntaxError/);
  let before = dev.output.length;
  writeFileSync(join(cwd, "app.js"), app);
  await dev.news("ended", before);
  expect(dev.output.slice(before)).toContain("ERR_MODULE_NOT_FOUND");
  before = dev.output.length;
  writeFileSync(join(cwd, "greeting.js"), greeting("hello"));
  await dev.shows("hello", before);
  await dev.news("serving");
});

test("an engine that the file exports is the one that is served; a server of the file's own is left to it", async () => {
  const own = `
    import { createEngine, createHook, defineHook, workflow } from "ringback";
    import { serve } from "ringback/node";
    const approval = defineHook({ schema: { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value }) } } });
    const waits = workflow("waits", async () => Promise.all([createHook({ token: "it's mine" }), approval.create({ token: "judged" })]));
    export const engine = createEngine({ store: "sqlite:data/own.db", workflows: [waits] });
    if (process.env.SERVE) await serve(engine);
    await engine.start(waits, [], { id: "own" });
  `;
  for (const env of [{}, { SERVE: "1" }]) {
    const cwd = project.newFolder({ "app.mjs": own });
    const dev = project.start(["dev", "app.mjs"], { cwd, env: { PORT: await freePort(), ...env } });
    await dev.shows(
      "SERVE" in env ? /app\.mjs serves callbacks itself; runs are kept in sqlite:data\/own\.db/ : /runs are kept in sqlite:data\/own\.db/,
    );
    await dev.shows(/run own \(waits\) waits at a hook:\n.*npx ringback resume 'it'\\''s mine' '\{\}'/);
    await dev.shows(/waits at a hook:\n.*in the app: resumeHook\("judged", …\), since its schema judges there/);
    dev.signal("SIGINT");
    expect(await dev.ended).toBe(0);
    expect(readdirSync(cwd).sort()).toEqual(["app.mjs", "data", "package.json"]);
  }
});

test.each([["alone"], ["beside the project's tsx"]])(
  "TypeScript with directives runs, %s: a file that changes is loaded again and parked runs go on in its code; what is wrong is shown with its place",
  async (how) => {
    const flow = (greeting: string): string => `
      import { createHook } from "ringback";
      export enum Colour { Red = "red" }
      async function greet(name: string): Promise<string> {
        "use step";
        return ${JSON.stringify(greeting)} + name;
      }
      export async function order(id: string): Promise<void> {
        "use workflow";
        using approval = createHook<string>({ token: id });
        console.log(await greet(await approval), Colour.Red as string);
      }
    `;
    const cwd = project.newFolder({
      "app.ts": 'import { start } from "ringback/api";\nimport { order } from "./flow.js";\nawait start(order, ["o-1"], { id: "o-1" });\n',
      "flow.ts": flow("hello "),
    });
    if (how !== "alone") link("tsx", join(cwd, "node_modules"));
    const port = await freePort();
    const dev = project.start(["dev", "app.ts", "--json"], { cwd, env: { PORT: port } });
    expect(await dev.news("hook")).toMatchObject({ runId: "o-1", workflowName: "flow//order", token: "o-1" });

    let before = dev.output.length;
    writeFileSync(join(cwd, "flow.ts"), flow("moin ").replace("use step", "use stap"));
    await dev.news("ended", before);
    expect(dev.output.slice(before)).toMatch(/flow\.ts:5:9: "use stap" is no directive\. Did you mean "use step"\?/);

    before = dev.output.length;
    writeFileSync(join(cwd, "flow.ts"), `import "./more.js";${flow("moin ")}`);
    await dev.news("ended", before);
    before = dev.output.length;
    writeFileSync(join(cwd, "more.ts"), "export {};");
    expect(await dev.news("changed", before)).toMatchObject({ file: join(cwd, "more.ts") });
    await dev.news("serving", before);

    before = dev.output.length;
    writeFileSync(join(cwd, "flow.ts"), flow("moin "));
    expect(await dev.news("changed", before)).toMatchObject({ file: join(cwd, "flow.ts") });
    await dev.news("serving", before);
    await project.json(["resume", "o-1", '"Kiel"'], { cwd });
    await dev.shows("moin Kiel red", before);
  },
);
