import { load } from "../packages.mjs";

const { Tinypool } = await load("tinypool");
// Its documentation refers to that of Piscina, which it is a fork of, and which advises this queue.
const { FixedQueue } = await load("piscina");

const TASKS = new URL("../work/tasks.mjs", import.meta.url).href;
const MOVE = new URL("../work/tinypool.mjs", import.meta.url).href;

let tinypool;

/** @type {import("./pool.ts").Pool} */
export const pool = {
  limitFrom: "push",

  start(size, profile) {
    tinypool = new Tinypool({
      filename: TASKS,
      minThreads: size,
      maxThreads: size,
      idleTimeout: Infinity,
      taskQueue: new FixedQueue(),
      concurrentTasksPerWorker: profile === "short" ? 64 : 1,
    });
    return tinypool.run(undefined, { name: "noop" });
  },

  run(name, arg, transfer) {
    return tinypool.run(
      arg,
      transfer === undefined ? { name } : { name, transferList: transfer, filename: MOVE },
    );
  },

  runWithin: (limit, name, arg) => tinypool.run(arg, { name, signal: AbortSignal.timeout(limit) }),

  stop: () => tinypool.destroy(),
};
