// What may be done to a run from outside: start it, also with a delivery, cancel it, end its sleeps, delete it. Each is one commit, acted on here where this
// engine runs the run; another engine hears of it.

import type { Attributes } from "../core/attribute.ts";
import type { WorkflowDefinition } from "../core/definition.ts";
import { RingbackError } from "../core/errors.ts";
import { checkClaim, tokenTaken } from "../core/custom-token.ts";
import { checkRunId, operationId } from "../core/run-id.ts";
import { deliveryId, type Receipt } from "../core/receipt.ts";
import type { FirstDelivery, RunRow, StartOutcome } from "../store/port.ts";
import { earlyFull } from "./deliver.ts";
import type { EngineCore } from "./engine.ts";
import type { CancelOptions } from "./run-handle.ts";
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

/** How a run is to begin, or what an existing one gets. */
export interface SignalWith extends Omit<StartWith, "id" | "token"> {
  readonly id: string;
  readonly token: string;
  readonly payload: unknown;
  readonly key: string | null;
}

/** What became of a delivery to a run that was to begin with it. */
export interface Signalled {
  readonly runId: string;
  readonly receipt: Receipt;
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
  async start(workflow: WorkflowDefinition, args: readonly unknown[], start: StartWith): Promise<string> {
    const { parts, host } = this.#engine;
    const { id = `run_${Buffer.from(parts.random(12)).toString("hex")}`, token } = start;
    checkRunId(id, host.sealText);
    if (token !== undefined) checkClaim(token, host.sealText);
    const outcome = await this.#begin(workflow, args, { ...start, id });
    if (outcome.type === "conflict") throw conflict(outcome.row, workflow.name);
    if (outcome.type === "taken") throw tokenTaken(token as string, outcome.holder);
    return id;
  }

  /**
   * Begins the run with what is delivered to its token, in one commit (P16); one that is there gets it by the door. Rejects `run_conflict`
   * for a run of another workflow, `HookConflictError` for a token that is another's.
   */
  async signalWithStart(workflow: WorkflowDefinition, args: readonly unknown[], asked: SignalWith): Promise<Signalled> {
    const { parts, host, door, report } = this.#engine;
    const { id: runId, token, payload, key, ...start } = asked;
    checkRunId(runId, host.sealText);
    checkClaim(token, host.sealText);
    let row = await parts.store.run({ id: runId });
    if (row === null) {
      const outcome = await this.#begin(workflow, args, { ...start, id: runId, token }, door.first(token, payload, key));
      if (outcome.type === "taken") throw tokenTaken(token, outcome.holder);
      if (outcome.type === "early_full") throw earlyFull();
      if (outcome.type === "created" || outcome.type === "repeated") {
        const receipt = firstReceipt(outcome, key !== null);
        if (report.isWatched) report.delivered("signal", receipt, null);
        return { runId, receipt };
      }
      row = outcome.row;
    }
    if (row.workflow !== workflow.name) throw conflict(row, workflow.name);
    const { receipt } = await door.signal("signal", token, payload, { key, early: null, seal: null, only: row.run });
    return { runId, receipt };
  }

  async #begin(
    workflow: WorkflowDefinition,
    args: readonly unknown[],
    { id: runId, token, attributes, parent }: StartWith & { readonly id: string },
    first?: FirstDelivery,
  ): Promise<StartOutcome> {
    const { parts, host, committer, worker, report } = this.#engine;
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
        ...(first && { first }),
      } as const;
      committer.put(command, (outcome) => {
        if (outcome.type === "broken") return reject(outcome.error);
        if (outcome.type === "created" && isHere) worker.begin(outcome.row, outcome.event);
        resolve(outcome);
        if (outcome.type === "created" && report.isWatched) report.started(outcome.row);
      });
    });
  }

  /** Asks a run to end; one that was asked before is ended now. With `compensate` it has the time it takes, and nothing ends it. */
  async cancel({ run }: RunRow, { compensate = false }: CancelOptions = {}): Promise<void> {
    const { parts, committer, worker, timers } = this.#engine;
    const { store, role, cancelGraceMs } = parts;
    const outcome = await committer.commit({ op: "cancel", run, graceMs: cancelGraceMs, ...(compensate && { compensate }) });
    if (outcome.type === "requested" && outcome.worker === worker.id) worker.arrived(run, outcome.event);
    if (role === "ingress" || compensate) return;
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

/** A run that has just begun has no hook yet: what it begins with is held for it. */
function firstReceipt(outcome: StartOutcome & { readonly type: "created" | "repeated" }, keyed: boolean): Receipt {
  const { delivery, isRepeat } =
    outcome.type === "repeated" ? { delivery: outcome.delivery, isRepeat: true } : (outcome.first as NonNullable<typeof outcome.first>);
  return { id: deliveryId(delivery), disposition: isRepeat ? "duplicate" : "buffered", keyed };
}

function conflict({ id, workflow }: RunRow, wanted: string): RingbackError {
  const other = workflow === wanted ? "other arguments, or another token" : `workflow ${workflow}`;
  const message = `Run "${id}" exists already, with ${other}. Choose another id.`;
  return new RingbackError("run_conflict", message, { details: { run: id, workflow: wanted } });
}
