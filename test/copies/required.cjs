// The app as a CommonJS module. Its arguments are the names of the copies, in the order in which they are loaded.

const entries = ["api", "errors", "compiled", "runtime", "testing", "node", "express", "fastify", "hono", "transform"];
void import("./mix.mjs").then(async ({ differences, mix, realm }) => {
  const copies = {};
  const seen = [];
  const untouched = realm(require);
  for (const name of process.argv.slice(2)) {
    copies[name] = { root: require(name) };
    for (const entry of entries) copies[name][entry] = require(`${name}/${entry}`);
    seen.push(realm(require));
  }
  const changes = seen.map((each, at) => differences(seen[at - 1] ?? untouched, each));
  console.log(JSON.stringify({ changes, ...(await mix(copies)) }));
});
