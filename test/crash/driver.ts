// Starts the app, starts it again whenever it is killed, and asks it until it has answered, as a provider that retries would.
//
// The app runs compiled, in plain Node: a process is up in a seventh of a second.

import { type ChildProcess, fork } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { closeSync, fstatSync, mkdtempSync, openSync, readdirSync, readFileSync, readSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { bundledApp } from "../child/compiled.ts";
import { testKeys } from "../harness.ts";

/** A line of the ledger: an attempt of a step began its work. */
export interface Entry {
  readonly run: string;
  readonly step: string;
  readonly attempt: number;
  readonly key: string;
  readonly value: unknown;
}

export interface Reply {
  readonly status: number;
  readonly disposition: string | undefined;
  /** Without what belongs to the connection, and without the disposition. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** How a process went: what it said instead of opening, and what ended it. */
export interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** One life of the app. */
export class Life {
  readonly child: ChildProcess;
  /** Null where the process ended, or refused to open, before it listened. */
  readonly port: Promise<number | null>;
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  refusal: Refusal | null = null;
  isClosing = false;
  stderr = "";

  constructor(path: string, env: Readonly<Record<string, string>>, told: (event: string, text?: string) => void) {
    this.child = fork(path, { env: { ...process.env, NODE_ENV: "development", ...env }, stdio: ["ignore", "ignore", "pipe", "ipc"] });
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
      told("stderr", text);
    });
    this.exited = once(this.child, "close").then(([code, signal]) => ({ code, signal }));
    this.port = new Promise((resolve) => {
      this.child.on("message", (message: { type: string; port?: number }) => {
        if (message.type === "ready") resolve(message.port as number);
        if (message.type === "refused") this.refusal = message as unknown as Refusal;
        told(message.type);
      });
      void this.exited.then(() => resolve(null));
    });
  }

  /** Ends it as the kernel does. */
  async kill(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.exited;
  }

  async close(graceMs?: number): Promise<void> {
    this.isClosing = true;
    if (this.child.connected) this.child.send({ type: "close", graceMs });
    await this.exited;
  }
}

/** A store, a ledger, and the lives of the app on them, one after the other. */
export class CrashWorld {
  readonly folder: string = mkdtempSync(join(tmpdir(), "ringback-crash-"));
  readonly lives: Life[] = [];
  readonly #path: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #events = new EventEmitter().setMaxListeners(0);
  readonly #entries: Entry[] = [];
  #ledgerBytes = 0;
  #isOver = false;

  constructor(path: string, env: Readonly<Record<string, string>> = {}) {
    this.#path = path;
    this.#env = { RINGBACK_KEYS: testKeys, CRASH_STORE: this.store, CRASH_LEDGER: join(this.folder, "ledger"), ...env };
  }

  get store(): string {
    return join(this.folder, "test.db");
  }

  get life(): Life {
    return this.lives.at(-1) as Life;
  }

  /** Begins the next life; it dies at `crashAt`. */
  begin(crashAt: string | null = null, env: Readonly<Record<string, string>> = {}): Life {
    this.lives.push(this.beside({ ...(crashAt === null ? {} : { RINGBACK_CRASH_AT: crashAt }), ...env }));
    this.#events.emit("life");
    return this.life;
  }

  /** A process on the same store that is none of the lives. */
  beside(env: Readonly<Record<string, string>>): Life {
    return new Life(this.#path, { ...this.#env, ...env }, (event, text) => this.#events.emit(event, text));
  }

  /** Lives through these deaths, and then on. Resolves when the last death is over; rejects where a life ends otherwise. */
  async dieAt(points: readonly string[]): Promise<void> {
    for (const point of points) {
      const life = this.begin(point);
      const { code, signal } = await life.exited;
      if (signal !== "SIGKILL") throw new Error(`A life that was to end at ${point} ended with ${signal ?? code}: ${life.stderr}`);
    }
    this.begin();
  }

  /**
   * Dies so often, each time at a moment that chance chooses; every fourth time while it starts, and else when it has got somewhere: three
   * deaths in a row before a run gets on set it aside, as they should.
   */
  async dieAnytime(times: number, chance: () => number): Promise<void> {
    for (let time = 0; time < times; time++) {
      const life = this.begin();
      if (time % 4 === 3) await new Promise((resolve) => setTimeout(resolve, chance() * 300));
      else await this.#happenings(30 + chance() * 40);
      await life.kill();
    }
    this.begin();
  }

  /** Is closed so often, each time at a moment that chance chooses. */
  async closeAnytime(times: number, chance: () => number): Promise<void> {
    for (let time = 0; time < times; time++) {
      const life = this.begin();
      await this.#happenings(chance() * 40);
      await life.close();
    }
    this.begin();
  }

  /** Resolves when the app has begun so many attempts, or given so many answers. */
  #happenings(count: number): Promise<void> {
    return new Promise((resolve) => {
      let left = count;
      const one = (): void => {
        if (--left > 0) return;
        this.#events.off("entry", one).off("reply", one);
        resolve();
      };
      this.#events.on("entry", one).on("reply", one);
    });
  }

  /** Rejects when a life complains: a run that is set aside would be waited for for ever. */
  complaint(): Promise<never> {
    return once(this.#events, "stderr").then(([text]) => Promise.reject(new Error(`A life complained: ${text}`)));
  }

  /** Begins a life after each death, until it may end. */
  async dieByItself(env: Readonly<Record<string, string>>, isOver: () => boolean): Promise<void> {
    do {
      await this.begin(null, env).exited;
    } while (!isOver() && !this.#isOver);
  }

  /** Asks the life of the moment, and the next one where that dies before it has answered. */
  async ask(path: string, ask: Ask = {}): Promise<Reply> {
    for (;;) {
      const { life } = this;
      const port = await life.port;
      try {
        const reply = port === null ? null : await send(port, path, ask);
        this.#events.emit("reply");
        if (reply && reply.status !== 503) return reply;
        if (reply && !life.isClosing) continue; // as any provider would
      } catch {
        // It died; what became of the request is not known.
      }
      await life.exited;
      while (this.life === life) {
        if (this.#isOver) throw new Error(`Nobody is left to answer ${path}: ${life.stderr}`);
        await once(this.#events, "life");
      }
    }
  }

  /** The result of a route of the app. */
  async value<T>(path: string, body?: string): Promise<T> {
    const reply = await this.ask(path, body === undefined ? {} : { method: "POST", body });
    if (reply.status !== 200) throw new Error(`${path}: ${reply.body}`);
    return JSON.parse(reply.body) as T;
  }

  entries(): readonly Entry[] {
    const added = readFrom(join(this.folder, "ledger"), this.#ledgerBytes);
    const whole = added.subarray(0, added.lastIndexOf(10) + 1);
    this.#ledgerBytes += whole.length;
    for (const line of whole.toString().split("\n")) this.#entries.push(...entryIn(line));
    return this.#entries;
  }

  /** The first entry that fits, as soon as it is there. */
  async noted(fits: (entry: Entry) => boolean): Promise<Entry> {
    for (;;) {
      const found = this.entries().find(fits);
      if (found) return found;
      if (this.#isOver) throw new Error("The entry never came.");
      await Promise.race([once(this.#events, "entry"), once(this.#events, "life")]);
    }
  }

  /** All files of the store, and what the lives printed. */
  artefacts(): { readonly name: string; readonly bytes: Buffer }[] {
    const files = readdirSync(this.folder).filter((name) => name !== "ledger" && name !== "keys");
    const printed = this.lives.map((life, index) => ({ name: `stderr of life ${index}`, bytes: Buffer.from(life.stderr) }));
    return [...files.map((name) => ({ name, bytes: readFileSync(join(this.folder, name)) })), ...printed];
  }

  async end(): Promise<void> {
    this.#isOver = true;
    this.#events.emit("life");
    for (const life of this.lives) if (life.child.exitCode === null && life.child.signalCode === null) await life.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export async function createCrashWorld(env?: Readonly<Record<string, string>>): Promise<CrashWorld> {
  const world = new CrashWorld(bundledApp(), env);
  onTestFinished(() => world.end());
  return world;
}

/** A process may be killed in the middle of a line. */
function entryIn(line: string): Entry[] {
  try {
    return [JSON.parse(line) as Entry];
  } catch {
    return [];
  }
}

function readFrom(path: string, position: number): Buffer {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch {
    return Buffer.alloc(0); // nothing has happened yet
  }
  const bytes = Buffer.alloc(Math.max(0, fstatSync(file).size - position));
  const length = readSync(file, bytes, 0, bytes.length, position);
  closeSync(file);
  return bytes.subarray(0, length);
}

const ofTheConnection: ReadonlySet<string> = new Set(["date", "connection", "keep-alive", "transfer-encoding", "ringback-disposition"]);

/** One request on a connection of its own. Rejects where the connection breaks. */
export function send(port: number, path: string, { method = "POST", headers = {}, body = "" }: Ask): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { port, host: "127.0.0.1", path, method, headers: { "content-type": "text/plain", ...headers }, agent: false },
      (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (piece: string) => (text += piece));
        response.on("error", reject).on("end", () => {
          const own = Object.entries(response.headers as Record<string, string>).filter(([name]) => !ofTheConnection.has(name));
          const disposition = response.headers["ringback-disposition"] as string | undefined;
          resolve({ status: response.statusCode ?? 0, disposition, headers: Object.fromEntries(own), body: text });
        });
      },
    );
    sent.on("error", reject).end(body);
  });
}
