// The arriving half of a hook: find it, judge the delivery, store it, wake the run, say what became of it.
//
// D1. A delivery key enters an address once; a repeat gets the first answer, whatever became of hook, run or schema since.
// D2. Arriving before anyone awaits is normal: the payload waits in the journal.
// D3. Delivery and wake-up are one transaction; nothing is answered before it is committed.
// D4. A token that does not verify is refused without touching the store.
// D5. What was judged for one hook is not given to another that has taken its token meanwhile: the door looks again.

import type { Clock } from "../core/clock.ts";
import { isCustomToken, tokenTaken } from "../core/custom-token.ts";
import { assertReadable } from "../core/envelope.ts";
import { RingbackError } from "../core/errors.ts";
import type { Answer, Payload } from "../core/event.ts";
import { limits } from "../core/limits.ts";
import { accepted, deliveryId, type Receipt } from "../core/receipt.ts";
import { revealAnswer, type Seal } from "../core/seal.ts";
import { type Capture, deliveryKey, parseJsonBody, bodyValue } from "../ingress/capture.ts";
import type { Invalid, Verdict } from "../ingress/judge.ts";
import type { IngressLimit } from "../ingress/rate-limit.ts";
import { keyScope } from "../core/run-row.ts";
import type { Address, Deliver, DeliverOutcome, DeliveryNumber, FirstDelivery, HeldRow, HookRow, RunNumber, Store } from "../store/port.ts";
import type { Answers } from "./answers.ts";
import type { Committer } from "./commit.ts";
import type { Judge } from "./judge.ts";
import { deliveryNotFound, type HeldDeliveries, type RefusedFor } from "./held.ts";
import { Payloads, placeOf } from "./payload.ts";
import type { DoorName } from "./observer.ts";
import type { Report } from "./report.ts";
import type { RevivingHost } from "./revive.ts";
import type { Target, Targets } from "./target.ts";
import type { Worker } from "./worker.ts";

/** What a sender is told over HTTP, or what a caller makes of it. */
export type Reply =
  | { readonly type: "answered"; readonly receipt: Receipt; readonly answer: Answer }
  | { readonly type: "refused"; readonly receipt: Receipt }
  | { readonly type: "method"; readonly allow: readonly string[] }
  | { readonly type: "key_reused"; readonly receipt: Receipt }
  /** Nothing was looked at: come again in so many ms. */
  | { readonly type: "too_many"; readonly waitMs: number };

export interface Delivered {
  readonly receipt: Receipt;
  readonly hook: HookRow | null;
  /** Where it is buffered: the run that was started with the token. */
  readonly claimedBy?: string | null;
}

/** What becomes of a delivery that the store could take. */
type Outcome = Exclude<DeliverOutcome, { readonly type: "early_full" | "gone" | "taken" }>;

/** The same where the door need not look again (D5): senders are told of it. */
type Told = Exclude<Outcome, { readonly type: "moved" }>;

/** Whoever waits for a reply: one of the two is called, once. */
export interface Answering {
  readonly reply: (reply: Reply) => void;
  readonly fail: (error: unknown) => void;
  /** Another hook has the address by now (D5). */
  readonly moved?: () => void;
}

export interface DoorOptions {
  readonly store: Store;
  readonly committer: Committer;
  readonly worker: Worker;
  readonly judge: Judge;
  readonly answers: Answers;
  readonly targets: Targets;
  readonly seal: Seal;
  readonly host: RevivingHost;
  readonly report: Report;
  readonly clock: Clock;
  /** Of the public route; null for none. */
  readonly rateLimit: IngressLimit | null;
  readonly held: HeldDeliveries;
  /** Whether deliveries at this custom token are kept for a hook to come, where the caller does not say. */
  readonly isEarly: (token: string) => boolean;
}

/** How server code hands a value over. */
export interface Sending {
  readonly key: string | null;
  /** As the caller wants it, else as the engine was told. */
  readonly early: boolean | null;
  /** Encrypts this one payload with a key of its own. */
  readonly seal: ((payload: Payload, address: Address) => Payload) | null;
  /** The run it is for: where the token is another's, `HookConflictError`. */
  readonly only?: RunNumber;
}

/** A value on its way to whatever hook has the token. */
interface Arrival extends Pick<Sending, "seal" | "only"> {
  readonly door: DoorName;
  readonly token: string;
  readonly value: unknown;
  /** Sealed. */
  readonly key: string | null;
  readonly isEarly: boolean;
}

/** The methods that a request may come by before there is a hook to say. */
const earlyMethods: readonly string[] = ["POST", "PUT", "PATCH"];

export class Door {
  readonly #options: DoorOptions;
  readonly #payloads: Payloads;
  readonly #targets: Targets;
  #isClaimed = false;
  #isTaking = false;

  constructor(options: DoorOptions) {
    this.#options = options;
    this.#payloads = new Payloads(options.host, options.seal);
    this.#targets = options.targets;
  }

  /** The public route: minted webhook tokens only. Where the run is hot nothing here waits but for the commit, and no promise is made. */
  callback(token: string, request: Capture, answer: Answering): void {
    const found = this.#targets.verified(token);
    const isOurs = found?.purpose === "webhook";
    const { rateLimit, clock } = this.#options;
    const waitMs = rateLimit === null ? 0 : rateLimit.take(isOurs ? token : null, clock.now());
    if (waitMs > 0) return answer.reply({ type: "too_many", waitMs });
    if (!isOurs) return this.#unknown("ingress", answer);
    if (found.hot) return this.#request("ingress", found.hot, request, answer);
    this.#targets
      .stored(found.address)
      .then((target) => this.#requestAt("ingress", target, found.address, request, answer))
      .catch(answer.fail);
  }

  /** `resumeWebhook`: a request handed over by server code, at a minted or custom token. */
  async forwarded(token: string, request: Capture, isAgain = false): Promise<Reply> {
    const target = await this.#targets.of(token, isAgain);
    if (!target && this.#isClaimable(token) && earlyMethods.includes(request.method)) return this.#earlyRequest(token, request);
    const webhook = target?.created.purpose === "webhook" ? target : null;
    return new Promise((reply, fail) => {
      const moved = (): void => void this.forwarded(token, request, true).then(reply, fail);
      this.#requestAt("resumeWebhook", webhook, target ? null : this.#targets.address(token), request, { reply, fail, moved });
    });
  }

  /** `resumeHook`, `signal`: a value handed over by server code. */
  async signal(door: DoorName, token: string, value: unknown, { key, early, ...sending }: Sending): Promise<Delivered> {
    const isEarly = early ?? this.#options.isEarly(token);
    return this.#arrive({ door, token, value, key: key === null ? null : this.#payloads.ownKey(key), isEarly, ...sending });
  }

  /** The same for the token that a run is to be started with (P16). */
  first(token: string, value: unknown, key: string | null): FirstDelivery {
    const ownKey = key === null ? null : this.#payloads.ownKey(key);
    const { digest, payload } = this.#payloads.valueCommand({ token }, null, this.#payloads.serialised(value), ownKey);
    return { key: ownKey, digest, payload };
  }

  async #arrive(arrival: Arrival, isAgain = false): Promise<Delivered> {
    const { door, token, value, key, only } = arrival;
    const keyed = key !== null;
    const found = await this.#targets.of(token, isAgain);
    // Another's hook does not judge what is not for it.
    const target = only === undefined || found?.runNumber === only ? found : null;
    const address = target?.address ?? this.#targets.address(token);
    const isEarly = arrival.isEarly && this.#isClaimable(token);
    // A run may have been started with the token.
    if (!address || (!target && !keyed && !this.#isClaimable(token))) return this.#refused(door, { disposition: "unknown", keyed });
    const judged = target && (await this.#judge(target, key, () => value));
    if (target && judged?.type === "invalid") {
      const refused = this.#payloads.valueCommand(target.address, target, this.#payloads.serialised(value), key);
      this.#keep(sealedFor(arrival, refused), "invalid", issueText(judged));
      return this.#refused(door, { disposition: "invalid", keyed, issues: judged.issues });
    }
    const fitting = judged?.type === "valid" && target?.created.payload === "json" ? judged.value : value;
    const payload = target ? this.#payloads.value(target.created, fitting) : this.#payloads.serialised(value);
    const delivering = sealedFor(arrival, this.#payloads.valueCommand(address, target, payload, key));
    const command = { ...delivering, ...(isEarly && { earlyMs: limits.earlyMs }), ...(only !== undefined && { only }) };
    const outcome = await this.#delivered(door, command);
    if (outcome.type === "moved") return this.#arrive(arrival, true); // D5
    return this.#told(outcome, keyed);
  }

  #told(outcome: Told, keyed: boolean): Delivered {
    const receipt = this.#receipt(outcome, keyed);
    const hook = "hook" in outcome ? outcome.hook : null;
    const mailbox = hook && this.#options.worker.hot(hook.runKey)?.run.hooks.get(hook.created.position)?.mailbox;
    const told = outcome.type === "accepted" && mailbox ? { ...receipt, unread: mailbox.unreadCount } : receipt;
    return "claimedBy" in outcome ? { receipt: told, hook, claimedBy: outcome.claimedBy } : { receipt: told, hook };
  }

  /** A request before there is a hook for it. */
  async #earlyRequest(token: string, request: Capture): Promise<Reply> {
    const early = this.#options.isEarly(token) ? { earlyMs: limits.earlyMs } : {};
    const command: Deliver = { ...this.#payloads.requestCommand({ token }, null, request), judgedFor: null, ...early };
    const outcome = await this.#delivered("resumeWebhook", command);
    if (outcome.type === "moved") return this.forwarded(token, request);
    return new Promise((reply, fail) => this.#reply(command, outcome, { reply, fail }));
  }

  /** Early deliveries at tokens that have a hook by now, which must judge them first; one that cannot be asked now is for the next look. */
  async takeClaimed(): Promise<void> {
    this.#isClaimed = true;
    while (this.#isClaimed && !this.#isTaking) {
      this.#isClaimed = false;
      this.#isTaking = true;
      const rows = await this.#options.held.claimed().catch(() => []); // the store is away
      const groups = new Map<string, DeliveryNumber[]>();
      for (const { address, delivery } of rows) {
        const scope = keyScope(address);
        groups.set(scope, [...(groups.get(scope) ?? []), delivery]);
      }
      await Promise.all([...groups.values()].map((group) => this.#takeInOrder(group)));
      this.#isTaking = false;
    }
  }

  /** Behind one that cannot be judged now the others of its token wait, too; those of other tokens do not. */
  async #takeInOrder(deliveries: readonly DeliveryNumber[]): Promise<void> {
    for (const delivery of deliveries) {
      try {
        await this.redeliver(delivery);
      } catch (error) {
        if (!RingbackError.is(error, "delivery_not_found")) return; // the next look tries again; another engine has that one
      }
    }
  }

  get isIdle(): boolean {
    return !this.#isTaking;
  }

  /**
   * Delivers what is held once more, as it came, to the hook that has its address now; held no longer where that hook takes it. Rejects
   * `delivery_not_found`.
   */
  async redeliver(delivery: DeliveryNumber): Promise<Delivered> {
    const row = await this.#options.held.row(delivery);
    const target = await this.#targets.stored(row.address);
    const keyed = row.key !== null;
    if (!target) return this.#refused("redeliver", { disposition: "unknown", keyed });
    const verdict = await this.#judgeHeld(target, row).catch(asIssues);
    if (verdict.type === "invalid") {
      this.#options.held.keep(row, "invalid", issueText(verdict), delivery);
      return this.#refused("redeliver", { disposition: "invalid", keyed, issues: verdict.issues });
    }
    const { address, key, digest } = row;
    const judgedFor = placeOf(target);
    const command: Deliver = { op: "deliver", address, key, digest, payload: verdict.value, judgedFor, held: delivery };
    const outcome = await this.#delivered("redeliver", command);
    return outcome.type === "moved" ? this.redeliver(delivery) : this.#told(outcome, keyed);
  }

  /** The payload in the form its hook takes, as its schema gives it. */
  async #judgeHeld(target: Target, { payload, key }: HeldRow): Promise<Fitted> {
    const { host, seal } = this.#options;
    const { created } = target;
    if (created.hasSchema || created.payload !== payload.type) assertReadable(payload);
    if (payload.type === "request" && created.payload === "request" && !created.methods.includes(payload.head.method))
      return refusedAs(`It came by ${payload.head.method}, and the hook takes ${created.methods.join(", ")}.`);
    const value = (): unknown => {
      if (payload.type === "value") return host.parse(payload.value);
      return said(created, payload.head.headers, Buffer.from(seal.revealBytes(payload.body)));
    };
    const judged = await this.#judge(target, key, value);
    if (judged?.type === "invalid") return judged;
    if (created.payload === "json") return { type: "valid", value: this.#payloads.value(created, judged ? judged.value : value()) };
    return { type: "valid", value: payload.type === "request" ? payload : this.#payloads.value(created, value()) };
  }

  /** Whether a hook may ever have this token: for no other is anything kept. */
  #isClaimable(token: string): boolean {
    return isCustomToken(token) && this.#options.seal.sealText(token) === token;
  }

  #requestAt(door: DoorName, target: Target | null, address: Address | null, request: Capture, answer: Answering): void {
    if (target) this.#request(door, target, request, answer);
    else if (address && deliveryKey(request.headers) !== null) this.#repeat(door, address, request, answer);
    else this.#unknown(door, answer);
  }

  /** No hook is there any more: the store may know the key still (D1). */
  #repeat(door: DoorName, address: Address, request: Capture, answer: Answering): void {
    const command = { ...this.#payloads.requestCommand(address, null, request), judgedFor: null };
    this.#deliver(door, command, (outcome) => this.#reply(command, outcome, answer), answer.fail);
  }

  #unknown(door: DoorName, answer: Answering): void {
    answer.reply(unknown);
    this.#refused(door, unknown.receipt);
  }

  #refused(door: DoorName, receipt: Receipt): Delivered {
    if (this.#options.report.isWatched) this.#options.report.delivered(door, receipt, null);
    return { receipt, hook: null };
  }

  #request(door: DoorName, target: Target, request: Capture, answer: Answering): void {
    const { created } = target;
    if (!created.methods.includes(request.method)) return answer.reply({ type: "method", allow: created.methods });
    let command: Deliver;
    try {
      command = this.#payloads.requestCommand(target.address, target, request);
    } catch (error) {
      return answer.fail(error);
    }
    const done = (outcome: Outcome): void => {
      if (outcome.type === "moved" && !answer.moved) this.#again(door, target.address, request, answer);
      else this.#reply(command, outcome, answer);
    };
    if (!created.hasSchema && created.payload === "request") return this.#deliver(door, command, done, answer.fail);
    this.#fitted(target, request, command)
      .catch(asIssues)
      .then((fitted) => {
        if (!("type" in fitted)) return this.#deliver(door, fitted, done, answer.fail);
        this.#keep(command, "invalid", issueText(fitted));
        const { receipt } = this.#refused(door, { disposition: "invalid", keyed: command.key !== null, issues: fitted.issues });
        answer.reply({ type: "refused", receipt });
      })
      .catch(answer.fail);
  }

  /**
   * The command with what the hook is to be given of the request: the request itself, where its schema finds that its JSON will do, or what
   * its body says, as the schema gives it.
   */
  async #fitted(target: Target, request: Capture, command: Deliver): Promise<Deliver | Invalid> {
    const { created } = target;
    const value = (): unknown => said(created, request.headers, request.body);
    const asValue = (made: unknown): Deliver => ({ ...command, payload: this.#payloads.serialised(made) });
    if (!created.hasSchema) {
      const parsed = attempted(value);
      if (parsed.ok) return asValue(parsed.value);
      if (await this.#isOpenFor(target, command.key)) throw parsed.error;
      return command; // refused by the store, whatever is in it (D1)
    }
    const judged = await this.#judge(target, command.key, value);
    if (judged?.type === "invalid") return judged;
    return created.payload === "json" && judged !== null ? asValue(judged.value) : command;
  }

  /** D5, at a minted token: by what the store has, since what is in memory was not that. */
  #again(door: DoorName, address: Address, request: Capture, answer: Answering): void {
    this.#targets
      .stored(address)
      .then((target) => this.#requestAt(door, target, address, request, answer))
      .catch(answer.fail);
  }

  #reply(command: Deliver, outcome: Outcome, { reply, fail, moved }: Answering): void {
    const { key } = command;
    const keyed = key !== null;
    if (outcome.type === "moved") return moved ? moved() : reply({ type: "refused", receipt: { disposition: "unknown", keyed } });
    const receipt = this.#receipt(outcome, keyed);
    if (outcome.type === "duplicate" && !outcome.isSameBody && key?.startsWith("idempotency-key:")) {
      this.#keep(command, "key_reused", "This Idempotency-Key came before with another body.");
      return reply({ type: "key_reused", receipt });
    }
    const answered = (answer: Answer): void => reply({ type: "answered", receipt, answer });
    const { answers, seal } = this.#options;
    switch (outcome.type) {
      case "buffered":
        return answered(accepted);
      case "accepted":
      case "duplicate": {
        const response = outcome.hook?.created.response;
        if (response?.mode === "accepted") return answered(accepted);
        if (response?.mode === "static" && outcome.type === "accepted") return answered(revealAnswer(seal, response.answer));
        if (response?.mode === "manual") return void answers.wait(outcome.delivery).then(answered, fail);
        // A repeat of what came early, or of what a run took that is purged: what its sender was told is written down.
        return void answers
          .first(outcome.delivery)
          .then((first) => answered(first ?? (response ? revealAnswer(seal, response.answer) : accepted)))
          .catch(fail);
      }
      default:
        return reply({ type: "refused", receipt });
    }
  }

  /** The same as a promise, for doors off the hot path. */
  #delivered(door: DoorName, command: Deliver): Promise<Outcome> {
    return new Promise((resolve, reject) => this.#deliver(door, command, resolve, reject));
  }

  #deliver(door: DoorName, command: Deliver, done: (outcome: Outcome) => void, failed: (error: unknown) => void): void {
    const { committer, worker, report } = this.#options;
    committer.put(command, (outcome) => {
      if (outcome.type === "broken") return failed(outcome.error);
      if (outcome.type === "early_full" || outcome.type === "gone")
        return failed(outcome.type === "gone" ? deliveryNotFound(command.held ?? 0) : earlyFull());
      if (outcome.type === "taken") return failed(tokenTaken((command.address as { readonly token: string }).token, outcome.holder));
      if (outcome.type === "accepted" && outcome.worker === worker.id) worker.arrived(outcome.hook.run, outcome.event);
      if (outcome.type === "closed" && command.held === undefined) this.#keep(command, "closed", `${outcome.by} ${at(outcome.at)}`);
      done(outcome);
      if (report.isWatched && outcome.type !== "moved")
        report.delivered(door, this.#receipt(outcome, command.key !== null), "hook" in outcome ? outcome.hook : null);
    });
  }

  #keep(command: Deliver, reason: RefusedFor, detail: string): void {
    this.#options.held.keep(command, reason, detail);
  }

  #receipt(outcome: Told, keyed: boolean): Receipt {
    switch (outcome.type) {
      case "unknown":
        return { disposition: "unknown", keyed };
      case "closed":
        return { disposition: "closed", keyed, by: outcome.by, at: new Date(outcome.at) };
      case "duplicate":
        return { id: deliveryId(outcome.delivery), disposition: "duplicate", keyed };
      case "accepted":
      case "buffered":
        return { id: deliveryId(outcome.delivery), disposition: outcome.type, keyed };
    }
  }

  /** A schema judges at the door, once; null where there is nothing to judge, or the store has its answer without it (D1). */
  async #judge(target: Target, key: string | null, value: () => unknown): Promise<Verdict | null> {
    const { created, runId, runNumber } = target;
    if (!created.hasSchema || !(await this.#isOpenFor(target, key))) return null;
    return this.#options.judge.verdict({ created, runId, runNumber }, value());
  }

  /** Whether the store would take a delivery with this key now. */
  async #isOpenFor({ address }: Target, key: string | null): Promise<boolean> {
    const { store } = this.#options;
    if (key !== null && (await store.deliveryOf(address, key)) !== null) return false;
    return (await store.hook(address))?.state.type === "open";
  }
}

/** What a body says to the hook's schema, or to the hook itself: one that takes requests is asked about their JSON. */
function said({ payload }: Target["created"], headers: readonly string[], body: Uint8Array): unknown {
  return payload === "json" ? bodyValue(headers, body) : parseJsonBody(body);
}

function attempted<T>(make: () => T): { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown } {
  try {
    return { ok: true, value: make() };
  } catch (error) {
    return { ok: false, error };
  }
}

function sealedFor({ seal }: Arrival, command: Deliver): Deliver {
  return seal === null ? command : { ...command, payload: seal(command.payload, command.address) };
}

/** What a hook is given of a held delivery, or why it is not. */
type Fitted = { readonly type: "valid"; readonly value: Payload } | Invalid;

function refusedAs(message: string): Invalid {
  return { type: "invalid", issues: [{ message }] };
}

function issueText({ issues }: Invalid): string {
  return issues.map(({ message }) => message).join("; ");
}

function at(instant: number): string {
  return new Date(instant).toISOString();
}

/** Nothing more is held. */
export function earlyFull(): RingbackError {
  const message = "No more early deliveries are kept at this token, or in this store. Send it again later.";
  return new RingbackError("early_full", message, { details: {} });
}

/** The same for every token that is not ours, whatever else was sent with it. */
const unknown: Reply & { readonly type: "refused" } = { type: "refused", receipt: { disposition: "unknown", keyed: false } };

/** A body that is no JSON does not fit any schema. */
function asIssues(error: unknown): Invalid {
  if (RingbackError.is(error, "invalid_payload")) return { type: "invalid", issues: error.details.issues };
  throw error;
}
