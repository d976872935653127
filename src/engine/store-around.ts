// A store around another: what it does not do otherwise, that one does. Whoever adds to the port says here, or in what is built on this,
// whether it holds values.

import type { Address, DeliveryNumber, Notice, OpenOptions, RunFilter, RunNumber, Store } from "../store/port.ts";

/** The part of the port in which no value goes either way. */
export type Valueless = Omit<
  Store,
  "commit" | "run" | "stream" | "journal" | "chapter" | "outcome" | "published" | "hook" | "delivery" | "answer" | "held" | "hooks" | "keys"
>;

export class StoreAround implements Valueless {
  readonly inner: Store;

  constructor(inner: Store) {
    this.inner = inner;
  }

  get name(): string {
    return this.inner.name;
  }

  get isExclusive(): boolean {
    return this.inner.isExclusive;
  }

  open(options: OpenOptions): Promise<void> {
    return this.inner.open(options);
  }

  close(): Promise<void> {
    return this.inner.close();
  }

  now(): number {
    return this.inner.now();
  }

  subscribe(listener: (notice: Notice) => void): () => void {
    return this.inner.subscribe(listener);
  }

  deliveryOf(address: Address, key: string): Promise<DeliveryNumber | null> {
    return this.inner.deliveryOf(address, key);
  }

  attributes(run: RunNumber): ReturnType<Store["attributes"]> {
    return this.inner.attributes(run);
  }

  runnable(...asked: Parameters<Store["runnable"]>): ReturnType<Store["runnable"]> {
    return this.inner.runnable(...asked);
  }

  orphans(...asked: Parameters<Store["orphans"]>): ReturnType<Store["orphans"]> {
    return this.inner.orphans(...asked);
  }

  blocked(...asked: Parameters<Store["blocked"]>): ReturnType<Store["blocked"]> {
    return this.inner.blocked(...asked);
  }

  due(until: number, limit: number): ReturnType<Store["due"]> {
    return this.inner.due(until, limit);
  }

  timers(run: RunNumber): ReturnType<Store["timers"]> {
    return this.inner.timers(run);
  }

  nextDue(): ReturnType<Store["nextDue"]> {
    return this.inner.nextDue();
  }

  runs(filter: RunFilter): ReturnType<Store["runs"]> {
    return this.inner.runs(filter);
  }

  describe(): ReturnType<Store["describe"]> {
    return this.inner.describe();
  }
}
