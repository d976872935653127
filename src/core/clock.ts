// Time and chance as values: everything outside `core/` that needs either takes one of these as a parameter.

/** Where an engine or a store reads time and sets alarms. Instants are milliseconds since the epoch. */
export interface Clock {
  now(): number;
  /** Calls `wake` once, at or after `at`. Returns what takes the alarm back. An alarm never keeps the process alive. */
  alarm(at: number, wake: () => void): () => void;
}

/** Where an engine takes unpredictable bytes from: run keys, seeds, worker ids. */
export type RandomBytes = (length: number) => Uint8Array;
