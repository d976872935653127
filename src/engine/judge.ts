// Finds the schema of a hook, wherever its code is, and asks it, within bounds of time and of replay.
//
// J1. A definition's schema is found by its name; one that only a run's code holds, by running that code against its journal.
// J2. A door waits for neither longer than `limits` says: what cannot be judged now is `schema_unavailable`, and nothing is stored.
// J3. A look into a run that another process holds is counted in the store, as a load is: code that ends every process it runs in ends
//     two doors, not one with each delivery.
// J4. What a schema says may quote what was sent: it is kept, told and logged without minted tokens.

import type { Clock } from "../core/clock.ts";
import type { StandardSchema } from "../core/definition.ts";
import { type Issue, RingbackError } from "../core/errors.ts";
import type { HookCreated, Recorded } from "../core/event.ts";
import { limits } from "../core/limits.ts";
import { Recent } from "../core/recent.ts";
import type { Run } from "../core/run.ts";
import { judge, type Verdict } from "../ingress/judge.ts";
import type { RunNumber, Store } from "../store/port.ts";
import type { Committer } from "./commit.ts";
import { inspect } from "./inspect.ts";
import type { Registry } from "./registry.ts";
import type { RevivingHost } from "./revive.ts";
import type { Worker } from "./worker.ts";

/** A hook with a schema. */
export interface Judgeable {
  readonly created: HookCreated;
  readonly runId: string;
  readonly runNumber: RunNumber;
}

export interface JudgeOptions {
  readonly store: Store;
  readonly committer: Committer;
  readonly worker: Worker;
  readonly registry: Registry;
  readonly host: RevivingHost;
  readonly clock: Clock;
}

/** Why a run's code is not at hand. */
interface Missing {
  readonly why: string;
}

/** Schemas that were found by a look: the same code makes the same ones. */
const schemasKept = 1_000;

export class Judge {
  readonly #options: JudgeOptions;
  readonly #known: Recent<string, StandardSchema> = new Recent(schemasKept);
  readonly #looks = new Map<RunNumber, Promise<Run | Missing>>();

  constructor(options: JudgeOptions) {
    this.#options = options;
  }

  /** What the hook's schema says to the value. Rejects `schema_unavailable` where it cannot be asked, or has no answer (J2). */
  async verdict(hook: Judgeable, value: unknown): Promise<Verdict> {
    const schema = await this.#schema(hook);
    const judged = await this.#within(limits.schemaMs, judge(schema, value));
    if (judged === late) throw unavailable(hook, `it has not answered within ${limits.schemaMs / 1_000} s`);
    const { sealText } = this.#options.host;
    if (judged.type === "broken") throw unavailable(hook, sealText(judged.why), judged.cause);
    return judged.type === "valid" ? judged : { type: "invalid", issues: judged.issues.map((issue) => sealedIssue(issue, sealText)) };
  }

  /** J1 */
  async #schema(hook: Judgeable): Promise<StandardSchema> {
    const { created, runNumber } = hook;
    const named = created.definition === null ? null : this.#options.registry.hook(created.definition);
    if (named?.schema) return named.schema;
    // A name's place is that of several hooks, in turn; and each chapter (which has a fence of its own) has other arguments.
    const fence = (await this.#options.store.run({ run: runNumber }))?.fence;
    const place = `${runNumber}:${fence}:${created.position}:${created.turn}:${(created as Partial<Recorded>).seq}:${created.digest}`;
    const known = this.#known.get(place);
    if (known) return known;
    const run = await this.#within(limits.lookMs, this.#code(runNumber));
    const schema = run !== late && "hooks" in run ? run.hooks.get(created.position)?.schema : null;
    if (!schema) throw unavailable(hook, `it stands in the code of its run, and ${whyNot(run)}. ${advice(created)}`);
    this.#known.set(place, schema);
    return schema;
  }

  /** The run with its code: taken up where it is to be run here, else looked into, once for all who ask meanwhile. */
  async #code(number: RunNumber): Promise<Run | Missing> {
    const own = await this.#options.worker.runOf(number);
    if (own) return own;
    const under = this.#looks.get(number);
    if (under) return under;
    const look = this.#look(number).finally(() => this.#looks.delete(number));
    this.#looks.set(number, look);
    return look;
  }

  /** J3 */
  async #look(number: RunNumber): Promise<Run | Missing> {
    const { store, committer, registry, host, clock } = this.#options;
    const row = await store.run({ run: number });
    const definition = row && registry.codeOf(row);
    if (!definition) {
      const isKnown = row !== null && registry.workflow(row.workflow) !== null;
      return { why: `its ${isKnown ? "version of the workflow" : "workflow"} is not registered here` };
    }
    const length = row.seq > limits.lookEvents ? (await store.chapter(number)).events.length : row.seq;
    if (length > limits.lookEvents) return { why: `a door does not replay a journal of ${length} events` };
    const { type } = await committer.commit({ op: "look", run: number, isOver: false });
    if (type === "refused")
      return { why: row.status === "open" ? "no process has come through that code of late" : `that run is ${row.status}` };
    try {
      return await inspect(row, definition, store, host, clock);
    } finally {
      await committer.commit({ op: "look", run: number, isOver: true }).catch(() => {});
    }
  }

  async #within<T>(ms: number, promise: Promise<T>): Promise<T | typeof late> {
    const { clock } = this.#options;
    let takeBack = (): void => {};
    const over = new Promise<typeof late>((resolve) => {
      takeBack = clock.alarm(clock.now() + ms, () => resolve(late));
    });
    try {
      return await Promise.race([promise, over]);
    } finally {
      takeBack();
      promise.catch(() => {}); // nobody waits for it any more
    }
  }
}

/** J4 */
function sealedIssue({ message, path }: Issue, sealText: (text: string) => string): Issue {
  const sealed = sealText(message);
  return path ? { message: sealed, path: path.map((part) => (typeof part === "string" ? sealText(part) : part)) } : { message: sealed };
}

const late: unique symbol = Symbol("late");

function whyNot(run: Run | Missing | typeof late): string {
  if (run === late) return `that was not replayed within ${limits.lookMs / 1_000} s`;
  if ("why" in run) return run.why;
  return run.fault ? `that code does not come to it: ${run.fault.error.message}` : "that code does not come to it";
}

function advice({ definition }: HookCreated): string {
  return definition === null
    ? "Give defineHook a name, or deliver where the workflow runs."
    : `Load the module that declares "${definition}" in this process.`;
}

function unavailable({ created, runId }: Judgeable, why: string, cause?: unknown): RingbackError<"schema_unavailable"> {
  const message = `The schema of hook ${created.name || `#${created.position}`} of run ${runId} cannot judge: ${why}`;
  const sentence = /[.!?]$/.test(message) ? message : `${message}.`;
  return new RingbackError("schema_unavailable", sentence, { details: { run: runId }, ...(cause == null ? {} : { cause }) });
}
