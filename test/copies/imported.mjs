// The app as an ES module. Its arguments are the names of the copies, in the order in which they are loaded.

import { differences, mix, realm } from "./mix.mjs";

const entries = ["api", "errors", "compiled", "runtime", "testing", "node", "express", "fastify", "hono", "transform"];
const copies = {};
const seen = [];
const untouched = realm(process.getBuiltinModule);
for (const name of process.argv.slice(2)) {
  copies[name] = { root: await import(name) };
  for (const entry of entries) copies[name][entry] = await import(`${name}/${entry}`);
  seen.push(realm(process.getBuiltinModule));
}
const changes = seen.map((each, at) => differences(seen[at - 1] ?? untouched, each));
console.log(JSON.stringify({ changes, ...(await mix(copies)) }));
