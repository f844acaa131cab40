/**
 * What Linux tells of processes and threads.
 *
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";

/** Ticks of the CPU a second, by which the kernel counts in `stat`. */
export const TICKS = 100;

/**
 * The processes that this one has started, and those that they have.
 *
 * @param {number} pid
 * @returns {number[]}
 */
export function descendants(pid) {
  const found = [];
  for (const thread of entries(`/proc/${pid}/task`)) {
    const children = text(`/proc/${pid}/task/${thread}/children`) ?? "";
    for (const child of children.split(" ").filter(Boolean).map(Number)) {
      found.push(child, ...descendants(child));
    }
  }
  return found;
}

/**
 * CPU time of each thread of a process, in ticks.
 *
 * @param {number} pid
 * @returns {Map<string, number>}
 */
export function threadTicks(pid) {
  const ticks = new Map();
  for (const thread of entries(`/proc/${pid}/task`)) {
    const stat = fields(`/proc/${pid}/task/${thread}/stat`);
    if (stat !== undefined) ticks.set(`${pid}/${thread}`, Number(stat[11]) + Number(stat[12]));
  }
  return ticks;
}

/**
 * CPU time of a process, with that of threads that have ended, in ticks.
 *
 * @param {number} pid
 * @returns {number}
 */
export function processTicks(pid) {
  const stat = fields(`/proc/${pid}/stat`);
  return stat === undefined ? 0 : Number(stat[11]) + Number(stat[12]);
}

/**
 * Whether there is still such a thread, or process where it is its own; not counting what has ended and is only
 * waiting to be noticed by its parent.
 *
 * @param {number} pid
 * @param {number} thread
 * @returns {boolean}
 */
export function lives(pid, thread) {
  const state = fields(`/proc/${pid}/task/${thread}/stat`)?.[0];
  return state !== undefined && state !== "Z" && state !== "X";
}

/** From the state on; the name before it may contain anything. */
function fields(path) {
  const stat = text(path);
  return stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
}

function text(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // It has ended meanwhile.
    return undefined;
  }
}

function entries(path) {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
