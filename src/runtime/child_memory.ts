/**
 * In a child process.
 *
 * @module
 */
import process from "node:process";

/** How often the memory of the process is looked at, in milliseconds. */
const POLL_MS = 50;
const MIB = 2 ** 20;

/**
 * Tells when the process has grown by more than that since now. The heap of each thread has a limit of its own; buffers
 * are outside it, and count here. Looking often enough, this comes before V8 ends the process, which takes it a second
 * and 40 lines on stderr.
 *
 * @param limit In MiB; asked for each time.
 */
export function watchMemory(limit: () => number, exceeded: () => void): void {
  const base = process.memoryUsage().rss;
  setInterval(() => {
    if (process.memoryUsage().rss - base >= limit() * MIB) exceeded();
  }, POLL_MS);
}
