// The persistence port: all that the engine asks of a store. Memory, SQLite and Postgres answer to one conformance suite.
//
// P1. `commit` is one transaction; each member has an outcome of its own, in order, and no member's refusal undoes another.
// P2. A fact from outside (`deliver`, `fire`, `cancel`) needs no lease: it is taken while run and hook are open, and it wakes the run in
//     the same transaction. What code decides (`append`, `park`) is taken only under the run's current fence.
// P3. `seq` is given out at commit, without gaps, in the order of the members.
// P4. Who holds a custom token changes, and is read, only in `commit`; a token has at most one open hook.
// P5. A wake-up is a committed fact first (the run row's `wake`), a notification second: `subscribe` may miss, `runnable` never does.
// P6. Time is the store's: `now` is taken once per `commit`. A deadline is reached when `now >= dueAt`.
// P7. A delivery's key is asked before the state: a repeat is a repeat, whatever became of hook and run (G2).
// P8. A deadline is reached by the clock, not by who noticed: a late delivery records the timeout itself, once.
// P9. What the store answers to an event (a token's holder, a child's start or end, what came early) is appended right behind it.
//     A child that the run has begun and that is removed since has no end to tell: it is refused to whoever awaits it.
// P10. Keys outlive runs: a purge leaves of a run its deliveries' keys and answers, and nothing else. A run whose request is in the hands
//     of another run goes after that one, and one whose stream an open run may read not before that has ended.
// P11. A chapter's end (`run_continued`) raises the fence, closes the hooks it names, and drops the run's timers but for the deadlines of
//     the hooks it carries and a cancelled run's grace, and what it awaits. A cancel that the old chapter's code has not seen is told again
//     behind it, as it was asked. A `hook_created` at a position that was used opens that address again.
// P12. A token that its hook has reserved is its run's until `reservedUntil`, also when the run has ended: another run's claim is lost to it,
//     senders are told `closed`. `dispose` gives it away at once; a purge leaves the run until then, somebody who deletes it does not wait.
// P13. A run that is started with a token has it from the same transaction on, until its hook has opened or it is over or cancelled. What
//     comes before the hook is held as early, whatever the sender asked, and does not grow old; at the run's end it is as if its time were over.
// P14. A run's attributes are a fold of its events (AT1). One that the code of another run has begun, or a step of it, has in its `run_started`
//     which (AT2).
// P15. A stream's chunks are numbered from 0, without gaps, in the order of the members, and none changes. One that is closed, or whose
//     run has ended, takes nothing more. Streams go with their run.
// P16. A run that is started with a delivery is begun, has its token, and has that delivery held there, or none of it. A repeat of what a
//     hook took begins nothing; one of what is held there begins the run, which has that one. Where the id is taken nothing is
//     delivered.
// P17. Of the values that a run has published under a key the last one stands, in all its chapters and when it has ended. It costs the same
//     to read whatever the run's journal holds, and goes with the run.

import type { Attributes } from "../core/attribute.ts";
import type {
  Answer,
  HookCreated,
  NewRun,
  NoteEvent,
  OutputEvent,
  Payload,
  InputEvent,
  Recorded,
  RunEvent,
  RunOutcome,
  Serialised,
  ValuePublished,
} from "../core/event.ts";
import type { ClosedBy } from "../core/receipt.ts";
import type { HookState, JudgedFor, RunRow } from "../core/run-row.ts";

export type { HookState, RunRow } from "../core/run-row.ts";

/** The store's own number of a run: positive, rising, never reused. */
export type RunNumber = number;
/** The store's own number of a delivery: positive, rising, never reused. */
export type DeliveryNumber = number;

/** A hook as a door sees it. */
export interface HookRow {
  readonly run: RunNumber;
  readonly runId: string;
  readonly runKey: string;
  readonly workflow: string;
  readonly worker: string | null;
  readonly created: Recorded<HookCreated>;
  readonly state: HookState;
}

/**
 * Where a delivery goes. `token` is a custom token's text; a minted token has been verified and taken apart before. Who knows the number
 * of the run with that key says it: it is found faster then, and no other run is taken for it.
 */
export type Address = { readonly runKey: string; readonly position: number; readonly run?: RunNumber } | { readonly token: string };

/**
 * Begins a run: its row and `run_started`. Same id, workflow, arguments and token as an existing run: `existing`; same id, else: `conflict`.
 * A token that is another run's: `taken`, and nothing is begun.
 */
export interface StartRun {
  readonly op: "start";
  readonly run: NewRun;
  /** The worker that will advance it, or null to leave it to whoever claims it. */
  readonly worker: string | null;
  /** The id of the run whose step begins it. */
  readonly parent?: string;
  /** Streams it has from the start, closed. */
  readonly streams?: readonly PassedStream[];
  /** What is delivered to the run's token by the same member (P16): `early`, as what comes right after it. Needs that token. */
  readonly first?: FirstDelivery;
}
/** What a run is started with. */
export type FirstDelivery = Pick<Deliver, "key" | "digest" | "payload">;
/** A whole stream. */
export interface PassedStream {
  readonly stream: string;
  readonly chunks: readonly Serialised[];
}
export type StartOutcome =
  | {
      readonly type: "created";
      readonly row: RunRow;
      readonly event: Recorded<InputEvent>;
      /** Of its first delivery; `isRepeat`: that one was held there before. */
      readonly first?: { readonly delivery: DeliveryNumber; readonly isRepeat: boolean };
    }
  /** A hook has taken the first delivery under its key: nothing is begun. */
  | { readonly type: "repeated"; readonly delivery: DeliveryNumber }
  /** There is no room for the first delivery: nothing is begun. */
  | { readonly type: "early_full" }
  | { readonly type: "existing"; readonly row: RunRow }
  | { readonly type: "conflict"; readonly row: RunRow }
  | { readonly type: "taken" /** The id of the run that has the token. */; readonly holder: string };

/**
 * Takes a delivery (G1, G2, P7, P8). Order: a recorded key answers `duplicate` whatever became of hook or
 * run; then hook and run must be open at `now`, else `closed` or `unknown`. A hook whose deadline has passed gets its `hook_failed`
 * appended by this very transaction. Accepted: `hook_received` is appended, the run is woken, the key is recorded, and for a manual
 * response its row is made, all or nothing. Early, at a custom token that no hook has had: it is held, within `limits.early…`, else
 * `early_full`; the hook that claims the token gets what is held there, in the order it came, by the transaction of its claim (P4, P9),
 * but for what has to be judged first, and what came behind that.
 */
export interface Deliver {
  readonly op: "deliver";
  readonly address: Address;
  readonly key: string | null;
  /** Digest of what was sent, compared when the key comes again. */
  readonly digest: string | null;
  readonly payload: Payload;
  /** It is for this run: where another has its custom token, now or kept, it is `taken`, and nothing is stored. */
  readonly only?: RunNumber;
  /** How long it is held where it comes early; absent: not at all, it is `unknown`. */
  readonly earlyMs?: number;
  /**
   * The hook it was judged for, null: for none, at a custom token. `moved`: another open hook has the address by now, and does not take
   * it unjudged; nothing is stored.
   */
  readonly judgedFor?: JudgedFor | null;
  /** It is held under this number, which it keeps: taken from there where it is accepted, or a duplicate of the same body. `gone`: it is held no more. */
  readonly held?: DeliveryNumber;
}
export type DeliverOutcome =
  | {
      readonly type: "accepted";
      readonly delivery: DeliveryNumber;
      readonly hook: HookRow;
      readonly worker: string | null;
      readonly event: Recorded<InputEvent>;
    }
  /** `hook` is null while the first one is held (`claimedBy` as then), and once its run is purged. */
  | {
      readonly type: "duplicate";
      readonly delivery: DeliveryNumber;
      readonly hook: HookRow | null;
      readonly isSameBody: boolean;
      readonly claimedBy?: string | null;
    }
  /** `claimedBy`: the id of the run that was started with the token. */
  | { readonly type: "buffered"; readonly delivery: DeliveryNumber; readonly claimedBy: string | null }
  | { readonly type: "early_full" }
  | { readonly type: "moved" }
  | { readonly type: "gone" }
  | { readonly type: "taken" /** The id of the run that has the token. */; readonly holder: string }
  | { readonly type: "closed"; readonly hook: HookRow; readonly by: ClosedBy; readonly at: number }
  | { readonly type: "unknown" };

/** Records what a run's code decided in one turn or more, or how a step went. Outputs may bring inputs of the store's own (a claim's outcome, a child's). */
export interface Append {
  readonly op: "append";
  readonly run: RunNumber;
  readonly fence: number;
  readonly events: readonly (OutputEvent | NoteEvent | Extract<InputEvent, { kind: "step_completed" | "step_failed" | "run_continued" }>)[];
  /** The last input code has seen: `wake` is cleared when nothing newer is in the journal. */
  readonly seen: number;
}
export type AppendOutcome =
  | { readonly type: "appended" /** All of them, with what the store added, in `seq` order. */; readonly events: readonly Recorded[] }
  | { readonly type: "fenced" };

/**
 * Appends chunks, all or none, to a stream of `run`, under its fence; `owner`: the stream is that run's, and `run` only writes to it. The
 * first write makes it. `isLast` closes it, behind the chunks.
 */
export interface Write {
  readonly op: "write";
  readonly run: RunNumber;
  readonly fence: number;
  readonly owner?: RunNumber;
  /** Of the owner's streams, the one of this name. */
  readonly stream: string;
  readonly chunks: readonly Serialised[];
  readonly isLast: boolean;
}
export type WriteOutcome =
  /** `length`: how many chunks the stream has now. */
  | { readonly type: "written"; readonly length: number }
  | { readonly type: "fenced" }
  /** It takes nothing more (P15), or its run is gone. */
  | { readonly type: "closed" }
  /** It would have more than `limits.streamChunks`. */
  | { readonly type: "full" };

/** The run's code has drained its journal and waits: clears `wake` when `seen` is the last event's `seq` or later, and zeroes `loads`. */
export interface Park {
  readonly op: "park";
  readonly run: RunNumber;
  readonly fence: number;
  readonly seen: number;
}
export type ParkOutcome = { readonly type: "parked" } | { readonly type: "fenced" };

/** Fires a timer, or a hook's deadline, that is due; with `early`, one that is not. Appends `timer_fired` or `hook_failed`. */
export interface Fire {
  readonly op: "fire";
  readonly run: RunNumber;
  readonly position: number;
  readonly early?: boolean;
}
export type FireOutcome =
  | { readonly type: "fired"; readonly worker: string | null; readonly event: Recorded<InputEvent> }
  | { readonly type: "gone" };

/**
 * Asks a run to end. From here on its hooks answer `closed (cancelled)`. Sets a timer at position 0, the run itself, due in `graceMs`: it
 * is not fired, but tells a worker to end the run from outside. Asked again, it makes that timer due now, whoever asks. With `compensate`
 * it sets no such timer, so that nothing cuts short what undoes; and it ends nobody's: asked again so, it changes nothing.
 */
export interface Cancel {
  readonly op: "cancel";
  readonly run: RunNumber;
  readonly graceMs: number;
  readonly compensate?: true;
}
export type CancelOutcome =
  | { readonly type: "requested"; readonly worker: string | null; readonly event: Recorded<InputEvent> }
  | { readonly type: "again"; readonly row: RunRow }
  | { readonly type: "ended"; readonly row: RunRow };

/**
 * Takes the sole right to advance a run, for `worker`, whose lease must live. Granted when the run is open or blocked and its worker is
 * null, is `worker` itself, or is dead (its lease is over). The fence rises when the worker changes; `loads` rises by one.
 */
export interface Claim {
  readonly op: "claim";
  readonly run: RunNumber;
  readonly worker: string;
}
export type ClaimOutcome = { readonly type: "claimed"; readonly row: RunRow } | { readonly type: "refused"; readonly row: RunRow | null };

/**
 * Notes that a process is about to run the code of a run that it does not hold, only to look (`loads` rises by one), or, with `isOver`,
 * that it came through (and falls by one). Refused where the run has ended, is set aside, or a look more would leave no load within
 * `limits.loadsWithoutProgress`: what ends every process that looks must not be looked at with every delivery, and looks that are under
 * way set no run aside.
 */
export interface Look {
  readonly op: "look";
  readonly run: RunNumber;
  readonly isOver: boolean;
}
export type LookOutcome = { readonly type: "looked" } | { readonly type: "refused" };

/** Gives runs back, so that another worker need not wait for the lease to end. Without `runs`: all of the worker's. */
export interface Release {
  readonly op: "release";
  readonly worker: string;
  readonly runs?: readonly RunNumber[];
}
/** Prolongs the worker's lease to `now + leaseMs`; 0 ends it. */
export interface Beat {
  readonly op: "beat";
  readonly worker: string;
  readonly leaseMs: number;
}
export type DoneOutcome = { readonly type: "done" };

/** Decides a manual answer, once: the first to come stands. */
export interface Decide {
  readonly op: "decide";
  readonly delivery: DeliveryNumber;
  readonly answer: Answer;
  readonly by: "workflow" | "deadline";
}
export type DecideOutcome =
  | { readonly type: "decided" }
  | { readonly type: "already"; readonly row: AnswerRow }
  | { readonly type: "unknown" };

/** Why a delivery is held: it came before its hook did, nobody claimed it in time, or it was refused. */
export type HeldReason = "early" | "unclaimed" | "closed" | "invalid" | "key_reused";

/** A delivery that no run has. */
export interface HeldRow {
  readonly delivery: DeliveryNumber;
  readonly at: number;
  /** Then an early one is `unclaimed`, and another one goes. */
  readonly until: number;
  readonly reason: HeldReason;
  readonly address: Address;
  readonly key: string | null;
  readonly digest: string | null;
  readonly payload: Payload;
  /** What a person is told of the reason. */
  readonly detail: string | null;
}

/**
 * Keeps a refused delivery for `keepMs`, so that it can be delivered again. Over `limits.refused…` the oldest go. One that is `held`
 * already keeps its number; with none there it is `gone`.
 */
export interface Hold {
  readonly op: "hold";
  readonly held?: DeliveryNumber;
  readonly delivery: Pick<HeldRow, "address" | "key" | "digest" | "payload" | "detail"> & { readonly reason: Exclude<HeldReason, "early"> };
  readonly keepMs: number;
}
export type HoldOutcome = { readonly type: "held"; readonly delivery: DeliveryNumber } | { readonly type: "gone" };

/** Removes a run that has ended, as a purge does (P10). Its id is free at once. `needed`: the run `by` has a request of it, or may read a stream of it. */
export interface Delete {
  readonly op: "delete";
  readonly run: RunNumber;
}
export type DeleteOutcome =
  | { readonly type: "deleted" }
  | { readonly type: "needed"; readonly by: string }
  | { readonly type: "open"; readonly row: RunRow }
  | { readonly type: "unknown" };

/**
 * A bounded part of a pass that removes what is over: runs that ended more than `runsMs` ago (null: none), keys of purged runs taken
 * more than `keysMs` ago where no hook lives at their address, held deliveries past their time. `from` is where the pass is; at most
 * about `rows` rows go. Nobody sees a run half removed.
 */
export interface Purge {
  readonly op: "purge";
  readonly runsMs: number | null;
  readonly keysMs: number;
  /** How long an early delivery that nobody claimed is held on. */
  readonly unclaimedMs: number;
  readonly from: RunNumber;
  readonly rows: number;
}
/** `next`: where to go on; null when the pass is over. */
export type PurgeOutcome = { readonly type: "purged"; readonly runs: number; readonly rows: number; readonly next: RunNumber | null };

/** Notes that the key ring's `kid` has this fingerprint. Another fingerprint under the same kid is refused. */
export interface RememberKey {
  readonly op: "remember_key";
  readonly kid: string;
  readonly fingerprint: string;
}
export type RememberKeyOutcome = { readonly type: "done" } | { readonly type: "differs" };

export type Command =
  | StartRun
  | Deliver
  | Append
  | Write
  | Park
  | Fire
  | Cancel
  | Claim
  | Look
  | Release
  | Beat
  | Decide
  | Hold
  | Delete
  | Purge
  | RememberKey;

interface Outcomes {
  start: StartOutcome;
  deliver: DeliverOutcome;
  append: AppendOutcome;
  write: WriteOutcome;
  park: ParkOutcome;
  fire: FireOutcome;
  cancel: CancelOutcome;
  claim: ClaimOutcome;
  look: LookOutcome;
  release: DoneOutcome;
  beat: DoneOutcome;
  decide: DecideOutcome;
  hold: HoldOutcome;
  delete: DeleteOutcome;
  purge: PurgeOutcome;
  remember_key: RememberKeyOutcome;
}
export type OutcomeOf<C extends Command> = Outcomes[C["op"]];
/** A member that broke on an error of its own; the others stand. */
export type Broken = { readonly type: "broken"; readonly error: unknown };
export type Outcome = Outcomes[Command["op"]] | Broken;

/** The answer to a delivery at a manual webhook. `answer` is null until it is decided. */
export interface AnswerRow {
  readonly delivery: DeliveryNumber;
  readonly deadlineAt: number;
  readonly answer: Answer | null;
  readonly by: "workflow" | "deadline" | null;
}

export interface DueRow {
  readonly run: RunNumber;
  readonly position: number;
  readonly dueAt: number;
}

/** What a store tells those who listen, after the commit. Each is a hint that something may be read. */
export type Notice =
  /** `seq` of the fact that woke it: who has seen it need not look. */
  | { readonly type: "woken"; readonly run: RunNumber; readonly worker: string | null; readonly seq: number }
  | { readonly type: "ended"; readonly run: RunNumber; readonly id: string }
  | { readonly type: "decided"; readonly delivery: DeliveryNumber }
  /** Chunks came to a stream of this run, or it was closed. */
  | { readonly type: "streamed"; readonly run: RunNumber; readonly id: string }
  /** A timer was set that is due at this instant, or earlier ones exist. */
  | { readonly type: "due"; readonly at: number }
  /** A hook has claimed a token at which deliveries are held that must be judged. */
  | { readonly type: "claimed" }
  /** Another process wrote; what, is not known. */
  | { readonly type: "changed" };

/** What it takes to run a run's code again: its last chapter, which for most runs is the whole journal. */
export interface Chapter {
  /** From the chapter's first event on (`run_started` or `run_continued`), in order. */
  readonly events: readonly Recorded[];
  /**
   * What came before for hooks that were carried over, and what code has not seen, in `seq` order: the deliveries that `run_continued` names
   * as unread, and every input of those hooks behind its `seen`.
   */
  readonly inherited: readonly Recorded[];
}

/** Where to read a stream from. */
export interface StreamPlace {
  readonly run: RunNumber;
  readonly stream: string;
  /** The number of the first chunk wanted; below 0: so many from the end. */
  readonly from: number;
  /** At most about so many bytes, but one chunk where there is one. 0: none. */
  readonly bytes: number;
}

/** A part of a stream, as it is now. */
export interface StreamPart {
  /** The number of the first chunk of these, or of the one to come. */
  readonly from: number;
  readonly chunks: readonly Serialised[];
  /** How many chunks the stream has. */
  readonly length: number;
  /** Nothing comes any more: it is closed, or its run has ended. */
  readonly isOver: boolean;
}

export interface RunFilter {
  readonly workflow?: string;
  readonly status?: RunRow["status"];
  /** That have all of these. */
  readonly attributes?: Attributes;
  /** Newest first; runs with a smaller number than this. */
  readonly before?: RunNumber;
  /** 1 to 1,000. */
  readonly limit: number;
}

export type HeldFilter =
  | { readonly delivery: DeliveryNumber }
  /** `before`: smaller numbers than this. `limit`: 1 to 1,000. */
  | { readonly of: "refused"; readonly before?: DeliveryNumber; readonly limit: number }
  | { readonly of: "claimed"; readonly limit: number };
/** What a store is made of and how it is set, for who looks after it. No credential, and no payload. */
export interface StoreReport {
  /** The library that reads and writes: `node:sqlite`, `@photostructure/sqlite`, `memory`. */
  readonly driver: string;
  /** What has a version, by name; `format` is that of the tables. */
  readonly versions: { readonly [of: string]: string };
  /** The settings that keep what is committed, as the store answers them now. */
  readonly settings: readonly { readonly name: string; readonly value: string; readonly isAsNeeded: boolean }[];
  /** How much it takes on its disk; null where it takes none, or that is not known. */
  readonly bytes: number | null;
  /** The worker of a store that has only one; null where there is none. */
  readonly owner: { readonly pid: number; readonly since: Date } | null;
}

export interface OpenOptions {
  /** `worker` may claim runs, and may exclude other workers (SQLite: one per file, else `store_in_use`). `ingress` delivers and reads. */
  readonly role: "worker" | "ingress";
}

export interface Store {
  /** Name for people: `memory`, `sqlite:…path`, `postgres:…host/db`. Never a credential. */
  readonly name: string;
  /** One worker at a time, by a lock of the store's own: leases are moot, and every other worker counts as dead. */
  readonly isExclusive: boolean;
  open(options: OpenOptions): Promise<void>;
  /** Ends all connections; what is under way finishes first. */
  close(): Promise<void>;
  /** The store's clock. */
  now(): number;
  /** P1. Rejects only when nothing of the group was committed (`store_unavailable`, `store_full`). */
  commit(group: readonly Command[]): Promise<readonly Outcome[]>;
  run(by: { readonly id: string } | { readonly run: RunNumber } | { readonly key: string }): Promise<RunRow | null>;
  /** The run's events with `seq > after`, in order. */
  journal(run: RunNumber, after: number): Promise<readonly Recorded[]>;
  /** The run's last chapter. Costs as much as that is long, whatever was before. */
  chapter(run: RunNumber): Promise<Chapter>;
  /** How the run ended; null while it has not. */
  outcome(run: RunNumber): Promise<RunOutcome | null>;
  /** A stream that nobody has written to is empty. Null where there is no such run. */
  stream(place: StreamPlace): Promise<StreamPart | null>;
  hook(address: Address): Promise<HookRow | null>;
  /** The event of an accepted delivery, and its hook. */
  delivery(
    delivery: DeliveryNumber,
  ): Promise<{ readonly hook: HookRow; readonly event: Recorded<RunEvent>; readonly answer: AnswerRow | null } | null>;
  /** The delivery that a key was recorded with at an address. */
  deliveryOf(address: Address, key: string): Promise<DeliveryNumber | null>;
  /** The answer to a delivery; also once its run is purged. */
  answer(delivery: DeliveryNumber): Promise<AnswerRow | null>;
  /** One held delivery; or refused ones, newest first; or early ones whose token has an open hook, in the order they came. */
  held(filter: HeldFilter): Promise<readonly HeldRow[]>;
  /** Runs that have something to do (`wake`, or steps without an outcome), that are neither ended nor blocked, and that `worker` may claim or holds. */
  runnable(worker: string, workflows: readonly string[], limit: number): Promise<readonly RunRow[]>;
  /** The workflows, by name and none of `workflows`, whose runs have something to do and would be `worker`'s to claim. */
  orphans(worker: string, workflows: readonly string[], limit: number): Promise<readonly string[]>;
  /** Blocked runs of a workflow that no attempt with this code id has set aside, or only for want of a key, which may be back. */
  blocked(workflow: string, codeId: string, limit: number): Promise<readonly RunRow[]>;
  /** Timers and hook deadlines (position 0: a cancelled run's grace is over) with `dueAt <= until`, earliest first. */
  due(until: number, limit: number): Promise<readonly DueRow[]>;
  /** The pending timers of a run, without hook deadlines. */
  timers(run: RunNumber): Promise<readonly DueRow[]>;
  /** The earliest `dueAt` of all, or null. */
  nextDue(): Promise<number | null>;
  runs(filter: RunFilter): Promise<readonly RunRow[]>;
  /** The last value that the run has published under the key. Null where there is none, and where there is no such run. */
  published(run: RunNumber, key: string): Promise<Recorded<ValuePublished> | null>;
  /** A run's attributes, by name. */
  attributes(run: RunNumber): Promise<Attributes>;
  hooks(filter: { readonly run?: RunNumber; readonly open?: boolean; readonly limit: number }): Promise<readonly HookRow[]>;
  /** The kids that open hooks of unfinished runs were minted with, and the fingerprints remembered. */
  keys(): Promise<{ readonly used: readonly string[]; readonly fingerprints: ReadonlyMap<string, string> }>;
  /** Asked of an open store; takes no lock that could be in a worker's way. */
  describe(): Promise<StoreReport>;
  subscribe(listener: (notice: Notice) => void): () => void;
}
