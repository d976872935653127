// A Nest app of the samples, in a process of its own, and the payment provider that it asks. The app is compiled with the package's
// own build beside it, as a user's app has it.

import { execFile } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { bundledPackage } from "../child/compiled.ts";
import { CrashWorld, type Reply } from "../crash/driver.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const tsc = join(root, "node_modules/typescript/bin/tsc");

/** As Nest sets up a new app: CommonJS, and decorators with the types of what they stand at. */
const commonJs = {
  module: "nodenext",
  moduleResolution: "nodenext",
  target: "ES2023",
  types: ["node"],
  strict: true,
  esModuleInterop: true,
  isolatedModules: true,
  experimentalDecorators: true,
  emitDecoratorMetadata: true,
  rewriteRelativeImportExtensions: true,
  skipLibCheck: true,
  rootDir: "src",
  outDir: "out",
};
/** As strict as can be, in modules. */
const modules = { ...commonJs, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, verbatimModuleSyntax: true };

export type Platform = "express" | "fastify";

/** Source texts by name, and what else `main.ts` is to give to `serve`. */
export interface Sources {
  readonly files: Readonly<Record<string, string>>;
  readonly main: string;
}

/** A folder that has the package, and what the samples have imported it as. */
export class NestWorkshop {
  readonly #folder: string = mkdtempSync(join(tmpdir(), "ringback-nest-"));

  /** Copies the built package, and compiles the app for both platforms. Gives what the compiler complains of. */
  async build({ files, main }: Sources): Promise<string> {
    this.#install();
    const app = readFileSync(new URL("nest/app.ts", import.meta.url), "utf8");
    const sources = Object.entries({ ...files, app, main });
    const compiled = [
      this.#compiled("express", '{ "type": "commonjs" }', commonJs, sources),
      this.#compiled("fastify", '{ "type": "module" }', modules, sources),
    ];
    return (await Promise.all(compiled)).join("");
  }

  main(platform: Platform): string {
    return join(this.#folder, platform, "out/main.js");
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #install(): void {
    const here = join(this.#folder, "node_modules");
    mkdirSync(join(here, "ringback"), { recursive: true });
    for (const name of readdirSync(join(root, "node_modules")))
      if (name !== "ringback") symlinkSync(join(root, "node_modules", name), join(here, name), "junction");
    cpSync(join(root, "package.json"), join(here, "ringback/package.json"));
    symlinkSync(join(here, "ringback"), join(here, "workflow"), "junction");
    const original = join(here, "@dudousxd/nestjs-durable-core");
    mkdirSync(original, { recursive: true });
    writeFileSync(join(original, "package.json"), '{ "type": "module", "exports": "./index.js" }');
    for (const file of ["index.js", "index.d.ts"]) writeFileSync(join(original, file), 'export * from "ringback/context";\n');
    cpSync(bundledPackage(), join(here, "ringback/dist"), { recursive: true });
  }

  async #compiled(platform: Platform, manifest: string, compilerOptions: object, sources: [string, string][]): Promise<string> {
    const folder = join(this.#folder, platform);
    mkdirSync(join(folder, "src"), { recursive: true });
    writeFileSync(join(folder, "package.json"), manifest);
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["src"] }));
    for (const [name, text] of sources) writeFileSync(join(folder, "src", `${name}.ts`), text);
    return new Promise((resolve) => {
      execFile(process.execPath, [tsc, "-p", folder, "--pretty", "false"], (_error, stdout) => resolve(stdout));
    });
  }
}

export interface PaymentCall {
  readonly orderId: string;
  readonly amountCents: number;
  readonly callbackUrl: string;
}

type Path = "payments" | "shipments";

/** The other side: it notes what it is asked, and may leave a call unanswered. */
export class Provider {
  readonly #server: Server;
  readonly #calls: { readonly path: string; readonly body: PaymentCall }[] = [];
  readonly #unanswered = new Set<string>();
  readonly #events = new EventEmitter().setMaxListeners(0);

  constructor() {
    this.#server = createServer((request, response) => {
      void request.toArray().then((chunks) => {
        const path = String(request.url).slice(1);
        const body = JSON.parse(Buffer.concat(chunks).toString()) as PaymentCall;
        this.#calls.push({ path, body });
        this.#events.emit("call");
        if (!this.#unanswered.delete(`${path} ${body.orderId}`)) response.writeHead(204).end();
      });
    });
  }

  async open(): Promise<string> {
    await once(this.#server.listen(0, "127.0.0.1"), "listening");
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  /** The next call of this order hangs until its caller is gone. */
  leaveUnanswered(path: Path, orderId: string): void {
    this.#unanswered.add(`${path} ${orderId}`);
  }

  calls(path: Path, orderId: string): readonly PaymentCall[] {
    return this.#calls.filter((call) => call.path === path && call.body.orderId === orderId).map(({ body }) => body);
  }

  /** The n-th call of this order, as soon as it is there. */
  async called(path: Path, orderId: string, nth = 1): Promise<PaymentCall> {
    for (;;) {
      const call = this.calls(path, orderId)[nth - 1];
      if (call) return call;
      await once(this.#events, "call");
    }
  }
}

/** The lives of an app on one SQLite file, and the provider that it asks. */
export class NestWorld {
  readonly provider: Provider;
  /** Fewer deaths: each costs a start of the app. */
  readonly isBrief: boolean;
  readonly #lives: CrashWorld;
  #keys = 0;

  private constructor(provider: Provider, lives: CrashWorld, isBrief: boolean) {
    this.provider = provider;
    this.isBrief = isBrief;
    this.#lives = lives;
  }

  static async open(main: string, platform: Platform, isBrief: boolean): Promise<NestWorld> {
    const provider = new Provider();
    const lives = new CrashWorld(main, { NEST_PLATFORM: platform, PROVIDER_URL: await provider.open() });
    lives.begin();
    return new NestWorld(provider, lives, isBrief);
  }

  async end(): Promise<void> {
    this.provider.close();
    await this.#lives.end();
  }

  /** What the lives have told of, a line each. */
  told(): string[] {
    return this.#lives.lives.flatMap(({ stderr }) => stderr.split("\n")).filter((line) => line !== "");
  }

  /** Kills the app, and starts it again. */
  async restart(env: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.#lives.life.kill();
    this.#lives.begin(null, env);
  }

  /** Kills the app, and starts it again and again, to die at these points; meanwhile somebody calls. */
  async dieAt<T>(points: readonly string[], calling: () => Promise<T>): Promise<T> {
    await this.#lives.life.kill();
    const [result] = await Promise.all([calling(), this.#lives.dieAt(points)]);
    return result;
  }

  async start(workflow: string, id: string, input: object = {}): Promise<void> {
    const reply = await this.post(`/runs/${workflow}/${id}`, { id, ...input });
    if (reply.status !== 201) throw new Error(reply.body);
  }

  /** Waits until the run waits. */
  async parked(id: string): Promise<void> {
    let state: string;
    do ({ state } = await this.#get<{ state: string }>(`/runs/${id}/state`));
    while (state === "pending" || state === "running");
    if (state !== "waiting") throw new Error(`Run ${id} is ${state}.`);
  }

  /** What it returned or threw, once it has. */
  ending(id: string): Promise<object> {
    return this.#get(`/runs/${id}`);
  }

  /** Calls back, as often as it takes until somebody answers: api.example.com leads to the app. */
  call(url: string, body: object): Promise<Reply> {
    return this.post(url.slice("https://api.example.com".length), body, { "idempotency-key": `call-${this.#keys++}` });
  }

  post(path: string, body: object, headers: Readonly<Record<string, string>> = {}): Promise<Reply> {
    return this.#lives.ask(path, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
  }

  async #get<T>(path: string): Promise<T> {
    const { status, body } = await this.#lives.ask(path, { method: "GET" });
    if (status !== 200) throw new Error(`${path}: ${status} ${body}`);
    return JSON.parse(body) as T;
  }
}
