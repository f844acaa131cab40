/** A worker of `pools/bare.mjs`: says that it is there, and answers. */
import { workerData } from "node:worker_threads";

const { port } = workerData;
port.on("message", (message) => {
  if (message.type !== "value") port.postMessage({ type: "results" });
  else port.postMessage(message, message.name === "move" ? [message.value] : []);
});
port.postMessage({ type: "ready" });
