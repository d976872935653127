// What the command line says where it cannot do what was asked: one line with what, which and what to do, an exit code that means
// something, nothing on stdout, and nothing made on disk.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { createHook, createWebhook, defineHook, workflow } from "../src/index.ts";
import { connect } from "../src/store/sqlite/connection.ts";
import { loadDriver } from "../src/store/sqlite/driver.ts";
import { createEngine, type Engine } from "../src/wiring.ts";
import { createProject, type Ended, type Project } from "./cli/project.ts";

let project: Project;
beforeAll(async () => {
  project = await createProject({ isBundled: true });
});

/** One line on stderr, under our name, with no stack. */
function refusal({ code, stdout, stderr }: Ended): [number | null, string] {
  expect(stdout).toBe("");
  expect(stderr).toMatch(/^ringback: .*\n$/);
  expect(stderr).not.toMatch(/\n\s+at /);
  return [code, stderr.slice("ringback: ".length).trimEnd()];
}

const hooked = workflow("hooked", async () => {
  const hook = createHook({ token: "h" });
  await Promise.all([hook, createWebhook()]);
});

const approval = defineHook({ schema: { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value }) } } });
const judged = workflow("judged", async () => await approval.create({ token: "judged" }));

/** A store with a parked run, and its engine, which is closed at the end unless it was before. */
async function parkedStore(): Promise<{ readonly folder: string; readonly db: string; readonly engine: Engine }> {
  const folder = project.newFolder();
  const db = join(folder, ".ringback", "ringback.db");
  const engine = createEngine({ store: `sqlite:${db}`, baseUrl: "https://a.example", workflows: [hooked, judged], logger: false });
  onTestFinished(() => engine.close());
  await engine.start(hooked, [], { id: "parked" });
  while ((await engine.listHooks()).length < 2) await new Promise<void>((resolve) => setImmediate(resolve));
  return { folder, db, engine };
}

describe("wrong usage is 2", () => {
  test.concurrent.each<[string[], RegExp]>([
    [["rnus"], /^Unknown command 'rnus'\. Did you mean runs\?$/],
    [["runs", "--staet", "open"], /^Unknown option '--staet'\. Did you mean --state\?$/],
    [["runs", "--state", "parked"], /argument 'parked' is invalid\. Allowed choices are open, blocked, /],
    [["runs", "--limit", "0"], /whole number from 1 to 1000/],
    [["runs", "extra"], /^Too many arguments for 'runs'/],
    [["run"], /^Missing required argument 'run'/],
    [["resume", "h"], /^Missing required argument 'json'/],
    [["resume", "h", "{ok:true}"], /^\{ok:true\} is not JSON: .*Quote it for the shell/],
    [["resume", "https://a.example/callback", "{}"], /^There is no token in https:\/\/a\.example\/callback/],
    [["keys", "rotat"], /^Unknown command 'rotat'\. Did you mean rotate\?$/],
    [["runs", "--db", "shop.db"], /^"shop\.db" is not a store .* Use sqlite:shop\.db/],
    [["purge", "--older-than", "7"], /argument '7' is invalid\. Give a span with its unit, such as 7d or 12h\./],
    [["purge", "--older-than", "long"], /"long", which is not a span of time/],
    [["dev", "none.ts"], /^There is no file none\.ts/],
  ])("%j", async (args, line) => {
    const cwd = project.newFolder();
    const [code, told] = refusal(await project.run(args, { cwd }));
    expect(told).toMatch(line);
    expect(code).toBe(2);
    expect(readdirSync(cwd)).toEqual(["package.json"]);
  });
});

test("without a database every command that needs one says how to start, and makes none", async () => {
  const cwd = project.newFolder();
  const commands = [["runs"], ["run", "x"], ["hooks"], ["resume", "t", "{}"], ["cancel", "x"], ["keys", "rotate"]];
  for (const [code, line] of await Promise.all(commands.map(async (args) => refusal(await project.run(args, { cwd }))))) {
    expect(line).toMatch(/^There is no database at \.ringback\/ringback\.db\. Start your app once \(npx ringback dev app\.ts\)/);
    expect(code).toBe(3);
  }
  const doctor = await project.run(["doctor"], { cwd });
  expect(doctor).toMatchObject({ code: 3, stdout: expect.stringMatching(/✗ +store +There is no database at/) });
  expect(readdirSync(cwd)).toEqual(["package.json"]);
});

test("a delivery while no app runs is kept, and the run shows that nobody goes on with it", async () => {
  const { folder: cwd, engine } = await parkedStore();
  await engine.close();
  expect(await project.run(["run", "parked"], { cwd })).toMatchObject({ code: 0, stderr: "" });
  const nobody = "No app runs on this store now: the run goes on when one starts.\n";
  expect(await project.run(["resume", "h", "1"], { cwd })).toMatchObject({ code: 0, stderr: nobody });
  expect(await project.run(["run", "parked"], { cwd })).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^parked {2}hooked {2}running\n/),
    stderr: nobody,
  });
  expect((await project.run(["run", "parked", "--json"], { cwd })).stderr).toBe("");
});

test("what the schema of a hook would have to judge is 1, says where it can be delivered, and is not", async () => {
  const { folder: cwd, engine } = await parkedStore();
  await engine.start(judged);
  while ((await engine.listHooks()).length < 3) await new Promise<void>((resolve) => setImmediate(resolve));
  const [code, told] = refusal(await project.run(["resume", "judged", "1"], { cwd }));
  expect(code).toBe(1);
  expect(told).toMatch(/has a schema, which stands in the app's code.* by engine\.resumeHook\(\).*\(schema_unavailable\)$/);
  expect(await engine.listRefused()).toEqual([]);
});

test("what is not there is 1: runs and hooks", async () => {
  const { folder: cwd } = await parkedStore();
  for (const args of [
    ["run", "nobody"],
    ["cancel", "nobody"],
    ["hooks", "--run", "nobody"],
  ]) {
    expect(refusal(await project.run(args, { cwd }))).toEqual([1, expect.stringMatching(/^No run "nobody" in this store\./)]);
  }
  expect(refusal(await project.run(["resume", "nothing", "{}"], { cwd }))).toEqual([1, expect.stringContaining("(hook_not_found)")]);
  expect(refusal(await project.run(["resume", "h", "{}", "--key", ""], { cwd }))[0]).toBe(2);
});

test("a database of a later version, a damaged one, and one whose key is gone are 3, and left as they are", async () => {
  const { folder: cwd, db, engine } = await parkedStore();
  await engine.close();

  const keys = join(cwd, ".ringback", "keys");
  const key = readFileSync(keys);
  rmSync(keys);
  expect(refusal(await project.run(["runs"], { cwd }))).toEqual([3, expect.stringMatching(/the key ring lacks it.*\(missing_key\)$/)]);
  const doctor = await project.run(["doctor"], { cwd });
  expect(doctor).toMatchObject({ code: 1, stdout: expect.stringMatching(/✗ +key +\w+ is missing: open hooks use it/) });
  expect(existsSync(keys)).toBe(false);
  writeFileSync(keys, key, { mode: 0o600 });

  const connection = connect(await loadDriver(), { path: db, store: "test" });
  connection.exec("pragma user_version=99");
  connection.close();
  expect(refusal(await project.run(["runs"], { cwd }))).toEqual([
    3,
    expect.stringMatching(/written by a later version .*format 99.*\(store_newer\)$/),
  ]);
  expect((await project.run(["doctor", "--json"], { cwd })).code).toBe(3);

  writeFileSync(db, "not a database, but long enough to be taken for one".repeat(100));
  rmSync(`${db}-wal`, { force: true });
  expect(refusal(await project.run(["runs"], { cwd }))).toEqual([3, expect.stringContaining("(store_corrupt)")]);
  mkdirSync(join(cwd, "folder.db"));
  expect(refusal(await project.run(["runs", "--db", "sqlite:folder.db"], { cwd }))[0]).toBe(3);
});

test("a base URL that cannot be used is doctor's finding, and in nobody's way", async () => {
  const { folder: cwd } = await parkedStore();
  for (const env of [{ RINGBACK_BASE_URL: "shop.example" }, { NODE_ENV: "production" }]) {
    const doctor = await project.run(["doctor"], { cwd, env });
    expect(doctor).toMatchObject({ code: 1, stdout: expect.stringMatching(/✗ +base URL +.*https:\/\/api\.example\.com/) });
    expect((await project.run(["runs"], { cwd, env })).code).toBe(0);
  }
});

test("keys rotate: the file gets a new key and keeps the old ones; RINGBACK_KEYS is printed, not changed; used keys are named", async () => {
  const { folder: cwd, engine } = await parkedStore();
  const file = join(cwd, ".ringback", "keys");
  const [old = ""] = readFileSync(file, "utf8").split("=");
  const [rotated] = await project.json(["keys", "rotate"], { cwd });
  expect(rotated).toMatchObject({ file: ".ringback/keys", keys: null, used: [old] });
  expect(
    readFileSync(file, "utf8")
      .split(",")
      .map((entry) => entry.split("=")[0]),
  ).toEqual([rotated.kid, old]);

  const given = readFileSync(file, "utf8").trim();
  const printed = await project.run(["keys", "rotate"], { cwd, env: { RINGBACK_KEYS: given } });
  expect(printed.stdout).toMatch(/^RINGBACK_KEYS=\w+=[\w-]+,.*\n$/);
  expect(printed.stdout.trimEnd().endsWith(given)).toBe(true);
  expect(printed.stderr).toMatch(new RegExp(`Open hooks need ${old}: keep it\\. Not needed by any: ${rotated.kid}\\.`));
  expect(readFileSync(file, "utf8").trim()).toBe(given);
  expect(await engine.getRun("parked").state).toBe("waiting");
});

test("help and version are 0, on stdout; every command has examples or says what it does; colours only on a terminal", async () => {
  const version = await project.run(["--version"]);
  expect(version).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+/), stderr: "" });
  const whole = await project.run([]);
  expect(whole).toMatchObject({ code: 0, stderr: "" });
  const names = ["dev", "runs", "run", "hooks", "resume", "cancel", "keys", "doctor"];
  for (const { code, stdout, stderr } of await Promise.all(names.map((name) => project.run([name, "--help"])))) {
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^Usage: ringback [\s\S]*Options:\n[\s\S]*--json[\s\S]*/);
    expect(stdout).not.toContain("\u001b");
  }
  for (const name of names) expect(whole.stdout).toMatch(new RegExp(`^ +${name} `, "m"));
  expect(whole.stdout).toMatch(/Exit codes:\n +0 +done/);
});

test("--debug adds where an error comes from, behind its line", async () => {
  const { stderr, code } = await project.run(["runs", "--debug"], { cwd: project.newFolder() });
  expect(stderr).toMatch(/^ringback: There is no database.*\nRingbackError: [\s\S]*\n +at /);
  expect(code).toBe(3);
});
