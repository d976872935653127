// Rejections that nobody handles: of a run's code, and of others. argv: the scenario; "listener" for a user's own listener.

import { setImmediate } from "node:timers";
import { createHook, sleep, step, workflow } from "../../src/index.ts";
import { openWorld } from "./engine.ts";

const [scenario = "", listener] = process.argv.slice(2);
const heard: string[] = [];
if (listener === "listener") process.on("unhandledRejection", (reason) => heard.push((reason as Error).message));

const pass = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
let open: () => void = () => {};
/** Host code, woken through a promise. */
async function foreign(gate: Promise<void>): Promise<never> {
  await gate;
  throw new Error("foreign");
}

const fail = step("fail", () => Promise.reject(new Error("declined")), { maxRetries: 0 });
const derived = async (): Promise<void> => {
  await fail();
};
const bodies: Record<string, () => Promise<unknown>> = {
  /** Start now, await later. */
  late: async () => {
    const payment = derived();
    await createHook({ token: "go" });
    return payment.catch((error) => `handled ${(error as Error).message}`);
  },
  never: async () => {
    void derived();
    await createHook({ token: "go" });
    return "done";
  },
  /** In the turn that ends the run, in a tick, in a microtask of a foreign shape. */
  last: async () => {
    await createHook({ token: "go" });
    process.nextTick(() => void Promise.reject(new Error("in a tick")));
    void Promise.reject({
      toString: () => {
        throw new Error("unspeakable");
      },
    });
    void Promise.reject(new Error("at the end"));
    return "done";
  },
  /** Its own rejection and a foreign one, in one turn. */
  turn: async () => {
    void Promise.reject(new Error("the run's"));
    await createHook({ token: "go" });
    open();
    await sleep("1h");
  },
  /** Code that has left its turn. */
  outside: async () => {
    const hook = createHook({ token: "go" });
    setTimeout(() => void step.run("late", () => {}), 0);
    setTimeout((async () => await sleep("1s")) as () => void, 0);
    setTimeout((async () => createHook()) as () => void, 0);
    setTimeout(() => void createHook(), 0);
    setTimeout(() => hook.dispose(), 0);
    setTimeout(() => void hook.then(() => {}), 0);
    return hook;
  },
};

async function main(): Promise<void> {
  const name = scenario === "between" || scenario === "busy" ? "late" : scenario;
  void foreign(
    new Promise((resolve) => {
      open = resolve;
    }),
  );
  const wf = workflow(name, bodies[name] as () => Promise<unknown>);
  const quick = workflow("quick", async () => sleep("1ms"));
  const lines: string[] = [];
  const logger = { warn: (line: string) => void lines.push(line), error: (line: string) => void lines.push(line) };
  const world = await openWorld({ workflows: [wf, quick], logger });
  const run = await world.engine.start(wf, []);
  await world.settled();
  if (scenario === "between") open();
  if (scenario === "busy") {
    for (let i = 0; i < 50; i++) void world.engine.start(quick, []);
    await pass();
    open();
    for (let i = 0; i < 50; i++) {
      void world.engine.start(quick, []);
      await pass();
    }
  }
  await new Promise((resolve) => setTimeout(resolve, 20));
  if (scenario !== "outside") await world.engine.resumeHook("go", null);
  await world.settled();
  const state = await run.state;
  const result = state === "completed" ? await run.returnValue : ((await run.blocked)?.message ?? null);
  const listeners = process.listenerCount("unhandledRejection") + process.listenerCount("rejectionHandled");
  console.log(JSON.stringify({ state, result, lines, heard, listeners }));
  await world.engine.close();
}
void main();
