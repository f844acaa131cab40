import { runAll } from "./run_all.mjs";

/**
 * (i) A program that has just begun, starts its pool and runs so many no-op tasks: from its first line to the last
 * outcome, importing the package included; and the longest that its thread was kept until then, which with many tasks is
 * as long as it takes to push them.
 */
export async function measure(pool, { tasks, size }, firstLine) {
  let longest = 0;
  let since = performance.now();
  const turns = setInterval(() => {
    const now = performance.now();
    longest = Math.max(longest, now - since);
    since = now;
  }, 1);
  void pool.start(size, "short");
  await runAll(tasks, () => pool.run("noop"));
  const ms = performance.now() - firstLine;
  // The turn of the last outcome counts too.
  longest = Math.max(longest, performance.now() - since);
  clearInterval(turns);
  return { ms, blocked: longest };
}
