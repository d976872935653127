// Named places where a process may die. `RINGBACK_CRASH_AT=name` or `name:n` kills the process there, at the n-th passing; for crash
// tests, the engine's and yours. Otherwise a crash point is one comparison.
//
// `before_commit` and `after_commit` stand around the store's own commit, before anybody hears of it (`commit.ts`).

/** Every name, in the order of a run and its callback. */
export type CrashPoint =
  | "start.before_commit"
  | "start.after_commit"
  | "deliver.before_commit"
  | "deliver.after_commit"
  | "append.before_commit"
  | "append.after_commit"
  | "step.before_body"
  | "step.before_commit"
  | "step.after_commit"
  | "write.before_commit"
  | "write.after_commit"
  | "answer.before_commit"
  | "answer.after_commit"
  | "continue.before_commit"
  | "continue.after_commit"
  | "end.before_commit"
  | "end.after_commit"
  | "load.after_claim";

const [target = null, nth = "1"] = process.env["RINGBACK_CRASH_AT"]?.split(":") ?? [];
let left = Number(nth);

/** Whether this process is to die at one of them. */
export const isDoomed: boolean = target !== null;

export function crashPoint(name: CrashPoint): void {
  if (target === name && --left === 0) process.kill(process.pid, "SIGKILL");
}
