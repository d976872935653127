// What the compile step of directives costs, beside parsing the same text alone and beside esbuild, taking turns in one run.

import { cpus } from "node:os";
import { transformSync } from "esbuild";
import { parseSync } from "oxc-parser";
import { compile } from "../../dist/transform.js";

const rounds = 40;

/** An order's module: a workflow, its steps, one of them inside it, a race, and plain code. */
const order = (n) => `
export interface Order${n} { readonly id: string; readonly amount: number; readonly items: readonly string[] }

async function charge${n}(order: Order${n}, rate: number): Promise<{ readonly charged: number }> {
  "use step";
  const response = await fetch("https://psp.example/charges", {
    method: "POST",
    body: JSON.stringify({ id: order.id, amount: order.amount * rate }),
  });
  if (!response.ok) throw new Error(\`The provider answered \${response.status}.\`);
  return (await response.json()) as { readonly charged: number };
}

/** How much an order weighs, as it is packed. */
export function weigh${n}({ items }: Order${n}): number {
  let sum = 0;
  for (const item of items) {
    if (item.startsWith("#")) continue;
    sum += item.length > 10 ? 2 : 1;
  }
  return sum;
}

export async function checkout${n}(order: Order${n}): Promise<{ readonly charged: number; readonly weight: number }> {
  "use workflow";
  const callback = createWebhook();
  const weight = weigh${n}(order);
  const pack = async (label: string): Promise<string> => {
    "use step";
    return \`\${label}: \${order.items.join(", ")} (\${weight})\`;
  };
  const side = await Promise.race([callback, sleep("3d"), pack(order.id)]);
  if (side === undefined) throw new Error("late");
  const { charged } = await charge${n}(order, weight > 10 ? 1.5 : 1);
  return { charged, weight };
}
`;

const heading = 'import { createWebhook, sleep } from "workflow";\n';
const code = heading + Array.from({ length: 25 }, (_, n) => order(n)).join("");
const lines = code.split("\n").length;
const plain = code.replaceAll(/^\s*"use \w+";\n/gm, "");
const file = "src/order.ts";

const candidates = {
  parsing: () => parseSync(file, code, { lang: "ts", sourceType: "unambiguous" }).program.body.length,
  esbuild: () => transformSync(code, { loader: "ts", sourcemap: "inline", sourcefile: file }).code.length,
  compiling: () => compile({ code, file, module: "src/order" }).code.length,
  "no directive": () => compile({ code: plain, file, module: "src/order" }),
  "string search": () => plain.includes("use workflow") || plain.includes("use step"),
};

const times = Object.fromEntries(Object.keys(candidates).map((name) => [name, []]));
for (let round = 0; round < rounds + 10; round++) {
  for (const [name, run] of Object.entries(candidates)) {
    const began = performance.now();
    run();
    if (round >= 10) times[name].push(performance.now() - began);
  }
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
const perThousand = (name) => (median(times[name]) * 1_000) / lines;
console.log(`${cpus()[0]?.model ?? "unknown processor"}, Node ${process.versions.node}, a file of ${lines} lines, medians of ${rounds}\n`);
console.log("|  | ms per 1,000 lines | of parsing | of esbuild |");
console.log("| --- | --- | --- | --- |");
for (const name of Object.keys(candidates)) {
  const cost = perThousand(name);
  const of = (other) => (cost / perThousand(other)).toFixed(cost / perThousand(other) < 0.1 ? 4 : 2);
  console.log(`| ${name} | ${cost.toFixed(cost < 0.1 ? 4 : 2)} | ${of("parsing")} | ${of("esbuild")} |`);
}
if (perThousand("compiling") > 15) {
  console.error("Compiling costs more than 15 ms per 1,000 lines.");
  process.exitCode = 1;
}
process.exit();
