/** A plain worker of BullMQ, on Deno and on Node alike: the same work without limits. Arguments: URL, queue, slots. */
import { createRequire } from "node:module";
import process from "node:process";

const [url, name, slots] = process.argv.slice(2);
// Node looks for packages only beside the importing file; the bench has installed them elsewhere.
const load = "Deno" in globalThis
  ? (/** @type {string} */ name) => import(name)
  : (/** @type {string} */ name) => createRequire(process.env.BENCH_PACKAGES)(name);
const { Worker } = await load("bullmq");
const { Redis } = await load("ioredis");

const connection = new Redis(url, { maxRetriesPerRequest: null });
const worker = new Worker(name, async ({ data }) => {
  if (data.ms > 0) await new Promise((resolve) => setTimeout(resolve, data.ms));
  return data.ms;
}, { connection, concurrency: Number(slots), drainDelay: 0.2, removeOnComplete: { count: 100 } });
await worker.waitUntilReady();
console.log("serving");
