// A hook inside its run: the facts it was created with, the mailbox its readers wait at, and what became of its token.

import type { StandardSchema } from "./definition.ts";
import type { HookCreated } from "./event.ts";
import { Mailbox } from "./mailbox.ts";
import type { Run } from "./run.ts";
import { disposedError } from "./run.ts";

export class HookPart {
  readonly run: Run;
  created: HookCreated;
  readonly token: string;
  readonly url: string | null;
  /** Null as well while code has not yet said that of a hook it took over. */
  schema: StandardSchema | null;
  readonly mailbox: Mailbox<unknown>;
  /** Somebody may have the address already: code has asked for it, or an earlier hook of the name, or an earlier chapter, has shown it. */
  isKnown = false;
  /** `inlineSteps` of the run when the hook was opened. */
  readonly #openedAt: number;
  /** Undefined until the claim of a custom token is known to code; null when it is ours; else the run that holds it. */
  holder: string | null | undefined = undefined;
  #conflictWaiters: ((holder: string | null) => void)[] | null = null;

  constructor(run: Run, created: HookCreated, token: string, url: string | null, schema: StandardSchema | null) {
    this.run = run;
    this.created = created;
    this.token = token;
    this.url = url;
    this.schema = schema;
    this.mailbox = new Mailbox(run);
    this.#openedAt = run.inlineSteps;
  }

  /** A minted address that nobody can have. A step that was written in place may have shown it, which no replay sees: its body is not run again. */
  get isHidden(): boolean {
    return !this.isKnown && this.created.address.type === "minted" && this.run.inlineSteps === this.#openedAt;
  }

  /** How messages call the hook: its own token, or where it stands. Never a minted token. */
  get label(): string {
    const { address, name, position } = this.created;
    if (address.type === "custom") return `"${address.token}"`;
    return name === "" ? `#${position} of run ${this.run.identity.id}` : `"${name}" of run ${this.run.identity.id}`;
  }

  /** What was asked for is in the journal: from here on one object stands for both. */
  recorded(created: HookCreated): void {
    this.created = created;
  }

  close(seq: number, error: Error): void {
    this.mailbox.close(seq, error);
  }

  dispose(): void {
    if (this.mailbox.isClosed) return;
    const { position, turn, name, digest, recorded } = this.run.ask("hook_disposed", String(this.created.position), "");
    if (!recorded) this.run.asked.push({ kind: "hook_disposed", turn, position, name, digest, hook: this.created.position });
    this.mailbox.close(this.run.seq, disposedError(this.created.position, this.label));
  }

  /** The claim of the token was decided: for `holder`, or (null) for this hook. */
  told(holder: string | null): void {
    this.holder = holder;
    for (const waiter of this.#conflictWaiters ?? []) waiter(holder);
    this.#conflictWaiters = null;
  }

  /** The run that holds the token, or null when it is this hook's. Settles once the claim is committed. */
  conflict(): Promise<{ runId: string } | null> {
    const answer = (holder: string | null): { runId: string } | null => (holder === null ? null : { runId: holder });
    if (this.created.address.type === "minted") return Promise.resolve(null);
    if (this.holder !== undefined) return Promise.resolve(answer(this.holder));
    const { position, turn, name, digest, recorded } = this.run.ask("conflict_asked", String(this.created.position), "");
    if (!recorded) this.run.asked.push({ kind: "conflict_asked", turn, position, name, digest, hook: this.created.position });
    return new Promise((resolve) => {
      const waiter = (holder: string | null): void => resolve(answer(holder));
      if (this.#conflictWaiters) this.#conflictWaiters.push(waiter);
      else this.#conflictWaiters = [waiter];
    });
  }

  /** The code rests, and waits for this: says so where nobody can answer. */
  warnIfHidden(): void {
    if (!this.isHidden || !this.mailbox.isAwaited) return;
    this.isKnown = true;
    this.run.warn(
      `Hook ${this.label} is awaited before its run has given its token or URL to anybody: only who looks it up can resume it (listHooks, "npx ringback hooks --tokens"). Hand it out in a step before that; if an async function returned the hook, return hook.handle instead.`,
    );
  }

  /** Is code waiting to be told about the claim? */
  get isConflictAwaited(): boolean {
    return this.#conflictWaiters !== null;
  }
}
