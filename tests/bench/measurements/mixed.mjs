import { runAll, timed } from "./run_all.mjs";

const SHORT_MS = 0.1;
const LONG_MS = 50;

/** (d) One long task among nineteen short ones, in an order that is the same for all. */
export async function measure(pool, { tasks, size }) {
  const limits = Array.from({ length: tasks }, (_, i) => i % 20 === 0 ? LONG_MS : SHORT_MS);
  shuffle(limits);
  await pool.start(size, "long");
  await runAll(2_000, () => pool.run("noop"));
  await runAll(200, () => pool.run("spin", SHORT_MS));
  const ms = await timed(() => runAll(tasks, (i) => pool.run("spin", limits[i])));
  const ideal = limits.reduce((sum, each) => sum + each, 0) / size;
  return { ofIdeal: ms / ideal };
}

/** Fisher-Yates, by a generator with a fixed seed. */
function shuffle(values) {
  let state = 42;
  for (let i = values.length - 1; i > 0; i--) {
    state = Math.imul(state, 1664525) + 1013904223 >>> 0;
    const j = Math.floor(state / 2 ** 32 * (i + 1));
    [values[i], values[j]] = [values[j], values[i]];
  }
}
