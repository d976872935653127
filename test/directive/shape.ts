// A shape a function with a directive may have: the module it stands in, and what its workflow returns.

export interface Shape {
  readonly what: string;
  /** The module of the workflow; others that it imports by path. */
  readonly files: { readonly [path: string]: string };
  /** The export to start; `main` unless told. */
  readonly start?: string;
  readonly args?: readonly unknown[];
  readonly result: unknown;
  /** The steps that its run asks for, by id, in order; `app//` stands for the module. */
  readonly steps: readonly string[];
  readonly workflow?: string;
}

const main = (body: string): string => `export async function main() { "use workflow"; ${body} }\n`;

export const shapes: readonly Shape[] = [
  {
    what: "a declaration that is called before it stands, on one line, in single quotes",
    files: { "app.ts": `${main("return add(1, 2);")}async function add(a: number, b: number) { 'use step'; return a + b }` },
    result: 3,
    steps: ["app//add"],
  },
  {
    what: "an arrow function",
    files: { "app.ts": `const add = async (a: number, b: number) => { "use step"; return a + b };\n${main("return add(1, 2);")}` },
    result: 3,
    steps: ["app//add"],
  },
  {
    what: "an arrow function without a semicolon, before a line that begins with a bracket",
    files: {
      "app.ts": `const add = async (a: number, b: number) => { "use step"; return a + b }\n;[1].map(String)\nconst sub = async (a: number) => { "use step"; return a }\n(function () {})()\n${main("return add(1, await sub(2));")}`,
    },
    result: 3,
    steps: ["app//sub", "app//add"],
  },
  {
    what: "a workflow that is an arrow function",
    files: {
      "app.ts": `export const main = async (a: number) => {\n  "use workflow";\n  return add(a);\n};\nasync function add(a: number) {\n  "use step";\n  return a + 1;\n}`,
    },
    args: [1],
    result: 2,
    steps: ["app//add"],
  },
  {
    what: "a function expression with a name of its own",
    files: { "app.ts": `const add = async function plus(a: number) { "use step"; return a + 1 };\n${main("return add(1);")}` },
    result: 2,
    steps: ["app//plus"],
  },
  {
    what: "a default export without a name",
    files: {
      "app.ts": `export default async function () { "use workflow"; return add(1) }\nasync function add(a: number) { "use step"; return a + 1 }`,
    },
    start: "default",
    workflow: "app//default",
    result: 2,
    steps: ["app//add"],
  },
  {
    what: "a default export with a name",
    files: {
      "app.ts": `export default async function main() { "use workflow"; return add(1) }\nasync function add(a: number) { "use step"; return a + 1 }`,
    },
    start: "default",
    result: 2,
    steps: ["app//add"],
  },
  {
    what: "a default export that is an arrow function",
    files: { "app.ts": `export default async () => { "use workflow"; return 1 }` },
    start: "default",
    workflow: "app//default",
    result: 1,
    steps: [],
  },
  {
    what: "an export under another name, and a re-export",
    files: {
      "app.ts": `import { plus as more } from "./steps";\nexport { other as main } from "./other";\nexport const use = more;`,
      "other.ts": `import { plus } from "./steps";\nasync function main() { "use workflow"; return plus(1) }\nexport { main as other };`,
      "steps.ts": `async function add(a: number) { "use step"; return a + 1 }\nexport { add as plus };`,
    },
    workflow: "other//main",
    result: 2,
    steps: ["steps//add"],
  },
  {
    what: "generics and overloads",
    files: {
      "app.ts": `export async function main<T extends string>(given: T): Promise<T[]> { "use workflow"; return twice<T>(given) }
async function twice<T>(a: T): Promise<T[]>;
async function twice<T>(a: T, b?: T): Promise<T[]> { "use step"; return [a, b ?? a] }`,
    },
    args: ["x"],
    result: ["x", "x"],
    steps: ["app//twice"],
  },
  {
    what: "methods, arrow functions and function expressions of an object",
    files: {
      "app.ts": `const steps = {
  rate: 2,
  async double(a: number) { "use step"; return a * this.rate },
  add: async (a: number) => { "use step"; return a + 1 },
  "sub-one": async function (a: number) { "use step"; return a - 1 },
};
${main('return [await steps.double(2), await steps.add(2), await steps["sub-one"](2)];')}`,
    },
    result: [4, 3, 1],
    steps: ["app//steps.double", "app//steps.add", "app//steps.sub-one"],
  },
  {
    what: "static methods and fields of a class, and a static workflow",
    files: {
      "app.ts": `export class Shop {
  static rate = 2;
  static async double(a: number) { "use step"; return a * this.rate }
  static add = async (a: number) => { "use step"; return a + 1 };
  static async main() { "use workflow"; return [await this.double(2), await Shop.add(2)] }
}
export const main = Shop.main;`,
    },
    workflow: "app//Shop.main",
    result: [4, 3],
    steps: ["app//Shop.double", "app//Shop.add"],
  },
  {
    what: "methods of instances whose class says how it is written",
    files: {
      "app.ts": `class Account {
  constructor(public owner: string, public cents: number) {}
  static [Symbol.for("workflow-serialize")](account: Account) { return { owner: account.owner, cents: account.cents } }
  static [Symbol.for("workflow-deserialize")]({ owner, cents }: { owner: string; cents: number }) { return new Account(owner, cents) }
  async add(cents: number) { "use step"; this.cents += cents; return this }
}
${main('const mine = new Account("ann", 1); const later = await mine.add(5); return [mine.cents, later.cents, later instanceof Account];')}`,
    },
    result: [1, 6, true],
    steps: ["app//Account#add"],
  },
  {
    what: "nested steps that read what is around them, called before they stand, with copies of the values",
    files: {
      "app.ts": `export async function main(rate: number) {
  "use workflow";
  const seen = { count: 0 };
  const first = await scale(2);
  let last = 10;
  const shift = async (a: number) => { "use step"; seen.count++; return a + last + seen.count };
  const second = await shift(first);
  last = 20;
  return [first, second, await shift(first), seen.count];
  async function scale(a: number, by = rate) { "use step"; return a * by }
}`,
    },
    args: [3],
    result: [6, 17, 27, 0],
    steps: ["app//main/scale", "app//main/shift", "app//main/shift"],
  },
  {
    what: "a step made in each pass of a loop, in a block, and in an object",
    files: {
      "app.ts": main(`
  const all: number[] = [];
  for (const n of [1, 2]) {
    async function square() { "use step"; return n * n }
    const steps = { async cube() { "use step"; return n * n * n } };
    all.push(await square(), await steps.cube());
  }
  return all;`),
    },
    result: [1, 1, 4, 8],
    steps: ["app//main/square", "app//main/steps.cube", "app//main/square", "app//main/steps.cube"],
  },
  {
    what: "steps that are arguments, and that stand in lists",
    files: {
      "app.ts": `async function add(a: number) { "use step"; return a + 1 }
async function double(a: number) { "use step"; return a * 2 }
const all = [add, double];
const apply = async (step: typeof add, to: number) => step(to);
${main("let value = 1; for (const step of all) value = await apply(step, value); return value;")}`,
    },
    result: 4,
    steps: ["app//add", "app//double"],
  },
  {
    what: "a nested step that calls another, and one that calls a plain function of the workflow",
    files: {
      "app.ts": main(`
  const by = 2;
  const label = (n: number) => "n" + n;
  async function inner(a: number) { "use step"; return a * by }
  async function outer(a: number) { "use step"; return label(await inner(a)) }
  return outer(4);`),
    },
    result: "n8",
    steps: ["app//main/outer"],
  },
  {
    what: "a directive at the head of the file, for all that it exports",
    files: {
      "app.ts": `import mul, { add, checks, sub } from "./steps";\n${main("return [await add(1), await sub(1), await mul(2), checks[0]!(1)];")}`,
      "steps.ts": `"use step";\nimport { by } from "./by";\nexport async function add(a: number) { return a + by }\nexport const sub = async (a: number) => a - inner();\nfunction inner() { return by }\nexport const checks = [(a: number) => a > 0];\nasync function mul(a: number) { return a * by }\nexport default mul;`,
      "by.ts": "export const by = 1;",
    },
    result: [2, 0, 2, true],
    steps: ["steps//add", "steps//sub", "steps//mul"],
  },
  {
    what: "JSX in the file",
    files: {
      "app.tsx": `/** @jsxRuntime classic */
const React = { createElement: (tag: string) => tag };
async function show(a: number) { "use step"; return (<b>{a}</b>) as unknown as string }
${main("return show(1);")}`,
    },
    result: "b",
    steps: ["app//show"],
  },
  {
    what: "plain JavaScript, with an ending of its own",
    files: {
      "app.mjs": `async function add(a) { "use step"; return a + 1 }\nexport async function main() { "use workflow"; return add(1) }`,
    },
    result: 2,
    steps: ["app//add"],
  },
  {
    what: "a name in a comment",
    files: {
      "app.ts": `/** Adds. @ringback id plus */\nexport const add = async (a: number) => { "use step"; return a + 1 };\n/* @ringback id main-v1 */ // and more\n/* of it */ ${main("return add(1);")}`,
    },
    workflow: "main-v1",
    result: 2,
    steps: ["plus"],
  },
  {
    what: "a step of another file, called as a member of its namespace",
    files: {
      "app.ts": `import * as steps from "./lib/steps";\n${main("return steps.add(1);")}`,
      "lib/steps.ts": `export async function add(a: number) { "use step"; return a + 1 }`,
    },
    result: 2,
    steps: ["lib/steps//add"],
  },
  {
    what: "fields and methods that no semicolon ends",
    files: {
      "app.ts": `export class A { static async add(a: number) { "use step"; return a + 1 } static one = 1 }
export class B {
  static both = [A.add, B.sub];
  static sub(a: number) { return B.minus(a) }
  static minus = async (a: number) => { "use step"; return a - 1 }
  ["other"]() { return 1 }
  static async twice(a: number) { "use step"; return a * 2 } static all = [B.twice]}
${main("return [await A.add(A.one), await B.minus(1), await B.all[0](4)];")}`,
    },
    result: [2, 0, 8],
    steps: ["app//A.add", "app//B.minus", "app//B.twice"],
  },
  {
    what: "functions where a semicolon would end too much, or the lack of one too little",
    files: {
      "app.ts": `let made = 0;
for (let add = async (a: number) => { "use step"; return a + 1 } ; made < 1; made++) void add
function make(more: boolean) {
  if (more) return async (a: number) => { "use step"; return a * 2 }
  (1)
  return async (a: number) => { "use step"; return a * 3 }
  [1]
}
${main("return [await make(true)(2), await make(false)(2)];")}`,
    },
    result: [4, 6],
    steps: ["app//make/anonymous", "app//make/anonymous~2"],
  },
  {
    what: "an import that may be nothing",
    files: {
      "app.ts": `import { audit } from "./audit";\n${main("await audit?.add(1); return audit === null;")}`,
      "audit.ts": "export const audit: { add(a: number): Promise<void> } | null = null;",
    },
    result: true,
    steps: [],
  },
  {
    what: "a type that is taken from a value which cannot be copied",
    files: {
      "app.ts": `${main(`const all = new WeakMap(); const by = { one: () => 1 };
  const add = async (a: ReturnType<typeof by.one>) => { "use step"; type All = typeof all; return a + 1 as unknown as number };
  return add(by.one());`)}`,
    },
    result: 2,
    steps: ["app//main/add"],
  },
  {
    what: "names of its own that compiled code has, too",
    files: {
      "app.ts": `const __ringback = 1, __ringback_add = 2;
export async function main(__ringback$1 = 3) { "use workflow"; const by = 4; return add(5);
  async function add(a: number) { "use step"; return a + by + __ringback + __ringback_add + __ringback$1 }
}`,
    },
    result: 15,
    steps: ["app//main/add"],
  },
  {
    what: "a namespace, whose functions read what is in it",
    files: {
      "app.ts": `export namespace Shop {
  const one = 1;
  export async function add(a: number) { "use step"; return a + one }
  export async function twice(a: number) { "use step"; return a * 2 }
}
${main("return [await Shop.add(1), await Shop.twice(3)];")}`,
    },
    result: [2, 6],
    steps: ["app//add", "app//twice"],
  },
  {
    what: "a side of a race that throws before it is a promise",
    files: {
      "app.ts": `${main("try { return await Promise.any([fail(), add(1)]) } catch (error) { return String(error) }")}
function fail(): Promise<number> { throw new Error("at once") }
async function add(a: number) { "use step"; return a + 1 }`,
    },
    result: "Error: at once",
    steps: [],
  },
];
