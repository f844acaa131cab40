import { load } from "../packages.mjs";

const { default: workerpool } = await load("workerpool");

// Its threads answer nothing on Bun (seen with 1.4.5): there it has Web Workers, as in a browser.
const isWeb = "Bun" in globalThis || "document" in globalThis;
const url = new URL("../work/workerpool.mjs", import.meta.url);
const script = isWeb ? url.href : globalThis.process.getBuiltinModule("node:url").fileURLToPath(url);

let workers;

/** @type {import("./pool.ts").Pool} */
export const pool = {
  limitFrom: "start",

  start(size, profile) {
    workers = workerpool.pool(script, {
      workerType: isWeb ? "web" : "thread",
      ...(isWeb && { workerOpts: { type: "module" } }),
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
