// The figures, for people or as JSON.

const columns = [
  "clients",
  "floor acks/s",
  "acks/s",
  "ratio",
  "completed/s",
  "ratio",
  "ack p50/p99 ms",
  "floor p50/p99 ms",
  "CPU µs",
  "floor CPU µs",
];

export function print(about, rows, asJson) {
  if (asJson) return console.log(JSON.stringify({ about, rows }, null, 2));
  const { cpus, node, driver, fsyncMs, runs, reps, seed } = about;
  console.log(`${cpus}, Node ${node}, ${driver}, fsync of a page ${fsyncMs.toFixed(2)} ms`);
  console.log(
    `${runs} parked runs, called back once each in random order (seed ${seed}), medians of ${reps}; one client calls a tenth of them\n`,
  );
  const cells = [columns, columns.map(() => "---"), ...rows.map(cellsOf)];
  for (const line of cells) console.log(`| ${line.join(" | ")} |`);
  console.log(`\nA parked run takes ${about.heapBytesPerRun} bytes of heap. CPU is the server's, per callback, all threads.`);
}

function cellsOf({ clients, floor, engine, ratio }) {
  const times = ({ p50, p99 }) => `${p50.toFixed(2)} / ${p99.toFixed(2)}`;
  const whole = (figure) => Math.round(figure).toLocaleString("en");
  return [
    clients,
    whole(floor.acks),
    whole(engine.acks),
    ratio.acks.toFixed(2),
    whole(engine.completed),
    ratio.completed.toFixed(2),
    times(engine),
    times(floor),
    engine.cpuUs.toFixed(1),
    floor.cpuUs.toFixed(1),
  ];
}
