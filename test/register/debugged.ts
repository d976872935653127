// A process under Node's inspector, as an editor debugs one: breakpoints at the author's lines, by the map that comes with each script.
//
// The protocol goes over a WebSocket. Node 20 has no client for one, so the few frames that are needed are made here.

import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { request } from "node:http";
import { SourceMap, type SourceMapPayload } from "node:module";
import type { Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

export interface Stop {
  /** `file:line` of the author's. */
  readonly at: string;
  readonly variables: Readonly<Record<string, unknown>>;
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: any;
  readonly result?: any;
  readonly error?: { readonly message: string };
}

export class Debugged {
  output = "";
  readonly #socket: Socket;
  readonly #answers = new Map<number, (message: Message) => void>();
  readonly #maps = new Map<string, SourceMap>();
  readonly #wanted = new Map<string, number>();
  readonly #pauses: any[] = [];
  #wake: () => void = () => {};
  #isOver = false;
  #rest: Buffer = Buffer.alloc(0);

  /** Attaches to a child that was started with `--inspect-brk`, and leaves it paused before its first line. */
  static async attach(child: ChildProcess): Promise<Debugged> {
    onTestFinished(() => void child.kill("SIGKILL"));
    let errors = "";
    child.stderr!.setEncoding("utf8").on("data", (text: string) => (errors += text));
    let address: RegExpExecArray | null = null;
    while (!(address = /ws:\/\/([^:]+):(\d+)(\/\S+)/.exec(errors))) await once(child.stderr!, "data");
    const [, hostname, port, path] = address;
    const headers = {
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": "a".repeat(22) + "==",
    };
    const asked = request({ hostname, port, path, headers }).end();
    const [, socket, head] = (await once(asked, "upgrade")) as [unknown, Socket, Buffer];
    const debugged = new Debugged(socket, child);
    debugged.#received(head);
    await debugged.#ask("Runtime.enable");
    await debugged.#ask("Debugger.enable");
    return debugged;
  }

  private constructor(socket: Socket, child: ChildProcess) {
    this.#socket = socket;
    socket.on("data", (bytes: Buffer) => this.#received(bytes));
    socket.setNoDelay(true).on("error", () => {});
    child.stdout!.setEncoding("utf8").on("data", (text: string) => (this.output += text));
    child.once("close", () => {
      this.#isOver = true;
      this.#wake();
    });
  }

  /** Runs the program to its end, and gives each stop at a line of a file. */
  async *stopsAt(file: string, line: number): AsyncGenerator<Stop> {
    this.#wanted.set(file, line);
    await this.#ask("Runtime.runIfWaitingForDebugger");
    for (let pause = await this.#paused(); pause !== null; pause = await this.#paused()) {
      if (pause.reason === "instrumentation") await this.#setWanted(pause.data);
      // From the app's first line on: before anything of a script runs, its breakpoints can be set.
      else if (pause.reason === "Break on start")
        await this.#ask("Debugger.setInstrumentationBreakpoint", { instrumentation: "beforeScriptWithSourceMapExecution" });
      else if (pause.hitBreakpoints?.length > 0) yield await this.#stopOf(pause.callFrames[0]);
      await this.#ask("Debugger.resume");
    }
  }

  async #stopOf(frame: any): Promise<Stop> {
    const { scriptId, lineNumber, columnNumber } = frame.location;
    const entry = this.#maps.get(scriptId)?.findEntry(lineNumber, columnNumber) as
      | { originalSource?: string; originalLine?: number }
      | undefined;
    const variables: Record<string, unknown> = {};
    for (const { type, object } of frame.scopeChain.toReversed()) {
      if (type === "global" || type === "module") continue;
      const { result } = await this.#ask("Runtime.getProperties", { objectId: object.objectId, ownProperties: true });
      for (const { name, value } of result) variables[name] = value?.objectId ? await this.#valueOf(value.objectId) : value?.value;
    }
    return { at: `${fileURLToPath(entry?.originalSource ?? "file:///")}:${(entry?.originalLine ?? 0) + 1}`, variables };
  }

  async #valueOf(objectId: string): Promise<unknown> {
    const functionDeclaration = "function () { try { return JSON.parse(JSON.stringify(this)) } catch {} }";
    return (await this.#ask("Runtime.callFunctionOn", { objectId, functionDeclaration, returnByValue: true })).result.value;
  }

  async #paused(): Promise<any> {
    while (this.#pauses.length === 0) {
      if (this.#isOver) return null;
      await new Promise<void>((wake) => (this.#wake = wake));
    }
    return this.#pauses.shift();
  }

  #ask(method: string, params: object = {}): Promise<any> {
    const id = this.#answers.size + 1;
    return new Promise((resolve, reject) => {
      this.#answers.set(id, ({ error, result }) => (error ? reject(new Error(`${method}: ${error.message}`)) : resolve(result)));
      if (this.#isOver) resolve({ result: [] });
      this.#socket.write(frameOf(JSON.stringify({ id, method, params })));
    });
  }

  #received(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    for (let message = this.#next(); message; message = this.#next()) {
      if (message.id !== undefined) this.#answers.get(message.id)?.(message);
      else if (message.method === "Debugger.paused") {
        this.#pauses.push(message.params);
        this.#wake();
      } else if (message.method === "Runtime.executionContextDestroyed") this.#socket.end(); // it waits for its debugger to go
    }
  }

  #next(): Message | null {
    const [rest, length] = [this.#rest, this.#rest[1]! & 127];
    if (rest.length < 2) return null;
    const start = length === 126 ? 4 : length === 127 ? 10 : 2;
    if (rest.length < start) return null;
    const size = length === 126 ? rest.readUInt16BE(2) : length === 127 ? Number(rest.readBigUInt64BE(2)) : length;
    if (rest.length < start + size) return null;
    this.#rest = rest.subarray(start + size);
    return (rest[0]! & 15) === 1 ? (JSON.parse(rest.subarray(start, start + size).toString("utf8")) as Message) : this.#next();
  }

  async #setWanted({ scriptId, url, sourceMapURL }: { scriptId: string; url: string; sourceMapURL: string }): Promise<void> {
    const inline = /^data:application\/json;base64,(.*)$/.exec(sourceMapURL)?.[1];
    if (inline === undefined || !url.startsWith("file:")) return;
    const payload = JSON.parse(Buffer.from(inline, "base64").toString("utf8")) as SourceMapPayload;
    const map = new SourceMap(payload);
    this.#maps.set(scriptId, map);
    const line = this.#wanted.get(fileURLToPath(payload.sources[0] as string));
    const at = line === undefined ? null : generated(map, line);
    if (at) await this.#ask("Debugger.setBreakpoint", { location: { scriptId, ...at } });
  }
}

/** The first place of what was made of a line. */
function generated(map: SourceMap, line: number): { readonly lineNumber: number; readonly columnNumber: number } | null {
  for (let lineNumber = 0; lineNumber < map.payload.mappings.split(";").length; lineNumber++) {
    for (let columnNumber = 0; columnNumber < 200; columnNumber++) {
      const { generatedLine, originalLine } = map.findEntry(lineNumber, columnNumber) as { generatedLine?: number; originalLine?: number };
      if (generatedLine === lineNumber && originalLine === line - 1) return { lineNumber, columnNumber };
    }
  }
  return null;
}

/** Frames of clients are masked; by zeros they stay as they are. */
function frameOf(text: string): Buffer {
  const body = Buffer.from(text);
  const head = body.length < 126 ? Buffer.from([0x81, 0x80 | body.length]) : Buffer.from([0x81, 0xfe, body.length >> 8, body.length & 255]);
  return Buffer.concat([head, Buffer.alloc(4), body]);
}
