// Runs that began with a version which is not registered here, though their workflow is: they are set aside, and no other version's code
// is run for them.
//
// A worker that has the version comes first: while one that lives holds the run, nobody else can, and one that nobody holds is left to be
// taken for a while. Set aside, it is given back, so that whoever has its version goes on with it.

import type { Clock } from "../core/clock.ts";
import { pinOf } from "../core/definition.ts";
import { RingbackError } from "../core/errors.ts";
import type { Fault, RunIdentity } from "../core/run.ts";
import type { AppendOutcome, Broken, RunNumber, RunRow, Store } from "../store/port.ts";
import type { Committer } from "./commit.ts";
import type { Registry } from "./registry.ts";
import type { Report } from "./report.ts";
import { everyMs } from "./sweep.ts";
import type { Worker } from "./worker.ts";

/** What registers the version may not be loaded yet. */
const bootMs = 1_000;
/** By then every other worker has looked. */
const sharedMs = 2 * everyMs;
const versionsTold = 5;

export interface UnversionedOptions {
  readonly store: Store;
  readonly committer: Committer;
  readonly worker: Worker;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly report: Report;
  readonly sealText: (text: string) => string;
  readonly onBlocked: (run: RunIdentity, number: RunNumber, fault: Fault) => void;
}

export class Unversioned {
  readonly #options: UnversionedOptions;
  readonly #found = new Set<RunNumber>();
  #busy = 0;
  #isStopped = false;

  constructor(options: UnversionedOptions) {
    this.#options = options;
  }

  /** No run is being set aside now; what waits for its time does not count. */
  get isIdle(): boolean {
    return this.#busy === 0;
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** This run has something to do, and not its version here. The next look finds it again where nothing comes of this. */
  found(number: RunNumber): void {
    if (this.#isStopped || this.#found.has(number)) return;
    this.#found.add(number);
    const { clock, store } = this.#options;
    clock.alarm(clock.now() + (store.isExclusive ? bootMs : sharedMs), () => {
      this.#found.delete(number);
      if (this.#isStopped) return;
      this.#busy++;
      void this.#setAside(number)
        .catch(() => {}) // the store was not there: the committer tells of it
        .finally(() => void this.#busy--);
    });
  }

  async #setAside(number: RunNumber): Promise<void> {
    const { store, committer, worker, registry } = this.#options;
    const known = await store.run({ run: number });
    if (known?.status !== "open" || !(known.wake || known.steps > 0)) return;
    const newest = registry.workflow(known.workflow);
    if (!newest || registry.codeOf(known)) return void worker.load(number); // it has come
    const claim = await committer.commit({ op: "claim", run: number, worker: worker.id });
    if (claim.type === "refused") return;
    const { row } = claim;
    const fault: Fault = { reason: "changed_code", error: missing(row, registry.versions(row.workflow)), diff: null };
    const message = this.#options.sealText(fault.error.message);
    const blocked = { kind: "run_blocked", reason: fault.reason, codeId: newest.codeId, message, diff: null } as const;
    const told = { ...row, codeId: newest.codeId };
    committer.put({ op: "append", run: number, fence: row.fence, events: [blocked], seen: 0 }, (outcome) =>
      this.#blocked(told, fault, outcome),
    );
    // In the same group: nobody finds it blocked and held.
    await committer.commit({ op: "release", worker: worker.id, runs: [number] });
  }

  #blocked(row: RunRow, fault: Fault, outcome: AppendOutcome | Broken): void {
    if (outcome.type !== "appended") return;
    const { report, onBlocked } = this.#options;
    onBlocked(row, row.run, fault);
    if (report.isWatched) report.appended(row, outcome.events);
  }
}

function missing({ id, workflow, codeId }: RunRow, versions: readonly string[]): RingbackError {
  const version = JSON.stringify(pinOf(codeId));
  const newest = versions.slice(-versionsTold).map((pin) => JSON.stringify(pin));
  const more = versions.length > versionsTold ? `${versions.length - versionsTold} more and ` : "";
  const message = `Run ${id} (${workflow}) began with version ${version} of its workflow, and registered here: ${more}${newest.join(", ")}. The run is kept as it is. Register version ${version} beside the others, and it goes on; or cancel it.`;
  return new RingbackError("changed_code", message, { details: { run: id } });
}
