// `fetch` as a step.

import { step } from "./step.ts";

/**
 * The platform's `fetch`, durable: in workflow code it is a step, whose `Response` is recorded with its body; elsewhere it is the
 * platform's own. It retries as steps do where the network fails; an HTTP error status is an answer, not a failure.
 */
export const fetch: (input: string | URL | Request, init?: RequestInit) => Promise<Response> = step(
  "fetch",
  async (input: string | URL | Request, init?: RequestInit) =>
    platformFetch()(input instanceof Request ? new Request(input.url, input) : input, init),
);

const native = globalThis.fetch;

/** Libraries are made durable by `globalThis.fetch = fetch`: then the platform's is the one that stood there before. */
function platformFetch(): typeof globalThis.fetch {
  return globalThis.fetch === (fetch as unknown) ? native : globalThis.fetch;
}
