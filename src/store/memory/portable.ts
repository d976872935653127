// Keeps portable runs in this process, and forgets them at its end.

import type { Clock } from "../../core/clock.ts";
import { limits } from "../../core/limits.ts";
import type { ResumeRecord, ResumeStore } from "../../core/resume-store.ts";

interface Kept extends ResumeRecord {
  readonly expiresAt: number;
  readonly isEarly: boolean;
}

/** For tests and for code that need not survive. Spread it: `resumeHandler({ ...memoryResumeStore(), run })`. */
export function memoryResumeStore({ clock = Date }: { readonly clock?: Pick<Clock, "now"> } = {}): Required<ResumeStore> {
  const records = new Map<string, Kept>();
  const early = { rows: 0, bytes: 0 };
  let last = 0;
  const put = (id: string, next?: Kept): void => {
    for (const [kept, by] of [
      [records.get(id), -1],
      [next, 1],
    ] as const)
      if (kept?.isEarly) {
        early.rows += by;
        early.bytes += by * kept.text.length;
      }
    if (next) records.set(id, next);
    else records.delete(id);
  };
  const live = (id: string): Kept | undefined => {
    const kept = records.get(id);
    if (kept === undefined || kept.expiresAt > clock.now()) return kept;
    put(id);
    return undefined;
  };
  const isFull = (more: number): boolean => early.rows >= limits.earlyRows || early.bytes + more > limits.earlyBytes;
  return {
    load: async (id) => {
      const kept = live(id);
      return kept ? { text: kept.text, version: kept.version } : null;
    },
    save: async (id, text, { expected, expiresAt = Infinity, isEarly = false }) => {
      const kept = live(id);
      if ((kept?.version ?? null) !== expected) return null;
      if (isEarly) {
        put(id); // it makes room for itself
        if (isFull(text.length)) for (const other of records.keys()) live(other);
        if (isFull(text.length)) {
          if (kept) put(id, kept);
          throw new Error("No more early callbacks are kept in this store.");
        }
      }
      put(id, { text, version: ++last, expiresAt, isEarly });
      return last;
    },
    delete: async (id, { expected }) => {
      const isIt = live(id)?.version === expected;
      if (isIt) put(id);
      return isIt;
    },
    list: async (prefix, { limit, after = "" }) =>
      [...records.keys()]
        .filter((id) => id.startsWith(prefix) && id > after && live(id))
        .sort()
        .slice(0, limit),
  };
}
