import { runAll, timed } from "./run_all.mjs";

/** (a) No-op tasks, all at once. */
export async function measure(pool, { tasks, size }) {
  const noop = () => pool.run("noop");
  await pool.start(size, "short");
  // Every pool is several times as fast once it is compiled.
  await runAll(tasks, noop);
  const ms = await timed(() => runAll(tasks, noop));
  return { perSecond: tasks / ms * 1_000 };
}
