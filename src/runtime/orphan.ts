/**
 * In a child process.
 *
 * @module
 */
import process from "node:process";

/** How often the parent is looked for, in milliseconds. */
const PARENT_POLL_MS = 1_000;

/** The parent has gone: nobody wants to know any more, and what the tasks have started goes along. */
export function endGroup(): void {
  try {
    process.kill(-process.pid, "SIGKILL");
  } finally {
    process.exit(0);
  }
}

/**
 * Has this process end when its parent has.
 *
 * @param end Ends it.
 */
export function endWithParent(end = endGroup): void {
  // It may have gone while this process started.
  if (!process.connected) end();
  process.on("disconnect", end);
  // That event is not to be relied on: a parent that died while its tasks spun has been seen to leave children behind
  // that were never told (Deno 2.9.6).
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) end();
  }, PARENT_POLL_MS);
}
