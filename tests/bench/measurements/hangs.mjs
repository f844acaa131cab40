import { readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { descendants, lives, threadTicks, TICKS } from "../proc.mjs";

const SETTLE_MS = 2_000;
const SAMPLE_MS = 1_000;
const STOP_MS = 5_000;
/** Less than this share of a core is no endless loop, but what any process does. */
const BURNING = 0.03;

/** A clock that all threads and processes share. */
export function now() {
  return performance.timeOrigin + performance.now();
}

export function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Until all workers are there, where the pool can tell, but no longer than so many milliseconds. */
export async function rest(pool, bound) {
  const since = now();
  await sleep(20);
  while (pool.rested !== undefined && !await pool.rested() && now() - since < bound) await sleep(10);
}

/** What a hang noted in its file; undefined if it never ran. */
export function readNote(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
}

/** The file for the note of a hang. */
export function noteFile(folder, i) {
  return join(folder, String(i));
}

/** When the promise was settled, either way; undefined if it was not in time. */
export async function settledAt(promise, bound) {
  let timer;
  const late = new Promise((resolve) => timer = setTimeout(resolve, bound));
  const at = await Promise.race([promise.then(now, now), late]);
  clearTimeout(timer);
  return at;
}

/** How long until the thread or process has ended; undefined if it has not in time. */
export async function goneAfter({ pid, thread }, since, bound) {
  // A process has ended when its first thread has.
  const last = pid === process.pid ? thread : pid;
  while (lives(pid, last)) {
    if (now() - since > bound) return undefined;
    await sleep(1);
  }
  return now() - since;
}

/** What is still using the CPU some time later: threads, in this process and its children, and cores. */
export async function leftRunning() {
  await sleep(SETTLE_MS);
  const before = allTicks();
  const since = now();
  await sleep(SAMPLE_MS);
  const seconds = (now() - since) / 1_000;
  const shares = [...allTicks()].map(([thread, ticks]) =>
    (ticks - (before.get(thread) ?? ticks)) / TICKS / seconds
  );
  const burning = shares.filter((share) => share >= BURNING);
  return { threads: burning.length, cores: burning.reduce((sum, share) => sum + share, 0) };
}

/** Ends the pool, or leaves it after a while. What processes there are then. */
export async function end(pool) {
  await settledAt(pool.stop(), STOP_MS);
  return descendants(process.pid);
}

function allTicks() {
  return new Map([process.pid, ...descendants(process.pid)].flatMap((pid) => [...threadTicks(pid)]));
}
