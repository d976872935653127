// A small stand-in for the engine: turns, a journal in memory, hand-overs (H2), cold replay. Nothing is stored and nothing is checked but
// what reading hooks needs.

import { AsyncLocalStorage } from "node:async_hooks";
import { branch, race } from "../../src/core/branch.ts";
import { patchedPromise } from "../../src/core/combinator.ts";
import { HookDisposedError, HookTimeoutError, RunCancelledError } from "../../src/core/errors.ts";
import { HookBase } from "../../src/core/hook-base.ts";
import { Mailbox } from "../../src/core/mailbox.ts";
import type { Reading } from "../../src/core/reader.ts";
import type { Run } from "../../src/core/run.ts";
import { joinScope, onLost, type Scope } from "../../src/core/scope.ts";
import { current, enter, leave, useScopes } from "../../src/core/turn.ts";
import type { Action, Api, Hook } from "./program.ts";

const scope = new AsyncLocalStorage<unknown>();
const owner = new AsyncLocalStorage<DrivenRun>();
useScopes({ get: () => scope.getStore(), run: (value, code) => scope.run(value, code) });
Object.assign(Promise, patchedPromise(Promise));

type Position = { readonly position: number };
export type JournalEvent =
  | ({ readonly type: "received"; readonly value: string } & Position)
  | ({ readonly type: "expired" } & Position)
  | ({ readonly type: "fired" } & Position)
  | ({ readonly type: "completed"; readonly value: string | undefined } & Position)
  | ({ readonly type: "failed" } & Position)
  | { readonly type: "cancelled" };

interface Call {
  readonly kind: "timer" | "step";
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

export type Code = (api: Api) => Promise<unknown>;
/** Another mailbox than the real one, to see what the laws say of a broken one. */
export type MailboxMaker = (run: DrivenRun) => Mailbox<string>;

export class DrivenRun implements Reading {
  epoch = 0;
  readonly ready: Set<Mailbox<unknown>> = new Set();
  /** What the code did, as it shows from outside: its calls and its end, each with its turn. */
  readonly trace: string[] = [];
  readonly journal: JournalEvent[] = [];
  /** Values in the order they were handed over. */
  readonly handed: string[] = [];
  readonly hooks: { readonly position: number; readonly mailbox: Mailbox<string> }[] = [];
  readonly calls: Map<number, Call> = new Map();
  ended: { readonly value: string | undefined } | { readonly error: unknown } | null = null;
  readonly #values: Map<number, string> = new Map();
  readonly #makeMailbox: MailboxMaker;
  #turn = 0;
  #position = 0;

  constructor(makeMailbox: MailboxMaker = (run) => new Mailbox(run)) {
    this.#makeMailbox = makeMailbox;
  }

  newEpoch(): void {
    this.epoch++;
  }

  async start(code: Code): Promise<void> {
    await this.#takeTurn(() => {
      code(api).then(
        (value) => this.#end({ value: JSON.stringify(value) }),
        (error) => this.#end({ error }),
      );
    });
    await this.#handOver();
  }

  async apply(event: JournalEvent): Promise<void> {
    const seq = this.journal.push(event);
    await this.#takeTurn(() => this.#apply(event, seq));
    await this.#handOver();
  }

  /** The event an action stands for now; null when there is nothing it could happen to. */
  eventOf(action: Action): JournalEvent | null {
    if (action.do === "cancel") return { type: "cancelled" };
    if (action.do === "deliver" || action.do === "expire") {
      const hook = this.hooks[action.hook];
      if (!hook || hook.mailbox.isClosed) return null;
      const { position } = hook;
      return action.do === "deliver" ? { type: "received", position, value: action.value } : { type: "expired", position };
    }
    const kind = action.do === "fire" ? "timer" : "step";
    const pending = [...this.calls].filter(([, call]) => call.kind === kind).map(([position]) => position);
    const position = action.which === "oldest" ? pending[0] : pending.at(-1);
    if (position === undefined) return null;
    if (action.do === "finish") return { type: "completed", position, value: action.value };
    return { type: action.do === "fire" ? "fired" : "failed", position };
  }

  get unread(): string[] {
    return this.hooks.flatMap(({ mailbox }) => mailbox.unread.map((seq) => this.#values.get(seq) ?? "?"));
  }

  say(text: string): void {
    this.trace.push(`${this.#turn}: ${text}`);
  }

  /** A call of the code: it takes the next position. */
  ask(what: string): number {
    this.say(`#${++this.#position} ${what}`);
    return this.#position;
  }

  openMailbox(): Mailbox<string> {
    const mailbox = this.#makeMailbox(this);
    this.hooks.push({ position: this.ask("hook"), mailbox });
    return mailbox;
  }

  get seq(): number {
    return this.journal.length;
  }

  /** One macrotask: it ends when nothing more can run. */
  #takeTurn(body: () => void): Promise<void> {
    return new Promise((resolve) => {
      setImmediate(() => {
        enter(this as unknown as Run);
        this.#turn++;
        owner.run(this, body);
        queueMicrotask(() => {
          process.nextTick(() => {
            leave();
            resolve();
          });
        });
      });
    });
  }

  async #handOver(): Promise<void> {
    while (this.ready.size > 0) {
      await this.#takeTurn(() => {
        const [first, ...others] = this.ready;
        others.reduce((oldest, mailbox) => (mailbox.oldest() < oldest.oldest() ? mailbox : oldest), first as Mailbox<unknown>).handOver();
      });
    }
  }

  #apply(event: JournalEvent, seq: number): void {
    switch (event.type) {
      case "cancelled":
        for (const [, call] of this.calls) call.reject(new RunCancelledError("The run was cancelled.", { details: { run: "test" } }));
        this.calls.clear();
        for (const hook of this.hooks)
          hook.mailbox.close(seq, new RunCancelledError("The run was cancelled.", { details: { run: "test" } }));
        return;
      case "received":
        this.#values.set(seq, event.value);
        this.#mailbox(event)?.receive(seq, () => {
          this.handed.push(event.value);
          return event.value;
        });
        return;
      case "expired":
        this.#mailbox(event)?.close(seq, new HookTimeoutError("The hook has timed out.", { details: event }));
        return;
      case "fired":
        this.newEpoch();
        this.#take(event)?.resolve(undefined);
        return;
      case "completed":
        this.#take(event)?.resolve(event.value);
        return;
      case "failed":
        this.#take(event)?.reject(new Error("the step failed"));
    }
  }

  #mailbox({ position }: Position): Mailbox<string> | undefined {
    return this.hooks.find((hook) => hook.position === position)?.mailbox;
  }

  #take({ position }: Position): Call | undefined {
    const call = this.calls.get(position);
    this.calls.delete(position);
    return call;
  }

  #end(ended: NonNullable<DrivenRun["ended"]>): void {
    this.ended = ended;
    this.say("error" in ended ? `failed: ${String(ended.error)}` : `returned ${ended.value}`);
  }
}

export async function replay(code: Code, journal: readonly JournalEvent[], makeMailbox?: MailboxMaker): Promise<DrivenRun> {
  const run = new DrivenRun(makeMailbox);
  await run.start(code);
  for (const event of journal) await run.apply(event);
  return run;
}

/** The run whose code makes the call, in its own turn and its own async context. */
function here(): DrivenRun {
  const run = owner.getStore();
  if (!run || (current as unknown) !== run) throw new Error("a call outside the run's turn, or outside its context");
  return run;
}

class DrivenHook extends HookBase<string> implements Hook {
  readonly #run: DrivenRun = here();
  readonly #mailbox: Mailbox<string> = this.#run.openMailbox();

  protected override mailbox(): Mailbox<string> {
    here();
    return this.#mailbox;
  }

  dispose(): void {
    if (this.#mailbox.isClosed) return;
    this.#run.ask("dispose");
    this.#mailbox.close(this.#run.seq, new HookDisposedError("The hook was disposed.", { details: { position: 0 } }));
  }
}

function call(run: DrivenRun, kind: Call["kind"], position: number, atEnd: () => void = () => {}): Promise<unknown> {
  const promise = new Promise((resolve, reject) => {
    run.calls.set(position, {
      kind,
      resolve: (value) => (atEnd(), resolve(value)),
      reject: (error) => (atEnd(), reject(error)),
    });
  });
  promise.catch(() => {});
  return promise;
}

function sleep(duration: string): Promise<unknown> {
  const run = here();
  const position = run.ask(`sleep ${duration}`);
  let joined: Scope | null = null;
  const timer = {
    lost(): void {
      joined?.leave(timer);
      if (run.calls.delete(position)) run.ask(`cancel #${position}`);
    },
  };
  const promise = call(run, "timer", position, () => joined?.leave(timer));
  onLost(promise, timer.lost);
  joined = joinScope(timer);
  return promise;
}

function step(name: string, ...input: unknown[]): Promise<unknown> {
  const run = here();
  return call(run, "step", run.ask(`step ${name} ${JSON.stringify(input)}`));
}

export const api: Api = { createHook: () => new DrivenHook(), sleep, step, branch, race };
