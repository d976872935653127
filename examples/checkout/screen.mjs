// What the demo shows: a line is a time, who speaks, and what. Colours only on a terminal that wants them.

const startedAt = performance.now();
const hasColours = process.stdout.hasColors?.() === true;
const colours = { app: 36, provider: 35, demo: 33, dim: 2, bold: 1, good: 32, bad: 31 };

export function paint(colour, text) {
  return hasColours && text !== "" ? `\x1b[${colours[colour]}m${text}\x1b[0m` : text;
}

export function seconds(ms) {
  return `${(ms / 1_000).toFixed(2)} s`;
}

export function elapsed() {
  return performance.now() - startedAt;
}

export function show(line = "") {
  process.stdout.write(`${line}\n`);
}

/** `who` is one of the processes: demo, app, provider. */
export function say(who, line) {
  show(`${paint("dim", seconds(elapsed()).padStart(8))}  ${paint(who, who.padEnd(8))}  ${line}`);
}

export function title(text) {
  show(`\n${paint("bold", text)}\n`);
}
