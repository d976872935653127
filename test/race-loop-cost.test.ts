// A race in a loop costs the same on its last pass as on its first: nothing piles up on what stands through the passes (CO1, N3).

import { AsyncLocalStorage } from "node:async_hooks";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { branch, race } from "../src/core/branch.ts";
import { patchedPromise } from "../src/core/combinator.ts";
import { HookBase } from "../src/core/hook-base.ts";
import { Mailbox } from "../src/core/mailbox.ts";
import type { Reading } from "../src/core/reader.ts";
import type { Run } from "../src/core/run.ts";
import { joinScope, onLost, type Scope } from "../src/core/scope.ts";
import { enter, leave, useScopes } from "../src/core/turn.ts";

const scope = new AsyncLocalStorage<unknown>();
useScopes({ get: () => scope.getStore(), run: (value, code) => scope.run(value, code) });
Object.assign(Promise, patchedPromise(Promise));
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const isLong = process.env["RINGBACK_LONG"] === "1" && (process.env["RINGBACK_TEST_MODE"] ?? "hot") === "hot";
const passes = isLong ? 100_000 : 20_000;
/** By now caches and compiled code have their size. */
const warmUp = 4_000;
const allowedBytes = 2_000_000;

class ReadHook extends HookBase<number> {
  readonly #mailbox: Mailbox<number>;
  constructor(mailbox: Mailbox<number>) {
    super();
    this.#mailbox = mailbox;
  }
  protected override mailbox(): Mailbox<number> {
    return this.#mailbox;
  }
}

/** A run with one hook and at most one timer pending at a time, which keeps nothing of its past. */
class Loop implements Reading {
  epoch = 0;
  readonly ready: Set<Mailbox<unknown>> = new Set();
  readonly mailbox: Mailbox<number> = new Mailbox(this);
  readonly hook: ReadHook = new ReadHook(this.mailbox);
  passes = 0;
  #fire: (() => void) | null = null;
  #seq = 0;

  newEpoch(): void {
    this.epoch++;
  }

  sleep(): Promise<null> {
    let joined: Scope | null = null;
    const timer = {
      lost: (): void => {
        joined?.leave(timer);
        this.#fire = null;
      },
    };
    const promise = new Promise<null>((resolve) => {
      this.#fire = () => {
        joined?.leave(timer);
        resolve(null);
      };
    });
    onLost(promise, timer.lost);
    joined = joinScope(timer);
    return promise;
  }

  /** The pending timer fires. */
  fire(): Promise<void> {
    return this.turn(() => {
      this.newEpoch();
      const fire = this.#fire;
      this.#fire = null;
      fire?.();
    });
  }

  async deliver(): Promise<void> {
    const value = ++this.#seq;
    this.mailbox.receive(value, () => value);
    while (this.ready.size > 0) await this.turn(() => this.mailbox.handOver());
  }

  turn(body: () => void): Promise<void> {
    return new Promise((resolve) => {
      setImmediate(() => {
        enter(this as unknown as Run);
        body();
        queueMicrotask(() => {
          process.nextTick(() => {
            leave();
            resolve();
          });
        });
      });
    });
  }
}

type Code = (loop: Loop) => Promise<unknown>;

/** A loop that counts its passes. */
function repeatedly(pass: (loop: Loop) => () => PromiseLike<unknown>): Code {
  return async (loop) => {
    for (const next = pass(loop); ; loop.passes++) await next();
  };
}

const lost: Record<string, Code> = {
  "a hook and a timer": repeatedly((loop) => () => Promise.race([loop.hook, loop.sleep()])),
  "a callback and a timer": repeatedly((loop) => () => Promise.race([loop.hook.then((value) => ({ value })), loop.sleep()])),
  "a next() of its own each pass": repeatedly((loop) => {
    const iterator = loop.hook[Symbol.asyncIterator]();
    return () => Promise.race([iterator.next(), loop.sleep()]);
  }),
  "a held next()": repeatedly((loop) => {
    const held = loop.hook[Symbol.asyncIterator]().next();
    return () => Promise.race([held, loop.sleep()]);
  }),
  "a callback on a held promise": repeatedly((loop) => {
    const held = loop.hook.then((value) => value);
    return () => Promise.race([held.then((value) => value), loop.sleep()]);
  }),
  "combinators in combinators": repeatedly(
    (loop) => () => Promise.race([Promise.race([Promise.all([loop.hook]), Promise.any([loop.hook])]), loop.sleep()]),
  ),
  "race({ … }) with two branches": repeatedly((loop) => () => race({ hook: async () => await loop.hook, late: () => loop.sleep() })),
  "no hook, a standing promise": repeatedly((loop) => {
    const standing = new Promise<never>(() => {});
    return () => Promise.race([standing, loop.sleep()]);
  }),
  "the same inside one long branch": (loop) =>
    branch(() => repeatedly((inner) => () => Promise.race([inner.hook.then((value) => value), inner.sleep()]))(loop)),
  "with a reader in the background": async (loop) => {
    const watch = async (): Promise<void> => {
      for await (const value of loop.hook) if (value < 0) return;
    };
    void watch();
    await repeatedly((inner) => () => Promise.race([inner.hook, inner.sleep()]))(loop);
  },
};

const won: Record<string, Code> = {
  "a standing deadline": repeatedly((loop) => {
    const deadline = loop.sleep();
    return () => Promise.race([loop.hook, deadline]);
  }),
  "a timer of its own each pass, cancelled by race({ … })": repeatedly((loop) => () => race({ hook: loop.hook, late: loop.sleep() })),
  "an iterator": async (loop) => {
    for await (const value of loop.hook) loop.passes += Math.sign(value);
  },
};

async function growth(code: Code, event: (loop: Loop) => Promise<void>): Promise<number> {
  const loop = new Loop();
  await loop.turn(() => void code(loop));
  for (let i = 0; i < warmUp; i++) await event(loop);
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < passes; i++) await event(loop);
  collect();
  const after = process.memoryUsage().heapUsed;
  expect(loop.passes).toBe(warmUp + passes);
  return after - before;
}

test.each(Object.entries(lost))("a hook that loses every pass: %s", async (_name, code) => {
  expect(await growth(code, (loop) => loop.fire())).toBeLessThan(allowedBytes);
});

test.each(Object.entries(won))("a hook that wins every pass: %s", async (_name, code) => {
  expect(await growth(code, (loop) => loop.deliver())).toBeLessThan(allowedBytes);
});

test("the measure would see a leak: an opaque function keeps a reader of each pass", async () => {
  const leaking = repeatedly((loop) => () => Promise.race([(async () => await loop.hook)(), loop.sleep()]));
  expect(await growth(leaking, (loop) => loop.fire())).toBeGreaterThan(allowedBytes);
});
