// What may be done to a run from outside: start it, cancel it, end its sleeps, delete it. Each is one commit, acted on here where this
// engine runs the run; another engine hears of it.

import type { Attributes } from "../core/attribute.ts";
import type { WorkflowDefinition } from "../core/definition.ts";
import { RingbackError } from "../core/errors.ts";
import { checkClaim, tokenTaken } from "../core/custom-token.ts";
import { checkRunId, operationId } from "../core/run-id.ts";
import type { RunRow } from "../store/port.ts";
import type { EngineCore } from "./engine.ts";
import { PassedStreams } from "./stream-pass.ts";

/** How a run is to begin. */
export interface StartWith {
  readonly id?: string | undefined;
  /** A custom token that is to be the run's from its start on. */
  readonly token?: string | undefined;
  readonly attributes?: Attributes | undefined;
  /** The id of the run whose step begins it. */
  readonly parent?: string | undefined;
}

export class RunControl {
  readonly #engine: EngineCore;

  constructor(engine: EngineCore) {
    this.#engine = engine;
  }

  /**
   * Resolves with the run's id, also where it is there already with this workflow, arguments and token; else rejects `run_conflict`. A
   * token that another run has: `HookConflictError`.
   */
  async start(workflow: WorkflowDefinition, args: readonly unknown[], { id, token, attributes, parent }: StartWith): Promise<string> {
    const { parts, host, committer, worker, report } = this.#engine;
    const runId = id ?? `run_${Buffer.from(parts.random(12)).toString("hex")}`;
    checkRunId(runId, host.sealText);
    if (token !== undefined) checkClaim(token, host.sealText);
    const isHere = parts.role === "worker" && parts.registry.codeOf({ workflow: workflow.name, codeId: workflow.codeId }) !== null;
    const passed = new PassedStreams(host, runId);
    const text = host.serialiseWithBodies(args, `the arguments of workflow ${workflow.name}`, undefined, undefined, passed.take);
    const serialised = typeof text === "string" ? text : await text.text;
    const streams = passed.isEmpty ? {} : { streams: await passed.read() };
    const run = {
      id: runId,
      workflow: workflow.name,
      codeId: workflow.codeId,
      args: serialised,
      ...host.newRunSecrets(),
      ...(token === undefined ? {} : { token }),
      ...(attributes && { attributes }),
    };
    return new Promise((resolve, reject) => {
      const command = {
        op: "start",
        run,
        worker: isHere ? worker.id : null,
        ...(parent === undefined ? {} : { parent }),
        ...streams,
      } as const;
      committer.put(command, (outcome) => {
        if (outcome.type === "broken") return reject(outcome.error);
        if (outcome.type === "conflict") return reject(conflict(outcome.row, workflow.name));
        if (outcome.type === "taken") return reject(tokenTaken(token as string, outcome.holder));
        if (outcome.type === "created" && isHere) worker.begin(outcome.row, outcome.event);
        resolve(runId);
        if (outcome.type === "created" && report.isWatched) report.started(outcome.row);
      });
    });
  }

  /** Asks a run to end; one that was asked before is ended now. */
  async cancel({ run }: RunRow): Promise<void> {
    const { parts, committer, worker, timers } = this.#engine;
    const { store, role, cancelGraceMs } = parts;
    const outcome = await committer.commit({ op: "cancel", run, graceMs: cancelGraceMs });
    if (outcome.type === "requested" && outcome.worker === worker.id) worker.arrived(run, outcome.event);
    if (role === "ingress") return;
    if (outcome.type === "requested") timers.note(store.now() + cancelGraceMs);
    else if (outcome.type === "again") await worker.endFromOutside(run); // another's run: it was told that the grace is over
  }

  /** Ends a run's sleeps now, or those of these ids. Returns how many. */
  async wakeUp({ run, id }: RunRow, ids?: readonly string[]): Promise<number> {
    const { parts, committer, worker } = this.#engine;
    let stopped = 0;
    const timers = await parts.store.timers(run);
    const meant = ids === undefined ? timers : timers.filter(({ position }) => ids.includes(operationId(id, position)));
    await Promise.all(
      meant.map(async ({ position }) => {
        const outcome = await committer.commit({ op: "fire", run, position, early: true });
        if (outcome.type !== "fired") return;
        stopped++;
        if (outcome.worker === worker.id) worker.arrived(run, outcome.event);
      }),
    );
    return stopped;
  }

  /** Removes a run that has ended. Rejects `run_open`. */
  async delete({ run, id }: RunRow): Promise<void> {
    const outcome = await this.#engine.committer.commit({ op: "delete", run });
    if (outcome.type === "deleted" || outcome.type === "unknown") return;
    const message =
      outcome.type === "open"
        ? `Run "${id}" has not ended. Cancel it first, then delete it.`
        : `Run "${id}" has passed a request or a stream on to run "${outcome.by}", which reads it here. Delete that one first.`;
    throw new RingbackError("run_open", message, { details: { run: id } });
  }
}

function conflict({ id, workflow }: RunRow, wanted: string): RingbackError {
  const other = workflow === wanted ? "other arguments, or another token" : `workflow ${workflow}`;
  const message = `Run "${id}" exists already, with ${other}. Choose another id.`;
  return new RingbackError("run_conflict", message, { details: { run: id, workflow: wanted } });
}
