/** The limit of every task: the peers run without any. */
const LIMIT_MS = 60_000;
const TASKS = new URL("../work/tasks.mjs", import.meta.url).href;
const MOVE = new URL("../work/ours.ts", import.meta.url).href;

/**
 * This package.
 *
 * @param {Pick<typeof import("../../../mod.ts"), "InfoTask" | "MultiProcess">} multiprocess
 * @param {import("../../../mod.ts").MultiProcessOptions} options
 * @returns {import("./pool.ts").Pool}
 */
export function poolOf({ InfoTask, MultiProcess }, options) {
  const specifiers = new Map();
  let size;
  let mp;

  function task(name, limit, arg) {
    let specifier = specifiers.get(name);
    if (specifier === undefined) {
      specifiers.set(name, specifier = `${name === "move" ? MOVE : TASKS}#${name}`);
    }
    return arg === undefined ? new InfoTask(specifier, limit) : new InfoTask(specifier, limit, arg);
  }

  return {
    limitFrom: "start",

    start(workers) {
      size = workers;
      mp = new MultiProcess({ ...options, size });
      return mp.start();
    },

    run(name, arg, transfer) {
      const work = task(name, LIMIT_MS, arg);
      return transfer === undefined ? mp.run(work) : mp.run(work, { transfer });
    },

    push: (name) => mp.push(task(name, LIMIT_MS)),

    runWithin: (limit, name, arg) => mp.run(task(name, limit, arg)),

    async rested() {
      const { idle, stopping } = (await mp.stats()).workers;
      // One spare is the default.
      return idle > size && stopping === 0;
    },

    resize(workers) {
      size = workers;
      mp.resize(size);
    },

    terminate: () => mp.terminate(),

    stop: () => mp.stop(),
  };
}
