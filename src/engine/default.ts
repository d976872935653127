// Which engine the free functions speak to: the one whose run or step asks, else the default one, which the wiring makes on first use.

import type { RunHost } from "../core/run.ts";
import type { EngineApi } from "./engine-api.ts";
import { callingRun, callingStep } from "./realm.ts";

let make: (() => EngineApi) | null = null;

/** Says which engine is the default one. */
export function useDefaultApi(maker: () => EngineApi): void {
  make = maker;
}

const own = new WeakMap<RunHost, EngineApi>();

/** Says which engine advances the runs of `host`: their code, and their steps, speak to it. */
export function bindApi(host: RunHost, api: EngineApi): void {
  own.set(host, api);
}

/** The engine that runs the code which asks; elsewhere the default engine. */
export function defaultApi(): EngineApi {
  const host = callingStep()?.host ?? callingRun()?.host;
  const bound = host && own.get(host);
  if (bound) return bound;
  if (!make) throw new Error('The default engine comes with "ringback" and "ringback/api"; import one of them.');
  return make();
}

/** `call` on that engine. Where it cannot be made (`base_url_required`, `bad_keys`) the promise says so: its caller may have a `catch` alone. */
export function askDefault<T>(call: (api: EngineApi) => Promise<T>): Promise<T> {
  let api: EngineApi;
  try {
    api = defaultApi();
  } catch (error) {
    return Promise.reject(error);
  }
  return call(api);
}
