// Advances runs: turn after turn, from the journal into code and from code into the journal.
//
// W1. One append of a run is under way at a time, and no turn meanwhile: a hot run is never ahead of a commit that may fail.
// W2. Nothing that code asked for is acted on before it is committed.
// W3. A run whose append was refused, or has no known outcome, is dropped from memory and loaded again from its journal.
// W4. A parked run stays hot within the budget, least recently used out first; cold, it is its journal and nothing else.

import { setImmediate } from "node:timers";
import type { NoteEvent, Recorded, RunContinued, RunOutcome } from "../core/event.ts";
import { endFromOutside, endRun } from "../core/ending.ts";
import { RingbackError } from "../core/errors.ts";
import { limits } from "../core/limits.ts";
import type { Fault, Run, RunIdentity } from "../core/run.ts";
import { type Continuation, endChapter } from "../core/chapter.ts";
import type { Append, AppendOutcome, Broken, RunNumber, RunRow, Store } from "../store/port.ts";
import type { Committer } from "./commit.ts";
import { crashPoint } from "./crash-point.ts";
import { Live } from "./live.ts";
import { nextTurn } from "./next-turn.ts";
import { asMisuse, onMisuse, takeTurn } from "./realm.ts";
import type { Registry } from "./registry.ts";
import type { Report } from "./report.ts";
import { readInto, replay, requestsOf, revive, type RevivingHost } from "./revive.ts";
import type { Steps } from "./steps.ts";
import type { Timers } from "./timers.ts";

type EndedEvent = Recorded & { readonly kind: "run_ended" };

export interface WorkerOptions {
  readonly id: string;
  /** How many parked runs stay in memory; 0 evicts after every turn. */
  readonly hotRuns: number;
  readonly report: Report;
  readonly onBlocked: (run: RunIdentity, number: RunNumber, fault: Fault) => void;
  /** A run is to go on, and its workflow is registered here, but not the version it began with. */
  readonly onUnversioned: (run: RunNumber) => void;
  /** A chapter is over. */
  readonly onContinued: (run: RunIdentity, continued: Recorded & RunContinued) => void;
  readonly onEnded: (run: RunIdentity, ended: EndedEvent) => void;
  /** A run that was dropped is to be looked for again. With an error where there was one: the store's, or what reading it threw. */
  readonly onStranded: (run: RunNumber, error: unknown) => void;
  /** Does anybody in this process wait for the run's end? */
  readonly isAwaited: (runId: string) => boolean;
}

export class Worker {
  readonly #store: Store;
  readonly #committer: Committer;
  readonly #registry: Registry;
  readonly #host: RevivingHost;
  readonly #options: WorkerOptions;
  readonly #hot = new Map<RunNumber, Live>();
  readonly #byKey = new Map<string, Live>();
  readonly #loading = new Map<RunNumber, Promise<Live | null>>();
  #busy = 0;
  steps!: Steps;
  timers!: Timers;
  /** Takes no run up: that of an ingress process never does. */
  isStopped = false;

  constructor(store: Store, committer: Committer, registry: Registry, host: RevivingHost, options: WorkerOptions) {
    this.#store = store;
    this.#committer = committer;
    this.#registry = registry;
    this.#host = host;
    this.#options = options;
  }

  get id(): string {
    return this.#options.id;
  }

  get hotCount(): number {
    return this.#hot.size;
  }

  /** Nothing is being loaded, taken a turn of, or appended. */
  get isIdle(): boolean {
    return this.#busy === 0 && this.#loading.size === 0;
  }

  /** A run that was just created for this worker. */
  begin(row: RunRow, started: Recorded): void {
    const live = this.#keep(row);
    if (!live) return;
    live.isRecovered = true;
    this.#receive(live, started);
  }

  /** The run in memory, if it is there. */
  hot(runKey: string): Live | null {
    return this.#byKey.get(runKey) ?? null;
  }

  /** An event was committed for a run that this worker may hold. */
  arrived(number: RunNumber, event: Recorded): void {
    const live = this.#hot.get(number);
    if (!live) void this.load(number);
    else this.#receive(live, event);
  }

  #receive(live: Live, event: Recorded): void {
    const preparing = requestsOf([event], this.#host);
    if (preparing)
      void preparing.then(
        () => this.#receive(live, event),
        (error: unknown) => this.#lose(live, { type: "broken", error }),
      );
    else if (live.receive(event)) this.#pump(live);
    else void this.#catchUp(live);
  }

  /** The journal of a run has grown to `seq`, by another's hand. */
  grown(number: RunNumber, seq: number): void {
    const live = this.#hot.get(number);
    if (!live) void this.load(number);
    else if (live.known < seq) void this.#catchUp(live);
  }

  /**
   * Claims a run and runs its code against its journal. Null when it is another's, has ended, or its code is not registered here. A
   * run that is set aside stays so, whatever arrives for it, unless this is to try it again.
   */
  load(number: RunNumber, isRetry = false): Promise<Live | null> {
    const hot = this.#hot.get(number);
    if (hot || this.isStopped) return Promise.resolve(hot ?? null);
    const under = this.#loading.get(number);
    if (under) return isRetry ? under.then((live) => live ?? this.load(number, true)) : under;
    const loading = this.#load(number, isRetry)
      .catch((error: unknown) => {
        this.#options.onStranded(number, error);
        return null;
      })
      .finally(() => this.#loading.delete(number));
    this.#loading.set(number, loading);
    return loading;
  }

  /** The run's code, at the end of what its journal said when this was asked; null where it is not to be run here. */
  async runOf(number: RunNumber): Promise<Run | null> {
    const live = await this.load(number);
    while (live?.isLoading) await macrotask();
    return live?.run ?? null;
  }

  /** Loads a run of which a process may have died, and waits until what its code then does has been committed. */
  async loadAlone(number: RunNumber, isRetry = false): Promise<void> {
    const live = await this.load(number, isRetry);
    while (live && !live.isGone && (live.isLoading || live.isBusy)) await macrotask();
    await this.#committer.commit({ op: "release", worker: this.id, runs: [] }); // of nothing: but what was put before it is in
  }

  async #load(number: RunNumber, isRetry: boolean): Promise<Live | null> {
    const known = await this.#store.run({ run: number });
    if (!known || (known.status === "blocked" && !isRetry)) return null;
    if (!this.#registry.codeOf(known)) {
      if (this.#registry.workflow(known.workflow)) this.#options.onUnversioned(number);
      return null;
    }
    const outcome = await this.#committer.commit({ op: "claim", run: number, worker: this.id });
    if (outcome.type === "refused") return null;
    crashPoint("load.after_claim");
    const { row } = outcome;
    const live = this.#keep(row);
    if (!live) return null;
    this.#work(live);
    live.isBlocked = row.status === "blocked";
    if (row.loads > limits.loadsWithoutProgress) {
      const message = `Run ${row.id} (${row.workflow}) was loaded ${row.loads - 1} times and never got anywhere: the process ended each time. It is set aside.`;
      live.run.fault = {
        reason: "crash_loop",
        error: new RingbackError("crash_loop", message, { details: { run: row.id, loads: row.loads - 1 } }),
        diff: null,
      };
      this.#rest(live);
      this.#block(live);
      return live;
    }
    await this.#read(live);
    if (live.hasMissed) void this.#catchUp(live);
    replay(live, false, () => {
      this.#rest(live);
      this.#pump(live);
    });
    return live;
  }

  /** A run that cannot be read now is not in memory: it is looked for again. */
  async #read(live: Live): Promise<void> {
    try {
      await readInto(live, this.#store, this.#host);
    } catch (error) {
      this.#drop(live);
      // The store, not the run, is what failed: this load does not count against it.
      this.#committer.put({ op: "park", run: live.number, fence: live.fence, seen: 0 }, () => {}, true);
      throw error;
    }
  }

  #pump(live: Live): void {
    if (live.isBusy || live.isGone) return;
    const { run } = live;
    if (live.isOutdated) return this.#lose(live, { type: "fenced" });
    const body = nextTurn(live);
    if (!live.isRecovered && !body && !live.isCatchingUp && !run.isOver && !run.fault) {
      live.isRecovered = true;
      this.steps.recover(live);
    }
    if (body) {
      this.#work(live);
      takeTurn(run, body, () => {
        this.#afterTurn(live);
        this.#rest(live);
        this.#pump(live);
      });
    } else if (run.fault) this.#block(live);
    else if (run.ended) this.#end(live);
    else if (run.continued) this.#continue(live, run.continued);
    else if (run.asked.length > 0 || live.isBlocked) this.#append(live);
    else this.#park(live);
  }

  #afterTurn(live: Live): void {
    if (live.run.isTurnOpen) live.run.endTurn();
  }

  #append(live: Live): void {
    const events = this.#unblocking(live, live.run.asked);
    live.run.asked = [];
    this.#put(live, events, false, (outcome) => {
      for (const event of outcome.events) this.#act(live, event);
      this.#pump(live);
    });
  }

  /** W2: what was asked for is now in the journal. */
  #act(live: Live, event: Recorded): void {
    if (event.kind === "signal_aborted") this.steps.signal(live.number, event);
    else if (event.kind === "step_scheduled") this.steps.start(live, event.position, event.input);
    else if (event.kind === "timer_set") this.timers.note(event.dueAt ?? 0);
    else if (event.kind === "hook_created") {
      live.run.hooks.get(event.position)?.recorded(event);
      if (event.expiresAt != null) this.timers.note(event.expiresAt);
    }
  }

  #end(live: Live): void {
    const { run } = live;
    const events = this.#unblocking(live, endRun(run, run.ended as RunOutcome));
    run.asked = [];
    this.#put(live, events, !this.#options.isAwaited(run.identity.id), (appended) => {
      this.#drop(live);
      this.#signal(live, appended.events);
      this.steps.abort(live.number, "The run has ended.");
      this.#options.onEnded(run.identity, appended.events.at(-1) as EndedEvent);
    });
  }

  /** The next chapter is read from its beginning (CH1): nothing of this one is kept. */
  #continue(live: Live, continuation: Continuation): void {
    const { run } = live;
    const events = endChapter(run, continuation, live.openSteps?.keys() ?? []);
    run.asked = [];
    this.#put(live, this.#unblocking(live, events), false, (outcome) => {
      this.#drop(live);
      this.#signal(live, outcome.events);
      this.steps.abort(live.number, "The run goes on as new.");
      for (const event of outcome.events) if (event.kind === "run_continued") this.#options.onContinued(run.identity, event);
      void this.load(live.number);
    });
  }

  /** Bodies learn why they are to stop before they learn that it is over. */
  #signal(live: Live, events: readonly Recorded[]): void {
    for (const event of events) if (event.kind === "signal_aborted") this.steps.signal(live.number, event);
  }

  /** The code fits again. */
  #unblocking<E>(live: Live, events: readonly E[]): readonly (E | NoteEvent)[] {
    if (!live.isBlocked) return events;
    live.isBlocked = false;
    return [{ kind: "run_unblocked" }, ...events];
  }

  #block(live: Live): void {
    const { run } = live;
    const fault = run.fault as Fault;
    const blocked: NoteEvent = {
      kind: "run_blocked",
      reason: fault.reason,
      codeId: run.identity.codeId,
      message: this.#host.sealText(fault.error.message),
      diff: fault.diff,
    };
    this.#put(live, [blocked], false, () => {
      this.#drop(live);
      this.#options.onBlocked(run.identity, live.number, fault);
    });
  }

  #put(live: Live, events: Append["events"], isLazy: boolean, done: (outcome: AppendOutcome & { type: "appended" }) => void): void {
    this.#work(live);
    const seen = live.run.seq;
    const answered = (outcome: AppendOutcome | Broken): void => {
      this.#rest(live);
      if (live.isGone) return;
      if (outcome.type !== "appended") return this.#lose(live, outcome);
      live.told = seen;
      let isWhole = true;
      for (const event of outcome.events) isWhole = live.receive(event) && isWhole;
      if (!isWhole) void this.#catchUp(live);
      done(outcome);
      if (this.#options.report.isWatched) this.#options.report.appended(live.run.identity, outcome.events);
    };
    this.#committer.put({ op: "append", run: live.number, fence: live.fence, events, seen }, answered, isLazy);
  }

  /** All is applied and nothing asked for: the store may know, in the next group. */
  #park(live: Live): void {
    const { run } = live;
    if (live.told < run.seq) {
      live.told = run.seq;
      this.#committer.put(
        { op: "park", run: live.number, fence: live.fence, seen: run.seq },
        (outcome) => {
          if (outcome.type !== "parked" && !live.isGone) this.#lose(live, outcome);
        },
        true,
      );
    }
    this.#hot.delete(live.number);
    this.#hot.set(live.number, live);
    this.#evict();
  }

  #evict(): void {
    if (this.#hot.size <= this.#options.hotRuns) return;
    for (const live of this.#hot.values()) {
      if (this.#hot.size <= this.#options.hotRuns) return;
      if (!live.isBusy && !live.isCatchingUp && !live.hasInput) this.#drop(live);
    }
  }

  async #catchUp(live: Live): Promise<void> {
    if (live.isUnread) live.hasMissed = true;
    if (live.isUnread || live.isCatchingUp || live.isGone) return;
    live.isCatchingUp = true;
    try {
      const events = await this.#store.journal(live.number, live.known);
      await requestsOf(events, this.#host);
      for (const event of events) live.receive(event);
      live.isCatchingUp = false;
      this.#pump(live);
    } catch (error) {
      this.#drop(live);
      this.#options.onStranded(live.number, error);
    }
  }

  /** W3 */
  #lose(live: Live, outcome: { readonly type: "fenced" } | Broken): void {
    this.#drop(live);
    if (outcome.type === "fenced") this.steps.abort(live.number, "Another worker has taken the run over.");
    this.#options.onStranded(live.number, outcome.type === "broken" ? outcome.error : null);
  }

  #keep(row: RunRow): Live | null {
    const definition = this.#registry.codeOf(row);
    if (!definition) return null;
    const live = revive(row, definition, this.#host);
    onMisuse(live.run, this.#caught);
    this.#hot.set(row.run, live);
    this.#byKey.set(row.key, live);
    return live;
  }

  /** One listener for all runs: a closure would be kept by each that is parked. */
  readonly #caught = (run: Run, error: RingbackError): void => {
    run.misuse(error);
    const live = this.#byKey.get(run.identity.key);
    if (live?.run === run) this.#pump(live);
    else this.#accuse(run, error).catch(() => {});
  };

  /** A copy of a run that is no longer in memory was caught: the run is set aside all the same. */
  async #accuse({ identity }: Run, error: RingbackError): Promise<void> {
    const row = await this.#store.run({ id: identity.id });
    if (row?.status !== "open" || this.#registry.codeOf(row)?.codeId !== identity.codeId) return;
    await this.accuse(row.run, error);
  }

  /** Sets a run aside for something its code had no part in, or was caught at. */
  async accuse(number: RunNumber, error: unknown): Promise<void> {
    const live = await this.load(number);
    if (!live || live.isGone || live.run.isOver) return;
    live.run.misuse(asMisuse(live.run, error));
    this.#pump(live);
  }

  #drop(live: Live): void {
    if (live.isGone) return;
    live.isGone = true;
    this.#rest(live);
    if (this.#hot.get(live.number) === live) this.#hot.delete(live.number);
    if (this.#byKey.get(live.run.identity.key) === live) this.#byKey.delete(live.run.identity.key);
  }

  /**
   * Ends a cancelled run without its code: its grace is over. A run that another worker holds is left alone, in memory too: that worker
   * has the same timer, which stays due until the run has ended.
   */
  async endFromOutside(number: RunNumber): Promise<void> {
    const claim = await this.#committer.commit({ op: "claim", run: number, worker: this.id });
    if (claim.type === "refused") return;
    const { row } = claim;
    const live = this.#hot.get(number);
    const known = live && !live.isLoading ? live.run : null;
    this.forget(number);
    const { events } = await this.#store.chapter(number);
    const isCompensating = events.some((event) => event.kind === "cancel_requested" && event.compensate === true);
    const ended = endFromOutside(known, { type: "cancelled" }, isCompensating);
    this.steps.abort(number, "The run was cancelled.");
    const outcome = await this.#committer.commit({ op: "append", run: number, fence: row.fence, events: [ended], seen: row.seq });
    if (outcome.type !== "appended") return;
    const { report, onEnded } = this.#options;
    onEnded(row, outcome.events.at(-1) as EndedEvent);
    if (report.isWatched) report.appended(row, outcome.events);
  }

  /** Forgets a run that another worker has taken. */
  forget(number: RunNumber): void {
    const live = this.#hot.get(number);
    if (live) this.#drop(live);
  }

  /** The workflow's code was replaced: its runs go on with the new one, those that are under way after another look at their journal. */
  reload(workflow: string): void {
    for (const live of [...this.#hot.values()]) {
      if (live.run.identity.workflow !== workflow) continue;
      const isUnderWay = live.isBusy || live.isCatchingUp || live.hasInput;
      this.#drop(live);
      if (isUnderWay) this.#options.onStranded(live.number, null);
    }
  }

  /** Forgets every run; each is loaded again when it has something to do. */
  dropAll(): void {
    for (const live of [...this.#hot.values()]) this.#drop(live);
  }

  stop(): void {
    this.isStopped = true;
    this.dropAll();
  }

  #work(live: Live): void {
    if (!live.isBusy) this.#busy++;
    live.isBusy = true;
  }

  #rest(live: Live): void {
    if (live.isBusy) this.#busy--;
    live.isBusy = false;
  }
}

function macrotask(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
