import { runAll } from "./run_all.mjs";

const TASK_MS = 1;

/**
 * (g) The entry pushes tasks, and then its thread is blocked, without using a core: how many tasks end meanwhile, as
 * they say themselves. Once with tasks of a millisecond, and once with one before them that takes all the time.
 */
export async function measure(pool, { ms, size }) {
  await pool.start(size, "short");
  await runAll(2_000, () => pool.run("noop"));
  await runAll(200, () => pool.run("stamp", TASK_MS));
  const most = ms / TASK_MS;
  return {
    quick: await finished(pool, ms, most * size * 1.1, []) / (most * size) * 100,
    behind: await finished(pool, ms, most * (size - 1) * 1.1, [ms]) / (most * (size - 1)) * 100,
  };
}

async function finished(pool, ms, count, before) {
  const stamps = [];
  const all = runAll(before.length + count, async (i) => {
    if (i < before.length) return pool.run("stamp", before[i]);
    stamps.push(await pool.run("stamp", TASK_MS));
  });
  // The turn that pushed must end, and a pool may need a few more to hand its first tasks out.
  await new Promise((resolve) => setTimeout(resolve, 50));
  const from = now();
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  const to = now();
  await all;
  return stamps.filter((at) => at >= from && at < to).length;
}

function now() {
  return performance.timeOrigin + performance.now();
}
