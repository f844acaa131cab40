import { runAll, timed } from "./run_all.mjs";

/** How often the work and its ideal are measured, in turn: a machine that changes its speed changes both. */
const TURNS = 2;

/**
 * (c) Tasks of one length: the share of the ideal, which is that all workers run all the time.
 *
 * Once with tasks that last so long by the clock: that shows the gaps between tasks, but not what the pool's own
 * threads take from the workers on a machine without a core to spare. And once with tasks of a fixed amount of work,
 * whose ideal is measured: the same amount, in one piece for each worker.
 */
export async function measure(pool, { ms, tasks, size }) {
  await pool.start(size, "long");
  await runAll(2_000, () => pool.run("noop"));
  await runAll(20, () => pool.run("spin", ms));
  const clock = await timed(() => runAll(tasks, () => pool.run("spin", ms)));

  await runAll(2 * size, () => pool.run("calibrate"));
  const rounds = Math.round(ms * await pool.run("calibrate"));
  // No fewer than by the clock: the shorter the turn, the more counts which worker ends last.
  const count = Math.ceil(tasks / size) * size;
  let ideal = 0;
  let work = 0;
  for (let turn = 0; turn < TURNS; turn++) {
    ideal += await timed(() => runAll(size, () => pool.run("burn", { rounds, times: count / size })));
    work += await timed(() => runAll(count, () => pool.run("burn", { rounds, times: 1 })));
  }
  return { clock: tasks * ms / size / clock * 100, work: ideal / work * 100 };
}
