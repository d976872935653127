// A webhook in the context style: minted at once, handed out, waited for; its payload is what the body says.

import { checkOptions, type OptionNames } from "../../core/argument.ts";
import { race as raced } from "../../core/branch.ts";
import { callHook, callSleep } from "../../core/call.ts";
import type { StandardSchema } from "../../core/definition.ts";
import { SignalTimeoutError } from "../../core/errors.ts";
import type { HookPart } from "../../core/hook.ts";
import { durably, here } from "../../engine/realm.ts";
import { checkName, nameOfSchema } from "../../engine/registry.ts";
import { Hook, partOf } from "../plain/hook.ts";
import { adopt } from "./carried.ts";

/** How a webhook is opened. */
export interface CtxWebhookOptions<T = unknown> {
  /** Any Standard Schema, asked about what the body says, at the door: what it refuses gets 422 and the wait stays open; what it returns is the payload. */
  readonly schema?: StandardSchema<unknown, T>;
  /** When the webhook closes by itself, from its minting: a duration ("3d"), milliseconds, or a `Date`. Whoever waits gets `HookTimeoutError`. */
  readonly timeout?: string | number | Date;
  /** One address for the whole run, through `continueAsNew`: opened again under the name, the webhook has the same token and URL. */
  readonly name?: string;
  /** Anything serialisable, ≤ 64 KiB, for who looks the webhook up. */
  readonly metadata?: unknown;
}

/** How long to wait. */
export interface WaitOptions {
  /** A duration ("1h"), milliseconds, or a `Date`: then the wait rejects `SignalTimeoutError`. What is waited for stays open, for a later wait. */
  readonly timeout?: string | number | Date;
  /** The same in milliseconds. */
  readonly timeoutMs?: number;
}

/** A callback address, and the wait for what comes there. */
export interface DurableWebhook<T = unknown> extends AsyncIterable<T> {
  /** The address: the same on every replay, and a secret. */
  readonly token: string;
  /** What the engine's `webhookUrl` makes of the token; undefined without one. */
  readonly url?: string;
  /** The next payload: the body's JSON, or the fields of a form. One that came before the wait is there at once. */
  wait(options?: WaitOptions): Promise<T>;
  /** Closes the address: senders get 410; what came before is still read. */
  close(): void;
}

const webhookOptions: OptionNames<CtxWebhookOptions> = { schema: true, timeout: true, name: true, metadata: true };
export const waitOptions: OptionNames<WaitOptions> = { timeout: true, timeoutMs: true };

/** `carried`: the one of this name that an earlier chapter has left open; its token and deadline stand. */
export function openWebhook<T>(
  options: CtxWebhookOptions<T>,
  carried: HookPart | null = null,
): { readonly hook: Hook<T>; readonly webhook: DurableWebhook<T> } {
  const call = "ctx.webhook()";
  const run = here(call);
  checkOptions<CtxWebhookOptions<T>>(call, options, webhookOptions as OptionNames<CtxWebhookOptions<T>>);
  const { schema, timeout, name, metadata } = options;
  if (name !== undefined) checkName("hook", name);
  if (carried !== null) return opened(adopt(carried, (schema as StandardSchema | undefined) ?? null), metadata);
  const part = callHook(run, {
    purpose: "webhook",
    name,
    payload: "json",
    methods: ["POST", "PUT", "PATCH"],
    response: { mode: "accepted" },
    metadata,
    timeout,
    definition: schema === undefined ? null : { name: nameOfSchema(schema), schema: schema as StandardSchema },
    urlBy: "builder",
  });
  return opened(part, metadata);
}

function opened<T>(part: HookPart, metadata: unknown): { readonly hook: Hook<T>; readonly webhook: DurableWebhook<T> } {
  const hook = new Hook<T>(part, metadata);
  return { hook, webhook: new OpenWebhook(hook) };
}

class OpenWebhook<T> implements DurableWebhook<T> {
  declare readonly url?: string;
  readonly #hook: Hook<T>;

  constructor(hook: Hook<T>) {
    this.#hook = hook;
    const url = partOf(hook)?.url ?? null;
    if (url === null) return;
    // Whoever has the URL has the token.
    const get = (): string => (hook.token, url);
    Object.defineProperty(this, "url", { get, enumerable: true });
  }

  get token(): string {
    return this.#hook.token;
  }

  wait(options: WaitOptions = {}): Promise<T> {
    return waitFor("webhook.wait()", this.#hook, "the webhook", options);
  }

  close(): void {
    this.#hook.dispose();
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    return this.#hook[Symbol.asyncIterator]();
  }
}

/**
 * One read, for so long. A read that comes too late for it is not begun: the payload is for the next. Not an `async` function, so that a race
 * around the wait can see into it (H3).
 */
export function waitFor<T>(call: string, hook: Hook<T>, label: string, options: WaitOptions): Promise<T> {
  checkOptions(call, options, waitOptions);
  const { timeoutMs, timeout = timeoutMs } = options;
  if (timeout === undefined) return hook.then();
  return durably(call, (run) => {
    const late = callSleep(run, timeout);
    return raced({ payload: hook, late }).then(({ key, value }) => {
      if (key === "payload") return value as T;
      const written = timeout instanceof Date ? timeout.toISOString() : String(timeout);
      const span = timeout instanceof Date ? `by ${written}` : `within ${written}${/^[\d.]+$/.test(written) ? " ms" : ""}`;
      throw new SignalTimeoutError(`Nothing came for ${label} ${span}; it stays open.`, { details: { timeout: written } });
    });
  });
}
