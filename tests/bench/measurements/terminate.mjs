import { timed } from "./run_all.mjs";
import { sleep } from "./hangs.mjs";

/** How long what was pushed is on its way to where it waits, in milliseconds. */
const ARRIVE_MS = 3_000;

/**
 * (m) `terminate()` while so many tasks wait, in milliseconds: by then each of them has its outcome. By `push`, whose
 * outcomes are looked at by nobody here, or by `run`, which rejects with an error each.
 */
export async function measure(pool, { tasks, by, size }) {
  await pool.start(size, "short");
  let settled = 0;
  const settle = () => void settled++;
  for (let i = 0; i < size; i++) pool[by]("never").then(settle, settle);
  for (let i = 0; i < tasks; i++) pool[by]("noop").then(settle, settle);
  await sleep(ARRIVE_MS);
  const ms = await timed(() => pool.terminate());
  if (settled !== size + tasks) throw new Error(`${settled} of ${size + tasks} tasks have an outcome`);
  return { ms };
}
