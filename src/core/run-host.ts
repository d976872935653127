// What a run needs of whoever runs it: values, addresses, chance. None of it may depend on time or on other runs.

import type { Answer, HookAddress, HookCreated, Recorded, Serialised } from "./event.ts";
import type { HookPart } from "./hook.ts";
import type { Run } from "./run.ts";
import type { Serialiser } from "./serialise.ts";
import type { SignalData } from "./signal.ts";
import type { StreamReference } from "./stream.ts";

/** Who makes the URLs of webhooks. */
export type UrlMaker = "engine" | "builder";

export interface NewAddress {
  readonly address: HookAddress;
  readonly token: string;
  readonly url: string | null;
}

export interface RunHost {
  serialise(value: unknown, what: string, limitBytes?: number): Serialised;
  /**
   * As `serialise`, where a value may hold requests and responses of the author's, whose bodies are read as they come, and where `signals`
   * are asked for, signals that may still be aborted: these are added there. Streams go to `takeStream`.
   */
  serialiseWithBodies: Serialiser["serialiseWithBodies"];
  /** Something thrown; never refuses. */
  serialiseThrown(thrown: unknown, what: string): Serialised;
  /** `revive` makes the signals in it. */
  parse(text: Serialised, revive?: (signal: SignalData) => AbortSignal): unknown;
  /** A stream of a run, as whoever asks may use it: workflow code may pass it on, a step may read it, or write to it. */
  reviveStream(reference: StreamReference): object;
  /** 64 bits of a text's hash, 16 hex digits. */
  digest(text: string): string;
  /** Where the outside reaches this engine. Throws `base_url_required`. */
  baseUrl(): string;
  /** Throws where a new webhook would have no URL; one by the author's builder may have none. */
  checkUrl(by?: UrlMaker): void;
  /** A new hook's address; a recorded one's token is derived again from what the journal holds. */
  newAddress(run: Run, position: number, purpose: "hook" | "webhook", urlBy?: UrlMaker): NewAddress;
  tokenOf(run: Run, created: Pick<HookCreated, "position" | "purpose" | "address">): string;
  tokenHash(token: string): string;
  /** What a child run needs that must not be guessed. Recorded with the call, so that a replay does not ask again. */
  newRunSecrets(): { key: string; seed: string };
  sealText(text: string): string;
  revealText(text: string): string;
  /** For an answer in the journal. */
  sealAnswer(answer: Answer): Answer;
  /** The value a reader of the hook gets. */
  payload(run: Run, hook: HookPart, received: Recorded & { readonly kind: "hook_received" }): unknown;
}
