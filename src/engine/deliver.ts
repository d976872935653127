// The arriving half of a hook: find it, judge the delivery, store it, wake the run, say what became of it.
//
// D1. A delivery key enters an address once; a repeat gets the first answer, whatever became of hook, run or schema since.
// D2. Arriving before anyone awaits is normal: the payload waits in the journal.
// D3. Delivery and wake-up are one transaction; nothing is answered before it is committed.
// D4. A token that does not verify is refused without touching the store.

import type { Clock } from "../core/clock.ts";
import { RingbackError } from "../core/errors.ts";
import type { Answer, HookCreated, Payload } from "../core/event.ts";
import { limits } from "../core/limits.ts";
import { deliveryId, type Receipt } from "../core/receipt.ts";
import { revealAnswer, type Seal, type TokenPurpose } from "../core/seal.ts";
import { bodyDigest, type Capture, deliveryKey, parseJsonBody } from "../ingress/capture.ts";
import type { Verdict } from "../ingress/judge.ts";
import type { IngressLimit } from "../ingress/rate-limit.ts";
import type { TokenParts, Tokens } from "../ingress/token.ts";
import type { Address, Deliver, DeliverOutcome, HookRow, RunNumber, Store } from "../store/port.ts";
import { accepted, type Answers } from "./answers.ts";
import type { Committer } from "./commit.ts";
import type { Judge } from "./judge.ts";
import type { DoorName } from "./observer.ts";
import type { Report } from "./report.ts";
import type { RevivingHost } from "./revive.ts";
import type { Worker } from "./worker.ts";

/** A hook as a door needs to know it, from memory or from the store. */
interface Target {
  readonly address: Address;
  readonly created: HookCreated;
  readonly runId: string;
  readonly runNumber: RunNumber;
}

/** A minted token that is ours. */
interface Verified {
  readonly purpose: TokenPurpose;
  readonly parts: TokenParts;
  /** Its hook, where the run is in memory. */
  readonly hot: Target | null;
}

/** What a sender is told over HTTP, or what a caller makes of it. */
export type Reply =
  | { readonly type: "answered"; readonly receipt: Receipt; readonly answer: Answer; readonly hook: HookRow }
  | { readonly type: "refused"; readonly receipt: Receipt }
  | { readonly type: "method"; readonly allow: readonly string[] }
  | { readonly type: "key_reused"; readonly receipt: Receipt }
  /** Nothing was looked at: come again in so many ms. */
  | { readonly type: "too_many"; readonly waitMs: number };

export interface Delivered {
  readonly receipt: Receipt;
  readonly hook: HookRow | null;
}

/** Whoever waits for a reply: one of the two is called, once. */
export interface Answering {
  readonly reply: (reply: Reply) => void;
  readonly fail: (error: unknown) => void;
}

export interface DoorOptions {
  readonly store: Store;
  readonly committer: Committer;
  readonly worker: Worker;
  readonly judge: Judge;
  readonly answers: Answers;
  readonly tokens: Tokens;
  readonly seal: Seal;
  readonly host: RevivingHost;
  readonly report: Report;
  readonly clock: Clock;
  /** Of the public route; null for none. */
  readonly limit: IngressLimit | null;
}

const encoder = new TextEncoder();

export class Door {
  readonly #options: DoorOptions;

  constructor(options: DoorOptions) {
    this.#options = options;
  }

  /** The public route: minted webhook tokens only. Where the run is hot nothing here waits but for the commit, and no promise is made. */
  callback(token: string, request: Capture, answer: Answering): void {
    const found = this.#verified(token);
    const isOurs = found?.purpose === "webhook";
    const { limit, clock } = this.#options;
    const waitMs = limit === null ? 0 : limit.take(isOurs ? token : null, clock.now());
    if (waitMs > 0) return answer.reply({ type: "too_many", waitMs });
    if (!isOurs) return this.#unknown("ingress", answer);
    if (found.hot) return this.#request("ingress", found.hot, request, answer);
    this.#stored(found.parts)
      .then((target) => this.#requestAt("ingress", target, request, answer))
      .catch(answer.fail);
  }

  /** `resumeWebhook`: a request handed over by server code, at a minted or custom token. */
  async forwarded(token: string, request: Capture): Promise<Reply> {
    const target = await this.#target(token);
    const webhook = target?.created.purpose === "webhook" ? target : null;
    return new Promise((reply, fail) => this.#requestAt("resumeWebhook", webhook, request, { reply, fail }));
  }

  /** `resumeHook`, `signal`: a value handed over by server code. */
  async signal(door: DoorName, token: string, value: unknown, key: string | null): Promise<Delivered> {
    if (key !== null) checkKey(key, this.#options.seal);
    const sealedKey = this.#sealedKey(key === null ? null : `key:${key}`);
    const target = await this.#target(token);
    if (!target) return this.#refused(door, { disposition: "unknown", keyed: key !== null });
    const judged = await this.#judge(target, sealedKey, () => value);
    if (judged?.type === "invalid") return this.#refused(door, { disposition: "invalid", keyed: key !== null, issues: judged.issues });
    const payload = this.#valuePayload(target.created, judged && target.created.payload === "json" ? judged.value : value);
    const text = payload.type === "value" ? payload.value : "";
    const digest = key === null ? null : bodyDigest(payload.type === "request" ? payload.body : encoder.encode(text));
    const command: Deliver = { op: "deliver", address: target.address, key: sealedKey, digest, payload };
    const outcome = await new Promise<DeliverOutcome>((resolve, reject) => this.#deliver(door, command, resolve, reject));
    const receipt = this.#receipt(outcome, key !== null);
    if (outcome.type === "unknown") return { receipt, hook: null };
    const { hook } = outcome;
    const mailbox = this.#options.worker.hot(hook.runKey)?.run.hooks.get(hook.created.position)?.mailbox;
    return { receipt: outcome.type === "accepted" && mailbox ? { ...receipt, unread: mailbox.unreadCount } : receipt, hook };
  }

  /** The address a token stands for; null for one that cannot be an address. */
  address(token: string): Address | null {
    if (!token.startsWith("wh:")) return { token };
    const parsed = this.#verified(token)?.parts;
    return parsed ? { runKey: parsed.runKey, position: parsed.position } : null;
  }

  #requestAt(door: DoorName, target: Target | null, request: Capture, answer: Answering): void {
    if (target) this.#request(door, target, request, answer);
    else this.#unknown(door, answer);
  }

  #unknown(door: DoorName, answer: Answering): void {
    answer.reply(unknown);
    if (this.#options.report.isWatched) this.#options.report.delivered(door, unknown.receipt, null);
  }

  #refused(door: DoorName, receipt: Receipt): Delivered {
    if (this.#options.report.isWatched) this.#options.report.delivered(door, receipt, null);
    return { receipt, hook: null };
  }

  #request(door: DoorName, target: Target, request: Capture, { reply, fail }: Answering): void {
    const { created } = target;
    if (!created.methods.includes(request.method)) return reply({ type: "method", allow: created.methods });
    let command: Deliver;
    try {
      const key = this.#sealedKey(deliveryKey(request.headers));
      const digest = key === null ? null : bodyDigest(request.body);
      command = { op: "deliver", address: target.address, key, digest, payload: this.#requestPayload(created, request) };
    } catch (error) {
      return fail(error);
    }
    const deliver = (): void => this.#deliver(door, command, (outcome) => this.#reply(command.key, outcome, reply, fail), fail);
    if (!created.hasSchema) return deliver();
    // The request is still the payload: the schema says whether its JSON will do.
    this.#judge(target, command.key, () => parseJsonBody(request.body))
      .catch(asIssues)
      .then((judged) => {
        if (judged?.type !== "invalid") return deliver();
        const { receipt } = this.#refused(door, { disposition: "invalid", keyed: command.key !== null, issues: judged.issues });
        reply({ type: "refused", receipt });
      })
      .catch(fail);
  }

  #reply(key: string | null, outcome: DeliverOutcome, reply: (reply: Reply) => void, fail: (error: unknown) => void): void {
    const receipt = this.#receipt(outcome, key !== null);
    if (outcome.type === "unknown" || outcome.type === "closed") return reply({ type: "refused", receipt });
    if (outcome.type === "duplicate" && !outcome.isSameBody && key?.startsWith("idempotency-key:"))
      return reply({ type: "key_reused", receipt });
    const { hook } = outcome;
    const { response } = hook.created;
    const answered = (answer: Answer): void => reply({ type: "answered", receipt, answer, hook });
    if (response.mode !== "manual")
      return answered(response.mode === "static" ? revealAnswer(this.#options.seal, response.answer) : accepted);
    this.#options.answers.wait(outcome.delivery).then(answered, fail);
  }

  #deliver(door: DoorName, command: Deliver, done: (outcome: DeliverOutcome) => void, failed: (error: unknown) => void): void {
    const { committer, worker, report } = this.#options;
    committer.put(command, (outcome) => {
      if (outcome.type === "broken") return failed(outcome.error);
      if (outcome.type === "accepted" && outcome.worker === worker.id) worker.arrived(outcome.hook.run, outcome.event);
      done(outcome);
      if (report.isWatched) report.delivered(door, this.#receipt(outcome, command.key !== null), "hook" in outcome ? outcome.hook : null);
    });
  }

  #receipt(outcome: DeliverOutcome, keyed: boolean): Receipt {
    switch (outcome.type) {
      case "unknown":
        return { disposition: "unknown", keyed };
      case "closed":
        return { disposition: "closed", keyed, by: outcome.by, at: new Date(outcome.at) };
      case "duplicate":
        return { id: deliveryId(outcome.delivery), disposition: "duplicate", keyed };
      case "accepted":
        return { id: deliveryId(outcome.delivery), disposition: "accepted", keyed };
    }
  }

  /** D4. A hot hook's own token is compared first; an HMAC for each request costs more than the rest of the look-up. */
  #verified(token: string): Verified | null {
    const { tokens, worker } = this.#options;
    const parts = tokens.parse(token);
    if (!parts) return null;
    const live = worker.hot(parts.runKey);
    const hook = live?.run.hooks.get(parts.position);
    if (!live || !hook) return verifiedAs(tokens.verify(parts), parts, null);
    const { created } = hook;
    const { runKey, position } = parts;
    const hot = { address: { runKey, position, run: live.number }, created, runId: live.run.identity.id, runNumber: live.number };
    return verifiedAs(isSame(hook.token, token) ? created.purpose : tokens.verify(parts), parts, hot);
  }

  async #target(token: string): Promise<Target | null> {
    if (!token.startsWith("wh:")) return this.#stored({ token });
    const found = this.#verified(token);
    return found && (found.hot ?? this.#stored(found.parts));
  }

  async #stored(at: TokenParts | { readonly token: string }): Promise<Target | null> {
    const address = "token" in at ? at : { runKey: at.runKey, position: at.position };
    const hook = await this.#options.store.hook(address);
    return hook ? { address, created: hook.created, runId: hook.runId, runNumber: hook.run } : null;
  }

  /** A schema judges at the door, once; null where there is nothing to judge, or the store has its answer without it (D1). */
  async #judge(target: Target, key: string | null, value: () => unknown): Promise<Verdict | null> {
    const { store, judge } = this.#options;
    const { address, created, runId, runNumber } = target;
    if (!created.hasSchema) return null;
    if (key !== null && (await store.deliveryOf(address, key)) !== null) return null;
    const hook = await store.hook(address);
    if (hook?.state.type !== "open") return null;
    return judge.verdict({ created, runId, runNumber }, value());
  }

  /** A sender may well use the URL it was given as its key. */
  #sealedKey(key: string | null): string | null {
    return key === null ? null : this.#options.seal.sealText(key);
  }

  #valuePayload(created: HookCreated, value: unknown): Payload {
    const { host, seal } = this.#options;
    if (created.payload === "json") return { type: "value", value: host.serialise(value, "the payload") };
    const body = seal.sealBytes(encoder.encode(JSON.stringify(value) ?? "null"));
    return { type: "request", head: { method: "POST", url: null, search: "", headers: ["content-type", "application/json"] }, body };
  }

  #requestPayload(created: HookCreated, request: Capture): Payload {
    const { seal } = this.#options;
    const headers = request.headers.map(seal.sealText);
    const url = created.url === null ? seal.sealText(request.path) : null;
    return {
      type: "request",
      head: { method: request.method, url, search: seal.sealText(request.search), headers },
      body: seal.sealBytes(request.body),
    };
  }
}

function verifiedAs(purpose: TokenPurpose | null, parts: TokenParts, hot: Target | null): Verified | null {
  return purpose && { purpose, parts, hot };
}

/** In a time that does not tell where they differ. `timingSafeEqual` takes buffers, and to make those costs a request ten times as much. */
function isSame(own: string, given: string): boolean {
  let difference = own.length ^ given.length;
  for (let at = 0; at < own.length; at++) difference |= own.charCodeAt(at) ^ given.charCodeAt(at);
  return difference === 0;
}

/** The same for every token that is not ours, whatever else was sent with it. */
const unknown: Reply & { readonly type: "refused" } = { type: "refused", receipt: { disposition: "unknown", keyed: false } };

/** A body that is no JSON does not fit any schema. */
function asIssues(error: unknown): Verdict {
  if (RingbackError.is(error, "invalid_payload")) return { type: "invalid", issues: error.details.issues };
  throw error;
}

function checkKey(key: string, seal: Seal): void {
  const actual = Buffer.byteLength(key);
  if (actual > 0 && actual <= limits.deliveryKeyBytes) return;
  const message = `A delivery key takes 1 to ${limits.deliveryKeyBytes} bytes; this one takes ${actual}.`;
  throw new RingbackError(actual === 0 ? "bad_argument" : "too_large", message, {
    details: { argument: "key", value: seal.sealText(key), what: "delivery key", limit: limits.deliveryKeyBytes, actual },
  });
}
