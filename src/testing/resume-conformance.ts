// The suite that every store of portable runs answers to: a law for each promise of its port.

import type { ResumeStore } from "../core/resume-store.ts";
import { createManualClock, type ManualClock } from "./manual-clock.ts";
import type { ExpectFunction, TestFunction } from "./law/world.ts";

/** A store to be tested, on fresh data. */
export interface ResumeStoreSubject {
  readonly store: ResumeStore;
  /** Another store on the same data, as another process has it. Where there can be none, leave it out. */
  readonly another?: () => Promise<ResumeStore>;
  readonly dispose?: () => Promise<void>;
}

interface World {
  readonly store: ResumeStore;
  readonly clock: ManualClock;
  readonly expect: ExpectFunction;
  readonly another: () => Promise<ResumeStore>;
}

interface Law {
  readonly name: string;
  readonly holds: (world: World) => Promise<void>;
}

const laws: readonly Law[] = [
  {
    name: "what was saved is loaded, text and version",
    async holds({ store, expect }) {
      expect(await store.load("a/1")).toEqual(null);
      const text = `{"text":"ä 😀 \\u0000 ' \\" \\n"}${"x".repeat(100_000)}`;
      const version = await store.save("a/1", text, { expected: null });
      expect(typeof version === "number" && version > 0).toEqual(true);
      expect(await store.load("a/1")).toEqual({ text, version });
      expect(await store.load("a/2")).toEqual(null);
      expect(await store.load("A/1")).toEqual(null);
    },
  },
  {
    name: "RK1: a record is written only where its version is the expected one",
    async holds({ store, expect }) {
      const first = await store.save("a", "1", { expected: null });
      expect(await store.save("a", "2", { expected: null })).toEqual(null);
      const second = await store.save("a", "2", { expected: first });
      expect(second === null || second === first).toEqual(false);
      expect(await store.save("a", "3", { expected: first })).toEqual(null);
      expect(await store.save("b", "3", { expected: second })).toEqual(null);
      expect(await store.load("a")).toEqual({ text: "2", version: second });
      expect(await store.load("b")).toEqual(null);
    },
  },
  {
    name: "RK1: of many that expect the same version, one writes",
    async holds({ store, another, expect }) {
      const other = await another();
      const base = await store.save("a", "base", { expected: null });
      for (const [id, expected] of [
        ["a", base],
        ["new", null],
      ] as const) {
        const saves = Array.from({ length: 50 }, (_, index) => (index % 2 === 0 ? store : other).save(id, `${index}`, { expected }));
        const saved = (await Promise.all(saves)).map((version, index) => ({ version, index })).filter(({ version }) => version !== null);
        expect(saved.length).toEqual(1);
        expect(await other.load(id)).toEqual({ text: `${saved[0]?.index}`, version: saved[0]?.version });
      }
    },
  },
  {
    name: "RK1: a record is deleted only where its version is the expected one",
    async holds({ store, expect }) {
      expect(await store.delete("a", { expected: 1 })).toEqual(false);
      const first = (await store.save("a", "1", { expected: null })) as number;
      const second = (await store.save("a", "2", { expected: first })) as number;
      expect(await store.delete("a", { expected: first })).toEqual(false);
      expect(await store.delete("a", { expected: second })).toEqual(true);
      expect(await store.delete("a", { expected: second })).toEqual(false);
      expect(await store.load("a")).toEqual(null);
    },
  },
  {
    name: "RK2: a record that was deleted, or dropped, comes back with another version",
    async holds({ store, clock, expect }) {
      const seen = new Set<number | null>();
      for (let time = 0; time < 3; time++) {
        const version = await store.save("a", "1", { expected: null, expiresAt: clock.now() + 1_000 });
        expect(seen.has(version)).toEqual(false);
        seen.add(version);
        if (time === 0) await store.delete("a", { expected: version as number });
        else clock.advance(1_000);
      }
      const last = await store.save("a", "1", { expected: null });
      for (const version of seen) expect(await store.save("a", "stale", { expected: version })).toEqual(null);
      expect(await store.load("a")).toEqual({ text: "1", version: last });
    },
  },
  {
    name: "RK3: another store on the same data has what was saved",
    async holds({ store, another, expect }) {
      const version = await store.save("a", "1", { expected: null });
      const other = await another();
      expect(await other.load("a")).toEqual({ text: "1", version });
      const next = await other.save("a", "2", { expected: version });
      expect(await store.load("a")).toEqual({ text: "2", version: next });
    },
  },
  {
    name: "a record is not shown from the instant on at which it expires",
    async holds({ store, clock, expect }) {
      const version = (await store.save("a", "1", { expected: null, expiresAt: clock.now() + 1_000 })) as number;
      clock.advance(999);
      expect(await store.load("a")).toEqual({ text: "1", version });
      clock.advance(1);
      expect(await store.load("a")).toEqual(null);
      expect(await store.delete("a", { expected: version })).toEqual(false);
      expect(await store.save("a", "2", { expected: version })).toEqual(null);
      const next = (await store.save("a", "2", { expected: null, expiresAt: clock.now() + 1_000 })) as number;
      const kept = await store.save("a", "3", { expected: next });
      clock.advance(1_000);
      expect(await store.load("a")).toEqual({ text: "3", version: kept });
    },
  },
  {
    name: "ids are listed by their beginning, page by page, each once",
    async holds({ store, clock, expect }) {
      if (!store.list) return;
      const ids = Array.from({ length: 25 }, (_, index) => `run/${index}`);
      for (const id of [...ids, "run", "ru/n", "hook/1", "run%", "run0"]) await store.save(id, "1", { expected: null });
      await store.save("run/gone", "1", { expected: null, expiresAt: clock.now() + 1 });
      clock.advance(1);
      const found: string[] = [];
      for (let after: string | undefined; ; ) {
        const page = await store.list("run/", { limit: 10, ...(after === undefined ? {} : { after }) });
        found.push(...page);
        if (page.length < 10) break;
        after = page.at(-1);
      }
      expect([...found].sort()).toEqual([...ids].sort());
    },
  },
  {
    name: "early records are bounded: beyond, a further one is rejected, and nothing else is",
    async holds({ store, clock, expect }) {
      const early = { expiresAt: clock.now() + 60_000, isEarly: true };
      const mebibytes = "x".repeat(8 * 1024 * 1024);
      const versions: (number | null)[] = [];
      for (let index = 0; index < 8; index++) versions.push(await store.save(`e/${index}`, mebibytes, { expected: null, ...early }));
      expect(versions.includes(null)).toEqual(false);
      const refused = (): Promise<boolean> =>
        store.save("e/8", "one more", { expected: null, ...early }).then(
          () => false,
          () => true,
        );
      expect(await refused()).toEqual(true);
      expect(await store.load("e/8")).toEqual(null);
      expect((await store.save("run/1", "1", { expected: null })) === null).toEqual(false);
      // What is no longer early makes room, and so does what is over.
      expect((await store.save("e/0", "taken", { expected: versions[0] as number })) === null).toEqual(false);
      expect(await refused()).toEqual(false);
      clock.advance(60_000);
      expect(await store.load("e/1")).toEqual(null);
      expect((await store.save("e/9", mebibytes, { expected: null, ...early, expiresAt: clock.now() + 1 })) === null).toEqual(false);
    },
  },
];

/**
 * Registers the tests that a store of portable runs must pass, with the runner's own `test` and `expect`. `create` makes a store on fresh
 * data that takes its time from the clock it is given.
 */
export function resumeStoreConformance(
  test: TestFunction,
  expect: ExpectFunction,
  create: (clock: ManualClock) => Promise<ResumeStoreSubject>,
): void {
  for (const law of laws) {
    test(law.name, async () => {
      const clock = createManualClock();
      const { store, another = async () => store, dispose } = await create(clock);
      try {
        await law.holds({ store, clock, expect, another });
      } finally {
        await dispose?.();
      }
    });
  }
}
