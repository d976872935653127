// A run's timeline as lines: how far into the run, what happened, to which operation, and how it went.

import type { TimelineEntry } from "../api.ts";
import { columns, plain } from "./columns.ts";
import { instantText, spanText } from "./span.ts";
import type { Style, Terminal } from "./terminal.ts";

type Kind = TimelineEntry["event"];

/** In the words of the glossary; exhaustive, so that a new kind of event is not forgotten here. */
const words: { readonly [event in Kind]: readonly [text: string, style: Style | null] } = {
  run_started: ["run started", "bold"],
  hook_created: ["hook opened", null],
  hook_registered: ["token taken", null],
  hook_conflicted: ["token lost", "red"],
  hook_received: ["delivery", "cyan"],
  hook_failed: ["hook timed out", "yellow"],
  hook_disposed: ["hook disposed", null],
  conflict_asked: ["conflict asked", null],
  timer_set: ["sleep begun", null],
  timer_fired: ["sleep over", "cyan"],
  timer_cancelled: ["sleep cancelled", null],
  step_scheduled: ["step begun", null],
  step_completed: ["step completed", "green"],
  step_failed: ["step failed", "red"],
  step_retrying: ["attempt failed", "yellow"],
  step_restarted: ["step restarted", "yellow"],
  child_scheduled: ["child begun", null],
  child_started: ["child started", null],
  child_refused: ["child refused", "red"],
  child_awaited: ["child awaited", null],
  child_ended: ["child ended", "cyan"],
  attributes_set: ["attributes set", null],
  step_attributes_set: ["attributes set", null],
  value_published: ["value published", null],
  patch_taken: ["patch taken", null],
  url_read: ["base URL read", null],
  signal_aborted: ["signal aborted", "yellow"],
  run_continued: ["continued as new", "bold"],
  cancel_requested: ["cancel requested", "yellow"],
  run_blocked: ["run blocked", "red"],
  run_unblocked: ["run goes on", "green"],
  run_ended: ["run ended", "bold"],
};

export function timelineLines(timeline: readonly TimelineEntry[], terminal: Terminal): string[] {
  const [first] = timeline;
  if (!first) return [];
  const begun = new Map<number, Date>();
  const rows = timeline.map((entry) => {
    const { event, position, at, name } = entry;
    const [text, style] = words[event] ?? [event, null];
    const since = position === undefined ? undefined : begun.get(position);
    if (position !== undefined && (event === "step_scheduled" || event === "timer_set" || event === "hook_created"))
      begun.set(position, at);
    return [
      terminal.paint("dim", instantText(at)),
      terminal.paint("dim", `+${spanText(at.getTime() - first.at.getTime())}`),
      style === null ? text : terminal.paint(style, text),
      position === undefined ? "" : `#${position}`,
      name === undefined ? "" : plain(name),
      detailText(entry, since, terminal),
    ];
  });
  return columns(rows);
}

/** The dates of the entry's own detail stand in full elsewhere; here a span says more. */
function detailText(entry: TimelineEntry, since: Date | undefined, terminal: Terminal): string {
  const { event, at, detail, attempt, dueAt, error } = entry;
  const took = since ? `after ${spanText(at.getTime() - since.getTime())}` : null;
  const tried = attempt === undefined || (event === "step_completed" && attempt === 1) ? null : `attempt ${attempt}`;
  const due = dueAt ? `in ${spanText(dueAt.getTime() - at.getTime())}` : null;
  const failed = error === undefined ? null : terminal.paint("red", plain(error));
  const join = (...parts: (string | null | undefined)[]): string => parts.filter(Boolean).join(", ");
  switch (event) {
    case "hook_created":
      return join(detail?.split(",", 1)[0], due && `times out ${due}`);
    case "timer_set":
      return join(due && `due ${due}`);
    case "step_completed":
      return join(took, tried);
    case "step_failed":
      return join(took, tried, failed);
    case "step_retrying":
      // The journal counts the attempt that comes next where it says when.
      return join(due && `attempt ${attempt} ${due}`, failed);
    case "timer_fired":
    case "hook_failed":
      return join(took);
    case "hook_received":
      return join(detail, took);
    case "step_restarted":
      return join(tried);
    case "run_blocked":
      return plain(detail ?? "");
    case "run_ended":
      return join(plain(detail ?? ""), failed);
    default:
      return join(detail && plain(detail), failed);
  }
}
