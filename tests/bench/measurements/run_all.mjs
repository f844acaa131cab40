/** A pool is several times as fast once it is compiled, which takes time, not a number of tasks: in milliseconds. */
export const WARM_UP_MS = 2_000;

/**
 * Pushes all the tasks at once, and resolves when the last has answered. One reaction for each task, as a user would
 * have, and no list of promises, which would count as the pool's memory.
 *
 * @param {number} count
 * @param {(i: number) => Promise<unknown>} run
 */
export function runAll(count, run) {
  return new Promise((resolve, reject) => {
    let left = count;
    const done = () => --left === 0 && resolve();
    for (let i = 0; i < count; i++) run(i).then(done, reject);
  });
}

/** How long it took, in milliseconds. */
export async function timed(action) {
  const since = performance.now();
  await action();
  return performance.now() - since;
}

/** What a share of the values does not exceed. */
export function percentile(values, share) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}
