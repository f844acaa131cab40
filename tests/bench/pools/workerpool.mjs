import { fileURLToPath } from "node:url";
import { load } from "../packages.mjs";

const { default: workerpool } = await load("workerpool");

let workers;

/** @type {import("./pool.ts").Pool} */
export const pool = {
  limitFrom: "start",

  start(size, profile) {
    workers = workerpool.pool(fileURLToPath(new URL("../work/workerpool.mjs", import.meta.url)), {
      workerType: "thread",
      minWorkers: size,
      maxWorkers: size,
      // Its default queue takes time in proportion to its length for every task.
      queueStrategy: profile === "short" ? "lifo" : "fifo",
    });
    return workers.exec("noop", []);
  },

  run(name, arg, transfer) {
    return workers.exec(
      name,
      arg === undefined ? [] : [arg],
      transfer === undefined ? undefined : { transfer },
    );
  },

  runWithin: (limit, name, arg) => workers.exec(name, [arg]).timeout(limit),

  stop: () => workers.terminate(),
};
