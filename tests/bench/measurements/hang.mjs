import { percentile } from "./run_all.mjs";

/**
 * Tasks that hang, one at a time on one worker, each with a no-op queued behind it: how late the outcome is, counted from
 * the push, and how long after it the no-op has answered; medians in milliseconds, and null for what did not come.
 */
export async function measure(pool, { hangs, limit, rest, bound }) {
  if (pool.runWithin === undefined) return {};
  const [late, back] = [[], []];
  await pool.start(1, "long");
  await pool.run("noop");
  for (let i = 0; i < hangs; i++) {
    await recovered(pool, rest, bound);
    const since = performance.now();
    const outcome = settledAt(pool.runWithin(limit, "loop"), limit + bound);
    const behind = settledAt(pool.run("noop"), limit + bound);
    const at = await outcome;
    if (at === undefined) return { late: null, back: null };
    late.push(at - since - limit);
    const next = await behind;
    if (next === undefined) return { late: percentile(late, 0.5), back: null };
    back.push(next - at);
  }
  return { late: percentile(late, 0.5), back: percentile(back, 0.5) };
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Until all workers are there again, and what still burned a core has ended. */
async function recovered(pool, rest, bound) {
  const since = performance.now();
  await sleep(rest);
  while (pool.rested !== undefined && !await pool.rested() && performance.now() - since < bound) {
    await sleep(10);
  }
}

/** When the promise was settled, either way; undefined if it was not in time. */
async function settledAt(promise, bound) {
  let timer;
  const late = new Promise((resolve) => timer = setTimeout(resolve, bound));
  const now = () => performance.now();
  const at = await Promise.race([promise.then(now, now), late]);
  clearTimeout(timer);
  return at;
}
