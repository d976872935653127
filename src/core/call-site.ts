// Where in the author's code a call was made.

const frame = /(?:at |\()(?:async )?((?:file:\/\/|[A-Za-z]:[\\/]|\/).*?:\d+):\d+\)?$/;

/** The folder of the engine's own files, as stack frames write it; null where a bundler has put all code into one file. */
const root: string | null = /^(.*[\\/])core[\\/]call-site\.[jt]s:\d+$/.exec(firstPlace(new Error("here")) ?? "")?.[1] ?? null;

/** `file:line` of the first frame outside the engine; null where the platform does not tell. `error` was made where the call was. */
export function callSite(error: Error = called()): string | null {
  for (const line of error.stack?.split("\n").slice(1) ?? []) {
    const place = frame.exec(line)?.[1];
    if (place && !(root !== null && place.startsWith(root))) return place.replace("file://", "");
  }
  return null;
}

/** Between the author's line and the engine's own may be more frames than platforms keep: those of a portable step are fifteen. */
const framesKept = 40;

function called(): Error {
  const limit: unknown = Reflect.get(Error, "stackTraceLimit");
  Reflect.set(Error, "stackTraceLimit", framesKept);
  const error = new Error("call");
  Reflect.set(Error, "stackTraceLimit", limit);
  return error;
}

function firstPlace(error: Error): string | null {
  return frame.exec(error.stack?.split("\n")[1] ?? "")?.[1] ?? null;
}
