import { load } from "../packages.mjs";

const { wrap } = await load("comlink");

let workers;
let next = 0;

/**
 * No pool, but what many pages do without one: calls are posted to one worker after the other.
 *
 * @type {import("./pool.ts").Pool}
 */
export const pool = {
  start(size) {
    workers = Array.from({ length: size }, () => {
      return wrap(new Worker(new URL("../work/comlink.mjs", import.meta.url), { type: "module" }));
    });
    return Promise.all(workers.map((worker) => worker.noop()));
  },

  run: (name, arg) => workers[next++ % workers.length][name](arg),

  stop: () => Promise.resolve(),
};
