// Signals, updates and breakpoints of a run: hooks with custom tokens, which no public URL reaches.
//
// SI1. A token that was waited for once stays the run's until its end, or the end of the chapter that no longer asks for it: what comes
//      between two waits is there for the second.

import { createHash } from "node:crypto";
import { badArgument, checkOptions, kindOf, type OptionNames } from "../../core/argument.ts";
import { callHook } from "../../core/call.ts";
import { checkCustomToken } from "../../core/custom-token.ts";
import type { SchemaResult, StandardSchema } from "../../core/definition.ts";
import type { HookPart } from "../../core/hook.ts";
import { limits } from "../../core/limits.ts";
import type { Run } from "../../core/run.ts";
import { here } from "../../engine/realm.ts";
import { checkName } from "../../engine/registry.ts";
import { Hook, partOf } from "../plain/hook.ts";
import { waitFor, type WaitOptions, waitOptions } from "./durable-webhook.ts";

/** How an update is waited for. */
export interface UpdateOptions<T = unknown> extends WaitOptions {
  /** Any Standard Schema: what it refuses never reaches the run, and `update()` says why; what it returns is the argument. */
  readonly schema?: StandardSchema<unknown, T>;
  /** The same as a function: it throws, or returns a text that says what is wrong. */
  readonly validate?: (argument: T) => void | string | Promise<void | string>;
}

const updateOptions: OptionNames<UpdateOptions> = { ...waitOptions, schema: true, validate: true };

/** Where `engine.update(runId, name, argument)` delivers. What is behind the last colon is the name, so that no two pairs are one token. */
export function updateToken(runId: string, name: string): string {
  return tokenFor(`update:${runId}:${name.replaceAll("%", "%25").replaceAll(":", "%3A")}`);
}

/** Where `engine.continue(runId)` delivers. */
export function breakpointToken(runId: string): string {
  return tokenFor(`breakpoint:${runId}`);
}

/** A run's id may be as long as a token. */
function tokenFor(text: string): string {
  if (Buffer.byteLength(text) <= limits.tokenBytes) return text;
  return `${text.slice(0, text.indexOf(":"))}:${createHash("sha256").update(text).digest("base64url")}`;
}

export class Signals {
  readonly #run: Run;
  readonly #open = new Map<string, Hook<unknown>>();

  constructor(run: Run) {
    this.#run = run;
    // What an earlier chapter was sent and has not read is this one's, also where it first does something else.
    for (const { created } of run.heritage?.left ?? [])
      if (created.address.type === "custom" && !created.hasSchema) this.#hook(created.address.token, null);
  }

  wait<T>(token: string, options: WaitOptions): Promise<T> {
    here("ctx.waitForSignal()");
    checkCustomToken(token);
    return waitFor("ctx.waitForSignal()", this.#hook(token, null) as Hook<T>, `signal "${token}"`, options);
  }

  update<T>(name: string, options: UpdateOptions<T>): Promise<T> {
    const run = here("ctx.onUpdate()");
    checkName("hook", name);
    checkOptions("ctx.onUpdate()", options, updateOptions as OptionNames<UpdateOptions<T>>);
    const { schema, validate, ...waiting } = options;
    const hook = this.#hook(updateToken(run.identity.id, name), schemaOf(schema, validate)) as Hook<T>;
    return waitFor("ctx.onUpdate()", hook, `update "${name}"`, waiting);
  }

  /** Until somebody says so; then the place is closed, so that the next one needs a word of its own. */
  breakpoint(label: string | undefined): Promise<void> {
    const run = here("ctx.breakpoint()");
    if (label !== undefined && typeof label !== "string")
      throw badArgument("label", label, `ctx.breakpoint() takes a text, got ${kindOf(label)}.`);
    const hook = opened(run, breakpointToken(run.identity.id), null, label === undefined ? undefined : { breakpoint: label });
    return hook.then(() => hook.dispose());
  }

  /** The open ones: they go along into the next chapter. */
  get parts(): HookPart[] {
    return [...this.#open.values()].map((hook) => partOf(hook)).filter((part): part is HookPart => part !== null && !part.mailbox.isClosed);
  }

  #hook(token: string, schema: StandardSchema | null): Hook<unknown> {
    const known = this.#open.get(token);
    if (known && partOf(known)?.mailbox.isClosed === false) return known;
    const hook = opened(this.#run, token, schema, undefined);
    this.#open.set(token, hook);
    return hook;
  }
}

function opened(run: Run, token: string, schema: StandardSchema | null, metadata: unknown): Hook<unknown> {
  const definition = schema && { name: null, schema };
  const accepted = { mode: "accepted" } as const;
  return new Hook(
    callHook(run, { purpose: "hook", token, payload: "json", methods: [], response: accepted, metadata, definition }),
    metadata,
  );
}

/** Both say yes, the schema first. */
function schemaOf<T>(schema: StandardSchema<unknown, T> | undefined, validate: UpdateOptions<T>["validate"]): StandardSchema | null {
  if (validate === undefined) return (schema as StandardSchema | undefined) ?? null;
  const judge = async (value: unknown): Promise<SchemaResult<unknown>> => {
    const result: SchemaResult<unknown> = schema === undefined ? { value } : await schema["~standard"].validate(value);
    if (result.issues !== undefined) return result;
    try {
      const wrong = await validate(result.value as T);
      return typeof wrong === "string" ? { issues: [{ message: wrong }] } : result;
    } catch (error) {
      return { issues: [{ message: error instanceof Error ? error.message : String(error) }] };
    }
  };
  return { "~standard": { version: 1, vendor: "ringback", validate: judge } };
}
