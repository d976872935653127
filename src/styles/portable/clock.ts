// The platform's time.

import type { Clock } from "../../core/clock.ts";

/** The longest that a platform's timer can be set for, in milliseconds. */
const longestTimerMs = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  alarm: (at, wake) => {
    let timer: ReturnType<typeof setTimeout>;
    const set = (): void => {
      const ms = at - Date.now(); // platforms ring early, too
      timer = ms > 0 ? setTimeout(set, Math.min(ms, longestTimerMs)) : setTimeout(wake, 0);
    };
    set();
    return () => clearTimeout(timer);
  },
};
