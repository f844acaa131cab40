import process from "node:process";
import { descendants, processTicks, TICKS } from "../proc.mjs";
import { rest, sleep } from "./hangs.mjs";

/** By then a worker has also loaded what it loads when nothing else is to be done, in milliseconds. */
const QUIET_MS = 3_000;
const BOUND_MS = 30_000;

/** (n) CPU time of a worker's start, in milliseconds: of all that a warm pool needs to start so many more, divided. */
export async function measure(pool, { workers, size }) {
  await pool.start(size, "short");
  const before = await quiet(pool);
  pool.resize(size + workers);
  const after = await quiet(pool);
  return { cpu: (after - before) / TICKS * 1_000 / workers };
}

/** The CPU time so far, when all workers are there. */
async function quiet(pool) {
  await rest(pool, BOUND_MS);
  await sleep(QUIET_MS);
  return [process.pid, ...descendants(process.pid)].reduce((sum, pid) => sum + processTicks(pid), 0);
}
