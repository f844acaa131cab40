import { percentile, runAll } from "./run_all.mjs";

/** Between two turns of the program's own thread, and how long each of them works, in milliseconds. */
const PAUSE_MS = 5;
const WORK_MS = 1;
const TASK_MS = 20;

/** (l) All workers compute, and the program's own thread works a little again and again: how late its timers are. */
export async function measure(pool, { ms, size }) {
  await pool.start(size, "long");
  await runAll(2_000, () => pool.run("noop"));
  await runAll(20, () => pool.run("spin", TASK_MS));
  const late = [];
  const end = performance.now() + ms;

  async function compute() {
    while (performance.now() < end) await pool.run("spin", TASK_MS);
  }

  async function work() {
    while (performance.now() < end) {
      const since = performance.now();
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      const now = performance.now();
      late.push(now - since - PAUSE_MS);
      while (performance.now() < now + WORK_MS);
    }
  }

  // Twice as many: a worker is to find its next task waiting.
  await Promise.all([work(), ...Array.from({ length: 2 * size }, compute)]);
  return { p50: percentile(late, 0.5), p99: percentile(late, 0.99) };
}
