// Joins what layers may not know of each other: the store for a URL, the handlers onto an engine, the default engine from the environment.

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { setImmediate } from "node:timers";
import { badArgument, checkOptions, type OptionNames } from "./core/argument.ts";
import type { Clock, RandomBytes } from "./core/clock.ts";
import { RingbackError } from "./core/errors.ts";
import { limits } from "./core/limits.ts";
import { useSecrets } from "./core/secret.ts";
import type { RegisteredClass, SelfStoring } from "./core/serialise-class.ts";
import { systemClock } from "./engine/clock.ts";
import { type Diagnosis, diagnose } from "./engine/diagnosis.ts";
import { askDefault, bindApi, defaultApi, useDefaultApi } from "./engine/default.ts";
import { earlyTokens } from "./engine/early.ts";
import { EngineCore } from "./engine/engine.ts";
import { EncryptedStore } from "./engine/encrypted-store.ts";
import { type EncryptionOptions, encryptionFrom } from "./engine/encryption-keys.ts";
import { EngineApi } from "./engine/engine-api.ts";
import { type Health, healthOf } from "./engine/health.ts";
import type { EngineEventName, EngineListener } from "./engine/observer.ts";
import type { LogSink } from "./engine/logger.ts";
import { native } from "./engine/realm/globals.ts";
import { RunHandle } from "./engine/run-handle.ts";
import { processHooks, processWorkflows, Registry } from "./engine/registry.ts";
import { retentionFrom, type RetentionOptions } from "./engine/retention.ts";
import { definitionOf, type WorkflowFunction } from "./engine/workflow.ts";
import { type Admin, createAdmin } from "./http/admin.ts";
import { type AdminOptions, createGate, type Gate } from "./http/admin-gate.ts";
import { deliverBody } from "./http/callback.ts";
import { createIngress, forward, type Ingress, webhookRoute } from "./http/ingress.ts";
import { type KeyRing, loadKeyFile, parseKeys, readKeyRing, rotateKeyFile, withNewKey } from "./ingress/key-ring.ts";
import { createIngressLimit, type RateLimitOptions } from "./ingress/rate-limit.ts";
import { memoryStore } from "./store/memory/store.ts";
import type { Store } from "./store/port.ts";
import { sqliteStore } from "./store/sqlite/store.ts";
import { Bridge, type DurableRun, type PortableBody, type PortableStartOptions, type Settled } from "./styles/bridge/bridge.ts";
import { hookToken } from "./styles/bridge/host.ts";
import type { Deps, Workflow } from "./styles/portable/workflow.ts";

/** How an engine is made; all of it has a default. */
export interface EngineOptions {
  /** `sqlite:path`, `memory:`, or a store. Default: `RINGBACK_DATABASE_URL`, else `sqlite:.ringback/ringback.db`. */
  readonly store?: string | Store;
  /** The workflows this engine runs. Default: all that are declared in this process. */
  readonly workflows?: readonly WorkflowFunction<never[], unknown>[];
  /**
   * Where the outside reaches `ingress`, such as `https://api.example.com`. Default: `RINGBACK_BASE_URL`, else `http://localhost:$PORT`; in
   * production one is required, or `null` where no webhooks are made.
   */
  readonly baseUrl?: string | null;
  /** Builds a webhook's public URL from its token, in place of `baseUrl` and the standard route. */
  readonly webhookUrl?: (token: string) => string;
  /**
   * `kid=secret,…`, the current key first; secrets are ≥ 32 bytes in hex or base64. Default: `RINGBACK_KEYS`, else a key file beside the
   * SQLite database, made once.
   */
  readonly keys?: string | KeyRing;
  /**
   * Encrypts at rest what users and senders wrote, AES-256-GCM: `kid=secret,…`, the current key first, or where keys come from. Default:
   * `RINGBACK_ENCRYPTION_KEYS`, else, and with `false`, nothing is encrypted.
   */
  readonly encryption?: string | EncryptionOptions | false;
  /** `worker` runs workflows, `ingress` only starts, delivers and reads. Default: `RINGBACK_ROLE`, else `worker`. */
  readonly role?: "worker" | "ingress";
  /**
   * Whether a database, and a key file, that are not there are made. Default true; with `false` the first call rejects `store_not_found`.
   */
  readonly create?: boolean;
  /**
   * Where lines about failed and blocked runs, and about a store that fails, go: anything with `warn(line)` and `error(line)`; `false` for
   * nowhere. Default: stderr, but not in tests (`NODE_ENV=test`).
   */
  readonly logger?: LogSink | false;
  /** Where time comes from, for tests: `createManualClock()`. Default: the system's. */
  readonly clock?: Clock;
  /** Where unpredictable bytes come from. Default: the operating system. */
  readonly random?: RandomBytes;
  /** Parked runs kept in memory, 3–4 kB each; 0 runs everything from its journal. Default 20,000. */
  readonly hotRuns?: number;
  /** Step bodies that run at a time. Default 100. */
  readonly concurrency?: number;
  /** How long other workers wait before they take over a silent worker's runs. Default 15 s. */
  readonly leaseMs?: number;
  /** How long a cancelled run may clean up; one that is to compensate has the time it takes. Default 1 min. */
  readonly cancelGraceMs?: number;
  /** The cap on request bodies, in bytes; beyond it a sender gets 413. Default 1 MiB. */
  readonly bodyBytes?: number;
  /**
   * How many requests the public route takes, per process; beyond it senders get 429 with `Retry-After`, and nothing is stored. `perToken`:
   * at each of our tokens, 100 in a second after 1,000 at once; `forged`: of all whose token is not ours, the same. `false` for no limit.
   */
  readonly rateLimit?: RateLimitOptions | false;
  /**
   * Custom tokens at which a delivery may come before its hook, as patterns with `*`, such as `slack:*`: it is kept for an hour, and given
   * to the hook that claims the token. Default: none; a delivery asks for it by `early: true`.
   */
  readonly early?: string | readonly string[];
  /** How long what is over is kept. */
  readonly retention?: RetentionOptions;
  /** Who may use `engine.admin`. Default: who sends `Authorization: Bearer` with `RINGBACK_ADMIN_TOKEN` (16 characters or more); without that, nobody. */
  readonly admin?: AdminOptions;
  /** Classes whose instances may pass through journals, by name; one with the static methods of `@workflow/serde` says itself how. */
  readonly classes?: { readonly [name: string]: RegisteredClass<object> | SelfStoring };
}

const engineOptions: OptionNames<EngineOptions> = {
  store: true,
  workflows: true,
  baseUrl: true,
  webhookUrl: true,
  keys: true,
  encryption: true,
  role: true,
  create: true,
  logger: true,
  clock: true,
  random: true,
  hotRuns: true,
  concurrency: true,
  leaseMs: true,
  cancelGraceMs: true,
  bodyBytes: true,
  rateLimit: true,
  admin: true,
  classes: true,
  early: true,
  retention: true,
};

/** An engine of your own. */
export interface Engine extends EngineApi {
  /**
   * Adds workflows to those that it runs, whether it was made with a list of them or not. Runs that waited for them go on. Throws
   * `bad_argument`, `duplicate_name`.
   */
  register(...workflows: readonly WorkflowFunction<never[], unknown>[]): void;
  /** The same for a workflow of `ringback/portable` and its code, as `run` takes them: its runs go on here. */
  register<T, E, D extends Deps, U, I>(workflow: Workflow<E, D, U>, body: PortableBody<T, E, D, I>): void;
  /**
   * Starts a run of a workflow of `ringback/portable`, which is durable then as it is: nothing is loaded, saved or injected. Its name and its
   * code are registered as by `register`, so make both once, at the top of a module; a run has what is its own by `input`. With an `id` that
   * is taken by a run of the same workflow and input it resolves with that run. Throws `bad_argument`, `duplicate_name`, `run_conflict`.
   */
  run<T, E, D extends Deps, U, I>(
    workflow: Workflow<E, D, U>,
    body: PortableBody<T, E, D, I>,
    options?: PortableStartOptions<I>,
  ): Promise<DurableRun<T, Settled<E> | U>>;
  /**
   * For your route of a portable workflow's callbacks, such as `POST /hooks/:hookId`: delivers the request's body, JSON or a form, to the hook
   * with this id, once for each delivery key in its headers, and gives back what the sender is to be told. What comes before its step waits is
   * kept for an hour. Verify the sender first. Never rejects for what became of it.
   */
  callback(hookId: string, request: Request): Promise<Response>;
  /** Opens the store and takes up what an earlier process left. Every other call does it too. Holds the process alive until `close`. */
  open(): Promise<void>;
  /** Stops taking work and waits for what runs, at most `graceMs` (10 s); what is left is taken up at the next start. */
  close(options?: { readonly graceMs?: number }): Promise<void>;
  /** The public handler; mount it where `baseUrl` leads. */
  readonly ingress: Ingress;
  /**
   * Calls `listener` with each event of this name: what this engine did or saw, after it was committed. Returns what ends that. What a
   * listener throws goes to the logger. Throws `bad_argument`.
   */
  on<E extends EngineEventName>(event: E, listener: EngineListener<E>): () => void;
  /**
   * How the engine is doing: its store, lease, runs, timers and keys, and what is wrong. Opens and writes nothing, reads a bounded number of
   * rows, and does not reject for a store that is away; it is answered within 5 s.
   */
  health(): Promise<Health>;
  /** How the store is made and set, which keys are there, which runs do not move. Also where the engine cannot be opened for want of a key. */
  diagnose(): Promise<Diagnosis>;
  /**
   * Makes a new key the current one and keeps the others. Processes use it from their next start. Keys that were given as text stay as they
   * are: then the new text is in `keys`, for you to set. Rejects `bad_keys`.
   */
  rotateKeys(): Promise<RotatedKeys>;
  /**
   * The admin handler, JSON below `/ringback/admin/v1/`: `GET health`, `GET runs`, `GET runs/:run` with its timeline, `GET runs/:run/hooks`,
   * `POST runs/:run/cancel`, `wake-up` and `delete` there, `GET hooks`, `POST hooks/resume`, `GET refused`,
   * `POST refused/:delivery/redeliver`, `POST purge`. It answers 403 to everybody until
   * `createEngine({ admin: { authorize } })` or `RINGBACK_ADMIN_TOKEN` says who may; mounting `ingress` never serves it.
   */
  readonly admin: Admin;
  /** @internal For tests: the parts. */
  readonly core: EngineCore;
}

/** What a rotation of keys has made. */
export interface RotatedKeys {
  /** The new key's name. */
  readonly kid: string;
  /** The key file that has it now; null where keys are given as text. */
  readonly file: string | null;
  /** The text to give from now on, secrets and all; null where a file has it. */
  readonly keys: string | null;
}

class WiredEngine extends EngineApi implements Engine {
  readonly core: EngineCore;
  readonly ingress: Ingress;
  readonly admin: Admin;
  readonly #keys: KeySource;
  readonly #unfollow: () => void;
  readonly #bridge: Bridge;
  readonly #opened: () => EngineCore | Promise<EngineCore>;
  #isHeld = false;

  constructor(
    core: EngineCore,
    { keys, basePath, gate }: { readonly keys: KeySource; readonly basePath: string; readonly gate: Gate },
    unfollow: () => void,
  ) {
    const opened = (): EngineCore | Promise<EngineCore> => (core.isOpen ? core : core.open().then(() => core));
    super(opened, forward);
    this.core = core;
    const { logger, host, parts } = core;
    const { bodyBytes } = parts;
    this.ingress = createIngress(opened, { bodyBytes, logger }, basePath);
    this.admin = createAdmin({ engine: this, gate, basePath, bodyBytes, logger, sealText: host.sealText });
    this.#keys = keys;
    this.#unfollow = unfollow;
    this.#opened = opened;
    this.#bridge = new Bridge(this, core);
    bindApi(core.host, this);
    // A run in a value is its id: what reads it has a run of the engine that it is read by.
    core.classes.register("ringback/Run", { class: RunHandle, serialise: ({ runId }) => runId, parse: (id: string) => this.getRun(id) });
  }

  register(...workflows: readonly unknown[]): void {
    const call = "engine.register()";
    const [portable, body] = workflows;
    if (Bridge.takes(portable)) return void this.#bridge.register(call, portable, body);
    for (const declared of workflows.map((workflow) => definitionOf(workflow, call))) this.core.register(declared);
  }

  run<T, E>(workflow: unknown, body: unknown, options?: PortableStartOptions): Promise<DurableRun<T, E>> {
    return this.#bridge.run(workflow, body, options) as Promise<DurableRun<T, E>>;
  }

  async callback(hookId: string, request: Request): Promise<Response> {
    return deliverBody(this.#opened, hookToken(hookId), request);
  }

  on<E extends EngineEventName>(event: E, listener: EngineListener<E>): () => void {
    return this.core.report.observers.on(event, listener);
  }

  health(): Promise<Health> {
    return healthOf(this.core);
  }

  async open(): Promise<void> {
    await this.core.open();
    if (this.#isHeld) return;
    this.#isHeld = true;
    this.core.alive.hold();
  }

  async diagnose(): Promise<Diagnosis> {
    const { store, ring, urlOf } = this.core.parts;
    return diagnose(store, ring, urlOf, Date.now());
  }

  async rotateKeys(): Promise<RotatedKeys> {
    const { random } = this.core.parts;
    if (this.#keys.type === "file") return { kid: rotateKeyFile(this.#keys.path, random), file: this.#keys.path, keys: null };
    if (this.#keys.type === "ring")
      throw badArgument("keys", "KeyRing", "rotateKeys() cannot change a key ring that createEngine() was given.");
    const { kid, text } = withNewKey(this.#keys.text, random);
    return { kid, file: null, keys: text };
  }

  async close(options?: { readonly graceMs?: number }): Promise<void> {
    await this.core.close(options);
    this.#unfollow();
    if (this.#isHeld) this.core.alive.release();
    this.#isHeld = false;
  }
}

/**
 * An engine of your own: nothing is opened until it is asked something, or `open()`. Throws `bad_argument`, `bad_store_url`, `bad_keys`,
 * `base_url_required`.
 */
export function createEngine(options: EngineOptions = {}): Engine {
  checkOptions("createEngine()", options, engineOptions);
  const left = isUnasked ? standing : null;
  const engine = wire(options, left?.close({ graceMs: 0 }).catch(() => {}) ?? null);
  if (left) standing = null;
  isUnasked = false;
  hasOwn = true;
  return engine;
}

/** `opensAfter`: an engine that must be gone before. */
function wire(options: EngineOptions, opensAfter: Promise<void> | null): WiredEngine {
  const keys = keysFrom(options);
  const core = createCore(options, keys, opensAfter);
  const gate = createGate(options.admin, process.env["RINGBACK_ADMIN_TOKEN"]);
  const { registry } = core.parts;
  const unfollow = [processHooks.follow((declared) => registry.addHook(declared))];
  if (options.workflows)
    for (const workflow of options.workflows) registry.addWorkflow(definitionOf(workflow, "createEngine({ workflows })"));
  else unfollow.push(processWorkflows.follow((declared) => registry.addWorkflow(declared)));
  const base = options.baseUrl === undefined ? process.env["RINGBACK_BASE_URL"] : options.baseUrl;
  const basePath = options.webhookUrl || !base ? "" : new URL(base).pathname.replace(/\/$/, "");
  return new WiredEngine(core, { keys, basePath, gate }, () => {
    for (const stop of unfollow.splice(0)) stop();
  });
}

function createCore(options: EngineOptions, keys: KeySource, opensAfter: Promise<void> | null): EngineCore {
  for (const [name, least] of [
    ["hotRuns", 0],
    ["concurrency", 1],
    ["leaseMs", 1],
    ["bodyBytes", 0],
    ["cancelGraceMs", 0],
  ] as const) {
    checkNumber(name, options[name], least);
  }
  const { env } = process;
  const clock = options.clock ?? systemClock;
  const isMade = options.create ?? true;
  const url = storeUrl(options);
  const baseUrl = options.webhookUrl ? () => baseUrlFrom(options.baseUrl)() : baseUrlFrom(options.baseUrl);
  const plain = typeof url === "string" ? storeFor(url, clock, isMade) : url;
  const random = options.random ?? native.randomBytes;
  const ring = encryptionFrom(options.encryption ?? env["RINGBACK_ENCRYPTION_KEYS"], clock);
  const encryption = ring && new EncryptedStore(plain, ring, random);
  const registry = new Registry(options.workflows !== undefined);
  const isEarly = earlyTokens(options.early ?? []);
  const core = new EngineCore({
    store: encryption ?? plain,
    encryption,
    registry,
    ring: ringFor(keys, isMade),
    clock,
    random,
    role: roleFrom(options.role, env["RINGBACK_ROLE"]),
    urlOf: options.webhookUrl ?? ((token) => baseUrl() + webhookRoute + token),
    builtUrl: options.webhookUrl ?? null,
    baseUrl,
    sink: sinkFor(options.logger),
    hotRuns: options.hotRuns ?? 20_000,
    concurrency: options.concurrency ?? 100,
    leaseMs: options.leaseMs ?? 15_000,
    bodyBytes: options.bodyBytes ?? limits.bodyBytes,
    cancelGraceMs: options.cancelGraceMs ?? 60_000,
    rateLimit: createIngressLimit(options.rateLimit ?? {}),
    isEarly: (token) => isEarly(token) || registry.isEarly(token),
    retention: retentionFrom(options.retention ?? {}),
    opensAfter,
  });
  for (const [name, registered] of Object.entries(options.classes ?? {})) core.classes.register(name, registered);
  return core;
}

function checkNumber(argument: string, value: number | undefined, least: number): void {
  if (value === undefined || (typeof value === "number" && value >= least)) return;
  throw badArgument(argument, value, `createEngine({ ${argument} }) takes a number from ${least}, got ${JSON.stringify(value)}.`);
}

/** A role that is mistyped would make a process run what it should only deliver to, or the reverse. */
function roleFrom(option: unknown, variable: string | undefined): "worker" | "ingress" {
  const [name, role] = option === undefined ? ["RINGBACK_ROLE", variable || "worker"] : ["createEngine({ role })", option];
  if (role === "worker" || role === "ingress") return role;
  const message = `${name} takes "worker", which runs workflows, or "ingress", which only starts, delivers and reads; got ${JSON.stringify(role)}.`;
  throw badArgument(option === undefined ? "RINGBACK_ROLE" : "role", role, message);
}

function storeUrl(options: EngineOptions): string | Store {
  return options.store ?? process.env["RINGBACK_DATABASE_URL"] ?? "sqlite:.ringback/ringback.db";
}

function storeFor(url: string, clock: Clock, create: boolean): Store {
  if (url === "memory:" || url === "memory") return memoryStore({ clock });
  if (url.startsWith("sqlite:") && url.length > "sqlite:".length) return sqliteStore({ path: sqlitePath(url), clock, create });
  const shown = url.split("@").at(-1) ?? "";
  const file = /^(?:file:)?(?![\w-]{2,}:)([^:@][^@]*)$/.exec(url)?.[1] ?? "path/to/file.db";
  const message = `"${shown}" is not a store this version knows. Use sqlite:${file}, or memory: for tests.`;
  throw new RingbackError("bad_store_url", message, { details: { url: shown } });
}

function sqlitePath(url: string): string {
  return url.slice("sqlite:".length).replace(/^\/\/(?=\/)/, "");
}

type KeySource =
  | { readonly type: "ring"; readonly ring: KeyRing }
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "file"; readonly path: string };

/** Keys given, else a file beside the SQLite database, else (nothing outlives the process) a key of the moment. */
function keysFrom(options: EngineOptions): KeySource {
  const given = options.keys ?? process.env["RINGBACK_KEYS"];
  if (typeof given === "object") return { type: "ring", ring: given };
  if (given !== undefined && given !== "") return { type: "text", text: given };
  const store = storeUrl(options);
  const name = typeof store === "string" ? store : store.name;
  if (name.startsWith("sqlite:")) return { type: "file", path: join(dirname(sqlitePath(name)), "keys") };
  return { type: "text", text: `memory=${native.randomBytes(32).toString("hex")}` };
}

function ringFor(keys: KeySource, create: boolean): KeyRing {
  if (keys.type === "ring") return keys.ring;
  if (keys.type === "text") return parseKeys(keys.text);
  return create ? loadKeyFile(keys.path) : readKeyRing(keys.path);
}

/** Checked here, where it is given. */
function baseUrlFrom(given: string | null | undefined): () => string {
  const told = process.env["RINGBACK_BASE_URL"] ?? null;
  const base = given === undefined ? (told === "none" ? null : (told ?? developmentUrl())) : given;
  if (base === null) {
    return () => {
      throw new RingbackError(
        "base_url_required",
        "A public URL was asked for (by createWebhook(), or as the url of getWorkflowMetadata()), and this engine has no base URL. Set RINGBACK_BASE_URL, or the option baseUrl, to where callbacks reach this app, such as https://api.example.com; RINGBACK_BASE_URL=none and baseUrl: null are for apps that make no webhooks.",
        {
          details: {},
        },
      );
    };
  }
  let root: string;
  try {
    const { origin, pathname, protocol } = new URL(base);
    if (protocol !== "http:" && protocol !== "https:") throw new TypeError("not a web address");
    root = origin + pathname.replace(/\/$/, "");
  } catch {
    throw badArgument("baseUrl", base, `baseUrl must be an absolute URL such as https://api.example.com, got "${base}".`);
  }
  return () => root;
}

/** A URL handed to a stranger must lead here: in production there is no default. */
function developmentUrl(): string {
  const { NODE_ENV, PORT } = process.env;
  if (NODE_ENV !== "production") return `http://localhost:${PORT ?? 3000}`;
  const message =
    "In production RINGBACK_BASE_URL (or createEngine({ baseUrl })) must say where callbacks reach this app, such as https://api.example.com. Pass baseUrl: null, or RINGBACK_BASE_URL=none, if no webhooks are made.";
  throw new RingbackError("base_url_required", message, { details: {} });
}

function sinkFor(logger: LogSink | false | undefined): LogSink | null {
  if (logger === false) return null;
  if (logger) return logger;
  if (process.env["NODE_ENV"] === "test") return null;
  const line = (message: string): void => void process.stderr.write(`${message}\n`);
  return { warn: line, error: line };
}

let standing: WiredEngine | null = null;
/** Whether the default engine stands open though nobody has asked for it. */
let isUnasked = false;
/** Whether the app has made an engine. */
let hasOwn = false;

/** The engine that the functions of `ringback/api` speak to outside runs; the environment configures it, the first call opens it. */
export function defaultEngine(): Engine {
  isUnasked = false;
  standing ??= wire({}, null);
  return standing;
}

/** What an app starts at boot that was written for another engine's World. */
export interface World {
  /** Opens the default engine: what an earlier process left goes on. */
  start(): Promise<void>;
  /** Closes it, as `engine.close()` does. */
  close(): Promise<void>;
}

/** The default engine, for `instrumentation` and server files that start the World of the Workflow DevKit. */
export function getWorld(): World {
  const engine = defaultEngine();
  return { start: () => engine.open(), close: () => engine.close() };
}

/**
 * Lets the runs that an earlier process left go on though nobody asks for an engine: once modules have declared workflows, the default engine
 * is opened where its store is there. It holds no process. An engine that the app makes later takes its place, and opens when it is closed.
 */
export function goOn(): void {
  let isFollowed = false;
  processWorkflows.follow(() => {
    if (isFollowed) return;
    isFollowed = true;
    // What was imported together is evaluated by then, and may have made an engine.
    setImmediate(() => void openUnasked());
  });
}

async function openUnasked(): Promise<void> {
  try {
    if (hasOwn || !isLeftWork()) return;
    isUnasked = standing === null;
    standing ??= wire({}, null);
    await standing.core.open();
  } catch (error) {
    // Another process goes on with them; or the app has made an engine meanwhile.
    if (hasOwn || RingbackError.is(error, "store_in_use")) return;
    sinkFor(undefined)?.warn(`ringback: the runs that were left do not go on: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Whether there may be runs that this process is to go on with. */
function isLeftWork(): boolean {
  const url = storeUrl({}) as string;
  const isThere = url.startsWith("sqlite:") ? existsSync(sqlitePath(url)) : !url.startsWith("memory");
  return isThere && roleFrom(undefined, process.env["RINGBACK_ROLE"]) === "worker";
}

useSecrets((name) => process.env[name]);
useDefaultApi(defaultEngine);

export { askDefault, defaultApi };
