// A store of which no value is readable at rest: any store, with each value encrypted on its way in and decrypted on its way out.
//
// ES1. Values are what `value-map.ts` names. All else goes through as it is: the store finds, orders and compares by it.
// ES2. Keys are fetched here, outside every turn. Who reads gets values, or, where a key is not there, what is stored (EN3).
// ES3. A repeat is a repeat whatever key is current: what a store compares is tried in the forms it has under the other keys, too.

import type { RandomBytes } from "../core/clock.ts";
import type { Payload, Recorded, Serialised } from "../core/event.ts";
import { hookScope, keyScope } from "../core/run-row.ts";
import {
  answerPlace,
  argsPlace,
  detailPlace,
  mapEvent,
  mapHook,
  mapOutcome,
  outcomePlace,
  payloadPlace,
  staticPlace,
} from "../core/value-map.ts";
import type {
  Address,
  AnswerRow,
  Append,
  AppendOutcome,
  Chapter,
  Command,
  Decide,
  DecideOutcome,
  Deliver,
  DeliverOutcome,
  DeliveryNumber,
  FirstDelivery,
  HeldFilter,
  HeldRow,
  Hold,
  HookRow,
  Outcome,
  RunNumber,
  StartOutcome,
  StartRun,
  Store,
  StreamPart,
  StreamPlace,
} from "../store/port.ts";
import { encryptArgs, fingerprintOf, keyedDigest } from "./cipher.ts";
import { Decrypting, Encrypting, isSealed, isSpoiled, Restoring } from "./cipher-map.ts";
import { openPart, sealStreams, sealWrite } from "./encrypted-stream.ts";
import { type EncryptionKeys, encryptionIds, mismatch, rememberedAs } from "./encryption-keys.ts";
import { StoreAround } from "./store-around.ts";
import { Places, type RunEventPlaces } from "./place.ts";

/** A command as the store gets it, and what its outcome is to whoever gave it. */
interface Sealed {
  readonly command: Command | null;
  readonly broken?: unknown;
  readonly opened: ((outcome: never) => Outcome | Promise<Outcome>) | null;
}

type AppendEvent = Append["events"][number];

const refreshMs = 5_000;

export class EncryptedStore extends StoreAround implements Store {
  readonly ring: EncryptionKeys;
  readonly #random: RandomBytes;
  readonly #places: Places;
  /** Stores answer with the same object for the same hook. */
  readonly #hooks: WeakMap<HookRow["created"], HookRow["created"]> = new WeakMap();
  #isRemembered = false;
  #refreshedAt = 0;

  constructor(inner: Store, ring: EncryptionKeys, random: RandomBytes) {
    super(inner);
    this.ring = ring;
    this.#random = random;
    this.#places = new Places(inner);
  }

  /** Fetches the keys that this store was used with, and the current one. Rejects `missing_key`, `key_mismatch` for want of that. */
  async begin(): Promise<void> {
    const { currentId } = this.ring;
    const known = await this.#refresh();
    if (currentId === null) return;
    await this.ring.load([currentId]);
    const key = this.ring.get(currentId);
    if (key === null) throw this.ring.lackOf(currentId);
    const remembered = known.get(currentId);
    if (remembered !== undefined && remembered !== fingerprintOf(key.secret)) throw mismatch(currentId);
    this.#isRemembered = remembered !== undefined;
  }

  /** A payload that is to be encrypted with this key, on its way to an address. */
  sealed(payload: Payload, address: Address, kid: string): Payload {
    return new Encrypting(this.ring.get(kid), this.#random).payload(payload, () => payloadPlace(keyScope(address)));
  }

  async commit(group: readonly Command[]): Promise<readonly Outcome[]> {
    const children = new Map<AppendEvent, string>();
    for (const command of group) {
      if (command.op === "write") await this.#places.identify(command.owner ?? command.run);
      if (command.op !== "append") continue;
      if (this.#places.known(command.run) === null) await this.#places.identify(command.run);
      for (const event of command.events) if (event.kind === "child_scheduled") await this.#findChild(command.run, event, children);
    }
    if (!this.#isRemembered && group.some(isWriting)) await this.#remember();
    const sealed = group.map((command) => this.#sealOr(command, children));
    const outcomes = await this.inner.commit(sealed.flatMap(({ command }) => command ?? []));
    let next = 0;
    return Promise.all(sealed.map((member) => this.#told(member, member.command === null ? null : (outcomes[next++] as Outcome))));
  }

  /** P1: it is committed by now. What cannot be told of one member, because the store is away again, is that member's trouble. */
  async #told({ opened, broken }: Sealed, outcome: Outcome | null): Promise<Outcome> {
    if (outcome === null) return { type: "broken", error: broken };
    if (opened === null || outcome.type === "broken") return outcome;
    try {
      return await opened(outcome as never);
    } catch (error) {
      return { type: "broken", error };
    }
  }

  /** P1: one that cannot be written is its own trouble. */
  #sealOr(command: Command, children: ReadonlyMap<AppendEvent, string>): Sealed {
    try {
      return this.#seal(command, children);
    } catch (broken) {
      return { command: null, opened: null, broken };
    }
  }

  /** EK3. Before the first value that is written with it. */
  async #remember(): Promise<void> {
    const key = this.ring.current;
    if (key === null) return;
    const fingerprint = fingerprintOf(key.secret);
    const [outcome] = await this.inner.commit([{ op: "remember_key", kid: rememberedAs + key.kid, fingerprint }]);
    if (outcome?.type === "broken") throw outcome.error;
    if (outcome?.type === "differs") throw mismatch(key.kid);
    this.#isRemembered = true;
  }

  /** ES3. Keys that other processes have come to use meanwhile; so many repeats that do not match are not so many looks. */
  async #refreshNow(): Promise<void> {
    if (this.now() - this.#refreshedAt >= refreshMs) await this.#refresh();
  }

  async #refresh(): Promise<Map<string, string>> {
    this.#refreshedAt = this.now();
    const known = encryptionIds((await this.inner.keys()).fingerprints);
    this.ring.remember(known);
    await this.ring.load(known.keys());
    return known;
  }

  #seal(command: Command, children: ReadonlyMap<AppendEvent, string>): Sealed {
    switch (command.op) {
      case "start":
        return this.#sealStart(command);
      case "deliver":
        return this.#sealDeliver(command);
      case "append":
        return this.#sealAppend(command, children);
      case "write":
        return { command: sealWrite(command, this.#places.known(command.owner ?? command.run), () => this.#encrypting()), opened: null };
      case "hold":
        return { command: this.#sealHold(command), opened: null };
      case "decide":
        return this.#sealDecide(command);
      case "park":
      case "fire":
      case "cancel":
      case "claim":
      case "look":
      case "release":
      case "beat":
      case "delete":
      case "purge":
      case "remember_key":
        return { command, opened: null };
      default:
        throw new TypeError(`There is no command "${String((command satisfies never as { op?: unknown }).op)}".`);
    }
  }

  #encrypting(): Encrypting {
    return new Encrypting(this.ring.current, this.#random);
  }

  #sealStart(start: StartRun): Sealed {
    const { run, first, streams } = start;
    const args = this.#encrypting().args(run.args, argsPlace(run.id));
    const command: StartRun = {
      ...start,
      run: { ...run, args },
      ...(streams && { streams: sealStreams(streams, run.key, () => this.#encrypting()) }),
      ...(first && { first: { ...first, ...this.#sealSent(first, keyScope({ token: run.token ?? "" })) } }),
    };
    const told = (outcome: StartOutcome): StartOutcome => {
      if (!("row" in outcome)) return outcome;
      this.#places.noteRun(outcome.row.run, outcome.row);
      if (outcome.type !== "created" || outcome.event.kind !== "run_started") return outcome;
      return { ...outcome, event: { ...outcome.event, args: run.args } };
    };
    return {
      command,
      opened: (outcome: StartOutcome) =>
        outcome.type === "conflict" && outcome.row.workflow === run.workflow
          ? this.#startAgain(command, run.args, outcome).then(told)
          : told(outcome),
    };
  }

  /** ES3 */
  async #startAgain(command: StartRun, plain: Serialised, conflict: StartOutcome): Promise<StartOutcome> {
    await this.#refreshNow();
    const { run } = command;
    const forms = this.ring.others(this.ring.currentId).map((key) => encryptArgs(key, plain, argsPlace(run.id)));
    if (this.ring.currentId !== null) forms.push(plain);
    for (const args of forms) {
      const [outcome] = (await this.inner.commit([{ ...command, run: { ...run, args } }])) as [StartOutcome];
      if (outcome.type !== "conflict") return outcome;
    }
    return conflict;
  }

  #sealDeliver(deliver: Deliver): Sealed {
    const command = { ...deliver, ...this.#sealSent(deliver, keyScope(deliver.address)) };
    return { command, opened: (outcome: DeliverOutcome) => this.#delivered(deliver, command, outcome) };
  }

  /** What of a delivery says what was sent. */
  #sealSent({ payload, digest }: FirstDelivery, scope: string): Pick<FirstDelivery, "payload" | "digest"> {
    return { payload: this.#encrypting().payload(payload, () => payloadPlace(scope)), digest: this.#digest(digest, scope) };
  }

  /** CI4. One that was kept with its delivery is a MAC already. */
  #digest(digest: string | null, scope: string): string | null {
    const key = this.ring.current;
    return digest === null || key === null || digest.startsWith("#") ? digest : keyedDigest(key, scope, digest);
  }

  async #deliveredAgain(deliver: Deliver, command: Deliver, first: DeliverOutcome): Promise<DeliverOutcome> {
    const digest = deliver.digest as string;
    const scope = keyScope(deliver.address);
    await this.#refreshNow();
    const forms = this.ring.others(this.ring.currentId).map((key) => keyedDigest(key, scope, digest));
    if (this.ring.currentId !== null) forms.push(digest);
    for (const form of forms) {
      const [outcome] = (await this.inner.commit([{ ...command, digest: form }])) as [DeliverOutcome];
      if (outcome.type !== "duplicate" || outcome.isSameBody) return outcome;
    }
    return first;
  }

  #delivered(deliver: Deliver, command: Deliver, outcome: DeliverOutcome): DeliverOutcome | Promise<DeliverOutcome> {
    if (outcome.type === "duplicate" && !outcome.isSameBody && deliver.digest !== null && !deliver.digest.startsWith("#"))
      return this.#deliveredAgain(deliver, command, outcome).then((found) => this.#withHook(found, deliver));
    return this.#withHook(outcome, deliver);
  }

  #withHook(outcome: DeliverOutcome, { payload: given, address }: Deliver): DeliverOutcome | Promise<DeliverOutcome> {
    switch (outcome.type) {
      case "accepted": {
        const { event } = outcome;
        const hook = this.#hook(outcome.hook);
        // What was encrypted before it came here is to be read all the same.
        const payload = isSealed(given) ? this.#opened((map) => map.payload(given, () => payloadPlace(keyScope(address)))) : given;
        if (hook instanceof Promise || payload instanceof Promise)
          return Promise.all([hook, payload]).then(([row, value]) => ({
            ...outcome,
            hook: row,
            event: { ...event, payload: value } as typeof event,
          }));
        return { ...outcome, hook, event: { ...event, payload } as typeof event };
      }
      case "duplicate":
      case "closed": {
        const hook = outcome.hook && this.#hook(outcome.hook);
        return hook instanceof Promise ? hook.then((row) => ({ ...outcome, hook: row })) : ({ ...outcome, hook } as DeliverOutcome);
      }
      default:
        return outcome;
    }
  }

  #sealAppend(append: Append, children: ReadonlyMap<AppendEvent, string>): Sealed {
    const place = this.#places.known(append.run);
    if (place === null) return { command: append, opened: null }; // it is gone, and its fence with it
    const given: Encrypting["given"][] = [];
    const places = this.#places.among(append.run, place, append.events);
    const events = append.events.map((event) => {
      this.#places.note(append.run, event);
      const map = this.#encrypting();
      const mapped = mapEvent(event, places, map);
      given.push(map.given);
      const args = children.get(event);
      return args === undefined || mapped.kind !== "child_scheduled" ? mapped : { ...mapped, start: { ...mapped.start, args } };
    });
    const opened = (outcome: AppendOutcome): AppendOutcome | Promise<AppendOutcome> => {
      if (outcome.type !== "appended") return outcome;
      let next = 0;
      const own = new Map<Recorded, Encrypting["given"]>();
      for (const event of outcome.events)
        if (next < events.length && event.kind === events[next]?.kind) own.set(event, given[next++] as Encrypting["given"]);
      const told = this.#opened(
        (map) => outcome.events.map((event) => mapEvent(event, places, own.has(event) ? new Restoring(own.get(event) ?? []) : map)),
        places,
      );
      return told instanceof Promise ? told.then((all) => ({ ...outcome, events: all })) : { ...outcome, events: told };
    };
    return { command: { ...append, events }, opened };
  }

  /** ES3. A run of that id that is there already: its arguments as they stand there, where they are the same. */
  async #findChild(parent: RunNumber, event: AppendEvent & { kind: "child_scheduled" }, children: Map<AppendEvent, string>): Promise<void> {
    const { id, args } = event.start;
    const row = id === `${this.#places.known(parent)?.id}.${event.position}` ? null : await this.inner.run({ id });
    const [first] = row === null ? [] : await this.inner.journal(row.run, 0);
    if (first?.kind !== "run_started") return;
    const found = await this.#opened((map) => map.args(first.args, argsPlace(id)));
    if (found === args) children.set(event, first.args);
  }

  #sealHold(hold: Hold): Hold {
    const { delivery } = hold;
    const scope = keyScope(delivery.address);
    const detail = delivery.detail === null ? null : this.#encrypting().prose(delivery.detail, detailPlace(scope));
    return { ...hold, delivery: { ...delivery, ...this.#sealSent(delivery, scope), detail } };
  }

  #sealDecide(decide: Decide): Sealed {
    const answer = this.#encrypting().answer(decide.answer, answerPlace(decide.delivery));
    const opened = (outcome: DecideOutcome): DecideOutcome | Promise<DecideOutcome> => {
      if (outcome.type !== "already") return outcome;
      const row = this.#answerRow(outcome.row);
      return row instanceof Promise ? row.then((found) => ({ ...outcome, row: found })) : { ...outcome, row };
    };
    return { command: { ...decide, answer }, opened };
  }

  /** What `pass` makes of what is stored, once all it needs is at hand: at once where it is. */
  #opened<T>(pass: (map: Decrypting) => T, places?: RunEventPlaces): T | Promise<T> {
    const map = new Decrypting(this.ring);
    const result = pass(map);
    return map.wanted === null && !map.isLost ? result : this.#openedLater(map, pass, places);
  }

  async #openedLater<T>({ wanted, isLost }: Decrypting, pass: (map: Decrypting) => T, places?: RunEventPlaces): Promise<T> {
    if (wanted !== null) await this.ring.load(wanted);
    if (isLost) await places?.find();
    return this.#opened(pass, places);
  }

  #hook(row: HookRow): HookRow | Promise<HookRow> {
    const { created, runKey } = row;
    this.#places.noteRun(row.run, { id: row.runId, key: runKey });
    const known = this.#hooks.get(created);
    if (known !== undefined) return { ...row, created: known };
    const opened = this.#opened((map) => mapHook(created, runKey, map));
    const keep = (found: HookRow["created"]): HookRow => {
      if (found.digest !== created.digest) this.#hooks.set(created, found);
      return { ...row, created: found };
    };
    return opened instanceof Promise ? opened.then(keep) : keep(opened);
  }

  #answerRow(row: AnswerRow): AnswerRow | Promise<AnswerRow> {
    const { answer, delivery } = row;
    if (answer === null) return row;
    const opened = this.#opened((map) => {
      const own = map.answer(answer, answerPlace(delivery));
      return isSpoiled(own) ? map.answer(answer, staticPlace) : own; // of a hook that is purged
    });
    return opened instanceof Promise ? opened.then((found) => ({ ...row, answer: found })) : { ...row, answer: opened };
  }

  async #events(run: RunNumber, events: readonly Recorded[], beside: readonly Recorded[] = []): Promise<readonly Recorded[]> {
    const place = events.length === 0 ? null : await this.#places.identify(run);
    if (place === null) return events;
    const places = this.#places.among(run, place, [...events, ...beside]);
    return this.#opened((map) => events.map((event) => mapEvent(event, places, map)), places);
  }

  async run(by: Parameters<Store["run"]>[0]): ReturnType<Store["run"]> {
    const row = await this.inner.run(by);
    if (row !== null) this.#places.noteRun(row.run, row);
    return row;
  }

  async journal(run: RunNumber, after: number): Promise<readonly Recorded[]> {
    return this.#events(run, await this.inner.journal(run, after));
  }

  async chapter(run: RunNumber): Promise<Chapter> {
    const { events, inherited } = await this.inner.chapter(run);
    return { events: await this.#events(run, events), inherited: await this.#events(run, inherited, events) };
  }

  async outcome(run: RunNumber): ReturnType<Store["outcome"]> {
    const outcome = await this.inner.outcome(run);
    const place = outcome && (await this.#places.identify(run));
    if (!outcome || !place) return outcome;
    return this.#opened((map) => mapOutcome(outcome, () => outcomePlace(place.id), map));
  }

  async published(run: RunNumber, key: string): ReturnType<Store["published"]> {
    const event = await this.inner.published(run, key);
    return event && ((await this.#events(run, [event]))[0] as typeof event);
  }

  async stream(place: StreamPlace): Promise<StreamPart | null> {
    const part = await this.inner.stream(place);
    const owner = part && (await this.#places.identify(place.run));
    return part && owner && this.#opened((map) => openPart(part, owner, place.stream, map));
  }

  async hook(address: Address): Promise<HookRow | null> {
    const row = await this.inner.hook(address);
    return row && this.#hook(row);
  }

  async delivery(delivery: DeliveryNumber): ReturnType<Store["delivery"]> {
    const found = await this.inner.delivery(delivery);
    if (found === null) return null;
    const { event } = found;
    const { created, runKey } = found.hook;
    const place = payloadPlace(hookScope(created.address, runKey, created.position));
    const opened =
      event.kind === "hook_received" ? { ...event, payload: await this.#opened((map) => map.payload(event.payload, () => place)) } : event;
    return { hook: await this.#hook(found.hook), event: opened, answer: found.answer && (await this.#answerRow(found.answer)) };
  }

  async answer(delivery: DeliveryNumber): Promise<AnswerRow | null> {
    const row = await this.inner.answer(delivery);
    return row && this.#answerRow(row);
  }

  async held(filter: HeldFilter): Promise<readonly HeldRow[]> {
    const rows = await this.inner.held(filter);
    return this.#opened((map) =>
      rows.map((row) => {
        const scope = keyScope(row.address);
        const detail = row.detail === null ? null : map.prose(row.detail, detailPlace(scope));
        return { ...row, payload: map.payload(row.payload, () => payloadPlace(scope)), detail };
      }),
    );
  }

  async hooks(filter: Parameters<Store["hooks"]>[0]): Promise<readonly HookRow[]> {
    const rows = await this.inner.hooks(filter);
    return Promise.all(rows.map(async (row) => this.#hook(row)));
  }

  async keys(): ReturnType<Store["keys"]> {
    const { used, fingerprints } = await this.inner.keys();
    return { used, fingerprints: new Map([...fingerprints].filter(([kid]) => !kid.startsWith(rememberedAs))) };
  }
}

/** Whether it may hold values. */
function isWriting({ op }: Command): boolean {
  return op === "start" || op === "deliver" || op === "append" || op === "write" || op === "hold" || op === "decide";
}
