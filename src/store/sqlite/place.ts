// Whether what stands at the file's path is still what is open. A file that was deleted or replaced while in use takes every commit, and
// all of them are gone with the process; SQLite does not notice.

import { type Stats, statSync } from "node:fs";
import { resolve } from "node:path";

export class Place {
  readonly #path: string;
  readonly #file: Stats | undefined;
  /** The write-ahead log, which is made with the first commit and stays until the last connection is closed. */
  #log: Stats | undefined;

  /** Of a file that has just been opened. */
  constructor(path: string) {
    this.#path = resolve(path); // the process may change its directory
    this.#file = at(this.#path);
  }

  /** Asked at every commit: 3 µs. */
  get isLost(): boolean {
    return !isSame(this.#file, at(this.#path));
  }

  /** Asked now and then: what is in a log that was deleted can still be saved. */
  get isLogLost(): boolean {
    const log = at(`${this.#path}-wal`);
    this.#log ??= log;
    return this.#log !== undefined && !isSame(this.#log, log);
  }
}

function at(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false });
}

function isSame(one: Stats | undefined, other: Stats | undefined): boolean {
  return one?.ino === other?.ino && one?.dev === other?.dev;
}
