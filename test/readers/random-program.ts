// Random programs over one to three hooks, as data, and what runs them: it logs every payload where code gets it, and can say at any
// time which hooks the code is waiting for, from the program's own shape and not from what the readers believe.

import fc from "fast-check";
import type { Action, Api, Hook } from "./program.ts";

type Combinator = "race" | "any" | "all" | "allSettled";

/** Something to wait for. */
export type Expression =
  | { readonly is: "hook" | "resolve" | "next"; readonly hook: number }
  | { readonly is: "sleep" | "step" }
  | { readonly is: "then"; readonly of: Expression; readonly returns: number | null }
  | { readonly is: "finally"; readonly of: Expression; readonly returns: number | null }
  | { readonly is: Combinator | "sides"; readonly of: readonly Expression[] }
  | { readonly is: "held"; readonly slot: number }
  | { readonly is: "branch"; readonly body: readonly Statement[] };

export type Statement =
  | { readonly do: "await"; readonly what: Expression }
  | { readonly do: "hold"; readonly slot: number; readonly what: Expression }
  | { readonly do: "loop"; readonly hook: number; readonly passes: number; readonly body: readonly Statement[] }
  | { readonly do: "background"; readonly body: readonly Statement[] }
  | { readonly do: "leave" | "dispose"; readonly hook: number };

export interface RandomProgram {
  readonly hooks: number;
  readonly body: readonly Statement[];
  readonly script: readonly Action[];
}

const hook = fc.nat(2);
const slot = fc.nat(2);
const returns = fc.option(hook, { freq: 2 });
const { expression, statement } = fc.letrec<{ expression: Expression; statement: Statement }>((tie) => {
  const body = fc.array(tie("statement"), { minLength: 1, maxLength: 4 });
  const several = fc.array(tie("expression"), { minLength: 1, maxLength: 3, size: "max" });
  return {
    expression: fc.oneof(
      { maxDepth: 4, depthSize: "medium", withCrossShrink: true },
      { weight: 4, arbitrary: fc.record({ is: fc.constantFrom("hook" as const, "resolve" as const, "next" as const), hook }) },
      { weight: 3, arbitrary: fc.record({ is: fc.constantFrom("sleep" as const, "step" as const) }) },
      { weight: 2, arbitrary: fc.record({ is: fc.constant("held" as const), slot }) },
      {
        weight: 3,
        arbitrary: fc.record({ is: fc.constantFrom("then" as const, "then" as const, "finally" as const), of: tie("expression"), returns }),
      },
      {
        weight: 3,
        arbitrary: fc.record({
          is: fc.constantFrom("race" as const, "race" as const, "any" as const, "all" as const, "allSettled" as const, "sides" as const),
          of: several,
        }),
      },
      { weight: 2, arbitrary: fc.record({ is: fc.constant("branch" as const), body }) },
    ),
    statement: fc.oneof(
      { maxDepth: 4, depthSize: "medium", withCrossShrink: true },
      { weight: 6, arbitrary: fc.record({ do: fc.constant("await" as const), what: tie("expression") }) },
      { weight: 3, arbitrary: fc.record({ do: fc.constant("hold" as const), slot, what: tie("expression") }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("leave" as const, "dispose" as const), hook }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant("loop" as const), hook, passes: fc.integer({ min: 1, max: 3 }), body }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("background" as const), body }) },
    ),
  };
});

const which = fc.constantFrom("oldest" as const, "newest" as const);
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ do: fc.constant("deliver" as const), hook, value: fc.constant("") }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("fire" as const), which }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("finish" as const), which, value: fc.constant(undefined) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("fail" as const), which }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("expire" as const), hook }) },
  { weight: 1, arbitrary: fc.constant({ do: "cancel" as const }) },
);

export const randomProgram: fc.Arbitrary<RandomProgram> = fc
  .record({
    hooks: fc.integer({ min: 1, max: 3 }),
    body: fc.array(statement, { minLength: 4, maxLength: 10, size: "max" }),
    script: fc.array(action, { minLength: 4, maxLength: 24, size: "max" }),
  })
  .map(({ hooks, body, script }) => ({ hooks, body, script: script.map((action, index) => named(action, index, hooks)) }));
void expression;

/** Each payload is unlike every other. */
function named(action: Action, index: number, hooks: number): Action {
  if (action.do === "deliver") return { ...action, hook: action.hook % hooks, value: `p${index}` };
  return action.do === "expire" ? { ...action, hook: action.hook % hooks } : action;
}

/** May a payload go into a list that is never completed? Then it is gone, as in plain JavaScript. */
export function canLosePart(program: RandomProgram): boolean {
  return /"is":"all(Settled)?"/.test(JSON.stringify(program.body));
}

/** An expression under way. `waitsFor` is empty once it is decided. */
interface Live {
  readonly promise: PromiseLike<unknown>;
  /** The hook itself: whether it has given its payload already cannot be seen from outside. */
  readonly isBare?: boolean;
  waitsFor(): readonly number[];
}

const nativeThen = Promise.prototype.then;

export class Execution {
  /** Every payload that code has got, as often as it got it. */
  readonly log: string[] = [];
  /** What the program keeps in its hands. */
  readonly held: PromiseLike<unknown>[] = [];
  readonly #program: RandomProgram;
  /** Whether a hook has nothing to give but its end. */
  readonly #isSpent: (hook: number) => boolean;
  readonly #hooks: Hook[] = [];
  readonly #iterators: (AsyncIterableIterator<string> | undefined)[] = [];
  readonly #slots: (Live | undefined)[] = [];
  #main: Frame | null = null;

  constructor(program: RandomProgram, isSpent: (hook: number) => boolean) {
    this.#program = program;
    this.#isSpent = isSpent;
  }

  /** The code of the run; its log is part of what hot and cold must agree on. */
  async run(api: Api): Promise<readonly string[]> {
    for (let i = 0; i < this.#program.hooks; i++) this.#hooks.push(api.createHook());
    this.#main = new Frame();
    await this.#body(this.#program.body, this.#main, api);
    return this.log;
  }

  /** The hooks that code surely waits for now. */
  waitsFor(): readonly number[] {
    return this.#main?.waitsFor() ?? [];
  }

  async #body(body: readonly Statement[], frame: Frame, api: Api): Promise<void> {
    for (const statement of body) {
      try {
        await this.#execute(statement, frame, api);
      } catch (error) {
        this.log.push((error as Error).name);
      }
      frame.current = null;
    }
  }

  async #execute(statement: Statement, frame: Frame, api: Api): Promise<void> {
    switch (statement.do) {
      case "await": {
        const live = this.#evaluate(statement.what, api);
        frame.current = live;
        this.#note(await live.promise);
        return;
      }
      case "hold": {
        const live = this.#evaluate(statement.what, api);
        this.#slots[statement.slot] = live;
        this.held.push(live.promise);
        return;
      }
      case "loop":
        await this.#loop(statement, frame, api);
        return;
      case "background": {
        const inner = new Frame();
        frame.background.push(inner);
        void this.#body(statement.body, inner, api);
        return;
      }
      case "leave":
        await this.#iterators[this.#index(statement.hook)]?.return?.();
        this.#iterators[this.#index(statement.hook)] = undefined;
        return;
      case "dispose":
        this.#hook(statement.hook).dispose();
    }
  }

  async #loop({ hook, passes, body }: Statement & { do: "loop" }, frame: Frame, api: Api): Promise<void> {
    const index = this.#index(hook);
    const reading: Live = { promise: Promise.resolve(), waitsFor: () => [index] };
    let pass = 0;
    frame.current = reading;
    for await (const value of this.#hook(hook)) {
      this.#note(value);
      const inner = new Frame();
      frame.current = { promise: reading.promise, waitsFor: () => inner.waitsFor() };
      await this.#body(body, inner, api);
      frame.background.push(...inner.background);
      frame.current = reading;
      if (++pass === passes) break;
    }
  }

  #evaluate(what: Expression, api: Api): Live {
    switch (what.is) {
      case "hook":
        return { promise: this.#hook(what.hook), isBare: true, waitsFor: () => [this.#index(what.hook)] };
      case "resolve":
        return followed(Promise.resolve(this.#hook(what.hook)), () => [this.#index(what.hook)]);
      case "next": {
        const index = this.#index(what.hook);
        const iterator = (this.#iterators[index] ??= this.#hook(what.hook)[Symbol.asyncIterator]());
        return followed(iterator.next(), () => [index]);
      }
      case "sleep":
        return { promise: api.sleep("1h"), waitsFor: () => [] };
      case "step":
        return { promise: api.step("work"), waitsFor: () => [] };
      case "held":
        return this.#slots[what.slot] ?? { promise: Promise.resolve(), waitsFor: () => [] };
      case "then":
      case "finally":
        return this.#chained(what, api);
      case "branch":
        return this.#branch(what.body, api);
      default:
        return this.#combined(what, api);
    }
  }

  #chained({ is, of, returns }: Expression & { is: "then" | "finally" }, api: Api): Live {
    const source = this.#evaluate(of, api);
    // A callback on a timer or a step is not made from a hook: nobody can see what it returns, and it runs though it has lost.
    const next = returns === null || source.promise.constructor === Promise ? null : this.#index(returns);
    let hasRun = false;
    const goOn = (value: unknown): unknown => {
      hasRun = true;
      this.#note(value);
      if (next === null) return value;
      const hook = this.#hooks[next] as Hook;
      return is === "then" ? hook : hook.then((value) => this.#note(value));
    };
    const origin = source.promise as Promise<unknown>;
    const noted = (): Promise<unknown> => origin.then((value) => (this.#note(value), value));
    const promise = is === "then" ? origin.then(goOn) : noted().finally(() => goOn(undefined) as undefined);
    return followed(promise, () => (!hasRun ? source.waitsFor() : next === null ? [] : [next]));
  }

  #branch(body: readonly Statement[], api: Api): Live {
    const frame = new Frame();
    return followed(
      api.branch(() => this.#body(body, frame, api)),
      () => frame.waitsFor(),
    );
  }

  #combined({ is, of }: Expression & { of: readonly Expression[]; is: Combinator | "sides" }, api: Api): Live {
    if (is === "sides") return this.#sides(of, api);
    const legs = of.map((leg) => this.#evaluate(leg, api));
    const promise = Promise[is as "race"](legs.map((leg) => leg.promise));
    return followed(promise, () =>
      legs.flatMap((leg) => {
        if (leg.isBare && is.startsWith("all")) return [];
        return leg.waitsFor().filter((hook) => is !== "any" || !this.#isSpent(hook));
      }),
    );
  }

  #sides(of: readonly Expression[], api: Api): Live {
    const frames: (() => readonly number[])[] = [];
    const sides = of.map((side, index) => {
      if (side.is === "branch") {
        const frame = new Frame();
        frames.push(() => frame.waitsFor());
        return [`side ${index}`, () => this.#body(side.body, frame, api)] as const;
      }
      const live = this.#evaluate(side, api);
      frames.push(() => live.waitsFor());
      return [`side ${index}`, live.promise] as const;
    });
    return followed(api.race(Object.fromEntries(sides)), () => frames.flatMap((waitsFor) => waitsFor()));
  }

  #index(hook: number): number {
    return hook % this.#program.hooks;
  }

  #hook(hook: number): Hook {
    return this.#hooks[this.#index(hook)] as Hook;
  }

  #note(value: unknown): void {
    this.log.push(...payloadsIn(value));
  }
}

/** Code that runs on its own: the run's body, a branch, a pass of a loop. */
class Frame {
  current: Live | null = null;
  readonly background: Frame[] = [];
  #isAsked = false;

  waitsFor(): readonly number[] {
    if (this.#isAsked) return []; // a branch that waits for itself
    this.#isAsked = true;
    const hooks = [...(this.current?.waitsFor() ?? []), ...this.background.flatMap((frame) => frame.waitsFor())];
    this.#isAsked = false;
    return hooks;
  }
}

/** Watches the promise by the language's own `then`, which wakes nobody. */
function followed(promise: Promise<unknown>, waitsFor: () => readonly number[]): Live {
  let isDecided = false;
  const decide = (): void => {
    isDecided = true;
  };
  void nativeThen.call(promise, decide, decide);
  return { promise, waitsFor: () => (isDecided ? [] : waitsFor()) };
}

/** Every payload in a value, however deep in lists and results. */
export function payloadsIn(value: unknown): string[] {
  if (typeof value === "string") return /^p\d+$/.test(value) ? [value] : [];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(payloadsIn) : [];
}
