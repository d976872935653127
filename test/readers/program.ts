// What a reader program is: workflow code that reads hooks, the script of what happens to it, and what must come of it. As data, so that
// the same programs run on the small driver here and on the whole engine, hot and cold.

import type { Side, Won } from "../../src/core/branch.ts";

/** The calls a program makes. Whoever runs programs provides them. */
export interface Api {
  createHook(): Hook;
  sleep(duration: string): Promise<unknown>;
  /** A step whose outcome the script decides. */
  step(name: string, ...input: unknown[]): Promise<unknown>;
  branch<T>(code: () => PromiseLike<T> | T): Promise<T>;
  race<const S extends Record<string, Side>>(sides: S): Promise<Won<S>>;
}

export interface Hook extends PromiseLike<string>, AsyncIterable<string> {
  catch<B>(onError: (error: unknown) => B): Promise<string | B>;
  finally(onEnd: () => unknown): Promise<string>;
  [Symbol.asyncIterator](): AsyncIterableIterator<string>;
  dispose(): void;
}

type Which = "oldest" | "newest";

/** One thing that happens, when all that went before has had its effect. `hook` counts from 0, in the order of creation. */
export type Action =
  | { readonly do: "deliver"; readonly hook: number; readonly value: string }
  /** The hook's timeout passes. */
  | { readonly do: "expire"; readonly hook: number }
  /** A pending timer fires. */
  | { readonly do: "fire"; readonly which: Which }
  /** A pending step ends. */
  | { readonly do: "finish"; readonly which: Which; readonly value: string | undefined }
  | { readonly do: "fail"; readonly which: Which }
  | { readonly do: "cancel" };

export interface Program {
  readonly name: string;
  /** Why it must come out so. */
  readonly why: string;
  readonly run: (api: Api) => Promise<unknown>;
  /** Each action finds what it names, and the run has not ended before it. */
  readonly script: readonly Action[];
  /** What the run returns, or `waits` when it is still waiting after the script. */
  readonly expected: unknown;
  /** Payloads nobody has read at the end; none unless given. */
  readonly unread?: readonly string[];
}

export const waits: unique symbol = Symbol("waits");

type Deliver = (value: string) => Action;
export const a: Deliver = deliverTo(0);
export const b: Deliver = deliverTo(1);
export const c: Deliver = deliverTo(2);
export const expire: Action = { do: "expire", hook: 0 };
export const fire: Action = { do: "fire", which: "oldest" };
export const fireNewest: Action = { do: "fire", which: "newest" };
export const fail: Action = { do: "fail", which: "oldest" };
export const cancel: Action = { do: "cancel" };

export function finish(value?: string, which: Which = "oldest"): Action {
  return { do: "finish", which, value };
}

function deliverTo(hook: number): Deliver {
  return (value) => ({ do: "deliver", hook, value });
}
