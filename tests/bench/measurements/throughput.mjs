import { runAll, timed, WARM_UP_MS } from "./run_all.mjs";

/** (a) No-op tasks, all at once. */
export async function measure(pool, { tasks, size, warmUp = WARM_UP_MS }) {
  const noop = () => pool.run("noop");
  await pool.start(size, "short");
  const since = performance.now();
  while (performance.now() - since < warmUp) await runAll(tasks, noop);
  const ms = await timed(() => runAll(tasks, noop));
  return { perSecond: tasks / ms * 1_000 };
}
