// The floor: bare `node:http` that stores each body with the same driver, the same durability and group commit, and does nothing else.

import { createServer } from "node:http";
import { join } from "node:path";
import { loadDriver } from "../../dist/store/sqlite/driver.js";
import { answer, mark, settings } from "./child.mjs";

const driver = await loadDriver();
const database = new driver(join(settings.folder, "floor.db"));
database.exec("pragma journal_mode=WAL; pragma synchronous=FULL; pragma wal_autocheckpoint=4000; pragma cache_size=-65536");
if (database.prepare("pragma synchronous").get().synchronous !== 2) throw new Error("The floor would not be durable.");
database.exec("create table inbox(id integer primary key, at integer not null, path text not null, key text not null, body blob not null)");
const insert = database.prepare("insert into inbox(at, path, key, body) values (?, ?, ?, ?)");

let waiting = [];
let parked = 0;

const server = createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const body = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
    if (waiting.push({ request, response, body }) === 1) setImmediate(flush);
  });
});

/** One transaction for all that came in one pass of the event loop. */
function flush() {
  const group = waiting;
  waiting = [];
  database.exec("begin immediate");
  for (const { request, body } of group) insert.run(Date.now(), request.url, request.headers["idempotency-key"], body);
  database.exec("commit");
  for (const { response } of group) {
    response.writeHead(202, { "Content-Length": 0 });
    response.end();
  }
}

answer({ listen, park, mark });

function listen() {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve({ port: server.address().port }));
  });
}

/** Nothing waits at the floor; it only names as many addresses. */
function park({ count }) {
  return { paths: Array.from({ length: count }, () => `/callback/${parked++}`) };
}
