// Manual answers: a sender waits, the workflow decides or the deadline does, once and for every repeat of the delivery.
//
// A1. What was decided first stands; the row in the store is the truth, whoever waits here only hears of it.
// A2. Nobody waits past the deadline: at it the default is recorded in one conditional write, and what the workflow says later is late
//     even where nobody was there to record it.
// A3. Nobody is told an answer that is not recorded: a repeat would get another.

import type { Clock } from "../core/clock.ts";
import type { Answer } from "../core/event.ts";
import { accepted } from "../core/receipt.ts";
import { revealAnswer, type Seal, sealAnswer } from "../core/seal.ts";
import type { AnswerRow, DecideOutcome, DeliveryNumber, Store } from "../store/port.ts";
import type { Committer } from "./commit.ts";

interface Waiter {
  readonly settle: (answer: Answer) => void;
  readonly fail: (error: unknown) => void;
}

export class Answers {
  readonly #store: Store;
  readonly #committer: Committer;
  readonly #clock: Clock;
  readonly #seal: Seal;
  readonly #waiting = new Map<DeliveryNumber, Set<Waiter>>();

  constructor(store: Store, committer: Committer, clock: Clock, seal: Seal) {
    this.#store = store;
    this.#committer = committer;
    this.#clock = clock;
    this.#seal = seal;
  }

  /** The answer to a delivery, as soon as there is one; at the latest at its deadline. */
  wait(delivery: DeliveryNumber): Promise<Answer> {
    return new Promise((resolve, reject) => {
      let takeBack = (): void => {};
      const over =
        <T>(settle: (value: T) => void) =>
        (value: T): void => {
          takeBack();
          settle(value);
        };
      const waiter: Waiter = { settle: over(resolve), fail: over(reject) };
      const waiting = this.#waiting.get(delivery) ?? new Set();
      this.#waiting.set(delivery, waiting.add(waiter)); // first, so that a decision between here and the look is heard
      this.#row(delivery).then(
        (row) => {
          if (row === null || row.answer) return this.#tell(delivery, row?.answer ?? accepted);
          if (!waiting.has(waiter)) return;
          takeBack = this.#clock.alarm(
            row.deadlineAt,
            () => void this.decide(delivery, accepted, "deadline").catch((error) => this.#fail(delivery, error)),
          );
        },
        (error) => this.#fail(delivery, error),
      );
    });
  }

  /** The answer that is recorded, if there is one; also where the run is purged. */
  async first(delivery: DeliveryNumber): Promise<Answer | null> {
    const answer = (await this.#store.answer(delivery))?.answer;
    return answer ? revealAnswer(this.#seal, answer) : null;
  }

  /** Records the answer unless there is one; whoever waits gets the one that stands. */
  async decide(delivery: DeliveryNumber, answer: Answer, by: "workflow" | "deadline"): Promise<DecideOutcome> {
    const row = by === "workflow" ? await this.#row(delivery) : null;
    if (row && row.answer === null && this.#store.now() >= row.deadlineAt) await this.#decide(delivery, accepted, "deadline");
    return this.#decide(delivery, answer, by);
  }

  /** Another engine decided. */
  async heard(delivery: DeliveryNumber): Promise<void> {
    if (!this.#waiting.has(delivery)) return;
    try {
      const row = await this.#row(delivery);
      if (row?.answer) this.#tell(delivery, row.answer);
    } catch (error) {
      this.#fail(delivery, error);
    }
  }

  /** Something changed in the store that brought no notice of its own. */
  async look(): Promise<void> {
    for (const delivery of [...this.#waiting.keys()]) await this.heard(delivery);
  }

  /** Nobody will decide here any more: senders are to come again, for the same answer. */
  close(error: Error): void {
    for (const delivery of [...this.#waiting.keys()]) this.#fail(delivery, error);
  }

  async #row(delivery: DeliveryNumber): Promise<AnswerRow | null> {
    const row = (await this.#store.delivery(delivery))?.answer ?? null;
    return row?.answer ? { ...row, answer: revealAnswer(this.#seal, row.answer) } : row;
  }

  async #decide(delivery: DeliveryNumber, answer: Answer, by: "workflow" | "deadline"): Promise<DecideOutcome> {
    const outcome = await this.#committer.commit({ op: "decide", delivery, answer: sealAnswer(this.#seal, answer), by });
    if (outcome.type === "decided") this.#tell(delivery, answer);
    else if (outcome.type === "already" && outcome.row.answer) this.#tell(delivery, revealAnswer(this.#seal, outcome.row.answer));
    return outcome;
  }

  #tell(delivery: DeliveryNumber, answer: Answer): void {
    for (const waiter of this.#taken(delivery)) waiter.settle(answer);
  }

  #fail(delivery: DeliveryNumber, error: unknown): void {
    for (const waiter of this.#taken(delivery)) waiter.fail(error);
  }

  #taken(delivery: DeliveryNumber): readonly Waiter[] {
    const waiting = [...(this.#waiting.get(delivery) ?? [])];
    this.#waiting.get(delivery)?.clear();
    this.#waiting.delete(delivery);
    return waiting;
  }
}
