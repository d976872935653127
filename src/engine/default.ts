// The default engine's place: who makes it is told by the wiring, who uses it asks here.

import type { HostApi } from "./host-api.ts";

let make: (() => HostApi) | null = null;
let made: HostApi | null = null;

/** Says how the default engine is made, on first use. */
export function useDefaultApi(maker: () => HostApi): void {
  make = maker;
}

/** The default engine, as host code speaks to it. */
export function defaultApi(): HostApi {
  if (!make) throw new Error('The default engine comes with "ringback" and "ringback/api"; import one of them.');
  made ??= make();
  return made;
}
