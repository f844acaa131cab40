/** A worker of `pools/bare.mjs`: says that it is there, and answers. */
import { workerData } from "node:worker_threads";

const { port } = workerData;
port.on("message", () => port.postMessage({ type: "results" }));
port.postMessage({ type: "ready" });
