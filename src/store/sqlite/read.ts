// The store's questions. Each is one look at committed rows; none writes.

import type { Recorded, RunOutcome, ValuePublished } from "../../core/event.ts";
import { hasEnded, isKeyText, rowOf } from "../../core/run-row.ts";
import type { AnswerRow, DueRow, HookRow, RunFilter, RunNumber, RunRow } from "../port.ts";
import type { SqlRow, SqlValue } from "./driver.ts";
import { hookRow } from "./deliver.ts";
import { openedFor } from "./opening.ts";
import { eventColumns, originColumns, progressColumns, readEvent, readOrigin, statusNumber, type Tables } from "./table.ts";

const runColumns = `${originColumns}, ${progressColumns}`;
const nextEvent = `select ${eventColumns}, j.prev from journal j where j.id = ?`;
/** The first condition is the index's, word for word: else the planner reads every run. Whose a run was does not matter: see `claim`. */
const runnableRuns = `
  select ${runColumns} from runs r join origins o on o.run = r.run
  where r.status = 2 and (r.wake = 1 or r.steps > 0)
    and o.workflow in (select value from json_each(?2))
  order by case when r.worker is not ?1 then 0 when r.wake = 1 then 1 else 2 end, r.run limit ?3`;
const orphans = `
  select distinct o.workflow from runs r join origins o on o.run = r.run
  where r.status = 2 and (r.wake = 1 or r.steps > 0)
    and o.workflow not in (select value from json_each(?1))
  order by 1 limit ?2`;
const blockedRuns = `
  select ${runColumns} from runs r join origins o on o.run = r.run
  where r.status = 3 and o.workflow = ?1 and not exists (select 1 from set_aside a where a.run = r.run and a.code_id = ?2)
  order by r.run limit ?3`;

function readRun(tables: Tables, row: SqlRow): RunRow {
  return rowOf(readOrigin(row, 0), tables.readProgress(row, 6));
}

export function findRun(
  tables: Tables,
  by: { readonly id: string } | { readonly run: RunNumber } | { readonly key: string },
): RunRow | null {
  const origin = "run" in by ? tables.origin("run", by.run) : "id" in by ? tables.origin("id", by.id) : tables.origin("key", by.key);
  // What is kept of a run may be of one that another process has purged.
  const progress = origin === null ? null : tables.progress(origin.run);
  return origin === null || progress === null ? null : rowOf(origin, progress);
}

/** Walks back along the chain. An index by run would read it twice as fast, and cost every delivery a page. */
export function readJournal(tables: Tables, run: RunNumber, after: number): Recorded[] {
  const events: Recorded[] = [];
  let next: SqlValue = tables.progress(run)?.head ?? null;
  while (next !== null) {
    const row: SqlRow = tables.row(nextEvent, next)!;
    const [seq, prev] = [row[7] as number, row[9]!];
    if (seq <= after) break;
    events.push(readEvent(row, 0));
    next = prev;
  }
  return events.reverse();
}

/** Nothing follows a run's end, so it is the run's last event. */
export function readOutcome(tables: Tables, run: RunNumber): RunOutcome | null {
  const progress = tables.progress(run);
  const end = progress !== null && hasEnded(progress) ? tables.event(progress.head) : null;
  return end?.kind === "run_ended" ? end.outcome : null;
}

/** P17: three rows, whatever the journal holds. */
export function readPublished(tables: Tables, run: RunNumber, key: string): Recorded<ValuePublished> | null {
  if (!isKeyText(key) || tables.progress(run) === null) return null;
  const [number] = tables.row("select event from published where run = ? and key = ?", run, key) ?? [];
  return number === undefined ? null : (tables.event(number as number) as Recorded<ValuePublished>);
}

export function readDelivery(
  tables: Tables,
  now: number,
  delivery: number,
): { readonly hook: HookRow; readonly event: Recorded; readonly answer: AnswerRow | null } | null {
  const [run] = tables.row("select run from journal where id = ?", delivery) ?? [];
  const event = run === undefined ? null : tables.event(delivery);
  if (event?.kind !== "hook_received" || tables.progress(run as number) === null) return null;
  const facts = tables.facts({ run: run as number, position: event.position })!;
  return {
    hook: { ...hookRow(tables, now, facts), created: openedFor(tables, facts, delivery).created },
    event,
    answer: tables.answer(delivery),
  };
}

export function readRunnable(tables: Tables, worker: string, workflows: readonly string[], limit: number): RunRow[] {
  return tables.rows(runnableRuns, tables.workerNumber(worker) ?? -1, JSON.stringify(workflows), limit).map((row) => readRun(tables, row));
}

export function readOrphans(tables: Tables, workflows: readonly string[], limit: number): string[] {
  return tables.rows(orphans, JSON.stringify(workflows), limit).map(([name]) => name as string);
}

export function readBlocked(tables: Tables, workflow: string, codeId: string, limit: number): RunRow[] {
  return tables.rows(blockedRuns, workflow, codeId, limit).map((row) => readRun(tables, row));
}

export function readDue(tables: Tables, until: number, limit: number): DueRow[] {
  const rows = tables.rows(
    "select run, position, due_at from timers where due_at <= ? order by due_at, run, position limit ?",
    until,
    limit,
  );
  return rows.map(([run, position, dueAt]) => ({ run, position, dueAt }) as DueRow);
}

/** A run's own timers: no hook's deadline, no grace of a cancelled run. */
export function readTimers(tables: Tables, run: RunNumber): DueRow[] {
  const rows = tables.rows(
    "select position, due_at from timers where run = ? and is_deadline = 0 and position > 0 order by due_at, position",
    run,
  );
  return rows.map(([position, dueAt]) => ({ run, position, dueAt }) as DueRow);
}

export function readNextDue(tables: Tables): number | null {
  return tables.row("select min(due_at) from timers")![0] as number | null;
}

export function readRuns(tables: Tables, filter: RunFilter): RunRow[] {
  const wanted: string[] = [];
  const values: SqlValue[] = [];
  if (filter.workflow !== undefined) add("o.workflow = ?", filter.workflow);
  if (filter.status !== undefined) add("r.status = ?", statusNumber(filter.status));
  if (filter.before !== undefined)
    add(filter.attributes && Object.keys(filter.attributes).length > 0 ? "a.run < ?" : "r.run < ?", filter.before);
  // The first attribute leads: its index has runs in their order, so that a page is read and no more.
  const [first, ...others] = Object.entries(filter.attributes ?? {});
  if (first !== undefined) {
    wanted.unshift("a.name = ? and a.value = ?");
    values.unshift(...first);
  }
  for (const [name, value] of others) {
    wanted.push("exists (select 1 from attributes b where b.run = r.run and b.name = ? and b.value = ?)");
    values.push(name, value);
  }
  const where = wanted.length === 0 ? "" : `where ${wanted.join(" and ")}`;
  const from = first === undefined ? "runs r" : "attributes a indexed by attributes_value cross join runs r on r.run = a.run";
  const rows = tables.rows(
    `select ${runColumns} from ${from} join origins o on o.run = r.run ${where} order by ${first === undefined ? "r" : "a"}.run desc limit ?`,
    ...values,
    filter.limit,
  );
  return rows.map((row) => readRun(tables, row));

  function add(condition: string, value: SqlValue): void {
    wanted.push(condition);
    values.push(value);
  }
}

/** Whether a hook is open depends on its run and on the time, so it is judged here, a page of hooks at once. */
export function readHooks(
  tables: Tables,
  now: number,
  filter: { readonly run?: RunNumber; readonly open?: boolean; readonly limit: number },
): HookRow[] {
  const found: HookRow[] = [];
  let [run, position] = [filter.run ?? Number.MAX_SAFE_INTEGER, filter.run === undefined ? Number.MAX_SAFE_INTEGER : -1];
  const least = filter.run ?? 0;
  const page =
    "select run, position from hooks where run >= ?3 and (run < ?1 or (run = ?1 and position > ?2)) order by run desc, position limit 200";
  for (;;) {
    const places = tables.rows(page, run, position, least) as unknown as [number, number][];
    for ([run, position] of places) {
      if (tables.progress(run) === null) continue; // it is being purged
      const row = hookRow(tables, now, tables.facts({ run, position })!);
      if (filter.open === undefined || (row.state.type === "open") === filter.open) found.push(row);
      if (found.length >= filter.limit) return found;
    }
    if (places.length < 200) return found;
  }
}

/** A run that was asked to end still counts: its code may run again, and needs its tokens. Read once, at start. */
export function readKeys(tables: Tables): { readonly used: readonly string[]; readonly fingerprints: ReadonlyMap<string, string> } {
  const used = tables.rows(
    "select distinct h.kid from hooks h join runs r on r.run = h.run where h.kid is not null and h.closed_by is null and r.status < 4 order by 1",
  );
  const fingerprints = tables.rows("select kid, fingerprint from fingerprints") as unknown as [string, string][];
  return { used: used.map(([kid]) => kid as string), fingerprints: new Map(fingerprints) };
}
