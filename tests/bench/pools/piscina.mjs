import { load } from "../packages.mjs";

const { FixedQueue, Piscina } = await load("piscina");

const TASKS = new URL("../work/tasks.mjs", import.meta.url).href;
const MOVE = new URL("../work/piscina.mjs", import.meta.url).href;

let piscina;

/** @type {import("./pool.ts").Pool} */
export const pool = {
  limitFrom: "push",

  start(size, profile) {
    piscina = new Piscina({
      filename: TASKS,
      minThreads: size,
      maxThreads: size,
      idleTimeout: Infinity,
      recordTiming: false,
      taskQueue: new FixedQueue(),
      // Two to three times as fast with many tasks that take no time; tasks that take some wait for each other.
      concurrentTasksPerWorker: profile === "short" ? 64 : 1,
    });
    return piscina.run(undefined, { name: "noop" });
  },

  run(name, arg, transfer) {
    return piscina.run(
      arg,
      transfer === undefined ? { name } : { name, transferList: transfer, filename: MOVE },
    );
  },

  runWithin: (limit, name, arg) => piscina.run(arg, { name, signal: AbortSignal.timeout(limit) }),

  stop: () => piscina.destroy(),
};
