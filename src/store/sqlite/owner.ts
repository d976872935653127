// The right to be the file's one worker: an exclusive lock on `<file>-owner`, which the kernel frees however the process ends.

import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { RingbackError } from "../../core/errors.ts";
import type { Database, Driver } from "./driver.ts";
import { isBusy } from "./error.ts";

export interface Owner {
  release(): void;
}

/** Takes the lock, or throws `store_in_use` at once. It is held by a connection of its own, so the file itself stays open to doors. */
export function takeOwnership(driver: Driver, path: string): Owner {
  const lock = new driver(`${path}-owner`);
  // The lock file cannot say who holds it: nobody can read it. Its holder says so beside it.
  const note = `${path}-owner.json`;
  try {
    lock.exec("pragma busy_timeout=0");
    lock.exec("begin exclusive");
    writeFileSync(note, JSON.stringify({ pid: process.pid, since: new Date().toISOString() }));
  } catch (error) {
    lock.close();
    throw isBusy(error) ? inUse(path, note, error) : error;
  }
  return { release: () => release(lock, note) };
}

/** Who says to be the worker, and lives. Read from the note alone: to try the lock would be to hold it for a moment. */
export function ownerOf(path: string): { readonly pid: number; readonly since: Date } | null {
  const { pid, since } = readNote(`${path}-owner.json`);
  return pid === null ? null : { pid, since: new Date(since) };
}

function release(lock: Database, note: string): void {
  rmSync(note, { force: true });
  lock.close();
}

function inUse(path: string, note: string, cause: unknown): RingbackError {
  const { pid, since } = readNote(note);
  const who = pid === null ? "another process" : `process ${pid}, since ${since}`;
  return new RingbackError(
    "store_in_use",
    `${path} has a worker already: ${who}. Stop it first, or let this one only start runs and deliver (RINGBACK_ROLE=ingress).`,
    { details: { path, pid }, cause },
  );
}

/** A note whose writer is gone was left by a kill, and the new holder has not written its own yet. */
function readNote(note: string): { readonly pid: number | null; readonly since: string } {
  try {
    const said = JSON.parse(readFileSync(note, "utf8")) as { pid: number; since: string };
    if (isAlive(said.pid)) return said;
  } catch {
    // No note, or half of one.
  }
  return { pid: null, since: "" };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
