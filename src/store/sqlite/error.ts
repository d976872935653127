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

/** SQLite's own words: @photostructure/sqlite gives no code for what goes wrong between the rows of `all()`. */
const resultTexts: { readonly [text: string]: number | undefined } = {
  "database is locked": busy,
  "database table is locked": locked,
  "attempt to write a readonly database": readOnly,
  "disk I/O error": ioError,
  "database disk image is malformed": corrupt,
  "database or disk is full": full,
  "unable to open database file": cannotOpen,
  "file is not a database": notADatabase,
};

function resultCode(error: unknown): number {
  if (!(error instanceof Error)) return 0;
  const { errcode, code } = error as { errcode?: unknown; code?: unknown };
  if (typeof errcode === "number") return errcode & 0xff;
  return code === "ERR_SQLITE_ERROR" ? (resultTexts[error.message] ?? 0) : 0;
}

/** After this nothing is known about what the disk holds: no commit may follow on the same connection. */
export function isLasting(error: unknown): boolean {
  return [ioError, corrupt, notADatabase].includes(resultCode(error) as typeof ioError);
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
      return unavailable(
        `${store} cannot be opened. Check that its folder exists, that no folder stands in its place, and that this process may write there.`,
      );
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
        `${store} is damaged or is no SQLite file, and nothing more is written to it. Restore it from a backup, or move it away, and start the process again; do not delete its -wal file.`,
        { details: { store }, cause: error },
      );
    default:
      return null;
  }
}

/** The file is no longer where it was opened. */
export function lostError(store: string): RingbackError {
  const message = `${store}, or its -wal file, was deleted or replaced while it was in use; what is written now would be lost, so nothing is. Put the file back, or let a new one be made, and start the process again.`;
  return new RingbackError("store_unavailable", message, { details: { store } });
}
