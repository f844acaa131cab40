import { percentile, WARM_UP_MS } from "./run_all.mjs";

/** (b) No-op tasks, one after the other. */
export async function measure(pool, { tasks, size, warmUp = WARM_UP_MS }) {
  await pool.start(size, "short");
  const times = [];
  for (const start = performance.now(); times.length < tasks;) {
    const since = performance.now();
    await pool.run("noop");
    const now = performance.now();
    if (now - start > warmUp) times.push((now - since) * 1_000);
  }
  return { p50: percentile(times, 0.5), p99: percentile(times, 0.99) };
}
