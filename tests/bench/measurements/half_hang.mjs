import { runAll, timed } from "./run_all.mjs";

/**
 * (k) Tasks pushed at once to a warm pool, every other one of which hangs until it is stopped: how long all take beside
 * the ideal, which is that every worker is there again the moment it was stopped.
 */
export async function measure(pool, { tasks, limit, size }) {
  if (pool.limitFrom === "push") {
    throw new Error("Its limits count from the push: most of the tasks would never run");
  }
  await pool.start(size, "long");
  await runAll(200, () => pool.run("noop"));
  const hang = () => pool.runWithin(limit, "never").catch(() => {});
  const ms = await timed(() => runAll(tasks, (i) => i % 2 === 0 ? hang() : pool.run("noop")));
  return { ofIdeal: ms / (Math.ceil(tasks / 2 / size) * limit) };
}
