import { readFileSync } from "node:fs";
import process from "node:process";
import { descendants } from "../proc.mjs";
import { rest, sleep } from "./hangs.mjs";
import { runAll } from "./run_all.mjs";

/** By then a worker has also loaded what it loads when nothing else is to be done, in milliseconds. */
const QUIET_MS = 3_000;
const BOUND_MS = 30_000;

/**
 * (o) What an idle pool takes, with all its processes, in MiB above the program without it: resident memory, and that
 * with what several processes share counted once.
 */
export async function measure(pool, { size }) {
  globalThis.gc();
  const [rss, pss] = [memory("Rss"), memory("Pss")];
  await pool.start(size, "long");
  // Some start their workers when they are needed.
  await runAll(size, () => pool.run("spin", 200));
  await rest(pool, BOUND_MS);
  await sleep(QUIET_MS);
  globalThis.gc();
  return { rss: memory("Rss") - rss, pss: memory("Pss") - pss };
}

/** MiB of this process and of those that it has started. */
function memory(name) {
  let sum = 0;
  for (const pid of [process.pid, ...descendants(process.pid)]) {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    sum += Number(text.match(new RegExp(`^${name}:\\s+(\\d+) kB`, "m"))[1]);
  }
  return sum / 1_024;
}
