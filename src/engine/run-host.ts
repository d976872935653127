// What runs need of the engine: values in and out of the journal, addresses for hooks, requests as code sees them.

import type { RandomBytes } from "../core/clock.ts";
import { assertReadable } from "../core/envelope.ts";
import type { HookCreated, Recorded } from "../core/event.ts";
import { RingbackError } from "../core/errors.ts";
import type { HookPart } from "../core/hook.ts";
import { captured, type CapturedRequest, readResponse, type RequestRecord, type RespondResult } from "../core/request.ts";
import { Recent } from "../core/recent.ts";
import type { NewAddress, Run, RunHost, UrlMaker } from "../core/run.ts";
import { createSerialiser, deliveriesIn } from "../core/serialise.ts";
import type { Classes } from "../core/serialise-class.ts";
import type { StreamReference } from "../core/stream.ts";
import { type Seal, sealAnswer, type TokenPurpose } from "../core/seal.ts";
import { digest, hashToken, type Tokens } from "../ingress/token.ts";
import type { DeliveryNumber, Store } from "../store/port.ts";
import type { Answers } from "./answers.ts";
import { callingStep } from "./realm.ts";
import { processReferences } from "./registry.ts";
import { readableOf, writableOf } from "./stream-value.ts";
import { Streams } from "./streams.ts";

type Received = Recorded & { readonly kind: "hook_received" };

interface KeptRequest {
  readonly record: RequestRecord;
  readonly isManual: boolean;
}
const requestsKept = 2_000;

export interface RunHostOptions {
  readonly store: Store;
  readonly tokens: Tokens;
  readonly seal: Seal;
  readonly classes: Classes;
  /** The public URL of a webhook token. Throws `base_url_required`. */
  readonly urlOf: (token: string) => string;
  /** The same by the author's own builder; null where there is none. */
  readonly builtUrl: ((token: string) => string) | null;
  /** Where the outside reaches this engine. Throws `base_url_required`. */
  readonly baseUrl: () => string;
  readonly answers: Answers;
  /** Also called inside turns, where the patched sources refuse. */
  readonly random: RandomBytes;
}

export class EngineRunHost implements RunHost {
  readonly #options: RunHostOptions;
  /** Requests that values refer to, by delivery; a few stay in memory, all are in the store. */
  readonly #requests: Recent<DeliveryNumber, KeptRequest> = new Recent(requestsKept);
  readonly streams: Streams;
  readonly sealText: (text: string) => string;
  readonly revealText: (text: string) => string;
  readonly sealAnswer: RunHost["sealAnswer"];
  readonly serialise: RunHost["serialise"];
  readonly serialiseWithBodies: RunHost["serialiseWithBodies"];
  readonly serialiseThrown: RunHost["serialiseThrown"];
  readonly parse: RunHost["parse"];
  readonly digest: RunHost["digest"] = digest;
  readonly tokenHash: RunHost["tokenHash"] = hashToken;

  constructor(options: RunHostOptions) {
    this.#options = options;
    const { seal, classes, store } = options;
    this.streams = new Streams(store, this);
    const serialiser = createSerialiser({
      seal,
      classes,
      references: processReferences,
      store,
      revive: (delivery) => this.#revive(delivery),
      reviveStream: (reference) => this.reviveStream(reference),
    });
    this.serialise = serialiser.serialise;
    this.serialiseWithBodies = serialiser.serialiseWithBodies;
    this.serialiseThrown = serialiser.serialiseThrown;
    this.parse = serialiser.parse;
    this.sealText = seal.sealText;
    this.revealText = seal.revealText;
    this.sealAnswer = (answer) => sealAnswer(seal, answer);
  }

  baseUrl(): string {
    return this.#options.baseUrl();
  }

  checkUrl(by: UrlMaker = "engine"): void {
    this.#urls(by)?.("wh:");
  }

  #urls(by: UrlMaker): ((token: string) => string) | null {
    return by === "builder" ? this.#options.builtUrl : this.#options.urlOf;
  }

  newAddress(run: Run, position: number, purpose: TokenPurpose, urlBy: UrlMaker = "engine"): NewAddress {
    const { tokens } = this.#options;
    const { kid } = tokens.current;
    const token = tokens.mint({ kid, runKey: run.identity.key, position, generation: 0, purpose });
    return {
      address: { type: "minted", kid, generation: 0, hash: hashToken(token) },
      token,
      url: purpose === "webhook" ? (this.#urls(urlBy)?.(token) ?? null) : null,
    };
  }

  tokenOf(run: Run, created: Pick<HookCreated, "position" | "purpose" | "address">): string {
    const { address, position, purpose } = created;
    if (address.type === "custom") return address.token;
    try {
      return this.#options.tokens.mint({ kid: address.kid, runKey: run.identity.key, position, generation: address.generation, purpose });
    } catch (error) {
      if (RingbackError.is(error, "missing_key")) run.misuse(error);
      throw error;
    }
  }

  newRunSecrets(): { key: string; seed: string } {
    const { random } = this.#options;
    return { key: Buffer.from(random(12)).toString("base64url"), seed: Buffer.from(random(16)).toString("hex") };
  }

  payload(_run: Run, hook: HookPart, received: Received): unknown {
    const { payload } = received;
    if (payload.type === "value") return this.parse(payload.value);
    const delivery = received.delivery as DeliveryNumber;
    this.#keep(delivery, hook.url, hook.created, received);
    return this.#revive(delivery);
  }

  reviveStream(reference: StreamReference): object {
    return reference.kind === "readable" ? readableOf(reference, () => this.streams) : writableOf(reference);
  }

  /** Does a serialised value refer to requests that are not in memory? */
  mustLoad(text: string): boolean {
    return deliveriesIn(text).some((delivery) => !this.#requests.get(delivery));
  }

  /** Loads the requests that a serialised value refers to, so that it can be parsed in one go. */
  async prepare(text: string): Promise<void> {
    for (const delivery of deliveriesIn(text)) {
      if (this.#requests.get(delivery)) continue;
      const found = await this.#options.store.delivery(delivery);
      if (found?.event.kind !== "hook_received") continue;
      const { created } = found.hook;
      this.#keep(delivery, created.url === null ? null : this.revealText(created.url), created, found.event as Received);
    }
  }

  #keep(delivery: DeliveryNumber, url: string | null, created: HookCreated, received: Received): void {
    assertReadable(received.payload);
    if (received.payload.type !== "request") return;
    const { head, body } = received.payload;
    const { seal } = this.#options;
    const own = head.url === null ? (url ?? `urn:ringback:hook:${created.position}`) : seal.revealText(head.url);
    const record: RequestRecord = {
      method: head.method,
      url: own + seal.revealText(head.search),
      headers: head.headers.map(seal.revealText),
      body: seal.revealBytes(body),
    };
    this.#requests.set(delivery, { record, isManual: created.response.mode === "manual" });
  }

  #revive(delivery: DeliveryNumber): CapturedRequest | undefined {
    const kept = this.#requests.get(delivery);
    if (!kept) return undefined;
    const { store } = this.#options;
    return captured(kept.record, {
      delivery,
      store,
      ...(kept.isManual ? { respond: (response) => this.#respond(delivery, response) } : {}),
    });
  }

  /** From a step it acts at once; in workflow code it is a step of its own. */
  readonly #respond = async (delivery: DeliveryNumber, response: Response): Promise<RespondResult> => {
    const answer = await readResponse(response, "the answer");
    if (callingStep() === null && this.respondDurably) return this.respondDurably(delivery, answer);
    return this.decide(delivery, answer);
  };

  /** Set by the engine: `respondWith` in workflow code. */
  respondDurably: ((delivery: DeliveryNumber, answer: Awaited<ReturnType<typeof readResponse>>) => Promise<RespondResult>) | null = null;

  async decide(delivery: DeliveryNumber, answer: Awaited<ReturnType<typeof readResponse>>): Promise<RespondResult> {
    const outcome = await this.#options.answers.decide(delivery, answer, "workflow");
    if (outcome.type === "decided") return { sent: true };
    return { sent: false, reason: outcome.type === "already" && outcome.row.by === "deadline" ? "deadline" : "answered" };
  }
}
