// What samples print. The recorder is there before the engine is, whose own `console` is silent where a run only replays.

import { format } from "node:util";

/** Lines, in order, while somebody records. */
export const printed: string[] = [];
let isRecording = false;

const log = console.log.bind(console);
console.log = (...args: unknown[]): void => {
  if (isRecording) printed.push(format(...args));
  else log(...args);
};

/** Records from here on, afresh, until the function that it returns is called. */
export function record(): () => void {
  printed.length = 0;
  isRecording = true;
  return () => {
    isRecording = false;
  };
}
