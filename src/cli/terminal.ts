// The one place that writes to stdout and stderr. Answers go to stdout, everything about them to stderr. Colours only where a terminal
// shows them and nobody objects: `hasColors` knows NO_COLOR, FORCE_COLOR and TERM.

import { styleText } from "node:util";

export type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";

export interface Terminal {
  /** A line of the answer. */
  line(text?: string): void;
  /** A value on one line, for programs. */
  json(value: unknown): void;
  /** A line beside the answer. */
  note(text: string): void;
  /** How far a long task is, on one line of stderr that the next one overwrites; an empty one clears it. Nothing where that is no terminal. */
  progress(text: string): void;
  /** For text that goes to stdout. */
  paint(style: Style, text: string): string;
  /** For text that goes to stderr. */
  paintNote(style: Style, text: string): string;
  /** How many characters a line of stdout holds. */
  readonly width: number;
}

const widthElsewhere = 100;

export function createTerminal(): Terminal {
  const { stdout, stderr } = process;
  // `ringback runs | head` is no error: whoever reads has seen enough.
  stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));
  return {
    line: (text = "") => void stdout.write(`${text}\n`),
    json: (value) => void stdout.write(`${JSON.stringify(value)}\n`),
    note: (text) => void stderr.write(`${text}\n`),
    progress: (text) => void (stderr.isTTY && stderr.write(`\r\u001b[K${text}`)),
    paint: painter(stdout),
    paintNote: painter(stderr),
    width: stdout.columns ?? widthElsewhere,
  };
}

function painter(stream: NodeJS.WriteStream): (style: Style, text: string) => string {
  const hasColours = stream.isTTY && stream.hasColors();
  return (style, text) => (hasColours && text !== "" ? styleText(style, text) : text);
}
