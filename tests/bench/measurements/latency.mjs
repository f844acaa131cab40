import { percentile } from "./run_all.mjs";

/** (b) No-op tasks, one after the other. */
export async function measure(pool, { tasks, size }) {
  await pool.start(size, "short");
  const times = [];
  for (let i = 0; i < 2 * tasks; i++) {
    const since = performance.now();
    await pool.run("noop");
    // The first half is for the compiler.
    if (i >= tasks) times.push((performance.now() - since) * 1_000);
  }
  return { p50: percentile(times, 0.5), p99: percentile(times, 0.99) };
}
