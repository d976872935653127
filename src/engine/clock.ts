// The machine's own clock.

import { clearTimeout, setTimeout } from "node:timers";
import type { Clock } from "../core/clock.ts";
import { native } from "./realm/globals.ts";

const longestMs = 2 ** 31 - 1;

/** Wall time, and alarms that never keep the process alive. */
export const systemClock: Clock = {
  now: () => native.Date.now(),
  alarm(at, wake) {
    let timer: NodeJS.Timeout;
    const set = (): void => {
      const left = Math.max(0, at - native.Date.now());
      timer = setTimeout(() => (left > longestMs ? set() : wake()), Math.min(left, longestMs)).unref();
    };
    set();
    return () => clearTimeout(timer);
  },
};
