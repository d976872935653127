// One transaction's work: its time, the numbers it gives out, and what it will tell once it is committed.

import { type InputEvent, type Recorded, type RunEvent, valueIn } from "../../core/event.ts";
import { type Draft, fold, recorded } from "../../core/run-row.ts";
import { deliveriesIn, streamOwnersIn } from "../../core/serialise.ts";
import type { DeliveryNumber, Notice, RunNumber } from "../port.ts";
import { draftOf, type Progress, type Tables } from "./table.ts";

export type HookReceived = Extract<InputEvent, { kind: "hook_received" }>;

const highest =
  "select max(event, coalesce((select max(id) from journal), 0)), max(run, coalesce((select max(run) from origins), 0)) from numbers where id = 1";

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
    const [event, run] = tables.row(highest)!;
    this.#event = Number(event);
    this.#run = Number(run);
  }

  nextRun(): RunNumber {
    return ++this.#run;
  }

  /** The number of a delivery that goes into no journal yet. */
  nextDelivery(): DeliveryNumber {
    this.#event++;
    this.keepNumbers();
    return this.#event;
  }

  /** Rows that had the highest numbers may go: no number is given twice. */
  keepNumbers(): void {
    this.tables.write("update numbers set event = ?, run = ? where id = 1", this.#event, this.#run);
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

  /** Appends one event to the journal, and folds it into the row; whoever has the row writes it. `number`: a delivery has one already. */
  record<E extends RunEvent>(run: RunNumber, row: Draft<Progress>, event: E, number: number = this.#event + 1): Recorded<E> {
    const entry = recorded(event, { number, seq: row.seq + 1, at: this.now });
    const prev = row.head === 0 ? null : row.head;
    fold(row, entry);
    row.head = number;
    this.tables.insertEvent(number, run, prev, entry);
    this.#notePassedOn(run, entry);
    if (number > this.#event) this.#event = number;
    return entry;
  }

  /** Appends a delivery under its key; null where the key is taken in that scope, and then nothing is written. */
  recordKeyed(
    run: RunNumber,
    row: Draft<Progress>,
    event: HookReceived,
    taken: { readonly scope: string | null; readonly digest: string | null },
    number: DeliveryNumber = this.#event + 1,
  ): Recorded<HookReceived> | null {
    const entry = recorded(event, { number, seq: row.seq + 1, at: this.now });
    if (!this.tables.insertKeyed(number, run, row.head, entry, taken.scope, taken.digest)) return null;
    this.#notePassedOn(run, entry);
    fold(row, entry);
    row.head = number;
    if (number > this.#event) this.#event = number;
    return entry;
  }

  /** The run that received a request, or whose stream it is, is kept for one it was passed on to (P10). */
  #notePassedOn(run: RunNumber, event: Recorded): void {
    const text = valueIn(event);
    for (const delivery of text === null ? [] : deliveriesIn(text))
      this.tables.write(
        "insert into passed_on select run, ?2 from journal where id = ?1 and run <> ?2 on conflict do nothing",
        delivery,
        run,
      );
    for (const owner of text === null ? [] : streamOwnersIn(text))
      this.tables.write(
        "insert into streamed_on select run, ?2 from origins where id = ?1 and run <> ?2 on conflict do nothing",
        owner,
        run,
      );
  }

  /** A fact from outside: appended, the row written, the run's worker told. */
  inform<E extends InputEvent>(run: RunNumber, progress: Progress, event: E): Recorded<E> {
    const row = draftOf(progress);
    const entry = this.record(run, row, event);
    this.tables.writeProgress(run, row);
    this.notices.push({ type: "woken", run, worker: progress.worker, seq: entry.seq });
    return entry;
  }
}
