// Chapters: a run that continues as new starts its code again, with other arguments, under the same id and the same key.
//
// CH1. A chapter is replayed from its first event. Of what was before, code gets what that event carries over, and nothing else.
// CH2. The first call of a chapter's first turn that asks for a carried hook's name or token takes the hook over: the same address, the
//      same deadline, its unread payloads first. One that nobody took over is disposed at the end of that turn.
// CH3. A name stands for one address in all chapters of a run: that of the first hook that was made under it.
// CH4. Positions rise from chapter to chapter, so steps keep keys of their own, and a late outcome finds nothing of its number.

import { badArgument } from "./argument.ts";
import { RingbackError, RunCancelledError } from "./errors.ts";
import type { CarriedHook, HookCreated, NamedAddress, OutputEvent, Recorded, RunContinued, Serialised } from "./event.ts";
import { HookPart } from "./hook.ts";
import { limits } from "./limits.ts";
import type { HookInput, Run } from "./run.ts";

/** What a hook is asked for by. */
export interface HookKey {
  readonly purpose: "hook" | "webhook";
  readonly token?: string | undefined;
  readonly name?: string | undefined;
}

/** How the next chapter begins. */
export interface Continuation {
  readonly args: Serialised;
  readonly seed: string;
  readonly carry: ReadonlySet<HookPart>;
}

/** A carried hook, and what came for it before this chapter and no reader took. */
export interface Inherited {
  readonly created: HookCreated;
  readonly inputs: readonly (Recorded & HookInput)[];
}

/** What an earlier chapter has left, until it is taken over. */
export class Heritage {
  #left: Inherited[];

  /** `inputs`: of all carried hooks, in `seq` order. */
  constructor(run: Run, { carried, names }: RunContinued, inputs: readonly Recorded[]) {
    run.names = new Map(names.map((named) => [named.name, named]));
    this.#left = carried.map(({ created }) => {
      const isOwn = (event: Recorded): event is Recorded & HookInput => "position" in event && event.position === created.position;
      return { created, inputs: inputs.filter(isOwn) };
    });
  }

  get left(): readonly Inherited[] {
    return this.#left;
  }

  /** `seq` of the payloads that wait for somebody to take their hook over. */
  get unread(): number[] {
    return this.#left.flatMap(({ inputs }) => inputs.filter(({ kind }) => kind === "hook_received").map(({ seq }) => seq));
  }

  /** The carried hook of that name or token, once. */
  take({ purpose, token, name }: HookKey): Inherited | null {
    const type = token === undefined ? "minted" : "custom";
    const found = this.#left.find(({ created }) => created.address.type === type && created.name === (token ?? name));
    if (!found) return null;
    if (found.created.purpose !== purpose) throw otherPurpose(found.created.name, found.created.purpose);
    this.#left = this.#left.filter((left) => left !== found);
    return found;
  }

  /** All that is left, as it was opened, for code that asks for it later than in the first turn. Until then no schema of it is known. */
  takeAll(run: Run): HookPart[] {
    const left = this.#left;
    this.#left = [];
    return left.map(({ created, inputs }) => {
      const url = created.url === null ? null : run.host.revealText(created.url);
      const part = new HookPart(run, created, run.host.tokenOf(run, created), url, null);
      enter(run, part);
      part.isKnown = true;
      for (const input of inputs) run.tell(input);
      return part;
    });
  }

  /** At the end of the chapter's first turn: what nobody took over is disposed. */
  close(run: Run): void {
    const left = this.#left;
    this.#left = [];
    for (const { created, inputs } of left) {
      run.warn(notTaken(created));
      const part = new HookPart(run, created, "", null, null);
      run.hooks.set(created.position, part);
      for (const input of inputs) run.tell(input);
      try {
        part.dispose();
      } catch (error) {
        if (!run.fault) throw error; // else the run is set aside for it
      }
    }
  }
}

function notTaken({ purpose, name }: HookCreated): string {
  return `${purpose} "${name}" was carried over, and the first turn of the new chapter did not open it again: it is disposed`;
}

function otherPurpose(name: string, purpose: "hook" | "webhook"): RingbackError {
  const message = `"${name}" is a ${purpose}'s address in this run: open it with ${purpose === "hook" ? "createHook" : "createWebhook"}(), or choose another name.`;
  return badArgument("name", name, message);
}

/** The address that a name stands for already (CH3); null for a new name. Refuses what cannot be opened under it. */
export function addressOf(run: Run, { purpose, name }: HookKey): NamedAddress | null {
  if (name === undefined) return null;
  const known = run.names?.get(name) ?? null;
  if (known === null) {
    if ((run.names?.size ?? 0) < limits.hookNames) return null;
    const message = `Run ${run.identity.id} has given ${limits.hookNames} names to hooks, each with an address for the whole run; "${name}" would be one more. Use one again, or a token of your own.`;
    throw badArgument("name", name, message);
  }
  if (known.purpose !== purpose) throw otherPurpose(name, known.purpose);
  const open = run.hooks.get(known.position);
  if (!open || open.mailbox.isClosed) return known;
  throw badArgument(
    "name",
    name,
    `Hook "${name}" of run ${run.identity.id} is open: a name has one open hook. Dispose it first, or read that one.`,
  );
}

/** Remembers a hook under its place, and its address under its name. */
export function enter(run: Run, part: HookPart): void {
  const { position, name, purpose, address, url } = part.created;
  const before = run.hooks.get(position);
  if (before && before.mailbox.unreadCount > 0) (run.replaced ??= []).push(before);
  run.hooks.set(position, part);
  if (name === "" || address.type !== "minted") return;
  part.isKnown = run.names?.has(name) ?? false;
  if (!part.isKnown) (run.names ??= new Map<string, NamedAddress>()).set(name, { name, position, purpose, address, url });
}

/** Ends the chapter with this turn. What it settles with, nobody will see. */
export function callContinue(run: Run, args: readonly unknown[], carry: readonly HookPart[]): Promise<never> {
  run.count();
  const { id, workflow } = run.identity;
  if (run.isCancelled) throw new RunCancelledError(`Run ${id} was cancelled: it does not continue as new.`, { details: { run: id } });
  const continueWith = (text: Serialised): void => {
    if (run.isOver || run.fault || !run.isTurnOpen) return;
    run.continued = { args: text, seed: run.host.newRunSecrets().seed, carry: new Set(carry) };
  };
  const never = new Promise<never>(() => {});
  const writing = run.serialised(args, `the arguments of continueAsNew() in workflow ${workflow}`, continueWith);
  return writing instanceof Promise ? writing.then(() => never) : never;
}

/** What the turn that ended a chapter appends: what it asked for and may begin, and the event that begins the next chapter. */
export function endChapter(run: Run, { args, seed, carry }: Continuation, openSteps: Iterable<number>): (OutputEvent | RunContinued)[] {
  const isIdle = ({ kind }: OutputEvent): boolean => kind === "step_scheduled" || kind === "timer_set" || kind === "child_awaited";
  const abandoned = [
    ...openSteps,
    ...run.asked.filter((event) => isIdle(event) && event.kind !== "child_awaited").map(({ position }) => position),
  ];
  const open = run.hooks.values().filter((hook) => !hook.mailbox.isClosed);
  const left = run.heritage?.left ?? [];
  for (const { created } of left) run.warn(notTaken(created));
  const carried = open.filter((hook) => carry.has(hook));
  const isCarried = new Set(carried.flatMap((hook) => hook.mailbox.unread));
  const continued: RunContinued = {
    kind: "run_continued",
    codeId: run.identity.codeId,
    args,
    seed,
    lastPosition: run.lastPosition,
    seen: run.seq,
    carried: carried.map(asCarried),
    names: [...(run.names?.values() ?? [])],
    closed: [
      ...open.filter((hook) => !carry.has(hook)).map((hook) => hook.created.position),
      ...left.map(({ created }) => created.position),
    ],
    awaited: run.pending.values().flatMap((pending) => (pending.isOutcome ? [pending.label] : [])),
    unread: run.unread().filter((seq) => !isCarried.has(seq)),
    abandoned,
    warnings: [...(run.warnings ?? [])],
    ...(run.attributeNames?.length ? { attributes: run.attributeNames } : {}),
  };
  return [...run.asked.filter((event) => !isIdle(event)), continued];
}

function asCarried({ created, mailbox }: HookPart): CarriedHook {
  const response = created.response.mode === "static" ? ({ mode: "accepted" } as const) : created.response;
  return { created: { ...created, response }, unread: mailbox.unreadDeliveries };
}
