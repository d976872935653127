// One transaction's work: its time, the numbers it gives out, and what it will tell once it is committed.

import type { InputEvent, Recorded, RunEvent } from "../../core/event.ts";
import { advance, recorded } from "../../core/run-row.ts";
import type { Notice, RunNumber } from "../port.ts";
import type { Progress, Tables } from "./table.ts";

type HookReceived = Extract<InputEvent, { kind: "hook_received" }>;

export interface Entry<E extends RunEvent = RunEvent> {
  readonly event: Recorded<E>;
  readonly progress: Progress;
}

export class Work {
  readonly tables: Tables;
  readonly now: number;
  readonly notices: Notice[] = [];
  #event: number;
  #run: number;

  /** Begins where the tables end: other processes write too. */
  constructor(tables: Tables, now: number) {
    this.tables = tables;
    this.now = now;
    tables.begin();
    const [event, run] = tables.row("select (select max(id) from journal), (select max(run) from origins)")!;
    this.#event = Number(event);
    this.#run = Number(run);
  }

  nextRun(): RunNumber {
    return ++this.#run;
  }

  /** Runs one member so that nothing stays of it if it throws. */
  alone<T>(member: () => T): T {
    const [event, run, told] = [this.#event, this.#run, this.notices.length];
    this.tables.write("savepoint member");
    try {
      const outcome = member();
      this.tables.write("release member");
      return outcome;
    } catch (error) {
      this.tables.write("rollback to member");
      this.tables.write("release member");
      this.tables.forget();
      [this.#event, this.#run] = [event, run];
      this.notices.length = told;
      throw error;
    }
  }

  /** Appends one event to the journal. The caller writes the row it returns. */
  record<E extends RunEvent>(run: RunNumber, progress: Progress, event: E): Entry<E> {
    const head = this.#event + 1;
    const entry = recorded(event, { number: head, seq: progress.seq + 1, at: this.now });
    const next = advance(progress, entry);
    this.tables.insertEvent(head, run, progress.head === 0 ? null : progress.head, entry);
    this.#event = head;
    return { event: entry, progress: { ...next, head } };
  }

  /** Appends a delivery under its key; null where the key is taken, and then nothing is written. */
  recordKeyed(
    run: RunNumber,
    progress: Progress,
    event: HookReceived,
    taken: { readonly scope: string; readonly digest: string | null },
  ): Entry<HookReceived> | null {
    const head = this.#event + 1;
    const entry = recorded(event, { number: head, seq: progress.seq + 1, at: this.now });
    if (!this.tables.insertKeyed(head, run, progress.head, entry, taken.scope, taken.digest)) return null;
    this.#event = head;
    return { event: entry, progress: { ...advance(progress, entry), head } };
  }

  /** A fact from outside: appended, the row written, the run's worker told. */
  inform<E extends InputEvent>(run: RunNumber, progress: Progress, event: E): Entry<E> {
    const entry = this.record(run, progress, event);
    this.tables.writeProgress(run, entry.progress);
    this.notices.push({ type: "woken", run, worker: progress.worker, seq: entry.event.seq });
    return entry;
  }
}
