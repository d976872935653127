// Time for tests: it stands still until it is moved, and moving it rings what is due, in order, before the call returns.

import type { Clock } from "../core/clock.ts";

/** A clock that stands still until it is moved; instants are milliseconds since the epoch. */
export interface ManualClock extends Clock {
  /** Moves time on by `ms`. */
  advance(ms: number): void;
  /** Moves time to `at`. Back, too: no alarm rings then. */
  set(at: number): void;
}

interface Alarm {
  readonly at: number;
  readonly wake: () => void;
}

/** A clock that stands at `startAt` until a test moves it. An alarm sees the instant it was set for, however far time is moved. */
export function createManualClock(startAt: number = Date.UTC(2026, 0, 1)): ManualClock {
  const alarms: Alarm[] = [];
  let time = startAt;

  /** Alarms for one instant ring in the order in which they were set. */
  function nextUntil(until: number): Alarm | undefined {
    const [first] = alarms;
    return first !== undefined && first.at <= until ? alarms.shift() : undefined;
  }

  function ring(until: number): void {
    for (let alarm = nextUntil(until); alarm; alarm = nextUntil(until)) {
      time = Math.max(time, alarm.at);
      alarm.wake();
    }
  }

  function set(at: number): void {
    ring(at);
    time = at;
  }

  return {
    now: () => time,
    alarm(at, wake) {
      const alarm = { at, wake };
      const after = alarms.findIndex((other) => other.at > at);
      alarms.splice(after < 0 ? alarms.length : after, 0, alarm);
      // An instant that has come is not waited for.
      if (at <= time) queueMicrotask(() => ring(time));
      return () => {
        const index = alarms.indexOf(alarm);
        if (index >= 0) alarms.splice(index, 1);
      };
    },
    advance: (ms) => set(time + ms),
    set,
  };
}
