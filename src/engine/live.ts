// A run that is in memory: its code, and how far this process knows its journal.

import { isInput, type InputEvent, type Recorded } from "../core/event.ts";
import { type OpenSteps, trackSteps } from "../core/open-step.ts";
import type { Run } from "../core/run.ts";
import type { RunNumber, RunRow } from "../store/port.ts";

const none: readonly Recorded<InputEvent>[] = [];

export class Live {
  readonly number: RunNumber;
  readonly fence: number;
  readonly run: Run;
  /** `seq` up to which every event of the journal has come by here. */
  known = 0;
  /** `seq` of the last input the store knows code has seen. */
  told = 0;
  /** A turn, or an append, is under way. */
  isBusy = false;
  /** Loaded from the journal and not yet through with it. */
  isLoading = false;
  /** Events are being read that came from elsewhere. */
  isCatchingUp = false;
  /** Its journal is still to be read: what has come meanwhile is looked for again after that. */
  isUnread = false;
  hasMissed = false;
  /** Another chapter has begun: this one's code has nothing to say any more. */
  isOutdated = false;
  /** Ended, fenced or dropped: what still comes back for it no longer counts. */
  isGone = false;
  /** The store has the run set aside; what it next asks for takes that back. */
  isBlocked = false;
  /** The steps of an earlier life were taken up. */
  isRecovered = false;
  openSteps: OpenSteps | null = null;
  #inbox: readonly Recorded<InputEvent>[] = none;
  #next = 0;

  constructor(row: Pick<RunRow, "run" | "fence">, run: Run) {
    this.number = row.run;
    this.fence = row.fence;
    this.run = run;
  }

  /** Reads on from here: what was before is not this chapter's. */
  startAt(seq: number): void {
    this.known = seq - 1;
    this.isUnread = false;
  }

  /** Takes the next event of the journal. False when one before it is missing. */
  receive(event: Recorded): boolean {
    if (this.isUnread) return false;
    if (event.seq <= this.known) return true;
    if (event.seq > this.known + 1) return false;
    if (event.kind === "run_continued" && this.run.turn > 0) this.isOutdated = true;
    this.known = event.seq;
    this.openSteps = trackSteps(this.openSteps, event);
    if (!isInput(event)) return true;
    if (this.#next === this.#inbox.length) {
      this.#inbox = [event];
      this.#next = 0;
    } else (this.#inbox as Recorded<InputEvent>[]).push(event);
    return true;
  }

  /** The next input to apply, taken out. */
  take(): Recorded<InputEvent> | null {
    if (this.#next === this.#inbox.length) return null;
    const event = this.#inbox[this.#next++] as Recorded<InputEvent>;
    if (this.#next === this.#inbox.length) {
      this.#inbox = none;
      this.#next = 0;
    }
    return event;
  }

  get hasInput(): boolean {
    return this.#next < this.#inbox.length;
  }
}
