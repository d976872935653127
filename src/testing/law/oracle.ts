// Random command sequences: a store and the memory store must answer alike, member by member, and show the same afterwards.

import { memoryStore } from "../../store/memory/store.ts";
import type { Command, Outcome, RunNumber, RunRow, Store } from "../../store/port.ts";
import { createManualClock, type ManualClock } from "../manual-clock.ts";
import { type Appeared, CommandSource, type Random } from "./random-command.ts";
import type { ExpectFunction, StoreSubject } from "./world.ts";

export interface Sequence {
  readonly seed: number;
  readonly groups: number;
}

/** How often everything that can be asked is compared, in groups. */
const lookEvery = 8;

/** Plays one sequence on both. Throws with the line that repeats it. */
export async function compareWithOracle(
  create: (clock: ManualClock) => Promise<StoreSubject>,
  expect: ExpectFunction,
  { seed, groups }: Sequence,
): Promise<void> {
  const clock = createManualClock();
  const subject = await create(clock);
  const store = new Side(subject.store);
  const oracle = new Side(memoryStore({ clock, isExclusive: subject.store.isExclusive }));
  const random = createRandom(seed);
  const source = new CommandSource(random);
  await store.open();
  await oracle.open();
  let played = 0;
  try {
    while (played < groups) {
      clock.advance(random(30));
      const group = source.group(oracle.appeared);
      played += 1;
      expect(await store.play(group)).toEqual(await oracle.play(group));
      if (played % lookEvery === 0 || played === groups) expect(await store.look()).toEqual(await oracle.look());
    }
  } catch (error) {
    throw new Error(`Unlike the memory store. Repeat with { seed: ${seed}, groups: ${played} }.`, { cause: error });
  } finally {
    await subject.store.close();
    await subject.dispose?.();
  }
}

/** The same numbers for the same seed (mulberry32). */
function createRandom(seed: number): Random {
  let state = seed >>> 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

/** One store under the sequence. Stores number runs and deliveries as they like: what goes in and what comes out is by appearance. */
class Side {
  readonly #store: Store;
  /** All that have appeared, oldest first, as they were seen last; also those that are gone. */
  #runs: readonly RunRow[] = [];
  readonly #deliveries: number[] = [];
  readonly #held: number[] = [];
  readonly #notices: unknown[] = [];

  constructor(store: Store) {
    this.#store = store;
  }

  get appeared(): Appeared {
    return { runs: this.#runs, deliveries: this.#deliveries, held: this.#held };
  }

  async open(): Promise<void> {
    await this.#store.open({ role: "worker" });
    this.#store.subscribe((notice) => this.#notices.push(notice));
  }

  /** What became of a group, and what was told. */
  async play(group: readonly Command[]): Promise<unknown> {
    this.#notices.length = 0;
    const outcomes = await this.#store.commit(group.map((command) => this.#numbered(command)));
    for (const outcome of outcomes) this.#note(outcome);
    const rows = new Map((await this.#store.runs({ limit: 1_000 })).map((row) => [row.run, row]));
    const known = this.#runs.map((row) => rows.get(row.run) ?? row);
    const last = known.at(-1)?.run ?? 0;
    this.#runs = [...known, ...[...rows.values()].filter((row) => row.run > last).reverse()];
    return this.#named({ outcomes: outcomes.map(withoutError), notices: this.#notices });
  }

  /** Early deliveries of a claimed token enter the journal with the number they have. */
  #note(outcome: Outcome): void {
    const taken = outcome.type === "created" ? outcome.first : outcome;
    if (taken === undefined || !("delivery" in taken) || outcome.type === "duplicate" || outcome.type === "repeated") return;
    const { delivery } = taken;
    if (!this.#deliveries.includes(delivery)) this.#deliveries.push(delivery);
    if (outcome.type !== "accepted") this.#held.push(delivery);
  }

  /** Everything that can be asked. */
  async look(): Promise<unknown> {
    const store = this.#store;
    const lookAt = async ({ run, id, key }: RunRow): Promise<unknown> => ({
      rows: [await store.run({ run }), await store.run({ id }), await store.run({ key })],
      journal: await store.journal(run, 0),
      chapter: await store.chapter(run),
      outcome: await store.outcome(run),
      hooks: await store.hooks({ run, limit: 100 }),
      timers: await store.timers(run),
      attributes: await store.attributes(run),
      published: [await store.published(run, "v0"), await store.published(run, "v1")],
      streams: [
        await store.stream({ run, stream: "=", from: -2, bytes: 1 }),
        await store.stream({ run, stream: "=a", from: 0, bytes: 1_000_000 }),
      ],
    });
    const keys = await store.keys();
    return this.#named({
      runs: await Promise.all(this.#runs.map(lookAt)),
      deliveries: await Promise.all(this.#deliveries.map((delivery) => store.delivery(delivery))),
      answers: await Promise.all(this.#deliveries.map((delivery) => store.answer(delivery))),
      held: [await store.held({ of: "refused", limit: 100 }), await store.held({ of: "claimed", limit: 100 })],
      due: [await store.due(store.now() + 50, 100), await store.nextDue()],
      runnable: [await store.runnable("A", ["w1", "w2"], 5), await store.runnable("B", ["w1"], 100)],
      orphans: [await store.orphans("A", ["w1"], 5), await store.orphans("B", [], 100)],
      blocked: [await store.blocked("w1", "c1", 100), await store.blocked("w2", "c2", 100)],
      open: await store.hooks({ open: true, limit: 7 }),
      labelled: await store.runs({ attributes: { n0: "v" }, limit: 3 }),
      both: await store.runs({ attributes: { n0: "v", n1: "w" }, workflow: "w1", limit: 100 }),
      tokens: await Promise.all(["t1", "t2", "t3"].map((token) => store.hook({ token }))),
      taken: await Promise.all(["k1", "k2"].map((key) => store.deliveryOf({ token: "t1" }, key))).then((taken) =>
        taken.map((delivery) => ({ delivery })),
      ),
      keys: [[...keys.used].sort(), [...keys.fingerprints].sort(([a], [b]) => (a < b ? -1 : 1))],
    });
  }

  #numbered(command: Command): Command {
    const number = (place: number): RunNumber => this.#runs[place]?.run ?? 1_000_000;
    const held = "held" in command && command.held !== undefined ? { held: this.#held[command.held]! } : {};
    if (command.op === "hold") return { ...command, ...held };
    if (command.op === "deliver") {
      const { judgedFor, only } = command;
      const judged = judgedFor ? { judgedFor: { ...judgedFor, run: number(judgedFor.run) } } : {};
      return { ...command, ...held, ...judged, ...(only === undefined ? {} : { only: number(only) }) };
    }
    if (command.op === "decide") return { ...command, delivery: this.#deliveries[command.delivery] ?? 1_000_000 };
    if (command.op === "release") return command.runs === undefined ? command : { ...command, runs: command.runs.map(number) };
    if (!("run" in command) || command.op === "start") return command;
    if (command.op === "write" && command.owner !== undefined)
      return { ...command, run: number(command.run), owner: number(command.owner) };
    return { ...command, run: number(command.run) };
  }

  #named(value: unknown): unknown {
    const name = (field: string, part: unknown): unknown => {
      if (field === "run" && typeof part === "number") return `run ${this.#runs.findIndex(({ run }) => run === part)}`;
      if (field === "delivery" && typeof part === "number") return `delivery ${this.#deliveries.indexOf(part)}`;
      return part instanceof Uint8Array ? [...part] : part;
    };
    return JSON.parse(JSON.stringify(value, name));
  }
}

/** What an error says is a store's own; so is how it cuts a purge into portions. */
function withoutError(outcome: Outcome): unknown {
  if (outcome.type === "purged") return { type: "purged", runs: outcome.runs };
  return outcome.type === "broken" ? { type: "broken" } : outcome;
}
