// What host code asks of an engine: start and find runs, resume hooks, list what there is.

import type { webcrypto } from "node:crypto";
import { badArgument, checkOptions, kindOf, type OptionNames } from "../core/argument.ts";
import { type Attributes, attributeChanges, changedBy, checkCount } from "../core/attribute.ts";
import { callStart } from "../core/call.ts";
import { parseDuration } from "../core/duration.ts";
import { RingbackError, WorkflowNotRegisteredError } from "../core/errors.ts";
import type { WorkflowDefinition } from "../core/definition.ts";
import { limits } from "../core/limits.ts";
import { deliveryNumber, type Receipt } from "../core/receipt.ts";
import type { Sending } from "./deliver.ts";
import type { EngineCore } from "./engine.ts";
import { type HookInfo, hookId, hookInfo, metadataOf, type RefusedDelivery, type RunInfo, refusedInfo, runInfo } from "./info.ts";
import { callingRun, callingStep, durably } from "./realm.ts";
import { forbiddenInWorkflow, refusal, runNotFound } from "./refusal.ts";
import type { Purged } from "./retention.ts";
import type { StartWith } from "./run-control.ts";
import { RunHandle } from "./run-handle.ts";
import { definitionOf, type WorkflowFunction } from "./workflow.ts";

/** How a run is started. */
export interface StartOptions {
  /** Your own id, ≤ 255 bytes. Starting again with the same id, workflow and arguments gives the run that exists. */
  readonly id?: string;
  /**
   * A custom token that is the run's in the same commit: what is delivered there waits for the hook that the run opens by it. Where another
   * run has the token, `HookConflictError` names that run, and none is started.
   */
  readonly hook?: { readonly token: string };
  /**
   * Labels, by which people find the run: up to 64, names and values of up to 256 bytes; no secrets. `setAttributes` changes them. A run
   * that exists keeps its own.
   */
  readonly attributes?: { readonly [name: string]: string };
  /** For what is built on the engine: takes attributes whose names begin with `$`, too. */
  readonly allowReservedAttributes?: boolean;
  /** Workflow DevKit's. Without effect, told once in the log: a run goes on with the code that is registered where it goes on. */
  readonly deploymentId?: string;
  /** Workflow DevKit's. Without effect. */
  readonly specVersion?: number;
}

const startOptions: OptionNames<StartOptions> = {
  id: true,
  hook: true,
  attributes: true,
  allowReservedAttributes: true,
  deploymentId: true,
  specVersion: true,
};
const claimOptions: OptionNames<NonNullable<StartOptions["hook"]>> = { token: true };

/** How a run begins with a delivery, or an existing one gets it. */
export interface SignalWithStartOptions extends Pick<StartOptions, "attributes" | "allowReservedAttributes"> {
  /** Your own id of the run, ≤ 255 bytes. */
  readonly id: string;
  /** The custom token of the hook that the run opens, or has open. */
  readonly token: string;
  /** What is delivered. */
  readonly payload: unknown;
  /** Delivers once: a repeat with the same key, ≤ 255 bytes, at the same token changes nothing, and begins nothing. */
  readonly key?: string;
}

const signalWithStartOptions: OptionNames<SignalWithStartOptions> = {
  id: true,
  token: true,
  payload: true,
  key: true,
  attributes: true,
  allowReservedAttributes: true,
};

/** A run, and what became of what was delivered to it. */
export interface StartedWithSignal<R = unknown> {
  readonly run: RunHandle<R>;
  readonly receipt: Receipt;
}

/**
 * What follows the workflow in `start()`: its arguments, which may be left out where it takes none, then options. A workflow without
 * parameters takes its options at once, too.
 */
export type StartArguments<A extends unknown[]> = [] extends A
  ? [args?: A | undefined, options?: StartOptions] | (A extends [] ? [options: StartOptions] : never)
  : [args: A, options?: StartOptions];

/** How a value is delivered. */
export interface ResumeOptions {
  /** Delivers once: a repeat with the same key, ≤ 255 bytes, at the same token changes nothing and resolves as `duplicate`. */
  readonly key?: string;
  /**
   * Keeps the payload for an hour where no hook has had the custom token yet, for the one that claims it; `false`: never. Without it the
   * engine's `early` patterns say.
   */
  readonly early?: boolean;
}

const resumeOptions: OptionNames<ResumeOptions> = { key: true, early: true };

/** What a resumed hook is, and what became of the delivery. */
export interface ResumedHook {
  /** The run the hook belongs to. */
  readonly runId: string;
  /** The hook's place in its run, as text: the same in every process, and no secret. */
  readonly hookId: string;
  /** The token as it was given. */
  readonly token: string;
  /** What the workflow said of the hook; undefined where it said nothing, an error (`unknown_class`, `missing_key`) where it cannot be read here. */
  readonly metadata: unknown;
  /** When the hook was opened, by the store's clock. */
  readonly createdAt: Date;
  /** Whether its payloads are requests. */
  readonly isWebhook: boolean;
  /** What became of the delivery: accepted, or a duplicate. */
  readonly delivery: Receipt;
}

/** What `resumeHook` gives for a delivery that came before its hook: it is kept for it. */
export interface BufferedHook {
  /** The run that was started with the token; undefined where none was. */
  readonly runId: string | undefined;
  /** No hook has it yet. */
  readonly hookId: undefined;
  /** The token as it was given. */
  readonly token: string;
  /** No hook has said anything yet. */
  readonly metadata: undefined;
  /** No hook is there yet. */
  readonly createdAt: undefined;
  /** Likewise. */
  readonly isWebhook: undefined;
  /** Where it was buffered. */
  readonly delivery: Receipt;
}

const noHook = { hookId: undefined, metadata: undefined, createdAt: undefined, isWebhook: undefined };

/** Which refused deliveries to list. */
export interface ListRefusedOptions {
  /** A delivery's id: only those that came before it. */
  readonly before?: string;
  /** At most so many, 1 to 1,000. Default 100. */
  readonly limit?: number;
}

/** What to remove. */
export interface PurgeOptions {
  /** Runs that ended longer ago than this, such as `"7d"`, in place of the engine's `retention`. */
  readonly olderThan?: string | number;
  /** Told how much is removed so far, many times a second. */
  readonly progress?: (purged: Purged) => void;
}

/** Which runs to list. */
export interface ListRunsOptions {
  /** Of the workflow of this name. */
  readonly workflow?: string;
  /** `open` runs have not ended and are not blocked: they are pending, running or waiting. */
  readonly state?: "open" | "blocked" | "completed" | "failed" | "cancelled";
  /** That have all of these attributes. */
  readonly attributes?: { readonly [name: string]: string };
  /** A run's id: only runs that were started before it. */
  readonly before?: string;
  /** At most so many, 1 to 1,000. Default 100. */
  readonly limit?: number;
}

/** Which hooks to list. */
export interface ListHooksOptions {
  /** Of this run. */
  readonly runId?: string;
  /** Closed ones, too. */
  readonly all?: boolean;
  /** Minted tokens and public URLs, too: whoever has one can answer the hook. */
  readonly withTokens?: boolean;
  /** At most so many, 1 to 1,000. Default 100. */
  readonly limit?: number;
}

/** Rows of a list that was asked for without a `limit`. */
export const rowsByDefault = 100;
const runStates: readonly string[] = ["open", "blocked", "completed", "failed", "cancelled"] satisfies NonNullable<
  ListRunsOptions["state"]
>[];
const listRunsOptions: OptionNames<ListRunsOptions> = { workflow: true, state: true, attributes: true, before: true, limit: true };
const listRefusedOptions: OptionNames<ListRefusedOptions> = { before: true, limit: true };
const purgeOptions: OptionNames<PurgeOptions> = { olderThan: true, progress: true };
const listHooksOptions: OptionNames<ListHooksOptions> = { runId: true, all: true, withTokens: true, limit: true };

/** How HTTP hands a request to a hook and says what became of it. */
export type Forward = (engine: () => EngineCore | Promise<EngineCore>, token: string, request: Request) => Promise<Response>;

/** What an engine can be asked, your own or the default one. Each call opens the engine where it is not open. */
export class EngineApi {
  readonly #engine: () => EngineCore | Promise<EngineCore>;
  readonly #forward: Forward;

  constructor(engine: () => EngineCore | Promise<EngineCore>, forward: Forward) {
    this.#engine = engine;
    this.#forward = forward;
  }

  /**
   * Starts a run; resolves when it is committed. With an `id` that is taken by a run of the same workflow, arguments and token it resolves
   * with that run, else rejects `run_conflict`. In workflow code it starts a child, durably.
   */
  async start<A extends unknown[], R>(workflow: WorkflowFunction<A, R>, ...rest: StartArguments<A>): Promise<RunHandle<R>> {
    const definition = definitionOf(workflow);
    const { args, options } = startingWith(definition, rest);
    const { id, hook } = options;
    if (hook !== undefined) checkOptions("start({ hook })", hook, claimOptions);
    const token = hook === undefined ? undefined : tokenOf(hook.token, "start({ hook })");
    const begin = (sealText: (text: string) => string): StartWith => ({
      id,
      token,
      attributes: attributesOf("start()", options, sealText),
    });
    if (options.deploymentId !== undefined)
      void Promise.resolve(this.#engine()).then(
        ({ logger }) => logger.deployment(),
        () => {},
      );
    if (callingRun()) {
      const { runId } = await durably("start()", (run) => callStart(run, definition, args, begin(run.host.sealText)));
      return new RunHandle(runId, this.#engine);
    }
    const engine = await this.#engineOf(definition);
    const runId = await engine.alive.during(
      engine.runs.start(definition, args, { ...begin(engine.host.sealText), parent: callingStep()?.run.id }),
    );
    return new RunHandle(runId, this.#engine);
  }

  /** The engine, where somebody will run this workflow. */
  async #engineOf(definition: WorkflowDefinition): Promise<EngineCore> {
    const engine = await this.#engine();
    const { registry, role } = engine.parts;
    if (registry.isClosed && role === "worker" && !registry.has(definition)) throw notRegistered(definition);
    if (!registry.isClosed) registry.addWorkflow(definition);
    return engine;
  }

  /** A run by its id, at once; whether it exists shows when it is asked something. */
  getRun<R = unknown>(runId: string): RunHandle<R> {
    if (typeof runId !== "string") throw badArgument("runId", runId, `getRun() takes the id of a run, got ${kindOf(runId)}.`);
    return new RunHandle(runId, this.#engine);
  }

  /**
   * Delivers a value to a hook. Resolves when it is committed, also for a repeat of a `key`. With a `CryptoKey` (AES-GCM, 256 bits) in place
   * of options that one payload is encrypted with it; the engine's `encryption` is asked for it by its `encryptionKeyId()` when the run is
   * next read. Rejects `HookNotFoundError`, `HookClosedError`, `InvalidPayloadError`; `bad_argument` for a key where nothing is encrypted.
   */
  resumeHook<T>(
    target: string | { readonly token: string },
    payload: T,
    options: ResumeOptions & { readonly early: true },
  ): Promise<ResumedHook | BufferedHook>;
  /** Where the engine's `early` patterns name the token, or a run was started with it, it may resolve with a `BufferedHook`, too. */
  resumeHook<T>(
    target: string | { readonly token: string },
    payload: T,
    options?: ResumeOptions | webcrypto.CryptoKey,
  ): Promise<ResumedHook>;
  async resumeHook<T>(
    target: string | { readonly token: string },
    payload: T,
    options: ResumeOptions | webcrypto.CryptoKey = {},
  ): Promise<ResumedHook | BufferedHook> {
    const token = tokenOf(target, "resumeHook()");
    const engine = await this.#engine();
    const sending = isCryptoKey(options) ? { key: null, early: null, seal: sealWith(engine, options) } : sendingOf("resumeHook()", options);
    const { receipt, hook, claimedBy } = await engine.alive.during(engine.door.signal("resumeHook", token, payload, sending));
    if (hook && (receipt.disposition === "accepted" || receipt.disposition === "duplicate")) {
      const { runId, created } = hook;
      const facts = { createdAt: new Date(created.at), isWebhook: created.purpose === "webhook" };
      return { runId, hookId: hookId(hook), token, metadata: metadataOf(engine, created.metadata), ...facts, delivery: receipt };
    }
    // Of a repeat the hook is not known while the first one is kept, and once its run is purged.
    if (receipt.id !== undefined && !hook) return { ...noHook, runId: claimedBy ?? undefined, token, delivery: receipt };
    throw refusal(engine.host, token, receipt, hook);
  }

  /** The same without errors for what may become of a delivery: the receipt says it. */
  async signal(token: string, payload: unknown, options: ResumeOptions = {}): Promise<Receipt> {
    const address = tokenOf(token, "signal()");
    const engine = await this.#engine();
    const { receipt } = await engine.alive.during(engine.door.signal("signal", address, payload, sendingOf("signal()", options)));
    return receipt;
  }

  /**
   * Delivers a value to a run's hook by its custom token, and starts the run first where there is none of that id: in one commit, with
   * the token, so that neither is there without the other; the receipt says `buffered` then. A run that is there keeps its arguments, and
   * the receipt says what `signal()` would. Of calls at once one starts the run. Rejects `run_conflict` where the id is of another workflow,
   * `HookConflictError` where another run has the token. In workflow code it throws: call it in a step.
   */
  async signalWithStart<A extends unknown[], R>(
    workflow: WorkflowFunction<A, R>,
    args: NoInfer<A>,
    options: SignalWithStartOptions,
  ): Promise<StartedWithSignal<R>> {
    const call = "signalWithStart()";
    if (callingRun()) throw forbiddenInWorkflow(call, "Call it in a step.");
    const definition = definitionOf(workflow);
    checkOptions(call, options, signalWithStartOptions);
    const { id, payload, key } = options;
    if (typeof id !== "string") throw badArgument("id", id, `${call} takes the id of a run, as text, got ${kindOf(id)}.`);
    const token = tokenOf(options.token, call);
    checkText(call, "key", key);
    const given = argumentsFor(call, definition, args);
    const engine = await this.#engineOf(definition);
    const start = { id, token, attributes: attributesOf(call, options, engine.host.sealText), parent: callingStep()?.run.id };
    const sending = { ...start, payload, key: key ?? null };
    const { runId, receipt } = await engine.alive.during(engine.runs.signalWithStart(definition, given, sending));
    return { run: new RunHandle(runId, this.#engine), receipt };
  }

  /** Hands a request to a webhook, minted or custom, and gives back what its sender is to be told. Never rejects for what became of it. */
  async resumeWebhook(token: string, request: Request): Promise<Response> {
    return this.#forward(this.#engine, tokenOf(token, "resumeWebhook()"), request);
  }

  /** The hook that has this token, or had it last. Rejects `HookNotFoundError`. */
  async getHookByToken(token: string): Promise<HookInfo & { readonly token: string }> {
    const engine = await this.#engine();
    const address = engine.targets.address(tokenOf(token, "getHookByToken()"));
    const hook = address && (await engine.parts.store.hook(address));
    if (!hook) throw refusal(engine.host, token, { disposition: "unknown", keyed: false }, null);
    return { ...hookInfo(engine, hook, true), token };
  }

  /** Runs, newest first, 100 unless `limit` says otherwise. To read on, give the last one's id as `before`. */
  async listRuns(options: ListRunsOptions = {}): Promise<RunInfo[]> {
    checkOptions("listRuns()", options, listRunsOptions);
    const { workflow, state, attributes, before, limit } = options;
    checkWanted(attributes);
    checkText("listRuns()", "workflow", workflow);
    checkText("listRuns()", "before", before);
    if (state !== undefined && !runStates.includes(state))
      throw badArgument(
        "state",
        state,
        `listRuns({ state }) takes ${runStates.map((each) => `"${each}"`).join(", ")}; got ${JSON.stringify(state)}.`,
      );
    const filter = {
      limit: limitOf("listRuns()", limit),
      ...(workflow === undefined ? {} : { workflow }),
      ...(state === undefined ? {} : { status: state }),
      ...(attributes === undefined ? {} : { attributes }),
    };
    const engine = await this.#engine();
    const { store } = engine.parts;
    const last = before === undefined ? null : await store.run({ id: before });
    if (before !== undefined && !last) return [];
    const rows = await store.runs({ ...filter, ...(last ? { before: last.run } : {}) });
    return Promise.all(rows.map((row) => runInfo(engine, row)));
  }

  /** One run as lists show it. Rejects `RunNotFoundError`. */
  async getRunInfo(runId: string): Promise<RunInfo> {
    const { runId: id } = this.getRun(runId);
    const engine = await this.#engine();
    const row = await engine.parts.store.run({ id });
    if (!row) throw runNotFound(engine.host.sealText(id));
    return runInfo(engine, row);
  }

  /** Hooks, those of the newest run first; of one run, or of all. Open ones unless `all`; 100 unless `limit` says otherwise. */
  async listHooks(options: ListHooksOptions = {}): Promise<HookInfo[]> {
    checkOptions("listHooks()", options, listHooksOptions);
    checkText("listHooks()", "runId", options.runId);
    const limit = limitOf("listHooks()", options.limit);
    const engine = await this.#engine();
    const { store } = engine.parts;
    const run = options.runId === undefined ? null : await store.run({ id: options.runId });
    if (options.runId !== undefined && !run) return [];
    const rows = await store.hooks({
      ...(run ? { run: run.run } : {}),
      ...(options.all ? {} : { open: true }),
      limit,
    });
    return rows.map((hook) => hookInfo(engine, hook, options.withTokens === true));
  }

  /** Deliveries that were refused, or that no hook claimed, while they are kept; newest first. To read on, give the last one's id as `before`. */
  async listRefused(options: ListRefusedOptions = {}): Promise<RefusedDelivery[]> {
    checkOptions("listRefused()", options, listRefusedOptions);
    const before = options.before === undefined ? null : numberOf("listRefused()", "before", options.before);
    const limit = limitOf("listRefused()", options.limit);
    const engine = await this.#engine();
    return Promise.all((await engine.held.refused(before, limit)).map((row) => refusedInfo(engine, row)));
  }

  /**
   * Delivers a refused delivery once more, to the hook that has its address now; the receipt says what became of it. Taken, it is kept no
   * longer. Its sender is not told. Rejects `delivery_not_found`.
   */
  async redeliver(deliveryId: string): Promise<Receipt> {
    const delivery = numberOf("redeliver()", "deliveryId", deliveryId);
    const engine = await this.#engine();
    return (await engine.alive.during(engine.door.redeliver(delivery))).receipt;
  }

  /** Removes what is over, now, in portions that callbacks go between; a worker does so by itself every minute. */
  async purge(options: PurgeOptions = {}): Promise<Purged> {
    checkOptions("purge()", options, purgeOptions);
    const { olderThan, progress } = options;
    const runsMs = olderThan === undefined ? undefined : parseDuration(olderThan, "olderThan");
    const engine = await this.#engine();
    return engine.alive.during(engine.retention.purge(runsMs, progress));
  }
}

function numberOf(call: string, argument: string, id: unknown): number {
  const number = typeof id === "string" ? deliveryNumber(id) : null;
  if (number !== null) return number;
  const given = typeof id === "string" ? "other text" : kindOf(id);
  throw badArgument(argument, id, `${call} takes the id of a delivery, such as "dlv_2f", got ${given}.`);
}

function attributesOf(
  call: string,
  { attributes, allowReservedAttributes = false }: Pick<StartOptions, "attributes" | "allowReservedAttributes">,
  sealText: (text: string) => string,
): Attributes | undefined {
  if (attributes === undefined) return undefined;
  const changes = attributeChanges({
    call: `${call.slice(0, -1)}{ attributes })`,
    given: attributes,
    isReservedAllowed: allowReservedAttributes,
    sealText,
  });
  const given = changedBy({}, changes);
  checkCount(Object.keys(given));
  return given;
}

/** Where a workflow takes no arguments, options may stand in their place. */
function startingWith(
  definition: WorkflowDefinition,
  rest: readonly unknown[],
): { readonly args: readonly unknown[]; readonly options: StartOptions } {
  const [first, second = {}] = rest;
  const isOptions =
    rest.length === 1 && definition.body.length === 0 && typeof first === "object" && first !== null && !Array.isArray(first);
  const options = (isOptions ? first : second) as StartOptions;
  const args = argumentsFor("start()", definition, isOptions ? undefined : first);
  if (typeof options === "object" && options !== null && "world" in options && options.world !== undefined)
    throw badArgument(
      "world",
      options.world,
      "start() takes no world: a run is stored by the engine that starts it. Name the store in createEngine({ store }), and call start() of that engine.",
    );
  const { world: _, ...known } = options as StartOptions & { readonly world?: undefined };
  checkOptions("start()", typeof options === "object" && !Array.isArray(options) && options !== null ? known : options, startOptions);
  return { args, options };
}

function argumentsFor(call: string, { name, body }: WorkflowDefinition, args: unknown = []): readonly unknown[] {
  if (Array.isArray(args)) return args;
  const message = `${call} takes the arguments of workflow "${name}" as an array, got ${kindOf(args)}: ${call.slice(0, -1)}workflow, [${body.length > 0 ? "first, …" : ""}], options).`;
  throw badArgument("args", args, message);
}

/** A token is a secret: a message tells what was given in its place, not its value. */
function tokenOf(target: unknown, call: string): string {
  const token = typeof target === "object" && target !== null ? (target as { readonly token?: unknown }).token : target;
  if (typeof token === "string") return token;
  const given = typeof target === "object" && target !== null ? `an object whose token is ${kindOf(token)}` : kindOf(target);
  throw badArgument("token", target, `${call} takes a hook's token, as text, got ${given}.`);
}

function checkText(call: string, option: string, value: unknown): void {
  if (value === undefined || typeof value === "string") return;
  throw badArgument(option, value, `${call.slice(0, -1)}{ ${option} }) takes text, got ${kindOf(value)}.`);
}

function checkWanted(attributes: unknown): void {
  if (attributes === undefined) return;
  const isObject = typeof attributes === "object" && attributes !== null && !Array.isArray(attributes);
  const wanted = isObject ? Object.values(attributes) : [];
  if (isObject && wanted.length <= limits.attributes && wanted.every((value) => typeof value === "string")) return;
  throw badArgument(
    "attributes",
    attributes,
    `listRuns({ attributes }) takes an object of texts, such as { order: "42" }, of at most ${limits.attributes}.`,
  );
}

function limitOf(call: string, limit = rowsByDefault): number {
  if (Number.isInteger(limit) && limit >= 1 && limit <= limits.rowsListed) return limit;
  const given = typeof limit === "number" ? limit : kindOf(limit);
  throw badArgument(
    "limit",
    limit,
    `${call.slice(0, -1)}{ limit }) takes a whole number from 1 to ${limits.rowsListed.toLocaleString("en")}, got ${given}.`,
  );
}

function isCryptoKey(options: ResumeOptions | webcrypto.CryptoKey): options is webcrypto.CryptoKey {
  return typeof options === "object" && options !== null && "algorithm" in options && "extractable" in options;
}

/** Nobody could read it again where the engine knows of no keys. */
function sealWith({ parts }: EngineCore, key: webcrypto.CryptoKey): Sending["seal"] {
  const { encryption } = parts;
  if (encryption === null) {
    const message =
      "resumeHook() with a CryptoKey needs createEngine({ encryption }), or RINGBACK_ENCRYPTION_KEYS: the run has to get that key back.";
    throw badArgument("encryptionKeyOverride", key, message);
  }
  const { kid } = encryption.ring.adopt(key);
  return (payload, address) => encryption.sealed(payload, address, kid);
}

function sendingOf(call: string, options: ResumeOptions): Sending {
  if (isCryptoKey(options)) throw badArgument("options", options, `${call} takes no CryptoKey: resumeHook() does.`);
  checkOptions<ResumeOptions>(call, options, resumeOptions);
  const { key, early } = options;
  checkText(call, "key", key);
  return { key: key ?? null, early: early ?? null, seal: null };
}

function notRegistered({ name, pin }: WorkflowDefinition): RingbackError {
  const which = `"${name}"${pin === undefined ? "" : `, version ${JSON.stringify(pin)},`}`;
  const message = `Workflow ${which} is not among those this engine was created with, so nobody would run it. Add it to createEngine({ workflows }), or by engine.register().`;
  return new WorkflowNotRegisteredError(message, { details: { workflow: name } });
}
