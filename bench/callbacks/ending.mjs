// When every run has durably ended, as another process sees it: a door on the same file, which reads only what is committed.

import { join } from "node:path";
import { createEngine } from "ringback";

/** How many of the runs called last are asked about again and again. All others are asked about once more, in the end. */
const tail = 500;

/** Opens the door. What it returns waits until all of `runs`, in the order they were called, have ended, and says how long it took. */
export async function whenAllEnded(folder) {
  const door = createEngine({ store: `sqlite:${join(folder, "bench.db")}`, role: "ingress", baseUrl: null });
  await door.open();
  const isOver = async ({ id }) => (await door.getRun(id).state) === "completed";
  return async (runs, beganAt) => {
    for (const run of runs.slice(-tail).reverse()) while (!(await isOver(run))) await new Promise(setImmediate);
    const took = Number(process.hrtime.bigint()) / 1e6 - beganAt;
    for (const run of runs) if (!(await isOver(run))) throw new Error(`${run.id} was called back and has not completed.`);
    await door.close();
    return took;
  };
}
