// When every run has durably ended, as another process sees it: a door on the same file, which reads only what is committed.

import { join } from "node:path";
import { createEngine } from "ringback";

/** How many of the runs called last are asked about again and again. All others are asked about once more, in the end. */
const tail = 500;

/** Opens the door. What it returns waits for the end of all of `ids`, in the order they were called, and says how long it took. */
export async function whenAllEnded(folder) {
  const door = createEngine({ store: `sqlite:${join(folder, "bench.db")}`, role: "door", baseUrl: null });
  await door.open();
  const isOver = async (id) => (await door.getRun(id).state) === "completed";
  return async (ids, beganAt) => {
    for (const id of ids.slice(-tail).reverse()) while (!(await isOver(id))) await new Promise(setImmediate);
    const took = Number(process.hrtime.bigint()) / 1e6 - beganAt;
    for (const id of ids) if (!(await isOver(id))) throw new Error(`Run ${id} was called back and has not completed.`);
    await door.close();
    return took;
  };
}
