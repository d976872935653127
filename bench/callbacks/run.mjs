// What a durable callback costs, beside the least that storing it could cost. See `bench/README.md`.
//
// Each measurement has three processes: a server (the engine, or the floor), the client that calls it, and this one, which only starts
// them, waits, and in the end looks into the store as a door to see that every acknowledged run has ended.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Child } from "./child.mjs";
import { whenAllEnded } from "./ending.mjs";
import { machine } from "./machine.mjs";
import { median, shuffled } from "./order.mjs";
import { print } from "./report.mjs";

/** Callbacks before the clock starts, at runs beyond those that are measured: until then much of the time goes into compiling. */
const warmUp = 5_000;
/** One client waits for each commit, so a tenth of the callbacks says as much. */
const loneClientShare = 10;

const usage = `What a durable callback costs, beside the least that storing it could cost. Takes about half a minute for each repetition.

Usage: npm run bench -- [options]
  --clients <list>  how many callbacks are under way at a time, up to 256 (default 1,16,64)
  --runs <n>        parked runs to call back, up to 200,000 (default 20000)
  --reps <n>        repetitions, up to 100; figures are their medians (default 3)
  --seed <n>        of the random order (default 1)
  --dir <folder>    where the files go: the disk that is measured (default: the system's folder for temporary files)
  --json            every figure of every repetition, as JSON
  --help            this`;

const options = readOptions();
const folder = mkdtempSync(join(options.dir, "ringback-bench-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

progress("how much heap a parked run takes …");
const about = { ...(await machine(folder)), ...options, heapBytesPerRun: await heapPerRun(options.runs) };
const series = options.clients.map((clients) => ({ clients, floor: [], engine: [] }));
for (let rep = 0; rep < options.reps; rep++) {
  for (const { clients, floor, engine } of series) {
    const work = {
      clients,
      seed: options.seed + rep,
      parked: options.runs,
      callbacks: clients === 1 ? Math.ceil(options.runs / loneClientShare) : options.runs,
    };
    progress(`repetition ${rep + 1} of ${options.reps}, ${clients} client${clients === 1 ? "" : "s"} …`);
    // The order changes, so that neither is always the one the disk has just been busy for.
    if (rep % 2 === 0) floor.push(await measure("floor", work));
    engine.push(await measure("engine", work));
    if (rep % 2 === 1) floor.push(await measure("floor", work));
  }
}
progress("");
print(about, series.map(summary), options.json);

/** One line that is written over, for whoever watches. */
function progress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

async function measure(kind, { clients, seed, parked, callbacks }) {
  const place = mkdtempSync(join(folder, `${kind}-`));
  const server = new Child(`${kind}.mjs`, { folder: place, runs: parked + warmUp });
  const client = new Child("client.mjs", { clients });
  try {
    const { port } = await server.ask("listen");
    const { paths } = await server.ask("park", { count: parked + warmUp });
    const runs = paths.map((path, index) => ({ path, id: `run-${index}` }));
    const inOrder = shuffled(runs, seed);
    const call = (some) => client.ask("call", { port, paths: some.map((run) => run.path) });
    await call(inOrder.slice(0, warmUp));
    const called = inOrder.slice(warmUp, warmUp + callbacks);
    const ending = kind === "engine" ? await whenAllEnded(place) : null;
    await server.ask("mark");
    const acks = await call(called);
    const tookMs = await ending?.(called, acks.beganAt);
    const { cpuUs } = await server.ask("mark");
    const perSecond = (ms) => callbacks / (ms / 1e3);
    return {
      acks: perSecond(acks.tookMs),
      ...(tookMs === undefined ? {} : { completed: perSecond(tookMs) }),
      p50: acks.p50,
      p99: acks.p99,
      cpuUs: cpuUs / callbacks,
    };
  } finally {
    await Promise.all([server.end(), client.end()]);
    rmSync(place, { recursive: true, force: true });
  }
}

/** What a parked run takes of the heap, in a process of its own: to collect garbage would cost a measurement its compiled code. */
async function heapPerRun(parked) {
  const place = mkdtempSync(join(folder, "heap-"));
  const server = new Child("engine.mjs", { folder: place, runs: parked + warmUp });
  try {
    await server.ask("listen");
    await server.ask("park", { count: warmUp });
    const before = await server.ask("heap");
    await server.ask("park", { count: parked });
    const after = await server.ask("heap");
    return Math.round((after.bytes - before.bytes) / parked);
  } finally {
    await server.end();
    rmSync(place, { recursive: true, force: true });
  }
}

/** Medians over the repetitions; a ratio is the median of the ratios of neighbours in time, not the ratio of medians. */
function summary({ clients, floor, engine }) {
  const mid = (list, name) => median(list.map((one) => one[name]));
  const ratio = (name) => median(engine.map((one, rep) => one[name] / floor[rep].acks));
  const half = (list) => ({ acks: mid(list, "acks"), p50: mid(list, "p50"), p99: mid(list, "p99"), cpuUs: mid(list, "cpuUs") });
  return {
    clients,
    floor: half(floor),
    engine: { ...half(engine), completed: mid(engine, "completed") },
    ratio: { acks: ratio("acks"), completed: ratio("completed") },
    reps: { floor, engine },
  };
}

function readOptions() {
  try {
    return parseOptions();
  } catch (error) {
    console.error(`${error.message}\n\n${usage}`);
    process.exit(2);
  }
}

function parseOptions() {
  const { values } = parseArgs({
    options: {
      help: { type: "boolean", default: false },
      runs: { type: "string", default: "20000" },
      reps: { type: "string", default: "3" },
      clients: { type: "string", default: "1,16,64" },
      seed: { type: "string", default: "1" },
      dir: { type: "string", default: tmpdir() },
      json: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    process.exit(0);
  }
  const whole = (name, text, most) => {
    const number = Number(text);
    if (Number.isInteger(number) && number >= 1 && number <= most) return number;
    throw new Error(`--${name} takes whole numbers from 1 to ${most}, got "${text}".`);
  };
  return {
    runs: whole("runs", values.runs, 200_000),
    reps: whole("reps", values.reps, 100),
    clients: values.clients.split(",").map((text) => whole("clients", text, 256)),
    seed: whole("seed", values.seed, 2 ** 31),
    dir: values.dir,
    json: values.json,
  };
}
