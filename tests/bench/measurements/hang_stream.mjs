import { percentile, runAll } from "./run_all.mjs";

/** Between two tasks of the caller that does not hang, in milliseconds. */
const PAUSE_MS = 5;

/**
 * (j) Two callers whose tasks hang, each again when its last one was stopped, and one whose tasks do not: how many are
 * stopped a second, and how long the others take. One worker for each caller.
 */
export async function measure(pool, { ms, limit, size }) {
  await pool.start(size, "long");
  await runAll(200, () => pool.run("noop"));
  const end = performance.now() + ms;
  let hangs = 0;
  const took = [];

  async function hang() {
    while (performance.now() < end) {
      await pool.runWithin(limit, "never").catch(() => {});
      hangs++;
    }
  }

  async function work() {
    while (performance.now() < end) {
      const since = performance.now();
      await pool.run("noop");
      took.push(performance.now() - since);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  await Promise.all([hang(), hang(), work()]);
  return {
    perSecond: hangs / ms * 1_000,
    p50: percentile(took, 0.5),
    p99: percentile(took, 0.99),
  };
}
