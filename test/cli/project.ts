// A user's project with the package installed as npm would lay it out, and processes in it: the command line, apps, `dev`.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, onTestFinished } from "vitest";
import { bundledPackage, compiledPackage } from "../child/compiled.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CallOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  /** The Node to run it with; this one unless told. */
  readonly node?: string;
}

/** A copy of the compiled package for a test file: bundled where neither `dev` nor directives are needed, and processes are many. */
export async function createProject({ isBundled = false }: { readonly isBundled?: boolean } = {}): Promise<Project> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "ringback-cli-")));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const modules = join(folder, "node_modules");
  const own = join(modules, "ringback");
  mkdirSync(own, { recursive: true });
  cpSync(join(root, "package.json"), join(own, "package.json"));
  const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { dependencies: Record<string, string> };
  for (const name of Object.keys(dependencies)) link(name, modules);
  cpSync(isBundled ? bundledPackage() : compiledPackage(), join(own, "dist"), { recursive: true });
  return new Project(folder);
}

/** An installed package of this repository, for a project of its own. */
export function link(name: string, modules: string): void {
  mkdirSync(dirname(join(modules, name)), { recursive: true });
  symlinkSync(join(root, "node_modules", name), join(modules, name), "junction");
}

export class Project {
  readonly folder: string;
  readonly #program: string;
  #folders = 0;

  constructor(folder: string) {
    this.folder = folder;
    this.#program = join(folder, "node_modules/ringback/dist/cli/main.js");
  }

  /** A new folder from which the package is found. */
  newFolder(files: Readonly<Record<string, string>> = {}): string {
    const folder = join(this.folder, `f${++this.#folders}`);
    mkdirSync(folder);
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), text);
    }
    return folder;
  }

  /** The package once more under another name, for all of the project or for one folder, as npm lays out `name@npm:ringback`. */
  installAs(name: string, folder: string = this.folder): string {
    const copy = join(folder, "node_modules", name);
    cpSync(join(this.folder, "node_modules/ringback"), copy, { recursive: true });
    return copy;
  }

  /** Runs `ringback …` to its end. */
  run(args: readonly string[], options: CallOptions = {}): Promise<Ended> {
    return this.runNode([this.#program, ...args], options);
  }

  /** Runs `node …` to its end. */
  async runNode(args: readonly string[], options: CallOptions = {}): Promise<Ended> {
    const child = spawn(options.node ?? process.execPath, args, {
      cwd: options.cwd ?? this.folder,
      env: { ...cleanEnvironment(), ...options.env },
    });
    const ended = { stdout: "", stderr: "" };
    child.stdout.setEncoding("utf8").on("data", (text: string) => void (ended.stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => void (ended.stderr += text));
    child.stdin.end(options.input ?? "");
    const [code] = (await once(child, "close")) as [number | null];
    return { code, ...ended };
  }

  /** Runs it with `--json`, and gives what it printed, parsed: a document, or one per line. */
  async json<T = any>(args: readonly string[], options: CallOptions = {}): Promise<T[]> {
    const { code, stdout, stderr } = await this.run([...args, "--json"], options);
    if (code !== 0) throw new Error(`ringback ${args.join(" ")} ended with ${code}: ${stderr}`);
    return stdout
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as T);
  }

  /** Starts `ringback …` and leaves it running, in a process group of its own, as a shell would. */
  start(args: readonly string[], options: CallOptions = {}): Running {
    return new Running([this.#program, ...args], options);
  }

  /** Starts an app of the user's, in plain Node. */
  startApp(file: string, options: CallOptions & { readonly cwd: string }, args: readonly string[] = []): Running {
    return new Running([file, ...args], options);
  }
}

export class Running {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  /** Both, as they came. */
  output = "";
  stdout = "";

  constructor(args: readonly string[], { cwd, env, node = process.execPath }: CallOptions) {
    const child = spawn(node, args, {
      cwd,
      env: { ...cleanEnvironment(), ...env },
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.child = child;
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text: string) => void (this.output += text));
    child.stdout.on("data", (text: string) => void (this.stdout += text));
    this.ended = once(child, "close").then(([code]) => code as number | null);
    onTestFinished(() => this.kill());
  }

  /** Resolves with what it printed up to and with this, after `from` characters. */
  async shows(pattern: RegExp | string, from = 0): Promise<RegExpMatchArray> {
    const over = this.ended.then((code) =>
      Promise.reject(new Error(`It ended with ${code} and did not show ${String(pattern)}:\n${this.output}`)),
    );
    over.catch(() => {});
    const wanted = typeof pattern === "string" ? new RegExp(pattern.replace(/[^\w\s]/g, "\\$&")) : pattern;
    for (;;) {
      const found = this.output.slice(from).match(wanted);
      if (found) return found;
      await Promise.race([once(this.child.stdout!, "data"), once(this.child.stderr!, "data"), over]);
    }
  }

  /** News that `dev --json` tells: the first of its kind after `from` characters. */
  async news<T = any>(event: string, from = 0): Promise<T> {
    const [line] = await this.shows(new RegExp(`^\\{"event":"${event}".*$`, "m"), from);
    return JSON.parse(line) as T;
  }

  /** To the process and all that it has started, as a terminal does. */
  signal(signal: NodeJS.Signals): void {
    process.kill(-this.child.pid!, signal);
  }

  async kill(): Promise<void> {
    try {
      this.signal("SIGKILL");
    } catch {
      // All of them are gone.
    }
    await this.ended;
  }
}

/** A process that has ended and that nobody has asked about is as good as gone. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const status = `/proc/${pid}/stat`;
  return !existsSync(status) || !/\) Z /.test(readFileSync(status, "utf8"));
}

/** A port that is free now. */
export async function freePort(): Promise<string> {
  const server = createServer().listen(0);
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return String(port);
}

/** What a user's shell has, without what the test runner adds. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(RINGBACK_|VITEST|NODE_|TEST$|PORT$|FORCE_COLOR$|NO_COLOR$)/.test(name));
  return Object.fromEntries(kept);
}
