// The port of the stores that keep portable runs: texts under ids, each written only by who has seen the last one. What a text says is the
// library's own; it is versioned there, and validated when it is read.
//
// RK1. `save` and `delete` change a record only where its version is still the expected one, also among processes: of several that expect
//      the same, one changes it.
// RK2. An id never has the same version twice, not even where its record was deleted or dropped in between.
// RK3. What `save` has resolved is kept: it is there after a crash of the process, and, where the store says so, of the machine.
// RK4. What a store does not know it rejects with; it never guesses. Whoever called tries again, and loses nothing by it.

/** A text as it is kept. */
export interface ResumeRecord {
  readonly text: string;
  /** Above 0. */
  readonly version: number;
}

/** How a record is written. */
export interface ResumeSaving {
  /** The version that the record has now; null where there must be none. */
  readonly expected: number | null;
  /** From then on the store may drop it, and must not show it: milliseconds since 1970. Default: never. */
  readonly expiresAt?: number;
  /**
   * Anybody may cause one: it is a callback for which there is no hook yet. A store keeps 10,000 of them and 64 MiB of their text, and rejects a
   * further one. A record that is saved again without this counts no more.
   */
  readonly isEarly?: boolean;
}

/** Where runs of `resumeHandler` are kept: a table, a key-value store, anything that can write where nobody else has written since. */
export interface ResumeStore {
  load(id: string): Promise<ResumeRecord | null>;
  /** Resolves with the record's new version, or with null where it had another version than the expected one: then nothing is written. */
  save(id: string, text: string, options: ResumeSaving): Promise<number | null>;
  /** Whether the record had this version, and is gone. */
  delete(id: string, options: { readonly expected: number }): Promise<boolean>;
  /** Ids that begin with `prefix`, in an order that stays the same; those behind `after` alone, where it is given. `recover()` needs it. */
  list?(prefix: string, options: { readonly limit: number; readonly after?: string }): Promise<readonly string[]>;
}
