// Commands drawn from a small world: few runs, tokens and keys, so that they meet. The same random numbers draw the same commands.

import type { ResponsePolicy } from "../../core/event.ts";
import type { Command, Deliver, FirstDelivery, HeldReason, RunNumber } from "../../store/port.ts";
import {
  type AppendEvent,
  asked,
  cancel,
  custom,
  deliver,
  hookCreated,
  json,
  manual,
  runBlocked,
  runContinued,
  runEnded,
} from "./world.ts";

/** A whole number below `limit`. */
export type Random = (limit: number) => number;

/** What commands may refer to, in order of appearance: in a drawn command a run or a delivery is its place in this order. */
export interface Appeared {
  readonly runs: readonly { readonly key: string; readonly fence: number }[];
  readonly deliveries: { readonly length: number };
  readonly held: { readonly length: number };
}

const fixed: ResponsePolicy = { mode: "static", answer: { status: 201, headers: ["a", "b"], body: new Uint8Array([7]) } };
const workers = ["A", "B"] as const;

export class CommandSource {
  readonly #random: Random;
  readonly #positions: Map<RunNumber, number> = new Map();
  readonly #named: Map<RunNumber, readonly number[]> = new Map();
  /** Run keys are random: none comes again. */
  #keys = 0;
  #appeared: Appeared = { runs: [], deliveries: [], held: [] };

  constructor(random: Random) {
    this.#random = random;
  }

  /** One to six commands. */
  group(appeared: Appeared): Command[] {
    this.#appeared = appeared;
    return Array.from({ length: 1 + this.#random(6) }, () => this.#command());
  }

  #pick<T>(...choices: readonly T[]): T {
    return choices[this.#random(choices.length)]!;
  }

  /** Now and then one that does not exist. */
  #run(): RunNumber {
    const { length } = this.#appeared.runs;
    return this.#random(16) === 0 ? length : this.#random(length + 1);
  }

  /** The run's fence as it was before the group; now and then another. */
  #fence(run: RunNumber): number {
    return (this.#appeared.runs[run]?.fence ?? 1) + (this.#random(10) === 0 ? 1 : 0);
  }

  #command(): Command {
    const random = this.#random;
    switch (random(25)) {
      case 0:
      case 1:
      case 2:
        return this.#start();
      case 3:
      case 4:
      case 5:
      case 6:
        return this.#deliver();
      case 7:
        return this.#park();
      case 8:
      case 9: {
        const run = this.#run();
        return { op: "fire", run, position: this.#used(run), early: random(3) === 0 };
      }
      case 10:
        return random(3) === 0 ? { ...cancel(this.#run()), ...this.#pick({}, { compensate: true as const }) } : this.#append();
      case 11:
        return { op: "claim", run: this.#run(), worker: this.#pick(...workers) };
      case 12:
        return random(3) === 0
          ? { op: "release", worker: this.#pick(...workers) }
          : { op: "release", worker: this.#pick(...workers), runs: [this.#run()] };
      case 13:
        return { op: "beat", worker: this.#pick(...workers), leaseMs: this.#pick(0, 50, 500) };
      case 14: {
        const answer = { status: 200 + random(3), headers: [], body: new Uint8Array([random(9)]) };
        const { length } = this.#appeared.deliveries;
        return { op: "decide", delivery: Math.max(0, length - random(4)), answer, by: this.#pick("workflow", "deadline") };
      }
      case 15:
        return { op: "remember_key", kid: `k${random(3)}`, fingerprint: `f${random(2)}` };
      case 16: {
        const reason = this.#pick<Exclude<HeldReason, "early">>("closed", "invalid", "key_reused");
        const { address, key, digest, payload } = this.#deliver();
        const refused = { address, key: key === "k\0" ? null : key, digest, payload, reason, detail: null };
        return { op: "hold", delivery: refused, keepMs: random(80), ...this.#held(3) };
      }
      case 17:
        return random(2) === 0 ? { op: "delete", run: this.#run() } : this.#purge();
      case 18:
      case 19:
        return this.#write();
      default:
        return this.#append();
    }
  }

  #write(): Command {
    const random = this.#random;
    const run = this.#run();
    const chunks = Array.from({ length: random(3) }, () => `=${random(99)}`);
    const own = { op: "write", run, fence: this.#fence(run), stream: this.#pick("=", "=a"), chunks, isLast: random(9) === 0 } as const;
    return random(5) === 0 ? { ...own, owner: this.#run() } : own;
  }

  /** Enough rows for all there is: how a purge is cut into portions is a store's own. */
  #purge(): Command {
    const random = this.#random;
    const runsMs = this.#pick(null, 0, random(300));
    return { op: "purge", runsMs, keysMs: random(300), unclaimedMs: random(60), from: 0, rows: 1_000_000 };
  }

  /** Now and then a delivery that appeared as held. */
  #held(oneIn: number): { held?: number } {
    const { length } = this.#appeared.held;
    return this.#random(oneIn) === 0 && length > 0 ? { held: length - 1 - this.#random(Math.min(length, 4)) } : {};
  }

  #start(): Command & { op: "start" } {
    const id = `r${this.#random(12)}`;
    const run = {
      id,
      key: `key-${this.#keys++}`,
      workflow: this.#pick("w1", "w2"),
      codeId: "c1",
      args: this.#pick('["a"]', '["a"]', '["b"]'),
      seed: "s",
    };
    const token = this.#random(3) === 0 ? { token: `t${1 + this.#random(3)}` } : {};
    const attributes = this.#random(3) === 0 ? { attributes: { [`n${this.#random(3)}`]: this.#pick("v", "w") } } : {};
    const parent = this.#random(8) === 0 ? { parent: `r${this.#random(12)}` } : {};
    const first = "token" in token && this.#random(2) === 0 ? { first: this.#payload() } : {};
    return { op: "start", run: { ...run, ...token, ...attributes }, worker: this.#pick("A", "B", null), ...parent, ...first };
  }

  #payload(): FirstDelivery {
    const key = this.#random(20) === 0 ? "k\0" : this.#pick(null, "k1", "k2", "k3", "k4");
    return { key, digest: this.#pick("d1", "d2"), payload: json(`[${this.#random(9)}]`) };
  }

  #deliver(): Deliver {
    const random = this.#random;
    const run = this.#run();
    const runKey = this.#appeared.runs[run]?.key ?? "none";
    const address = random(2) === 0 ? { token: `t${1 + random(3)}` } : { runKey, position: this.#used(run) };
    const early = random(3) === 0 ? { earlyMs: random(120) } : {};
    const judged = random(4) === 0 ? { judgedFor: random(2) === 0 ? null : { run: this.#run(), position: this.#used(run) } } : {};
    const only = random(5) === 0 ? { only: this.#run() } : {};
    return deliver(address, { ...this.#payload(), ...early, ...judged, ...only, ...this.#held(6) });
  }

  #park(): Command {
    const run = this.#run();
    return { op: "park", run, fence: this.#fence(run), seen: this.#random(12) };
  }

  #append(): Command {
    const run = this.#run();
    const events = Array.from({ length: 1 + this.#random(4) }, () => this.#event(run));
    if (this.#random(12) === 0) events.push(runEnded());
    return { op: "append", run, fence: this.#fence(run), events, seen: this.#random(14) };
  }

  #continued(run: RunNumber): AppendEvent {
    const created = hookCreated(this.#used(run));
    return runContinued({
      seen: this.#random(14),
      lastPosition: this.#positions.get(run) ?? 0,
      carried: this.#pick([], [{ created, unread: [] }]),
      closed: this.#pick([], [this.#used(run)]),
      awaited: this.#pick([], [`r${this.#random(12)}`]),
    });
  }

  /** A position that the run has not used. */
  #fresh(run: RunNumber): number {
    const position = (this.#positions.get(run) ?? 0) + 1;
    this.#positions.set(run, position);
    return position;
  }

  /** One that it may have used. */
  #used(run: RunNumber): number {
    return 1 + this.#random((this.#positions.get(run) ?? 0) + 1);
  }

  #event(run: RunNumber): AppendEvent {
    const random = this.#random;
    const own = asked(this.#fresh(run));
    const timeout = this.#pick(null, { afterMs: random(80) });
    switch (random(22)) {
      case 16:
        return this.#continued(run);
      case 17: {
        // A name is given once more to the place of its first hook; a custom token's place is never used again.
        const known = this.#named.get(run) ?? [];
        const position = known.length > 0 && random(2) === 0 ? this.#pick(...known) : own.position;
        if (position === own.position) this.#named.set(run, [...known, position]);
        return hookCreated(position, { timeout, name: `n${position}` });
      }
      case 0:
      case 1:
      case 2:
        return hookCreated(own.position, { timeout, response: this.#pick(manual, { mode: "accepted" } as const) });
      case 3:
      case 4:
      case 5:
        return hookCreated(own.position, {
          timeout,
          response: this.#pick<ResponsePolicy>(manual, fixed),
          address: custom(`t${1 + random(3)}`),
          hasSchema: random(3) === 0,
          ...(random(3) === 0 ? { reserve: { afterMs: random(150) } } : {}),
        });
      case 18:
        return { kind: "attributes_set", ...own, changes: { [`n${random(3)}`]: this.#pick("v", "w", null) } };
      case 19:
        return { kind: "step_attributes_set", position: own.position, attempt: 1, changes: { n0: this.#pick("v", null) } };
      case 20:
        return { kind: "value_published", ...own, name: `v${random(2)}`, value: `=${random(9)}` };
      case 6:
        return { kind: "conflict_asked", ...own, hook: this.#used(run) };
      case 7:
        return { kind: "hook_disposed", ...own, hook: this.#used(run) };
      case 8:
        return { kind: "timer_set", ...own, due: { afterMs: random(60) } };
      case 9:
        return { kind: "timer_cancelled", ...own, timer: this.#used(run) };
      case 10:
        return { kind: "step_scheduled", ...own, input: "[]" };
      case 11:
        return { kind: "step_completed", position: own.position, attempt: 1, result: "[]" };
      case 12:
        return { kind: "child_scheduled", ...own, start: this.#start().run };
      case 13:
        return { kind: "child_awaited", ...own, runId: `r${random(12)}` };
      case 14:
        return this.#pick<AppendEvent>(runBlocked("c1"), runBlocked("c2"), { kind: "run_unblocked" });
      case 15:
        return { kind: "signal_aborted", ...own, steps: [[own.position, 0]], reason: "[]" };
      default:
        return { kind: "step_restarted", position: own.position, attempt: 2 };
    }
  }
}
