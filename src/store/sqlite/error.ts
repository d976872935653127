// What SQLite's result codes mean to whoever runs the store.

import { RingbackError } from "../../core/errors.ts";

const [busy, locked, readOnly, ioError, corrupt, full, cannotOpen, notADatabase] = [5, 6, 8, 10, 11, 13, 14, 26];

/** The same from the file system, for what is not SQLite's own: folder, lock and note. */
const resultCodes: { readonly [code: string]: number | undefined } = {
  EACCES: readOnly,
  EPERM: readOnly,
  EROFS: readOnly,
  ENOSPC: full,
  EDQUOT: full,
  EIO: ioError,
  ENOENT: cannotOpen,
  ENOTDIR: cannotOpen,
  EEXIST: cannotOpen,
};

function resultCode(error: unknown): number {
  const { errcode } = error as { errcode?: unknown };
  return error instanceof Error && typeof errcode === "number" ? errcode & 0xff : 0;
}

/** After this nothing is known about what the disk holds: no commit may follow on the same connection. */
export function isIoError(error: unknown): boolean {
  return resultCode(error) === ioError;
}

export function isBusy(error: unknown): boolean {
  return resultCode(error) === busy;
}

/** The error for the store as a whole, or null where it concerns only the statement that raised it. */
export function storeError(error: unknown, store: string): RingbackError | null {
  const unavailable = (message: string): RingbackError =>
    new RingbackError("store_unavailable", message, { details: { store }, cause: error });
  switch (resultCode(error) || resultCodes[(error as NodeJS.ErrnoException).code ?? ""]) {
    case busy:
    case locked:
      return unavailable(
        `${store} is locked: another process has been writing for more than 5 s. Find it and let it finish, then try again.`,
      );
    case readOnly:
      return unavailable(`${store} is read-only for this process. Make the file and its folder writable for the user that runs it.`);
    case ioError:
      return unavailable(
        `The disk under ${store} failed a read or a write. Check it, then start the process again; nothing is written until then.`,
      );
    case cannotOpen:
      return unavailable(`${store} cannot be opened. Check that its folder exists and that this process may write there.`);
    case full:
      return new RingbackError(
        "store_full",
        `There is no space left for ${store}. Free some; nothing was committed, and the next attempt can succeed.`,
        { details: { store }, cause: error },
      );
    case corrupt:
    case notADatabase:
      return new RingbackError(
        "store_corrupt",
        `${store} is damaged or is no SQLite file. Restore it from a backup, or move it away; do not delete its -wal file.`,
        { details: { store }, cause: error },
      );
    default:
      return null;
  }
}
