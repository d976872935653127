// Hooks and webhooks in the plain style: what code awaits, and what it hands out.

import { badArgument, checkOptions, kindOf, type OptionNames } from "../../core/argument.ts";
import { callHook, type HookCall, responseWithin } from "../../core/call.ts";
import { callSite } from "../../core/call-site.ts";
import type { HookDefinition, StandardSchema } from "../../core/definition.ts";
import { RingbackError } from "../../core/errors.ts";
import type { HookPart } from "../../core/hook.ts";
import { HookBase } from "../../core/hook-base.ts";
import { Mailbox } from "../../core/mailbox.ts";
import type { RequestWithResponse } from "../../core/request.ts";
import { callingRun, durably, here } from "../../engine/realm.ts";
import { checkName, nameOfSchema, processHooks } from "../../engine/registry.ts";
import { askDefault, defaultApi } from "../../engine/default.ts";
import type { ResumedHook, ResumeOptions } from "../../engine/engine-api.ts";
import type { RunHandle } from "../../engine/run-handle.ts";
import { checkCustomToken } from "../../core/custom-token.ts";

/** How a hook is opened. Options that cannot be used throw `bad_argument`, `too_large` or `unserialisable`, and open nothing. */
export interface HookOptions {
  /** An address of your own, ≤ 255 bytes, for `resumeHook` in server code. Without one, a secret one is minted. */
  readonly token?: string;
  /**
   * What the run calls the hook, ≤ 255 bytes, in place of a `token`. A name has one address for the whole run: opened again under it, after
   * a dispose or in a later chapter (`continueAsNew`), a hook has the token and the URL it had before. One open hook per name.
   */
  readonly name?: string;
  /** Anything serialisable, ≤ 64 KiB, for who looks the hook up. */
  readonly metadata?: unknown;
  /** When the hook closes by itself, from its creation: a duration ("3d"), milliseconds, or a `Date`. Readers get `HookTimeoutError`. */
  readonly timeout?: string | number | Date;
  /**
   * How long at least no other run gets the custom token, from the hook's creation: a duration ("7d"), milliseconds, or a `Date`, ≤ 30
   * days. Also once the run has ended, when senders are told `closed`; `dispose` gives the token away at once.
   */
  readonly reserve?: string | number | Date;
  /** Workflow DevKit's word for `reserve`. */
  readonly experimental_minRetention?: string | number | Date;
  /** Opens a webhook that answers 202: payloads are requests, and a minted token is good at the public URL. Default false. */
  readonly isWebhook?: boolean;
}

/** How a webhook is opened. */
export interface WebhookOptions extends Omit<HookOptions, "isWebhook"> {
  /**
   * Who answers the sender: nobody (202, at commit), always the same `Response` (its body ≤ 1 MiB), or the workflow (`"manual"`) through
   * `request.respondWith()`. With a `token` of your own the default is `"manual"`.
   */
  readonly respondWith?: Response | "manual";
  /** How long the sender of a manual webhook waits before it gets 202: a duration ("10s") or milliseconds. Default 25 s. */
  readonly respondWithin?: string | number;
  /** Methods that resume. Default POST, PUT and PATCH; others get 405. */
  readonly methods?: readonly string[];
  /**
   * Any Standard Schema, asked about the body's JSON at the door: what it refuses gets 422 with its issues, and the wait stays open. The
   * payload is still the request, as it came. Only processes that have the workflow can judge: others answer 503.
   */
  readonly schema?: StandardSchema;
}

const hookOptions: OptionNames<HookOptions> = {
  token: true,
  name: true,
  metadata: true,
  timeout: true,
  reserve: true,
  experimental_minRetention: true,
  isWebhook: true,
};
const { isWebhook: _, ...commonOptions } = hookOptions;
const webhookOptions: OptionNames<WebhookOptions> = {
  ...commonOptions,
  respondWith: true,
  respondWithin: true,
  methods: true,
  schema: true,
};

/** What a hook is, without being awaitable: safe to return from an async function or to keep in an object. */
export interface HookHandle {
  /** The hook's address; a minted one is a secret. */
  readonly token: string;
  /** As given when the hook was opened. */
  readonly metadata: unknown;
  /** Whether the hook has been disposed or has timed out, as far as this code has come. */
  readonly isClosed: boolean;
  /** Closes the hook, as `hook.dispose()` does. */
  dispose(): void;
}

/** The inner half of a hook; null for anything else. */
export let partOf: (hook: unknown) => HookPart | null;

/** A waiting point with an address. Each `await` reads one payload; `for await` reads until the hook is disposed, or left. */
// oxlint-disable-next-line typescript/no-explicit-any -- who names no type reads what he likes, as in Workflow DevKit
export class Hook<T = any> extends HookBase<T> implements Disposable {
  readonly #part: HookPart;
  readonly #metadata: unknown;

  static {
    partOf = (hook) => (typeof hook === "object" && hook !== null && #part in hook ? hook.#part : null);
  }

  constructor(part: HookPart, metadata: unknown) {
    super();
    this.#part = part;
    this.#metadata = metadata;
  }

  /** The hook's address: who has it can deliver. A minted one is a secret. */
  get token(): string {
    this.#part.isKnown = true;
    return this.#part.token;
  }

  /** As given when the hook was opened. */
  get metadata(): unknown {
    return this.#metadata;
  }

  /** The hook without its `then`, to return from an async function: returning the hook itself would wait for a payload. */
  get handle(): HookHandle {
    const part = this.#part;
    part.isKnown = true;
    const dispose = (): void => this.dispose();
    return {
      token: part.token,
      metadata: this.#metadata,
      get isClosed() {
        return part.mailbox.isClosed;
      },
      dispose,
    };
  }

  /** The run that holds the custom token, or null when this hook does. Settles once the hook is in the journal. */
  getConflict(): Promise<RunHandle | null> {
    return durably("hook.getConflict()", () => {
      this.#own("hook.getConflict()");
      return this.#part.conflict().then((holder) => holder && defaultApi().getRun(holder.runId));
    });
  }

  /** Closes the hook: senders get 410, iterators end after the unread payloads, bare reads then reject `HookDisposedError`. */
  dispose(): void {
    if (this.#part.mailbox.isClosed) return;
    if (!this.#own("hook.dispose()").fault) this.#part.dispose();
  }

  /** For `using hook = createHook()`: disposes it at the end of the block, while its run goes on. */
  [Symbol.dispose](): void {
    const { run } = this.#part;
    if (!run.isOver && !run.fault && callingRun() === run) this.dispose();
  }

  protected override mailbox(): Mailbox<T> {
    const run = this.#own("reading a hook");
    if (run.fault) return new Mailbox(run); // M5: nothing will ever be in it
    run.spend();
    if (this.#part.isHidden) (run.hidden ??= new Set()).add(this.#part);
    return this.#part.mailbox as Mailbox<T>;
  }

  /** Hooks belong to one run. */
  #own(call: string): HookPart["run"] {
    const run = here(call);
    if (run === this.#part.run || run.fault) return run;
    const a = run.identity;
    const b = this.#part.run.identity;
    const message = `${call}: the hook belongs to run ${b.id} (${b.workflow}) and cannot be used in run ${a.id} (${a.workflow}). Deliver to it with resumeHook() from a step instead.`;
    const error = new RingbackError("other_run", message, {
      details: { call, run: a.id, workflow: a.workflow, other: b.id, otherWorkflow: b.workflow },
    });
    run.misuse(error);
    throw error;
  }
}

/** A hook with a public URL: payloads are the requests that come in. */
export class Webhook<T extends Request = Request> extends Hook<T> {
  readonly #url: string | null;

  constructor(part: HookPart, metadata: unknown) {
    super(part, metadata);
    this.#url = part.url;
  }

  /** Where to send requests. A webhook with a custom token has none: `no_public_url`. */
  get url(): string {
    const { token } = this;
    if (this.#url !== null) return this.#url;
    const message = `Webhook "${token}" has a custom token and no public URL, since such tokens can be guessed. Hand requests over with resumeWebhook("${token}", request), or leave the token out.`;
    throw new RingbackError("no_public_url", message, { details: { token } });
  }
}

/**
 * Opens a hook that server code resumes with `resumeHook(token, payload)`. In workflow code only, else `outside_turn`. Where another open
 * hook holds the custom token, reading rejects `HookConflictError`.
 */
// oxlint-disable-next-line typescript/no-explicit-any -- as in Hook
export function createHook<T = any>(options: HookOptions = {}): Hook<T> {
  return openHook<T>(options, null);
}

function openHook<T>(options: HookOptions, definition: HookDefinition | null): Hook<T> {
  const run = here("createHook()");
  checkOptions("createHook()", options, hookOptions);
  const { isWebhook = false, ...common } = options;
  if (typeof isWebhook !== "boolean")
    throw badArgument("isWebhook", isWebhook, `createHook({ isWebhook }) takes true or false, got ${kindOf(isWebhook)}.`);
  if (isWebhook && definition?.schema == null) return openWebhook("createHook()", common, { mode: "accepted" }) as Hook<unknown> as Hook<T>;
  if (isWebhook)
    throw badArgument("isWebhook", isWebhook, "A hook with a schema takes values, not requests: createWebhook({ schema }) judges those.");
  checkAddress("createHook()", options);
  const call: HookCall = {
    purpose: "hook",
    token: options.token,
    name: options.name,
    payload: "json",
    methods: [],
    response: { mode: "accepted" },
    metadata: options.metadata,
    timeout: options.timeout,
    reserve: reserveOf("createHook()", options),
    definition,
  };
  return new Hook(callHook(run, call), options.metadata);
}

/**
 * Opens a hook with a public URL, to be handed to a third party; a 2xx to it means that the request is kept (G1). In workflow code only,
 * else `outside_turn`. Throws `base_url_required` in production without a base URL.
 */
export function createWebhook(options: WebhookOptions & { readonly respondWith: "manual" }): Webhook<RequestWithResponse>;
/** With a token of your own, and nothing said of the answer, the workflow may answer: `request.respondWith()`. */
export function createWebhook(
  options: WebhookOptions & { readonly token: string; readonly respondWith?: never },
): Webhook<RequestWithResponse>;
/** Its sender gets 202, or always the same `Response`. */
export function createWebhook(options?: WebhookOptions): Webhook;
export function createWebhook(options: WebhookOptions = {}): Webhook {
  here("createWebhook()");
  checkOptions("createWebhook()", options, webhookOptions);
  return openWebhook("createWebhook()", options, responseOf(options));
}

function openWebhook(caller: string, options: WebhookOptions, response: HookCall["response"]): Webhook {
  const run = here(caller);
  const { token, methods = ["POST", "PUT", "PATCH"], metadata, timeout, schema = null } = options;
  checkSchema(caller, schema);
  checkAddress(caller, options);
  if (!Array.isArray(methods) || methods.some((method) => typeof method !== "string"))
    throw badArgument("methods", methods, `createWebhook({ methods }) takes an array such as ["GET", "POST"], got ${kindOf(methods)}.`);
  const call: HookCall = {
    purpose: "webhook",
    token,
    name: options.name,
    payload: "request",
    methods: methods.map((method) => method.toUpperCase()),
    response,
    metadata,
    timeout,
    reserve: reserveOf(caller, options),
    definition: schema && { name: nameOfSchema(schema), schema },
  };
  return new Webhook(callHook(run, call), metadata);
}

function checkAddress(call: string, { token, name }: WebhookOptions): void {
  if (token !== undefined) checkCustomToken(token);
  if (name === undefined) return;
  checkName("hook", name);
  if (token !== undefined)
    throw badArgument(
      "name",
      name,
      `${call} takes a token or a name, not both: the token is an address of your own, a name stands for a minted one.`,
    );
}

function reserveOf(call: string, { reserve, experimental_minRetention: theirs }: WebhookOptions): HookOptions["reserve"] {
  if (reserve === undefined || theirs === undefined) return reserve ?? theirs;
  const message = `${call} takes reserve or experimental_minRetention, not both: they are two words for one thing.`;
  throw badArgument("experimental_minRetention", theirs, message);
}

function responseOf({ token, respondWith, respondWithin }: WebhookOptions): HookCall["response"] {
  const withinMs = responseWithin(respondWithin);
  if (respondWith === "manual" || (respondWith === undefined && token !== undefined)) return { mode: "manual", withinMs };
  if (respondWith === undefined) return { mode: "accepted" };
  // By its tag: a Response may be of another copy of fetch.
  if (Object.prototype.toString.call(respondWith) === "[object Response]") return { mode: "static", response: respondWith };
  const given = typeof respondWith === "string" ? JSON.stringify(respondWith) : kindOf(respondWith);
  throw badArgument("respondWith", respondWith, `createWebhook({ respondWith }) takes a Response or "manual", got ${given}.`);
}

/** Refuses what is no Standard Schema: `bad_argument`. */
export function checkSchema(call: string, schema: StandardSchema<unknown, unknown> | null | undefined): void {
  if (schema == null || typeof schema["~standard"]?.validate === "function") return;
  const wanted = "takes a Standard Schema, as Zod, Valibot and ArkType make them";
  throw badArgument("schema", schema, `${call.slice(0, -1)}{ schema }) ${wanted}, got ${kindOf(schema)} without it.`);
}

/** A kind of hook: typed, and validated at every door. */
export interface DefinedHook<Input, Output> {
  /** Opens a hook of this kind, as `createHook` does. */
  create(options?: HookOptions): Hook<Output>;
  /** Delivers to a hook of this kind, as `resumeHook` does; the schema has the last word on the payload. */
  resume(target: string | { readonly token: string }, payload: Input, options?: ResumeOptions): Promise<ResumedHook>;
}

/** Workflow DevKit's name for a kind of hook. */
export type TypedHook<Input, Output> = DefinedHook<Input, Output>;
export declare namespace TypedHook {
  /** What its senders give. */
  type Input<T extends TypedHook<never, unknown>> = T extends TypedHook<infer I, unknown> ? I : never;
}

/** What a kind of hook asks of its payloads. */
export interface DefineHookOptions<Input, Output> {
  /** Any Standard Schema (zod, valibot, arktype …). It runs once, at the door; what it returns is the payload. */
  readonly schema?: StandardSchema<Input, Output>;
}

const defineOptions: OptionNames<DefineHookOptions<unknown, unknown>> = { schema: true };

/**
 * Declares a kind of hook: typed, and judged by a schema wherever payloads arrive. Without a name, the workflow's code must be registered
 * there, else the delivery is refused as `schema_unavailable`.
 */
export function defineHook<Input = unknown, Output = Input>(options?: DefineHookOptions<Input, Output>): DefinedHook<Input, Output>;
/** With a name, ≤ 255 bytes and one per process (else `duplicate_name`): any process that loaded the declaration can judge payloads. */
export function defineHook<Input = unknown, Output = Input>(
  name: string,
  options?: DefineHookOptions<Input, Output>,
): DefinedHook<Input, Output>;
export function defineHook<Input, Output>(
  first: string | DefineHookOptions<Input, Output> = {},
  second: DefineHookOptions<Input, Output> = {},
): DefinedHook<Input, Output> {
  const name = typeof first === "string" ? checkName("hook", first) : null;
  const given = typeof first === "string" ? second : first;
  checkOptions("defineHook()", given, defineOptions);
  const { schema = null } = given;
  checkSchema("defineHook()", schema);
  const definition: HookDefinition = { name, schema: schema as StandardSchema | null };
  if (name !== null) processHooks.add({ name, schema: definition.schema, site: callSite() });
  return {
    create: (options = {}) => openHook<Output>(options, definition),
    resume: (target, payload, options) => askDefault((api) => api.resumeHook(target, payload, options)),
  };
}
