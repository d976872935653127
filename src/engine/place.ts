// To which run an event belongs, and from where came what it holds: what a ciphertext is bound to. Asked of the store where it is not known.

import type { Recorded, RunEvent } from "../core/event.ts";
import { Recent } from "../core/recent.ts";
import { hookScope } from "../core/run-row.ts";
import type { EventPlaces } from "../core/value-map.ts";
import type { RunNumber, RunRow, Store } from "../store/port.ts";

export type RunPlace = Pick<RunRow, "id" | "key">;

const kept = 20_000;

export class Places {
  readonly #store: Store;
  readonly #runs: Recent<RunNumber, RunPlace> = new Recent(kept);
  /** Of hooks with a custom token their address, of awaited runs their id. */
  readonly #sources: Recent<string, string> = new Recent(kept);

  constructor(store: Store) {
    this.#store = store;
  }

  noteRun(run: RunNumber, { id, key }: RunPlace): void {
    if (this.#runs.get(run) === undefined) this.#runs.set(run, { id, key });
  }

  known(run: RunNumber): RunPlace | null {
    return this.#runs.get(run) ?? null;
  }

  /** Null where the store has no such run any more. */
  async identify(run: RunNumber): Promise<RunPlace | null> {
    const known = this.known(run);
    if (known !== null) return known;
    const row = await this.#store.run({ run });
    if (row !== null) this.noteRun(run, row);
    return row;
  }

  /** What will be asked again, of a run whose code runs here. */
  note(run: RunNumber, event: RunEvent): void {
    if (event.kind === "hook_created" && event.address.type === "custom")
      this.#sources.set(`${run}:${event.position}`, hookScope(event.address, "", event.position));
    else if (event.kind === "child_awaited") this.#sources.set(`${run}:${event.position}`, event.runId);
  }

  /** The places of these events of a run: what stands among them is known. */
  among(run: RunNumber, place: RunPlace, events: readonly RunEvent[]): RunEventPlaces {
    const sources = new Map<number, string>();
    for (const event of events) {
      if (event.kind === "hook_created") sources.set(event.position, hookScope(event.address, place.key, event.position));
      else if (event.kind === "child_awaited") sources.set(event.position, event.runId);
      else if (event.kind === "run_continued")
        for (const { created } of event.carried) sources.set(created.position, hookScope(created.address, place.key, created.position));
    }
    return new RunEventPlaces(this.#store, run, place, sources, (position) => this.#sources.get(`${run}:${position}`));
  }
}

export class RunEventPlaces implements EventPlaces {
  readonly id: string;
  readonly key: string;
  readonly #store: Store;
  readonly #run: RunNumber;
  readonly #sources: Map<number, string>;
  readonly #remembered: (position: number) => string | undefined;
  #hooks: Set<number> | null = null;
  #children: Set<number> | null = null;

  constructor(
    store: Store,
    run: RunNumber,
    { id, key }: RunPlace,
    sources: Map<number, string>,
    remembered: (at: number) => string | undefined,
  ) {
    this.id = id;
    this.key = key;
    this.#store = store;
    this.#run = run;
    this.#sources = sources;
    this.#remembered = remembered;
  }

  scope = (position: number): string | null => {
    const known = this.#source(position);
    if (known === null) (this.#hooks ??= new Set()).add(position);
    return known;
  };

  awaited = (position: number): string | null => {
    const known = this.#source(position);
    if (known === null) (this.#children ??= new Set()).add(position);
    return known;
  };

  #source(position: number): string | null {
    return this.#sources.get(position) ?? this.#remembered(position) ?? null;
  }

  /** Asks the store for what was not known. What it does not know either has no place, and nothing opens there. */
  async find(): Promise<void> {
    for (const position of this.#hooks ?? []) {
      const hook = await this.#store.hook({ runKey: this.key, position, run: this.#run });
      this.#sources.set(position, hook === null ? "" : hookScope(hook.created.address, this.key, position));
    }
    const journal: readonly Recorded[] = this.#children === null ? [] : await this.#store.journal(this.#run, 0);
    for (const position of this.#children ?? []) {
      const asked = journal.find((event) => event.kind === "child_awaited" && event.position === position);
      this.#sources.set(position, asked?.kind === "child_awaited" ? asked.runId : "");
    }
    this.#hooks = this.#children = null;
  }
}
