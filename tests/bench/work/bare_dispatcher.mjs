/**
 * The middle thread of `pools/bare.mjs`: starts the workers, and passes messages on. The messages are of the kinds
 * that ours has: a small buffer moved on each way, but for the way from the worker; or the value, moved on.
 *
 * @module
 */
import { MessageChannel, Worker } from "node:worker_threads";

const ports = [];
let missing;

self.onmessage = ({ data }) => {
  if (data.type === "value") {
    ports[0].postMessage(data, [data.value]);
    return;
  }
  if (data.size === undefined) {
    ports[0].postMessage({ type: "run", buffer: data.buffer, length: data.length }, [data.buffer]);
    return;
  }
  missing = data.size;
  while (ports.length < data.size) start();
};

function start() {
  const { port1, port2 } = new MessageChannel();
  new Worker(new URL("./bare_worker.mjs", import.meta.url), {
    workerData: { port: port2 },
    transferList: [port2],
  });
  port1.on("message", (message) => {
    if (message.type === "value") self.postMessage(message, [message.value]);
    else if (message.type !== "ready") {
      const buffer = new ArrayBuffer(64);
      self.postMessage({ type: "outcomes", buffer, length: 16 }, [buffer]);
    } else if (--missing === 0) self.postMessage({ type: "ready" });
  });
  ports.push(port1);
}
