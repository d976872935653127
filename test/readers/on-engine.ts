// The reader programs on the whole engine: steps end when the script says so, timers and hook deadlines fire when it says so.

import { setImmediate } from "node:timers";
import { branch, createHook, FatalError, getStepMetadata, race, sleep, step, workflow } from "../../src/index.ts";
import type { Recorded } from "../../src/core/event.ts";
import { inspect } from "../../src/engine/inspect.ts";
import type { Workflow } from "../../src/engine/workflow.ts";
import type { World } from "../harness.ts";
import { type Action, type Api, type Program, waits } from "./program.ts";

interface Body {
  readonly position: number;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** One program as a workflow, and what the script holds of its run. */
export class Played {
  readonly workflow: Workflow<[], unknown>;
  readonly #program: Program;
  readonly #index: number;
  readonly #bodies = new Map<number, Body>();
  #returned: unknown;

  constructor(program: Program, index: number) {
    this.#program = program;
    this.#index = index;
    this.workflow = workflow(`program ${index}: ${program.name}`, async () => (this.#returned = await program.run(this.#api())), {
      version: "1",
    });
  }

  /** Plays the script, calling `between` after each action; then says what the run returned and which payloads nobody read. */
  async play(world: World, between: () => Promise<void>): Promise<{ result: unknown; unread: string[] }> {
    const { runId } = await world.engine.start(this.workflow, []);
    await this.#settled(world);
    await between();
    await this.#settled(world);
    for (const action of this.#program.script) {
      await this.#act(world, runId, action);
      await this.#settled(world);
      await between();
      await this.#settled(world);
    }
    const row = await world.store.run({ id: runId });
    const run = world.engine.getRun(runId);
    if (row?.status === "blocked") throw new Error((await run.blocked)?.message);
    const journal = await world.journal({ runId });
    const end = journal.at(-1);
    if (end?.kind !== "run_ended") {
      const { registry } = world.engine.core.parts;
      const definition = registry.workflow(row?.workflow ?? "");
      if (!row || !definition) throw new Error(`There is no run ${runId} of a workflow that is known here.`);
      const seen = await inspect(row, definition, world.store, world.engine.core.host, world.clock);
      return { result: waits, unread: values(world, journal, seen.unread()) };
    }
    // A cancelled run is cancelled, whatever its code returns.
    const result =
      end.outcome.type === "cancelled"
        ? this.#returned
        : await run.returnValue.catch((error: Error) => Promise.reject(error.cause as Error));
    const late = journal.filter((event) => event.seq > end.seen).map((event) => event.seq);
    return { result, unread: values(world, journal, [...end.unread, ...late]) };
  }

  /** Ends what the script left running. */
  async end(world: World): Promise<void> {
    for (const body of this.#bodies.values()) body.reject(new FatalError("the script is over"));
    this.#bodies.clear();
    await world.settled();
  }

  #api(): Api {
    let hooks = 0;
    return {
      createHook: () => createHook<string>({ token: `${this.#index}/${hooks++}`, timeout: "1000d" }),
      sleep,
      branch,
      race,
      step: (name, ...input) => step(name, (..._input: unknown[]) => this.#body())(...input),
    };
  }

  #body(): Promise<unknown> {
    const { stepId, signal } = getStepMetadata();
    const position = Number(stepId.split(":").at(-1));
    return new Promise((resolve, reject) => {
      this.#bodies.set(position, { position, resolve, reject });
      signal.addEventListener("abort", () => {
        if (this.#bodies.get(position)?.reject === reject) this.#bodies.delete(position);
        reject(new FatalError("aborted"));
      });
    });
  }

  async #act(world: World, runId: string, action: Action): Promise<void> {
    const { store } = world;
    const run = (await store.run({ id: runId }))?.run ?? 0;
    switch (action.do) {
      case "deliver":
        await world.engine.resumeHook(`${this.#index}/${action.hook}`, action.value);
        return;
      case "expire": {
        const hook = await store.hook({ token: `${this.#index}/${action.hook}` });
        await store.commit([{ op: "fire", run, position: hook?.created.position ?? 0, early: true }]);
        return;
      }
      case "fire": {
        const positions = (await store.timers(run)).map((timer) => timer.position).toSorted((one, other) => one - other);
        const position = (action.which === "oldest" ? positions[0] : positions.at(-1)) ?? -1;
        const [outcome] = await store.commit([{ op: "fire", run, position, early: true }]);
        if (outcome?.type !== "fired") throw new Error(`no timer to fire at ${position}`);
        return;
      }
      case "finish":
      case "fail": {
        const pending = [...this.#bodies.values()].toSorted((one, other) => one.position - other.position);
        const body = action.which === "oldest" ? pending[0] : pending.at(-1);
        if (!body) throw new Error("no step to end");
        this.#bodies.delete(body.position);
        if (action.do === "finish") body.resolve(action.value);
        else body.reject(new FatalError("the step failed"));
        return;
      }
      case "cancel":
        await world.engine.getRun(runId).cancel();
    }
  }

  /** Settled, but for the bodies that wait for the script. */
  async #settled(world: World): Promise<void> {
    for (let quiet = 0; quiet < 4; ) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      const bodies = world.engines.reduce((sum, { core }) => sum + core.steps.activeCount, 0);
      const isQuiet = world.engines.every(({ core }) => core.worker.isIdle && core.committer.isIdle && core.timers.isIdle);
      quiet = isQuiet && bodies === this.#bodies.size ? quiet + 1 : 0;
    }
  }
}

function values(world: World, journal: readonly Recorded[], seqs: readonly number[]): string[] {
  const { host } = world.engine.core;
  return journal.flatMap((event) =>
    event.kind === "hook_received" && event.payload.type === "value" && seqs.includes(event.seq)
      ? [host.parse(event.payload.value) as string]
      : [],
  );
}
