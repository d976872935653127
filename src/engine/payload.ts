// What arrives, in the form the store keeps: serialised, sealed, with its key and digest.

import type { HookCreated, Payload, Recorded } from "../core/event.ts";
import { RingbackError } from "../core/errors.ts";
import { jsonBody } from "../core/json.ts";
import { limits, tooLarge } from "../core/limits.ts";
import { type JudgedFor, mayReopen } from "../core/run-row.ts";
import type { Seal } from "../core/seal.ts";
import { bodyDigest, type Capture, deliveryKey } from "../ingress/capture.ts";
import type { Address, Deliver, RunNumber } from "../store/port.ts";
import type { RevivingHost } from "./revive.ts";

/** The hook that a delivery is meant for, as the door found it; null where it found none. */
type For = { readonly created: HookCreated; readonly runNumber: RunNumber } | null;

const encoder = new TextEncoder();

export class Payloads {
  readonly #host: RevivingHost;
  readonly #seal: Seal;

  constructor(host: RevivingHost, seal: Seal) {
    this.#host = host;
    this.#seal = seal;
  }

  valueCommand(address: Address, hook: For, payload: Payload, key: string | null): Deliver {
    const bytes = payload.type === "request" ? payload.body : encoder.encode(payload.value);
    return { op: "deliver", address, key, digest: key === null ? null : bodyDigest(bytes), payload, judgedFor: hook && placeOf(hook) };
  }

  requestCommand(address: Address, hook: For, request: Capture): Deliver {
    // A sender may well use the URL it was given as its key.
    const given = deliveryKey(request.headers);
    const key = given === null ? null : this.#seal.sealText(given);
    const digest = key === null ? null : bodyDigest(request.body);
    const payload = this.request(hook?.created ?? null, request);
    // At a minted token there is no other hook to be, but under a name.
    if (!("token" in address) && (hook === null || !mayReopen(hook.created))) return { op: "deliver", address, key, digest, payload };
    return { op: "deliver", address, key, digest, payload, judgedFor: hook && placeOf(hook) };
  }

  /** The key that a caller gives a value, as the store knows it: apart from those of headers. Throws `bad_argument`, `too_large`. */
  ownKey(key: string): string {
    const actual = Buffer.byteLength(key);
    if (actual > 0 && actual <= limits.deliveryKeyBytes) return this.#seal.sealText(`key:${key}`);
    const message = `A delivery key takes 1 to ${limits.deliveryKeyBytes} bytes; this one takes ${actual}.`;
    throw new RingbackError(actual === 0 ? "bad_argument" : "too_large", message, {
      details: { argument: "key", value: this.#seal.sealText(key), what: "delivery key", limit: limits.deliveryKeyBytes, actual },
    });
  }

  serialised(value: unknown): Payload {
    return { type: "value", value: this.#host.serialise(value, "the payload") };
  }

  /** A value in the form that this hook takes. */
  value(created: HookCreated, value: unknown): Payload {
    if (created.payload === "json") return this.serialised(value);
    const body = this.#seal.sealBytes(encoder.encode(jsonBody(value, "the payload", this.#seal.sealText)));
    if (body.length > limits.valueBytes) throw tooLarge("the payload", limits.valueBytes, body.length);
    return { type: "request", head: { method: "POST", url: null, search: "", headers: ["content-type", "application/json"] }, body };
  }

  request(created: HookCreated | null, request: Capture): Payload {
    const seal = this.#seal;
    const size = request.headers.reduce((sum, text) => sum + text.length, request.path.length + request.search.length);
    if (size > limits.headBytes) throw tooLarge("The request's URL and headers", limits.headBytes, size);
    const headers = request.headers.map(seal.sealText);
    const url = created === null || created.url === null ? seal.sealText((request.origin ?? "http://localhost") + request.path) : null;
    return {
      type: "request",
      head: { method: request.method, url, search: seal.sealText(request.search), headers },
      body: seal.sealBytes(request.body),
    };
  }
}

/** The hook as a delivery that was judged for it names it. */
export function placeOf(hook: NonNullable<For>): JudgedFor {
  const { runNumber: run, created } = hook;
  const { position, seq } = created as Partial<Recorded> & HookCreated;
  return mayReopen(created) && seq !== undefined ? { run, position, opened: seq } : { run, position };
}
