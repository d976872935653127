// What a callback of a workflow without an engine has brought outlives the process: no step whose record is kept is done again, and no payload
// that was answered is lost.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { createWorkflow, ok, pendingHook } from "../src/portable.ts";
import { memoryResumeStore, resumeHandler, type ResumeHandlerOptions, type ResumeStore } from "../src/resume.ts";
import { sqliteResumeStore } from "../src/sqlite.ts";
import { createManualClock } from "../src/testing/manual-clock.ts";
import { compiledChild } from "./child/compiled.ts";
import { epoch } from "./harness.ts";
import { counted, post, runOrder, settled, type Told } from "./resuming.ts";

const isLong = process.env["RINGBACK_LONG"] === "1";
const minute = 60_000;
const never = new Promise<never>(() => {});

/** A store whose process dies at one of its writes: from then on nothing of it answers. */
function dyingAt(store: Required<ResumeStore>, write: number, when: "before" | "after"): { store: ResumeStore; dead: Promise<"dead"> } {
  let [left, isDead] = [write, false];
  let die: (how: "dead") => void;
  const dead = new Promise<"dead">((resolve) => (die = resolve));
  const through = async <T>(act: () => Promise<T>, isWrite: boolean): Promise<T> => {
    if (isDead) return never;
    if (!isWrite || left-- > 0) return act();
    isDead = true;
    if (when === "after") await act();
    die("dead");
    return never;
  };
  return {
    dead,
    store: {
      load: (id) => through(() => store.load(id), false),
      save: (...given) => through(() => store.save(...given), true),
      delete: (...given) => through(() => store.delete(...given), true),
      list: (...given) => through(() => store.list(...given), false),
    },
  };
}

interface Kept {
  readonly owner: string | null;
  readonly state: { readonly events: readonly { readonly kind: string; readonly name?: string }[] };
}

async function kept(store: ResumeStore): Promise<Kept | null> {
  const record = await store.load("ResumeRun/r");
  return record && (JSON.parse(record.text) as Kept);
}

/** Sends what was not answered before, as a sender does. */
async function send(
  store: ResumeStore,
  done: string[],
  answered: Set<string>,
  more: Pick<ResumeHandlerOptions<any, any>, "clock">,
): Promise<void> {
  const handler = resumeHandler({ ...store, run: runOrder(done), ...more });
  await handler.recover();
  if (!answered.has("start")) await handler.start({ runId: "r" });
  answered.add("start");
  for (const [hookId, value] of [
    ["r:pay", 1],
    ["r:ship", 2],
  ] as const) {
    if (!answered.has(hookId)) await handler.deliver(hookId, value, { key: hookId });
    answered.add(hookId);
    await settled(store, "r");
  }
}

test.each(["before", "after"] as const)("a process that dies %s any write of its store: the next one goes on", async (when) => {
  let deaths = 0;
  for (let write = 0; ; write++) {
    const clock = createManualClock(epoch);
    const store = memoryResumeStore({ clock });
    const dying = dyingAt(store, write, when);
    const answered = new Set<string>();
    const first: string[] = [];
    if ((await Promise.race([dying.dead, send(dying.store, first, answered, { clock })])) !== "dead") break;
    deaths++;
    const done = (await kept(store))?.state.events.flatMap(({ kind, name }) => (kind === "step_completed" ? [name] : [])) ?? [];
    clock.advance(minute);
    const second: string[] = [];
    await send(store, second, answered, { clock });
    const { result } = await resumeHandler({ ...store, run: runOrder([]), clock }).resume("r");
    expect(result, `write ${write}`).toEqual(ok({ input: null, paid: 1, shipped: 2 }));
    expect(second.filter((step) => done.includes(step))).toEqual([]);
    expect([...new Set([...first, ...second])]).toEqual(["charge", "pack", "tell"]);
    expect(await store.list("ResumeOpen/", { limit: 10 })).toEqual([]);
  }
  expect(deaths).toBeGreaterThan(12);
});

test("one that was only slow finds that its run has another owner, and writes nothing more", async () => {
  const clock = createManualClock(epoch);
  const store = memoryResumeStore({ clock });
  let goOn = (): void => {};
  const slow: string[] = [];
  const frozen = new Promise<void>((resolve) => (goOn = resolve));
  const isFrozen = new Promise<void>((resolve) => {
    const hung: ResumeHandlerOptions<any, any>["run"] = async (options) => {
      // As a process that stands still: not even its lease is renewed.
      const checkpoint: typeof options.checkpoint = async (state) => {
        resolve();
        await frozen;
        return options.checkpoint(state);
      };
      return runOrder(slow)({ ...options, checkpoint });
    };
    const asleep = { now: () => clock.now(), alarm: () => () => {} };
    void resumeHandler({ ...store, run: hung, clock: asleep })
      .start({ runId: "r" })
      .then(({ result }) => slow.push(JSON.stringify(result)));
  });
  await isFrozen;
  const fast: string[] = [];
  const other = resumeHandler({ ...store, run: runOrder(fast), clock });
  expect(await other.recover()).toEqual({ resumed: 0, busy: 1 });
  clock.advance(minute / 2);
  await settled(store, "r");
  await other.deliver("r:pay", 1);
  await settled(store, "r");
  const before = await store.load("ResumeRun/r");
  goOn();
  while (slow.length < 2) await new Promise((resolve) => setImmediate(resolve));
  expect(await store.load("ResumeRun/r")).toEqual(before);
  expect(slow).toEqual(["charge", "null"]);
  expect(fast).toEqual(["charge", "pack"]);
});

test("an owner that lives renews its lease, and nobody else takes its run", async () => {
  const clock = createManualClock(epoch);
  const store = memoryResumeStore({ clock });
  let finish = (): void => {};
  const long = new Promise<void>((resolve) => (finish = resolve));
  const run =
    (name: string): ResumeHandlerOptions<any, any>["run"] =>
    async (options) => {
      done.push(name);
      await long;
      return runOrder(done)(options);
    };
  const done: string[] = [];
  const going = resumeHandler({ ...store, run: run("one"), clock }).start({ runId: "r" });
  while (done.length === 0) await new Promise((resolve) => setImmediate(resolve));
  for (let time = 0; time < 12; time++) {
    clock.advance(10_000);
    await new Promise((resolve) => setImmediate(resolve));
    expect(await resumeHandler({ ...store, run: run("two"), clock }).resume("r")).toEqual({ runId: "r", result: null });
  }
  finish();
  expect((await going).result).toMatchObject({ error: { hookId: "r:pay" } });
  expect(done).toEqual(["one", "charge"]);
});

test("recover() takes up all that was left, at most 100 at once, and none waits for one that hangs", async () => {
  const clock = createManualClock(epoch);
  const store = memoryResumeStore({ clock });
  const died: ResumeHandlerOptions<any, any>["run"] = () => Promise.reject(new Error("died"));
  const left = resumeHandler({ ...store, run: died, clock: { now: () => clock.now(), alarm: () => () => {} } });
  for (let run = 0; run < 250; run++) await expect(left.start({ runId: `r${run}` })).rejects.toThrow("died");
  clock.advance(minute);
  let [begun, atWork, most] = [0, 0, 0];
  const run: ResumeHandlerOptions<any, any>["run"] = async ({ resumeState }) => {
    begun++;
    most = Math.max(most, ++atWork);
    if (resumeState.events.some((event) => event.kind === "run_started" && event.id === "r10")) await never;
    await new Promise((resolve) => setImmediate(resolve));
    atWork--;
    return { result: ok(1), resumeState, wakeAt: null };
  };
  const handler = resumeHandler({ ...store, run, clock });
  void handler.recover();
  while ((await store.list("ResumeOpen/", { limit: 10 })).length > 1) await new Promise((resolve) => setImmediate(resolve));
  expect([begun, most <= 100]).toEqual([250, true]);
  // Nor does the next look wait for it.
  expect(await handler.recover()).toEqual({ resumed: 0, busy: 1 });
});

test("a store that fails is no loss: senders are told to come again, and runs are taken up when it is back", async () => {
  for (let failing = 0; failing < 16; failing++) {
    const clock = createManualClock(epoch);
    const store = memoryResumeStore({ clock });
    const done: string[] = [];
    const errors: unknown[] = [];
    let calls = 0;
    let isAway = false;
    const flaky =
      <A extends unknown[], R>(act: (...given: A) => Promise<R>) =>
      async (...given: A): Promise<R> => {
        if (isAway && calls++ === failing) throw new Error("SECRET: the store is away");
        return act(...given);
      };
    const handler = resumeHandler({
      load: flaky(store.load),
      save: flaky(store.save),
      delete: flaky(store.delete),
      list: store.list,
      run: runOrder(done),
      clock,
      onError: (error) => void errors.push(error),
    });
    await handler.start({ runId: "r" });
    isAway = true;
    const request = (): Request => new Request("https://a/hooks/r:pay", { method: "POST", body: "1", headers: { "webhook-id": "k" } });
    let told = await handler(request());
    if (told.status === 503) {
      expect([told.headers.get("retry-after"), (await told.text()).includes("SECRET")]).toEqual(["5", false]);
      told = await handler(request());
    }
    expect(told.status).toBe(202);
    for (let look = 0; look < 20; look++) await new Promise((resolve) => setImmediate(resolve));
    clock.advance(minute);
    await settled(store, "r");
    await handler.deliver("r:ship", 2).catch(() => handler.deliver("r:ship", 2));
    for (let look = 0; look < 20; look++) await new Promise((resolve) => setImmediate(resolve));
    clock.advance(minute);
    await settled(store, "r");
    await handler.recover();
    expect((await handler.resume("r")).result).toEqual(ok({ input: null, paid: 1, shipped: 2 }));
    expect(new Set(done)).toEqual(new Set(["charge", "pack", "tell"]));
  }
});

test("a store that fails behind an answer is told of, and ends no process", async () => {
  const store = memoryResumeStore();
  let loads = -Infinity;
  const errors: [unknown, string | null][] = [];
  const workflow = createWorkflow("long", { wait: async () => pendingHook<number>("h"), work: () => never });
  const handler = resumeHandler({
    ...store,
    load: (id) => (++loads === 3 ? Promise.reject(new Error("away")) : store.load(id)),
    run: (options) =>
      workflow.runWithState(async ({ step, deps }) => {
        await step("wait", () => deps.wait());
        return step("work", () => deps.work());
      }, options),
    onError: (error, runId) => void errors.push([error, runId]),
  });
  await handler.start({ runId: "r" });
  const send = async (body: string): Promise<number> =>
    (await handler(new Request("https://a/h", { method: "POST", body, headers: { "Idempotency-Key": "k" } }))).status;
  expect(await send("1")).toBe(202);
  loads = 0; // the third is that which looks whether the run goes on
  expect(await send("2")).toBe(422);
  await new Promise((resolve) => setImmediate(resolve)); // an unhandled rejection fails the suite
  expect(errors).toEqual([[new Error("away"), "r"]]);
});

interface Server {
  readonly url: string;
  readonly start: string;
  readonly child: ChildProcess;
  kill(): Promise<void>;
}

/** A real process on a real file. */
async function serving(folder: string, aheadMs: number, killAt = -1, when = "after"): Promise<Server> {
  const args = [compiledChild("child/resume"), join(folder, "runs.db"), join(folder, "log"), String(aheadMs), String(killAt), when];
  const { NODE_OPTIONS: _, ...env } = process.env;
  const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "inherit"] });
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  };
  onTestFinished(kill);
  const [port] = (await once(child.stdout, "data")) as [Buffer];
  const url = `http://127.0.0.1:${String(port).trim()}`;
  return { url: `${url}/hooks/`, start: `${url}/start/r`, child, kill };
}

function folderOf(): { folder: string; store: ResumeStore; log: () => string[] } {
  const folder = mkdtempSync(join(tmpdir(), "ringback-resume-"));
  const store = sqliteResumeStore(join(folder, "runs.db"));
  onTestFinished(async () => {
    await store.close();
    rmSync(folder, { recursive: true });
  });
  return { folder, store, log: () => readFileSync(join(folder, "log"), "utf8").trim().split("\n") };
}

test("a real process is killed after each answer, and the next one goes on from the file", async () => {
  const { folder, store, log } = folderOf();
  let server = await serving(folder, 0);
  await fetch(server.start);
  for (const [at, hookId, value] of [
    [1, "r:pay", 1],
    [2, "r:ship", 2],
  ] as const) {
    await server.kill();
    server = await serving(folder, (2 * at - 1) * minute);
    expect(await post(server.url, hookId, value)).toMatchObject({ status: 202, disposition: "accepted" });
    await server.kill();
    server = await serving(folder, 2 * at * minute);
    await settled(store, "r");
    expect(await post(server.url, hookId, value)).toMatchObject({ status: 202, disposition: "duplicate" });
  }
  // A process that is killed between what a step does and its record does it again: steps are done at least once, as everywhere.
  expect([...new Set(log())]).toEqual(["charge", "pack", "tell"]);
  const { result } = await resumeHandler({ ...store, run: runOrder([]) }).resume("r");
  expect(result).toEqual(ok([1, 2]));
});

const all = Array.from({ length: 8 }, (_, write) => [[write, "before"] as const, [write, "after"] as const]).flat();
test.each(isLong ? all : [[1, "after"] as const, [4, "before"] as const])(
  "a real process is killed at write %i, %s it: no payload is lost",
  async (write, when) => {
    const { folder, store, log } = folderOf();
    const first = await serving(folder, 0);
    await fetch(first.start);
    await first.kill();
    const dying = await serving(folder, minute, write, when);
    const answers = ["r:pay", "r:ship"].map((hookId) => post(dying.url, hookId, { hookId }).catch(() => null));
    const told = await Promise.all(answers);
    if (told.every((one) => one !== null) && dying.child.signalCode === null) await once(dying.child, "exit");
    const next = await serving(folder, 2 * minute);
    for (const [index, hookId] of ["r:pay", "r:ship"].entries())
      if (told[index] === null) expect((await post(next.url, hookId, { hookId })).status).toBe(202);
    await settled(store, "r");
    expect((await resumeHandler({ ...store, run: runOrder([]) }).resume("r")).result).toEqual(
      ok([{ hookId: "r:pay" }, { hookId: "r:ship" }]),
    );
    expect([...new Set(log())]).toEqual(["charge", "pack", "tell"]);
  },
);

test("two real processes on one file: of 50 callbacks at once one is taken, and what follows is done once", async () => {
  const { folder, store, log } = folderOf();
  const servers = await Promise.all([serving(folder, 0), serving(folder, 0)]);
  await Promise.all(servers.map(({ start }) => fetch(start)));
  await settled(store, "r");
  const urls = servers.map(({ url }) => url) as [string, string];
  const told: Told[] = await Promise.all(
    Array.from({ length: 50 }, (_, index) => post(urls[(index % 2) as 0 | 1], "r:pay", 1, { "svix-id": "k" })),
  );
  expect(counted(told)).toEqual({ "202 accepted": 1, "202 duplicate": 49 });
  await settled(store, "r");
  expect(log()).toEqual(["charge", "pack"]);
});
