import { fileURLToPath } from "node:url";
import { load } from "../packages.mjs";
import { untilReady } from "./ready.mjs";

const { FixedThreadPool } = await load("poolifier");

let workers;

/** @type {import("./pool.ts").Pool} */
export const pool = {
  limitFrom: "push",

  start(size) {
    workers = new FixedThreadPool(size, fileURLToPath(new URL("../work/poolifier.mjs", import.meta.url)), {
      enableEvents: false,
      // Without its queue every task is posted at once to one of the workers: the fastest in every bench here, also
      // where tasks then stay behind long ones; with it all of them can end up on one worker.
      enableTasksQueue: false,
    });
    return untilReady(workers);
  },

  run: (name, arg, transfer) => workers.execute(arg, name, undefined, transfer),

  runWithin: (limit, name, arg) => workers.execute(arg, name, AbortSignal.timeout(limit)),

  stop: () => workers.destroy(),
};
