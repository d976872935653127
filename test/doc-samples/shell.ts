// Whether the commands of a shell block exist: scripts of package.json, the command line's own commands, files of the project, variables
// that the code reads. What other programs do is their business.

import { Script } from "node:vm";

export interface Surroundings {
  readonly scripts: ReadonlySet<string>;
  /** What the package's command line knows; null where the package has none. */
  readonly commands: ReadonlySet<string> | null;
  hasFile(path: string): boolean;
  /** Whether the sources read this variable of the environment. */
  readsVariable(name: string): boolean;
}

const packageName = "ringback";
const foreign = new Set(["curl", "df", "sqlite3", "docker", "mkdir", "openssl"]);
const ownFile = /^(?:src\/)?[\w-]+\.[cm]?[jt]s$/;
const npmCommands = new Set(["ci", "i", "install", "start", "test", "run", "pkg", "ls", "dedupe"]);

/** What is wrong with the lines of a block: index of the line, and why. */
export function checkShell(lines: readonly string[], around: Surroundings): { readonly index: number; readonly message: string }[] {
  return joined(lines).flatMap(({ text, index }) =>
    commandsOf(text).flatMap((words) => {
      const message = checkCommand(words, around);
      return message === null ? [] : [{ index, message }];
    }),
  );
}

/** Lines that end in a backslash, or inside quotes, go on. */
function joined(lines: readonly string[]): { readonly text: string; readonly index: number }[] {
  const found: { text: string; index: number }[] = [];
  let isOpen = false;
  for (const [index, line] of lines.entries()) {
    const last = found.at(-1);
    if (isOpen && last) last.text = `${last.text.replace(/\\$/, "")}\n${line}`;
    else found.push({ text: line, index });
    const text = found.at(-1)?.text ?? "";
    isOpen = text.endsWith("\\") || (text.match(/'/g)?.length ?? 0) % 2 === 1;
  }
  return found;
}

/** The commands of a line, as words; quotes are kept together, comments dropped. */
function commandsOf(text: string): string[][] {
  const commands: string[][] = [[]];
  for (const [word] of text.matchAll(/'[^']*'|"[^"]*"|(?:[^\s'"#]|(?<=\S)#)(?:[^\s'"]|"[^"]*"|'[^']*')*|#.*$/gm)) {
    if (word.startsWith("#")) continue;
    if (/^(?:&&|\|\||\||;|&)$/.test(word)) commands.push([]);
    else commands.at(-1)?.push(word);
  }
  return commands.filter((words) => words.length > 0);
}

function checkCommand(words: readonly string[], around: Surroundings): string | null {
  const [first = "", ...rest] = words;
  const variable = /^([A-Z_]+)=/.exec(first)?.[1];
  if (variable !== undefined) {
    if (variable.startsWith("RINGBACK_") && !around.readsVariable(variable)) return `nothing reads ${variable}`;
    return rest.length === 0 ? null : checkCommand(rest, around);
  }
  if (first === "npm") return checkNpm(rest, around);
  if (first === "npx") return checkNpx(rest, around);
  if (first === "node") return checkNode(rest, around);
  if (first === ".ci/run") return around.hasFile(first) ? null : `${first} is not there`;
  return foreign.has(first) ? null : `${first} is no command that is known here`;
}

function checkNpm([command = "", ...rest]: readonly string[], { scripts }: Surroundings): string | null {
  if (!npmCommands.has(command)) return `npm ${command} is no command that is known here`;
  const [name = ""] = rest.filter((word) => !word.startsWith("-"));
  if (command === "run" && !scripts.has(name)) return `package.json has no script ${name}`;
  if (command === "install" && name !== "" && !name.replace(/^\w+@npm:/, "").startsWith(packageName))
    return `npm install ${name}: this package is ${packageName}`;
  return null;
}

function checkNpx([tool = "", ...rest]: readonly string[], around: Surroundings): string | null {
  if (tool === "tsx") return checkNode(rest, around);
  if (tool !== packageName) return `npx ${tool} is no command that is known here`;
  const [command] = rest.filter((word) => !word.startsWith("-"));
  if (around.commands === null) return "the package has no command line";
  return command === undefined || around.commands.has(command) ? null : `${packageName} has no command ${command}`;
}

function checkNode(words: readonly string[], { hasFile }: Surroundings): string | null {
  const at = words.indexOf("-e");
  if (at >= 0) {
    try {
      new Script((words[at + 1] ?? "").slice(1, -1));
      return null;
    } catch (error) {
      return `node -e: ${String(error)}`;
    }
  }
  // What is preloaded is a module, by its name.
  const [path = ""] = words.filter((word, index) => !word.startsWith("-") && words[index - 1] !== "--import");
  return ownFile.test(path) || hasFile(path) ? null : `${path} is not there`;
}
