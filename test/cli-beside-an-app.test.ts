// The command line beside an app that runs: what it lists, shows, answers and cancels, for people and for programs.

import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { createProject, type Project, type Running } from "./cli/project.ts";

const app = `
import { createEngine, createHook, createWebhook, sleep, step, workflow } from "ringback";
import { serve } from "ringback/node";

let attempts = 0;
const charge = step("charge", async (id) => {
  if (++attempts === 1) throw new Error("card \\u001b[31mdeclined");
  return { id, attempts };
}, { backoff: 1 });
const order = workflow("order", async (id) => {
  await charge(id);
  const approval = createHook({ token: "approval:" + id, metadata: { for: "boss" } });
  const paid = createWebhook({ timeout: "3d" });
  const approved = await approval;
  const request = await paid;
  return { id, approved, paid: await request.json() };
});
const fails = workflow("fails", async () => {
  const go = createHook({ token: "go:1" });
  createHook({ token: "unread:1" });
  await go;
  throw new RangeError("no stock");
});
const naps = workflow("naps", async () => sleep("1h"));
const engine = createEngine({ workflows: [order, fails, naps], baseUrl: "https://shop.example/base" });
await serve(engine, { port: 0, host: "127.0.0.1" });
const told = (run) => run.returnValue.then((value) => console.log("returned", run.runId, JSON.stringify(value)), (error) => console.log("ended", run.runId, error.code));
for (const [wf, args, id] of [[order, ["o-1"], "o-1"], [order, ["o-2"], "o-2"], [naps, [], "nap"], [fails, [], "bad"]]) told(await engine.start(wf, args, { id, attributes: { named: id, kind: "x=y" } }));
while ((await engine.listHooks()).length < 6) await new Promise((resolve) => setTimeout(resolve, 20));
console.log("ready", process.pid);
`;

let project: Project;
/** For files and lines: the engine knows its own files where they are not bundled. */
let whole: Project;
let cwd: string;
beforeAll(async () => {
  project = await createProject({ isBundled: true });
  whole = await createProject();
});

async function startApp(): Promise<Running> {
  cwd = project.newFolder({ "app.js": app });
  const running = project.startApp("app.js", { cwd });
  await running.shows(/ready \d+/);
  return running;
}
const ringback = (...args: string[]): ReturnType<Project["run"]> => project.run(args, { cwd });

describe("beside a running app", () => {
  test("it lists runs and hooks, shows a run, answers a hook and a webhook, and the app goes on", async () => {
    const running = await startApp();

    const runs = await project.json(["runs"], { cwd });
    expect(runs.map((run) => [run.runId, run.workflowName, run.state])).toEqual([
      ["bad", "fails", "waiting"],
      ["nap", "naps", "waiting"],
      ["o-2", "order", "waiting"],
      ["o-1", "order", "waiting"],
    ]);
    expect((await project.json(["runs", "--workflow", "order", "--limit", "1"], { cwd })).map((run) => run.runId)).toEqual(["o-2"]);
    expect((await project.json(["runs", "--before", "o-2"], { cwd })).map((run) => run.runId)).toEqual(["o-1"]);
    expect(await project.json(["runs", "--state", "blocked"], { cwd })).toEqual([]);
    const labelled = await project.json(["runs", "--attribute", "named=nap", "--attribute", "kind=x=y"], { cwd });
    expect(labelled.map(({ runId, attributes }) => [runId, attributes])).toEqual([["nap", { kind: "x=y", named: "nap" }]]);
    expect((await ringback("run", "nap")).stdout).toMatch(/^ +attributes +kind=x=y\n +named=nap$/m);
    const list = await ringback("runs");
    expect(list).toMatchObject({ code: 0, stderr: "" });
    expect(list.stdout).toMatch(/^RUN +WORKFLOW +STATE +STARTED +ENDED\n/);
    expect(list.stdout).toMatch(/^o-1 +order +waiting +(?:now|\d.* ago) \(\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ\) +–$/m);

    const [webhook] = (await project.json(["hooks", "--run", "o-1"], { cwd })).filter((hook) => hook.isWebhook);
    expect(webhook).toMatchObject({ runId: "o-1", token: null, url: null, state: "open" });
    const [shown] = (await project.json(["hooks", "--run", "o-1", "--tokens"], { cwd })).filter((hook) => hook.isWebhook);
    expect(shown.url).toBe(`https://shop.example/base/.well-known/workflow/v1/webhook/${shown.token}`);
    expect((await ringback("hooks")).stdout).not.toContain(shown.token);
    expect((await ringback("hooks")).stdout).toMatch(/approval:o-2$/m);

    const parked = await ringback("run", "o-1");
    expect(parked.stdout).toMatch(/waits for +hook #2 since .*, token approval:o-1\n +webhook #3 since .*, until in 3 d \(/);
    expect(parked.stdout).toMatch(/attempt failed +#1 +charge +attempt 2 in .*, Error: card \\u001b\[31mdeclined/);
    expect(parked.stdout).not.toContain("\u001b");
    expect(parked.stdout).not.toContain(shown.token);
    expect(parked.stdout).toContain("token minted (--tokens shows it)");
    expect((await ringback("run", "o-1", "--tokens")).stdout).toContain(`, token ${shown.url}\n`);

    const empty = project.newFolder();
    const db = `sqlite:${join(cwd, ".ringback/ringback.db")}`;
    const first = await project.run(["resume", "approval:o-1", '{"ok":true}', "--key", "k1", "--db", db], { cwd: empty });
    expect(first).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Delivered to run o-1, hook o-1:2: accepted, dlv_\w+\.\n$/) });
    expect(first.stderr).toContain(`(process ${running.child.pid})`);
    const [again] = await project.json(["resume", "approval:o-1", '{"ok":true}', "--key", "k1", "--db", db], { cwd: empty });
    expect(again.delivery).toMatchObject({ disposition: "duplicate", keyed: true });
    const last = await project.run(["resume", shown.url, "-", "--db", db], { cwd: empty, input: '{"paid":true}' });
    expect(last.code).toBe(0);
    await running.shows('returned o-1 {"id":"o-1","approved":{"ok":true},"paid":{"paid":true}}');

    const [done] = await project.json(["run", "o-1"], { cwd });
    expect(done).toMatchObject({ state: "completed", waits: [], outcome: { type: "completed", result: { id: "o-1" } } });
    expect(done.timeline.at(-1)).toMatchObject({ event: "run_ended" });
    expect((await ringback("run", "o-1")).stdout).toMatch(/result +\{"id":"o-1"/);
    const late = await ringback("resume", "approval:o-1", "{}");
    expect(late).toMatchObject({ code: 1, stdout: "", stderr: expect.stringMatching(/^ringback: .* closed: .*\(hook_closed\)\n$/) });
  });

  test("it cancels, says of a run that has ended that there is nothing to cancel, and tells how runs ended", async () => {
    const running = await startApp();
    const asked = await ringback("cancel", "nap", "--compensate");
    expect(asked).toMatchObject({ code: 0, stdout: "Run nap is asked to end, and to undo what it did.\n" });
    await running.shows("ended nap run_cancelled");
    expect((await ringback("run", "nap")).stdout).toMatch(/cancel requested +to undo what was done\n/);
    const late = await project.run(["cancel", "nap", "--json"], { cwd });
    expect(late.code).toBe(1);
    expect(JSON.parse(late.stdout)).toEqual({ runId: "nap", isRequested: false, state: "cancelled" });

    await project.run(["resume", "unread:1", "1"], { cwd });
    await project.run(["resume", "go:1", "1"], { cwd });
    await running.shows("ended bad run_failed");
    const [failed] = await project.json(["run", "bad"], { cwd });
    expect(failed).toMatchObject({
      state: "failed",
      outcome: { type: "failed", error: "RangeError: no stock" },
      ending: { unread: [{ hookId: "bad:2" }] },
    });
    expect((await ringback("run", "bad")).stdout).toMatch(/failed +RangeError: no stock\n +unread +dlv_\w+ at hook bad:2, /);
    expect((await ringback("hooks", "--all", "--run", "bad")).stdout).toMatch(/bad:2 +fails +hook +closed/);
  });

  test("what was refused is listed, delivered again, and removed when it is over", async () => {
    await startApp();
    expect(await ringback("refused")).toMatchObject({ code: 0, stdout: "", stderr: "No refused deliveries.\n" });
    const early = await ringback("resume", "later:1", "1", "--early");
    expect(early.stdout).toMatch(/^No hook has had this token yet\. Kept for an hour, for the one that claims it: buffered, dlv_\w+\.\n$/);
    expect(await ringback("cancel", "bad")).toMatchObject({ code: 0, stdout: "Run bad is asked to end.\n" });
    await ringback("cancel", "bad");
    expect(await ringback("resume", "go:1", '"late"')).toMatchObject({ code: 1 });
    const [late] = await project.json(["refused"], { cwd });
    expect(late).toMatchObject({ reason: "closed", token: "go:1", runId: null, method: null });
    const list = await ringback("refused");
    expect(list.stdout).toMatch(/^DELIVERY +REASON +FOR +AS +SIZE +CAME +WHY\ndlv_\w+ +closed +go:1 +value +\d+ B .* cancelled \d{4}-/);
    const again = await ringback("redeliver", late.deliveryId);
    expect(again).toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringMatching(/is refused again: its hook is closed \(cancelled\)\. It is kept on\.\n$/),
    });
    expect(await ringback("redeliver", "dlv_zz")).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/"npx ringback refused" lists .*\(delivery_not_found\)\n$/),
    });
    const purged = await ringback("purge", "--older-than", "0s");
    expect(purged).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Removed 1 run, \d+ rows in all\.\n$/), stderr: "" });
    const taken = await project.run(["redeliver", late.deliveryId, "--json"], { cwd });
    expect([taken.code, JSON.parse(taken.stdout)]).toEqual([1, { disposition: "unknown", keyed: false }]);
  });

  test("doctor finds nothing wrong, and names driver, settings, keys and owner", async () => {
    const running = await startApp();
    const [found] = await project.json(["doctor"], { cwd });
    expect(found.ok).toBe(true);
    expect(found.diagnosis).toMatchObject({
      openCount: 4,
      blocked: [],
      stuck: [],
      webhookRoot: expect.stringContaining("http://localhost:3000/"),
    });
    expect(found.diagnosis.store).toMatchObject({
      owner: { pid: running.child.pid },
      settings: expect.arrayContaining([
        { name: "journal_mode", value: "WAL", isAsNeeded: true },
        { name: "synchronous", value: "FULL", isAsNeeded: true },
      ]),
    });
    expect(found.diagnosis.keys).toEqual([expect.objectContaining({ isCurrent: true, isUsed: true, state: "known" })]);
    const shown = await ringback("doctor");
    expect(shown).toMatchObject({ code: 0, stderr: "" });
    expect(shown.stdout).toMatch(/✓ +owner +process \d+, since .* \(/);
    expect(shown.stdout).toMatch(/\nNothing is wrong\.\n$/);
  });

  test("a run that is set aside shows what the journal and the code have, file and line; doctor names it and exits with 1", async () => {
    const version = (name: string): string => `
      import { createEngine, createHook, step, workflow } from "ringback";
      const w = workflow("w", async () => {
        await step.run(${JSON.stringify(name)}, async () => {});
        await createHook({ token: "parked" });
      });
      const engine = createEngine({ workflows: [w], baseUrl: null });
      await engine.start(w, [], { id: "changed" });
      while (!["waiting", "blocked"].includes(await engine.getRun("changed").state)) await new Promise((resolve) => setTimeout(resolve, 10));
      console.log("ready", await engine.getRun("changed").state);
      await engine.open();
    `;
    cwd = whole.newFolder({ "app.js": version("charge") });
    const first = whole.startApp("app.js", { cwd });
    await first.shows("ready waiting");
    await first.kill();
    const second = whole.startApp("app.js", {
      cwd: whole.newFolder({ "app.js": version("bill") }),
      env: { RINGBACK_DATABASE_URL: `sqlite:${join(cwd, ".ringback/ringback.db")}` },
    });
    await second.shows("ready waiting");
    expect((await ringback("resume", "parked", "1")).code).toBe(0);
    await second.shows("is blocked (changed_code)");
    const { stdout, code } = await ringback("run", "changed");
    expect(code).toBe(0);
    expect(stdout).toMatch(/blocked: changed_code\n +the journal has +step charge\n +the code has +step bill\n +at +\S+app\.js:4\n/);
    const doctor = await ringback("doctor");
    expect(doctor.code).toBe(1);
    expect(doctor.stdout).toMatch(/✗ +blocked +changed \(w\) since .*: changed_code\n +To see why: npx ringback run changed\n/);
  });
});

describe("beside an app that encrypts", () => {
  const secret = `e1=${"5e".repeat(32)}`;

  test("it tells what it may without the keys, and the rest with them", async () => {
    const folder = project.newFolder({ "app.js": app });
    const running = project.startApp("app.js", { cwd: folder, env: { RINGBACK_ENCRYPTION_KEYS: secret } });
    await running.shows(/ready \d+/);
    const keyless = { cwd: folder };
    const keyed = { cwd: folder, env: { RINGBACK_ENCRYPTION_KEYS: secret } };
    expect(await project.run(["resume", "go:1", "null"], keyed)).toMatchObject({ code: 0 });
    await running.shows(/ended bad run_failed/);
    expect(running.output).not.toContain("no stock");

    const blind = await project.run(["run", "bad"], keyless);
    expect(blind).toMatchObject({ code: 0, stdout: expect.stringContaining('encrypted with key "e1", which this engine lacks') });
    expect(blind.stdout).not.toContain("no stock");
    expect((await project.run(["run", "bad"], keyed)).stdout).toContain("no stock");
    expect((await project.run(["hooks"], keyless)).stdout).toContain("approval:o-1");
    expect(await project.run(["runs"], keyless)).toMatchObject({ code: 0 });
  });
});
