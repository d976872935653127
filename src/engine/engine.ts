// An engine: one store, the workflows registered here, and the parts that advance them. Assembles the others and owns their lives.

import { clearTimeout, setTimeout } from "node:timers";
import type { Clock, RandomBytes } from "../core/clock.ts";
import { callStep } from "../core/call.ts";
import type { StepDefinition, WorkflowDefinition } from "../core/definition.ts";
import { RingbackError } from "../core/errors.ts";
import type { Answer } from "../core/event.ts";
import type { RespondResult } from "../core/request.ts";
import type { Fault, RunIdentity } from "../core/run.ts";
import { createSeal } from "../core/seal.ts";
import { createClasses, type Classes } from "../core/serialise-class.ts";
import type { KeyRing } from "../ingress/key-ring.ts";
import type { IngressLimit } from "../ingress/rate-limit.ts";
import { createTokens, type Tokens } from "../ingress/token.ts";
import type { DeliveryNumber, Notice, RunNumber, Store } from "../store/port.ts";
import { Answers } from "./answers.ts";
import { Committer } from "./commit.ts";
import { checkKeys } from "./key-check.ts";
import type { EncryptedStore } from "./encrypted-store.ts";
import { encryptionIds } from "./encryption-keys.ts";
import { Door } from "./deliver.ts";
import { HeldDeliveries } from "./held.ts";
import { Judge } from "./judge.ts";
import { KeepAlive } from "./keep-alive.ts";
import { Lease } from "./lease.ts";
import { Logger, type LogSink } from "./logger.ts";
import { durably } from "./realm.ts";
import { processClasses, processReferences, Registry } from "./registry.ts";
import { Report } from "./report.ts";
import { Retention, type RetentionPolicy } from "./retention.ts";
import { RunControl } from "./run-control.ts";
import { EngineRunHost } from "./run-host.ts";
import { Steps } from "./steps.ts";
import { Sweep } from "./sweep.ts";
import { Targets } from "./target.ts";
import { Timers } from "./timers.ts";
import { Unversioned } from "./unversioned.ts";
import { Waiters } from "./waiters.ts";
import { Worker } from "./worker.ts";

export interface EngineParts {
  readonly store: Store;
  /** The same, where values are encrypted at rest. */
  readonly encryption: EncryptedStore | null;
  readonly registry: Registry;
  readonly ring: KeyRing;
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** `worker` advances runs; `ingress` only delivers, starts and reads. */
  readonly role: "worker" | "ingress";
  readonly urlOf: (token: string) => string;
  readonly builtUrl: ((token: string) => string) | null;
  readonly baseUrl: () => string;
  /** Where lines go; null for nowhere. */
  readonly sink: LogSink | null;
  /** Parked runs kept in memory; 0 runs everything cold. */
  readonly hotRuns: number;
  /** Step bodies at a time. */
  readonly concurrency: number;
  readonly leaseMs: number;
  /** The cap on request bodies. */
  readonly bodyBytes: number;
  /** How long a cancelled run may clean up, if it is not to compensate. */
  readonly cancelGraceMs: number;
  /** What the public route takes; null for all. */
  readonly rateLimit: IngressLimit | null;
  /** Whether deliveries at this custom token are kept for a hook to come. */
  readonly isEarly: (token: string) => boolean;
  /** How long what is over is kept. */
  readonly retention: RetentionPolicy;
  /** The end of an engine that this one takes the place of. */
  readonly opensAfter?: Promise<void> | null;
}

export class EngineCore {
  readonly parts: EngineParts;
  readonly id: string;
  readonly tokens: Tokens;
  readonly classes: Classes = createClasses(processClasses);
  readonly host: EngineRunHost;
  readonly logger: Logger;
  readonly report: Report;
  readonly committer: Committer;
  readonly door: Door;
  readonly targets: Targets;
  readonly held: HeldDeliveries;
  readonly retention: Retention;
  readonly answers: Answers;
  readonly waiters: Waiters;
  readonly worker: Worker;
  readonly runs: RunControl;
  readonly steps: Steps;
  readonly timers: Timers;
  readonly alive: KeepAlive = new KeepAlive();
  /** `request.respondWith()` in workflow code. */
  readonly #respond: StepDefinition = {
    name: "respondWith",
    body: (delivery: DeliveryNumber, answer: Answer) => this.host.decide(delivery, answer),
    options: {},
  };
  readonly #lease: Lease;
  readonly #unversioned: Unversioned;
  readonly #sweep: Sweep;
  #state: "new" | "opening" | "open" | "closing" | "closed" = "new";
  #opening: Promise<void> | null = null;
  #closing: Promise<void> | null = null;
  #unsubscribe: (() => void)[] = [];

  constructor(parts: EngineParts) {
    const { store, registry, clock } = parts;
    this.parts = parts;
    this.id = `w_${Buffer.from(parts.random(8)).toString("hex")}`;
    this.tokens = createTokens(parts.ring);
    const seal = createSeal(this.tokens.macs);
    this.committer = new Committer(store, {
      failed: (error) => this.#storeFailed(error),
      answered: () => this.report.storeAnswered(),
    });
    this.answers = new Answers(store, this.committer, clock, seal);
    this.host = new EngineRunHost({ ...parts, tokens: this.tokens, seal, classes: this.classes, answers: this.answers });
    this.logger = new Logger({ sink: parts.sink, clock, host: this.host, isDiscreet: parts.encryption !== null });
    this.report = new Report({ store, clock, logger: this.logger, host: this.host });
    this.waiters = new Waiters(store);
    this.worker = new Worker(store, this.committer, registry, this.host, {
      id: this.id,
      hotRuns: parts.hotRuns,
      report: this.report,
      onBlocked: (run, number, fault) => this.#blocked(run, number, fault),
      onUnversioned: (run) => this.#unversioned.found(run),
      onContinued: (run, continued) => this.report.continued(run, continued),
      onEnded: (run, ended) => {
        this.waiters.ended(run.id);
        this.report.ended(run, ended);
      },
      onStranded: (run, error) => this.#stranded(run, error),
      isAwaited: (id) => this.waiters.isAwaited(id),
    });
    this.#unversioned = this.#createUnversioned();
    this.steps = this.#createSteps();
    this.timers = this.#createTimers();
    this.host.respondDurably = (delivery, answer) =>
      durably("request.respondWith()", (run) => callStep(run, this.#respond, [delivery, answer])) as Promise<RespondResult>;
    this.worker.steps = this.steps;
    this.worker.timers = this.timers;
    this.worker.isStopped = parts.role === "ingress";
    this.targets = new Targets(this.tokens, this.worker, store);
    this.runs = new RunControl(this);
    this.held = new HeldDeliveries(store, this.committer, parts.retention.refusedMs);
    this.door = new Door({
      store,
      committer: this.committer,
      worker: this.worker,
      judge: new Judge({ store, committer: this.committer, worker: this.worker, registry, host: this.host, clock }),
      answers: this.answers,
      targets: this.targets,
      seal,
      host: this.host,
      report: this.report,
      clock,
      rateLimit: parts.rateLimit,
      held: this.held,
      isEarly: parts.isEarly,
    });
    this.retention = new Retention(store, this.committer, clock, parts.retention);
    this.#lease = new Lease(this.committer, clock, {
      worker: this.id,
      leaseMs: parts.leaseMs,
      isMoot: store.isExclusive,
      lost: () => this.worker.dropAll(),
    });
    this.#sweep = this.#createSweep();
  }

  #createSweep(): Sweep {
    const { store, registry, clock } = this.parts;
    return new Sweep(store, this.worker, registry, clock, {
      look: () => {
        void this.door.takeClaimed(); // schemas think as long as they like: runs do not wait for them
        this.host.streams.look();
        return Promise.all([this.timers.look(), this.waiters.look(), this.answers.look(), this.#lookForKeys()]);
      },
      orphaned: (workflow) => this.logger.orphaned(workflow),
      failed: (error) => this.#storeFailed(error),
      // What a full disk refuses is known by committing, not by reading.
      done: () => this.committer.hasFailed || this.report.storeAnswered(),
    });
  }

  #createUnversioned(): Unversioned {
    const { store, registry, clock } = this.parts;
    return new Unversioned({
      store,
      committer: this.committer,
      worker: this.worker,
      registry,
      clock,
      report: this.report,
      sealText: this.host.sealText,
      onBlocked: (run, number, fault) => this.#blocked(run, number, fault),
    });
  }

  /** Runs that are set aside for want of a key go on once it is there. */
  async #lookForKeys(): Promise<void> {
    if (await this.parts.encryption?.ring.retry()) this.#sweep.tryAll();
  }

  #createTimers(): Timers {
    const { store, clock } = this.parts;
    return new Timers(store, this.committer, clock, {
      fired: (run, worker, event) => {
        if (worker === this.id) this.worker.arrived(run, event);
      },
      expired: (run) => this.worker.endFromOutside(run),
    });
  }

  #createSteps(): Steps {
    const { store, clock, concurrency, random } = this.parts;
    return new Steps(this.committer, this.host, {
      store,
      clock,
      concurrency,
      chance: () => Buffer.from(random(4)).readUInt32LE() / 2 ** 32,
      arrived: (run, event) => this.worker.arrived(run, event),
      prepare: (input) => this.host.prepare(input),
      unreadable: (run, error) => void this.worker.accuse(run, error).catch((failed: unknown) => this.#stranded(run, failed)),
      stranded: (run, error) => {
        this.worker.forget(run);
        this.#stranded(run, error);
      },
      report: this.report,
      attributes: (run) => this.parts.store.attributes(run),
      alive: this.alive,
    });
  }

  /** Opens the store, checks keys, takes up what an earlier process left. Once; later calls wait for the same. */
  open(): Promise<void> {
    if (this.#state === "closing" || this.#state === "closed") return Promise.reject(closedError());
    this.#opening ??= this.#open();
    return this.#opening;
  }

  get leaseLeftMs(): number {
    return this.#lease.leftMs;
  }

  get isOpen(): boolean {
    return this.#state === "open";
  }

  async #open(): Promise<void> {
    this.#state = "opening";
    const { store, role, registry, opensAfter } = this.parts;
    if (opensAfter) await opensAfter;
    try {
      await store.open({ role });
    } catch (error) {
      this.#state = "new"; // what was in the way may go: the next call tries again
      this.#opening = null;
      throw error;
    }
    try {
      await checkKeys(store, this.parts.ring, role, this.committer);
      await this.#beginEncryption();
      this.#unsubscribe.push(store.subscribe((notice) => this.#heard(notice)));
      this.#state = "open";
      if (role === "ingress") return;
      await this.#lease.begin();
      this.#unsubscribe.push(registry.onWorkflow((workflow, isReplacing) => this.#registered(workflow, isReplacing)));
      for (const names of [processReferences, processClasses]) this.#unsubscribe.push(names.onNew(() => this.#sweep.nameCame()));
      this.#sweep.begin();
      this.retention.begin();
      const due = await store.nextDue();
      if (due !== null) this.timers.note(due);
    } catch (error) {
      this.#state = "new";
      this.#opening = null;
      for (const unsubscribe of this.#unsubscribe.splice(0)) unsubscribe();
      await store.close().catch(() => {});
      throw error;
    }
  }

  /** Without encryption nothing here can be read that another engine has encrypted, and what this one writes is plain. */
  async #beginEncryption(): Promise<void> {
    const { encryption, store } = this.parts;
    if (encryption !== null) {
      encryption.ring.failed = (kid, error) => this.logger.keyFailed(kid, error);
      return encryption.begin();
    }
    const [kid] = encryptionIds((await store.keys()).fingerprints).keys();
    if (kid !== undefined) this.logger.plainBeside(store.name, kid);
  }

  /** Takes a workflow in, also where the author has named others; runs that waited for it go on. Throws `duplicate_name`. */
  register(workflow: WorkflowDefinition): void {
    this.parts.registry.addWorkflow(workflow);
  }

  /** Steps, workflows or classes have come that no list of the process knows: runs that were set aside for want of one are tried again. */
  nameCame(): void {
    this.#sweep.nameCame();
  }

  /** Stops taking work, waits for what runs (at most `graceMs`), gives its runs back. Later calls wait for the first. */
  close(options: { readonly graceMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(options);
    return this.#closing;
  }

  async #close(options: { readonly graceMs?: number }): Promise<void> {
    if (this.#state === "closed" || this.#state === "closing") return;
    const wasOpen = this.#state === "open" || this.#state === "opening";
    await this.#opening?.catch(() => {});
    if (!wasOpen || this.#state !== "open") {
      this.#state = "closed";
      return;
    }
    this.#state = "closing";
    this.#stopLooking();
    await within(options.graceMs ?? 10_000, this.steps.drain());
    await within(1_000, this.#quiet());
    this.worker.stop();
    this.steps.stop();
    await this.#lease.end().catch(() => {});
    await this.committer.drained();
    this.#state = "closed";
    await this.#letGo();
  }

  /** What comes by itself comes no more. */
  #stopLooking(): void {
    this.#sweep.stop();
    this.#unversioned.stop();
    this.retention.stop();
    this.timers.stop();
  }

  /** Whoever waits here is told, and the store is closed. */
  async #letGo(): Promise<void> {
    for (const unsubscribe of this.#unsubscribe.splice(0)) unsubscribe();
    this.waiters.close(closedError());
    this.answers.close(closedError());
    this.host.streams.close(closedError());
    await this.parts.store.close();
  }

  /** Stops as a crash would, as far as one process can: nothing more is written. For tests. */
  async abandon(): Promise<void> {
    const hasBegun = this.#state !== "new" && this.#state !== "closed";
    this.#state = "closed";
    if (!hasBegun) return;
    this.#stopLooking();
    this.#lease.stop();
    this.worker.stop();
    this.steps.stop();
    await this.#letGo();
  }

  /** Nothing is under way: no turn, no commit, no load, no step body. What waits for the clock or the outside does not count. */
  get isIdle(): boolean {
    if (this.#state === "closed") return true;
    return (
      this.worker.isIdle &&
      this.committer.isIdle &&
      this.steps.activeCount === 0 &&
      this.timers.isIdle &&
      this.#sweep.isIdle &&
      this.#unversioned.isIdle &&
      this.retention.isIdle &&
      this.door.isIdle
    );
  }

  async #quiet(): Promise<void> {
    while (!this.isIdle && this.#state === "closing") await new Promise((resolve) => setTimeout(resolve, 5));
  }

  #registered({ name }: WorkflowDefinition, isReplacing: boolean): void {
    if (isReplacing) {
      const waiting = this.steps.putBack(name);
      this.worker.reload(name);
      for (const run of waiting) this.#sweep.again(run);
    }
    this.#sweep.soon();
  }

  #blocked(run: RunIdentity, number: RunNumber, fault: Fault): void {
    this.report.blocked(run, fault);
    this.#sweep.setAside(number, run.codeId, isForWantOfName(fault.error));
    if (fault.reason === "misuse") this.#sweep.retryMisuse(number);
  }

  /** A store that was closed with its engine has not failed. */
  #storeFailed(error: unknown): void {
    if (this.#state === "closed") return;
    this.report.storeFailed(error);
  }

  /** A run was dropped, and is looked for again. Where the store is away it is the store that is told of, not each run. */
  #stranded(run: RunNumber, error: unknown): void {
    this.#sweep.again(run);
    if (error === null || this.#state === "closing" || this.#state === "closed") return;
    if (RingbackError.is(error) && error.code.startsWith("store_")) return this.#storeFailed(error);
    this.report.stranded(run, error);
  }

  #heard(notice: Notice): void {
    switch (notice.type) {
      case "woken":
        if (this.parts.role === "worker") this.#sweep.woken(notice.run, notice.worker, notice.seq);
        break;
      case "ended":
        this.waiters.ended(notice.id);
        this.host.streams.came(notice.id);
        break;
      case "streamed":
        this.host.streams.came(notice.id);
        break;
      case "decided":
        void this.answers.heard(notice.delivery);
        break;
      case "due":
        if (this.parts.role === "worker") this.timers.note(notice.at);
        break;
      case "claimed":
        if (this.parts.role === "worker") void this.door.takeClaimed();
        break;
      case "changed":
        this.#sweep.soon();
        if (this.parts.role === "worker") void this.timers.look();
        void this.waiters.look();
        void this.answers.look();
        this.host.streams.look();
    }
  }
}

function closedError(): RingbackError {
  return new RingbackError("engine_closed", "The engine is closed. Create a new one.", { details: {} });
}

/** Waits for a promise, but not longer than this. */
async function within(ms: number, promise: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([promise.catch(() => {}), late]);
  clearTimeout(timer);
}

/** A value that a run is to be given names a class, a step or a workflow that is not known here, yet. */
function isForWantOfName({ code }: RingbackError): boolean {
  return code === "unknown_class" || code === "step_not_registered" || code === "workflow_not_registered";
}
