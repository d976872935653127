// Nothing is stranded (G5): looks for runs that have something to do and nobody who does it, at the start, every few seconds, and when
// somebody says that something changed. Wake-ups that were missed, dead workers' runs, and blocked runs that new code may fit.

import type { Clock } from "../core/clock.ts";
import { pinOf, type WorkflowDefinition } from "../core/definition.ts";
import type { RunNumber, RunRow, Store } from "../store/port.ts";
import type { Registry } from "./registry.ts";
import type { Worker } from "./worker.ts";

export const everyMs = 5_000;
const soonMs = 20;
const batch = 200;
/** Misuse may be a race at boot (a module not loaded yet): tried again once, after this. */
const misuseRetryMs = 1_000;
const againMs = 1_000;
/** Workflows may be declared after the engine was opened: runs without code are nobody's trouble before this is over. */
const patienceMs = everyMs;
const orphansTold = 20;

export interface SweepListener {
  /** What else may have been missed: timers, ends and answers that somebody waits for. */
  look(): Promise<unknown>;
  /** Runs of this workflow wait for somebody to register it. Once for each. */
  orphaned(workflow: string): void;
  /** A look ended early: the next one finds what is there. */
  failed(error: unknown): void;
  /** A look found all it asked for. */
  done(): unknown;
}

export class Sweep {
  readonly #store: Store;
  readonly #worker: Worker;
  readonly #registry: Registry;
  readonly #clock: Clock;
  readonly #listener: SweepListener;
  #takeBack: (() => void) | null = null;
  #isSweeping = false;
  #isAgain = false;
  #isStopped = true;
  /** Own runs that were woken. By the next pass of the event loop what this process wrote has come by. */
  #woken: { readonly run: RunNumber; readonly seq: number }[] = [];
  readonly #retried = new Set<RunNumber>();
  readonly #tried = new Set<string>();
  /** Those of them that want nothing but a name: of a class, a step or a workflow. */
  readonly #wanting = new Set<string>();
  #namesCame = 0;
  readonly #lost = new Set<RunNumber>();
  /** Workflows that runs wait for, since when; infinite once that was told. */
  readonly #orphans = new Map<string, number>();

  constructor(store: Store, worker: Worker, registry: Registry, clock: Clock, listener: SweepListener) {
    this.#store = store;
    this.#worker = worker;
    this.#registry = registry;
    this.#clock = clock;
    this.#listener = listener;
  }

  get isIdle(): boolean {
    return !this.#isSweeping;
  }

  begin(): void {
    this.#isStopped = false;
    void this.#sweep();
  }

  stop(): void {
    this.#isStopped = true;
    this.#takeBack?.();
  }

  /** Look again shortly; a burst of calls is one look. */
  soon(): void {
    if (this.#isStopped) return;
    if (this.#isSweeping) this.#isAgain = true;
    else this.#alarm(soonMs);
  }

  /** A run has facts that its code has not seen. Mine, or nobody's; a dead worker's are found by the next look. */
  woken(run: RunNumber, worker: string | null, seq: number): void {
    if (this.#isStopped) return;
    if (worker === this.#worker.id) {
      if (this.#woken.push({ run, seq }) === 1) setImmediate(this.#tellWoken);
    } else if (worker === null || this.#store.isExclusive) void this.#worker.load(run);
  }

  readonly #tellWoken = (): void => {
    const woken = this.#woken;
    this.#woken = [];
    if (this.#isStopped) return;
    for (const { run, seq } of woken) this.#worker.grown(run, seq);
  };

  /** A run was dropped because the store did not answer, or another worker did: it is loaded again, once that may go better. */
  again(run: RunNumber): void {
    if (this.#isStopped || this.#lost.has(run)) return;
    this.#lost.add(run);
    this.#clock.alarm(this.#clock.now() + againMs, () => {
      this.#lost.delete(run);
      if (!this.#isStopped) void this.#worker.load(run);
    });
  }

  /** This process has set the run aside: with this code it does not try again by itself. */
  setAside(run: RunNumber, codeId: string, isForWantOfName: boolean): void {
    const attempt = `${run}:${codeId}`;
    this.#tried.add(attempt);
    if (isForWantOfName) this.#wanting.add(attempt);
  }

  /** A class, a step or a workflow was declared: what was set aside for want of one is tried again. */
  nameCame(): void {
    this.#namesCame++;
    if (this.#wanting.size === 0) return;
    for (const attempt of this.#wanting) this.#tried.delete(attempt);
    this.#wanting.clear();
    this.soon();
  }

  /** What kept runs aside may be over: each is tried once more. */
  tryAll(): void {
    this.#tried.clear();
  }

  retryMisuse(run: RunNumber): void {
    if (this.#retried.has(run)) return;
    this.#retried.add(run);
    this.#clock.alarm(this.#clock.now() + misuseRetryMs, () => {
      if (!this.#isStopped) void this.#worker.load(run, true);
    });
  }

  async #sweep(): Promise<void> {
    if (this.#isSweeping || this.#isStopped) return;
    this.#isSweeping = true;
    this.#isAgain = false;
    try {
      await this.#listener.look();
      await this.#runnable();
      await this.#blocked();
      await this.#orphaned();
      this.#listener.done();
    } catch (error) {
      if (!this.#isStopped) this.#listener.failed(error);
    }
    this.#isSweeping = false;
    if (!this.#isStopped) this.#alarm(this.#isAgain ? soonMs : everyMs);
  }

  async #runnable(): Promise<void> {
    const { workflows } = this.#registry;
    const seen = new Set<RunNumber>();
    for (let stuck = 0; ; ) {
      const rows = await this.#store.runnable(this.#worker.id, workflows, batch + stuck);
      const urgent = rows.filter((row) => row.worker !== this.#worker.id || row.wake);
      const fresh = urgent.filter((row) => !seen.has(row.run));
      for (const row of fresh) seen.add(row.run);
      for (const row of fresh) if (row.worker === this.#worker.id) this.#worker.grown(row.run, row.seq);
      const others = fresh.filter((row) => row.worker !== this.#worker.id);
      // While these were loaded a process died, of one of them perhaps: alone, it uses up no other's chances. The likeliest comes last.
      const suspects = others.filter((row) => row.loads > 0).sort((a, b) => a.loads - b.loads);
      for (const row of suspects) await this.#worker.loadAlone(row.run);
      await Promise.all(others.filter((row) => row.loads === 0).map((row) => this.#worker.load(row.run)));
      // Behind the urgent ones come its own that wait for a step, and those it has.
      if (fresh.length === 0 || urgent.length < batch + stuck || this.#isStopped) return;
      stuck = urgent.length - fresh.length;
      await new Promise<void>((resolve) => setImmediate(resolve)); // others have a turn
    }
  }

  /**
   * Each run is tried once with each code it may fit, and once by each process: what has changed may be a function the workflow calls,
   * which its own source does not show. So many at one look, one after another. A run that ends its process is tried with other code only,
   * one whose version is not here with none.
   */
  async #blocked(): Promise<void> {
    let attempts = 0;
    for (const name of this.#registry.workflows) {
      const limit = batch + this.#tried.size;
      const rows = await this.#store.blocked(name, "", limit);
      let isNew = false;
      for (const row of rows) {
        const code = this.#registry.codeOf(row);
        const attempt = `${row.run}:${code?.codeId ?? ""}`;
        const isTried = this.#tried.has(attempt);
        if (!code) {
          isNew ||= !isTried;
          this.#tried.add(attempt); // the next look sees beyond it
          continue;
        }
        if (isTried && !isUntriedBy(code, row)) continue;
        if (row.blocked?.reason === "crash_loop" && row.blocked.codeId === code.codeId) continue;
        if (this.#isStopped || ++attempts > batch) return; // the rest at the next look: other runs have a turn
        const before = this.#namesCame;
        await this.#worker.loadAlone(row.run, true);
        if (this.#namesCame === before) this.#tried.add(attempt);
      }
      if (isNew && rows.length === limit) this.#isAgain = true;
    }
  }

  async #orphaned(): Promise<void> {
    const { workflows } = this.#registry;
    const now = this.#clock.now();
    for (const name of await this.#store.orphans(this.#worker.id, workflows, orphansTold)) {
      const since = this.#orphans.get(name) ?? now;
      const isTold = since + patienceMs <= now;
      this.#orphans.set(name, isTold ? Number.POSITIVE_INFINITY : since);
      if (isTold) this.#listener.orphaned(name);
    }
  }

  #alarm(afterMs: number): void {
    this.#takeBack?.();
    this.#takeBack = this.#clock.alarm(this.#clock.now() + afterMs, () => void this.#sweep());
  }
}

/** Whoever set it aside had not this version: so it was, whatever came of an attempt here before. */
function isUntriedBy({ pin }: WorkflowDefinition, { codeId, blocked }: RunRow): boolean {
  return pin !== undefined && blocked?.reason === "changed_code" && pinOf(codeId) === pin && pinOf(blocked.codeId) !== pin;
}
