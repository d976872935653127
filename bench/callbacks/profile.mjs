// A CPU profile of the timed part alone, where `BENCH_PROFILE` names a folder for it.

import { writeFileSync } from "node:fs";
import { Session } from "node:inspector/promises";
import { join } from "node:path";

let session = null;

/** Begins to profile at the first call, writes what there is at the second. */
export async function toggleProfile(name) {
  const folder = process.env.BENCH_PROFILE;
  if (!folder) return;
  if (session === null) {
    session = new Session();
    session.connect();
    await session.post("Profiler.enable");
    await session.post("Profiler.setSamplingInterval", { interval: 200 });
    await session.post("Profiler.start");
    return;
  }
  const { profile } = await session.post("Profiler.stop");
  session.disconnect();
  session = null;
  writeFileSync(join(folder, `${name}-${process.pid}.cpuprofile`), JSON.stringify(profile));
}
