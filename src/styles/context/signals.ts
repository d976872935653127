// Signals, updates and breakpoints of a run: hooks with custom tokens, which no public URL reaches.
//
// SI1. A token that was waited for once stays the run's until its end, or the end of the chapter that no longer asks for it (CA1): what
//      comes between two waits is there for the second.
// SI2. Tokens that begin with "$" are updates' and breakpoints'. No signal reaches them, so that a route which passes any token of its URL
//      on to `engine.signal` lets nobody past a validator or a breakpoint.

import { createHash } from "node:crypto";
import { badArgument, checkOptions, kindOf, type OptionNames } from "../../core/argument.ts";
import { callHook } from "../../core/call.ts";
import { checkCustomToken } from "../../core/custom-token.ts";
import type { SchemaResult, StandardSchema } from "../../core/definition.ts";
import type { HookPart } from "../../core/hook.ts";
import { limits } from "../../core/limits.ts";
import type { Run } from "../../core/run.ts";
import { durably } from "../../engine/realm.ts";
import { checkName } from "../../engine/registry.ts";
import { checkSchema, Hook, partOf } from "../plain/hook.ts";
import { adopt, goesAlong } from "./carried.ts";
import { waitFor, type WaitOptions, waitOptions } from "./durable-webhook.ts";

/** How an update is waited for. What lets it through is the first `onUpdate` of a name; the later ones of the run say the same. */
export interface UpdateOptions<T = unknown> extends WaitOptions {
  /** Any Standard Schema: what it refuses never reaches the run, and `update()` says why; what it returns is the argument. */
  readonly schema?: StandardSchema<unknown, T>;
  /**
   * The same as a function, of what the schema returns: it throws, or returns a text that says what is wrong. It is asked at the door, at any
   * time, so it looks at nothing but its argument.
   */
  readonly validate?: (argument: T) => void | string | Promise<void | string>;
}

const updateOptions: OptionNames<UpdateOptions> = { ...waitOptions, schema: true, validate: true };

/** Where `engine.update(runId, name, argument)` delivers. What is behind the last colon is the name, so that no two pairs are one token. */
export function updateToken(runId: string, name: string): string {
  return tokenFor(`$update:${runId}:${name.replaceAll("%", "%25").replaceAll(":", "%3A")}`);
}

/** Where `engine.continue(runId)` delivers. */
export function breakpointToken(runId: string): string {
  return tokenFor(`$breakpoint:${runId}`);
}

/** Whether signals reach what has the token (SI2). */
export function isSignalToken(token: unknown): boolean {
  return typeof token !== "string" || !token.startsWith("$");
}

/** Throws `bad_argument` for a token at which no signal comes. */
export function checkSignalToken(call: string, token: string): void {
  checkCustomToken(token);
  if (isSignalToken(token)) return;
  const message = `${call}: token ${JSON.stringify(token)} begins with "$", as only those of updates and breakpoints do, which no signal reaches. Choose another, such as "approve:42".`;
  throw badArgument("token", token, message);
}

/** A run's id may be as long as a token. */
function tokenFor(text: string): string {
  if (Buffer.byteLength(text) <= limits.tokenBytes) return text;
  return `${text.slice(0, text.indexOf(":"))}:${createHash("sha256").update(text).digest("base64url")}`;
}

interface Place {
  readonly hook: Hook<unknown>;
  /** What was said of it in this chapter: whether it is judged. Null where it only came along. */
  isJudged: boolean | null;
}

export class Signals {
  readonly #run: Run;
  readonly #places = new Map<string, Place>();
  #breakpoint: Hook<unknown> | null = null;
  #standing = 0;

  constructor(run: Run, carried: readonly HookPart[]) {
    this.#run = run;
    for (const part of carried) this.#places.set(part.token, { hook: new Hook(part, undefined), isJudged: null });
  }

  wait<T>(token: string, options: WaitOptions): Promise<T> {
    const call = "ctx.waitForSignal()";
    return durably(call, () => {
      checkSignalToken(call, token);
      checkOptions(call, options, waitOptions);
      return waitFor(call, this.#hook(call, token, null) as Hook<T>, `signal "${token}"`, options);
    });
  }

  update<T>(name: string, options: UpdateOptions<T>): Promise<T> {
    const call = "ctx.onUpdate()";
    return durably(call, (run) => {
      checkName("update", name);
      checkOptions(call, options, updateOptions as OptionNames<UpdateOptions<T>>);
      const { schema, validate, ...waiting } = options;
      checkSchema(call, schema);
      if (validate !== undefined && typeof validate !== "function")
        throw badArgument("validate", validate, `ctx.onUpdate({ validate }) takes a function of the argument, got ${kindOf(validate)}.`);
      const hook = this.#hook(call, updateToken(run.identity.id, name), schemaOf(schema, validate)) as Hook<T>;
      return waitFor(call, hook, `update "${name}"`, waiting);
    });
  }

  /** Until somebody says so; then the place is closed, so that the next one needs a word of its own. Several at once get a word each. */
  breakpoint(label: string | undefined): Promise<void> {
    return durably("ctx.breakpoint()", (run) => {
      if (label !== undefined && typeof label !== "string")
        throw badArgument("label", label, `ctx.breakpoint() takes a text, got ${kindOf(label)}.`);
      const known = this.#breakpoint;
      const isOpen = known !== null && partOf(known)?.mailbox.isClosed === false;
      const hook = isOpen ? known : opened(run, breakpointToken(run.identity.id), null, { breakpoint: label ?? null });
      this.#standing = isOpen ? this.#standing + 1 : 1;
      this.#breakpoint = hook;
      return hook.then(() => {
        if (--this.#standing === 0) hook.dispose();
      });
    });
  }

  /** What goes along into the next chapter. */
  get parts(): HookPart[] {
    return [...this.#places.values()]
      .map(({ hook, isJudged }) => ({ part: partOf(hook) as HookPart, isAsked: isJudged !== null }))
      .filter(({ part, isAsked }) => goesAlong(part, isAsked))
      .map(({ part }) => part);
  }

  #hook(call: string, token: string, schema: StandardSchema | null): Hook<unknown> {
    const known = this.#places.get(token);
    const isJudged = schema !== null;
    const part = known && partOf(known.hook);
    if (known === undefined || part == null || part.mailbox.isClosed) {
      const hook = opened(this.#run, token, schema, undefined);
      this.#places.set(token, { hook, isJudged });
      return hook;
    }
    if (known.isJudged === null) adopt(part, schema);
    else if (known.isJudged !== isJudged) throw otherwiseJudged(call, part, known.isJudged);
    known.isJudged = isJudged;
    return known.hook;
  }
}

function otherwiseJudged(call: string, { label }: HookPart, isJudged: boolean): Error {
  const [first, now] = isJudged ? ["with", "without"] : ["without", "with"];
  const message = `${call}: ${label} was first waited for ${first} a schema or validate, and now ${now} one. What lets values through is said the first time and stands: give the same each time.`;
  return badArgument("options", undefined, message);
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
      return typeof wrong === "string" && wrong !== "" ? { issues: [{ message: wrong }] } : result;
    } catch (error) {
      return { issues: [{ message: error instanceof Error ? error.message : String(error) }] };
    }
  };
  return { "~standard": { version: 1, vendor: "ringback", validate: judge } };
}
