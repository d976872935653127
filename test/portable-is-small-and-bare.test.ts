// A portable workflow needs nothing but the language: its bundle is small, and runs where there is neither Node nor a document.

import { once } from "node:events";
import { gzipSync } from "node:zlib";
import { Worker } from "node:worker_threads";
import { createContext, Script } from "node:vm";
import { beforeAll, expect, test } from "vitest";
import { bundle, program } from "./portable/bundle.ts";
import { answers, expected, type Round } from "./portable/order.ts";

/** A round takes what is on the shelf, and the answer, and tells what came of it and what is on the shelf now. */
interface Told extends Round {
  readonly kept: string;
}

let code: string;
beforeAll(() => {
  code = program(`
    const bare = Object.getOwnPropertyNames(globalThis).filter((name) => /^(process|Buffer|require|module|setImmediate|global|document)$/.test(name));
    let kept = given.kept;
    const shelf = { load: async () => kept, save: async (text) => { kept = text; } };
    goOn(portable, shelf, given.answer).then(({ did, came }) => tell({ did, came: bare.length ? "beside " + bare : came, kept }));
  `);
});

/** The rounds one after the other, each in a place of its own. */
async function rounds(place: (given: { readonly kept: string | null; readonly answer: unknown }) => Promise<Told>): Promise<Round[]> {
  const all: Round[] = [];
  let kept: string | null = null;
  for (const answer of answers) {
    const told: Told = await place({ kept, answer });
    kept = told.kept;
    all.push({ did: [...told.did], came: told.came });
  }
  return all;
}

test("all of it takes 12 kB at most", () => {
  expect(gzipSync(bundle('export * from "./src/portable.ts"', "esm"), { level: 9 }).length).toBeLessThanOrEqual(12 * 1024);
});

test("an order goes on from realm to realm with the language's globals and three of the platform's", async () => {
  const script = new Script(code);
  const inRealm = (given: object): Promise<Told> =>
    new Promise(
      (tell) =>
        void script.runInContext(
          createContext({ given, tell, setTimeout, clearTimeout, crypto: { randomUUID: () => crypto.randomUUID() } }),
        ),
    );
  expect(await rounds(inRealm)).toEqual(expected);
});

test("an order goes on from worker to worker where nothing of Node's is", async () => {
  // What a worker of a browser or of an edge platform has, and no more.
  const worker = `
    const { parentPort, workerData } = require("node:worker_threads");
    const { code, given } = workerData;
    const has = ["Object", "Function", "Array", "Number", "parseFloat", "parseInt", "Infinity", "NaN", "undefined", "Boolean", "String", "Symbol",
      "Date", "Promise", "RegExp", "Error", "AggregateError", "EvalError", "RangeError", "ReferenceError", "SyntaxError", "TypeError", "URIError",
      "globalThis", "JSON", "Math", "Intl", "ArrayBuffer", "Atomics", "Uint8Array", "Int8Array", "Uint16Array", "Int16Array", "Uint32Array",
      "Int32Array", "Float32Array", "Float64Array", "Uint8ClampedArray", "BigUint64Array", "BigInt64Array", "DataView", "Map", "BigInt", "Set",
      "WeakMap", "WeakSet", "WeakRef", "Proxy", "Reflect", "FinalizationRegistry", "decodeURI", "decodeURIComponent", "encodeURI",
      "encodeURIComponent", "escape", "unescape", "eval", "isFinite", "isNaN", "console", "SharedArrayBuffer", "WebAssembly",
      "setTimeout", "clearTimeout", "queueMicrotask", "structuredClone", "crypto", "MessageChannel", "URL", "TextEncoder", "TextDecoder",
      "Event", "EventTarget", "AbortController", "AbortSignal", "DOMException", "fetch", "Request", "Response", "Headers", "performance"];
    for (const name of Object.getOwnPropertyNames(globalThis)) if (!has.includes(name)) delete globalThis[name];
    Object.assign(globalThis, { given, tell: (told) => parentPort.postMessage(told) });
    (0, eval)(code);
  `;
  const inWorker = async (given: object): Promise<Told> => {
    const thread = new Worker(worker, { eval: true, workerData: { code, given } });
    const [told] = (await once(thread, "message")) as [Told];
    await thread.terminate();
    return told;
  };
  expect(await rounds(inWorker)).toEqual(expected);
});

test("with the handler of callbacks it takes 19 kB at most, and that alone 13 kB", () => {
  const sizeOf = (code: string): number => gzipSync(bundle(code, "esm"), { level: 9 }).length;
  expect(sizeOf('export * from "./src/resume.ts"')).toBeLessThanOrEqual(13 * 1024);
  expect(sizeOf('export * from "./src/resume.ts"; export * from "./src/portable.ts"')).toBeLessThanOrEqual(19 * 1024);
});
