// The client: a closed loop over keep-alive connections, each with one callback under way. Plain sockets, since an HTTP client costs as
// much as the server it would measure.

import { connect } from "node:net";
import { answer, settings } from "./child.mjs";
import { quantile } from "./order.mjs";

const padding = "x".repeat(170);
let next = 0;

answer({ call });

/** Calls every path once and answers how it went. Anything but a 202 ends the measurement. */
async function call({ port, paths }) {
  const connections = await Promise.all(Array.from({ length: settings.clients }, () => open(port)));
  const latencies = new Float64Array(paths.length);
  const beganAt = now();
  await all(connections, paths, latencies);
  const tookMs = now() - beganAt;
  for (const connection of connections) connection.socket.destroy();
  latencies.sort();
  return { beganAt, tookMs, p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99) };
}

function all(connections, paths, latencies) {
  return new Promise((resolve, reject) => {
    let sent = 0;
    let answered = 0;
    const send = (connection) => {
      const index = sent++;
      const path = paths[index];
      if (path === undefined) return;
      const at = now();
      connection.done = (status) => {
        latencies[index] = now() - at;
        if (status !== "202") return reject(new Error(`POST ${path} was answered ${status}.`));
        if (++answered === paths.length) return resolve();
        send(connection);
      };
      connection.socket.write(request(path, next++));
    };
    for (const connection of connections) send(connection);
  });
}

function request(path, number) {
  const body = `{"number":${number},"event":"payment.succeeded","text":"${padding}"}`;
  return `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\nidempotency-key: evt_${number}\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
}

function open(port) {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    const connection = { socket, done: null };
    let text = "";
    socket.on("error", reject);
    socket.on("connect", () => resolve(connection));
    socket.on("data", (chunk) => {
      text += chunk.latin1Slice();
      if (!isWhole(text)) return;
      const status = text.slice(9, 12);
      text = "";
      connection.done(status);
    });
  });
}

function isWhole(text) {
  const head = text.indexOf("\r\n\r\n");
  if (head < 0) return false;
  const length = /content-length: (\d+)/i.exec(text);
  return text.length >= head + 4 + Number(length?.[1] ?? 0);
}

/** Milliseconds of a clock that all processes of a machine share. */
function now() {
  return Number(process.hrtime.bigint()) / 1e6;
}
