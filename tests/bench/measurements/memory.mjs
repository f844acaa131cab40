import { readFileSync, writeFileSync } from "node:fs";
import { runAll, timed } from "./run_all.mjs";

const SETTLE_SECONDS = 5;
/** V8 gives freed memory back to the system only some ten seconds later, in steps. */
const RECOVER_SECONDS = 30;

/**
 * (h) No-op tasks, a million at once: resident memory at the peak and afterwards, above that before, and the time for
 * a task beside that with a short queue. Garbage of the entry is collected before each look; that of other threads
 * cannot be, in no pool.
 */
export async function measure(pool, { tasks, few, size }) {
  const noop = () => pool.run("noop");
  await pool.start(size, "short");
  await runAll(few, noop);
  const short = [];
  for (let i = 0; i < 5; i++) short.push(await timed(() => runAll(few, noop)) / few);
  short.sort((a, b) => a - b);

  await settle(SETTLE_SECONDS, 0);
  const start = status("VmRSS");
  forgetPeak();
  const long = await timed(() => runAll(tasks, noop)) / tasks;
  const peak = status("VmHWM");
  await settle(RECOVER_SECONDS, start);
  const after = status("VmRSS");
  return {
    perTask: (peak - start) / tasks,
    after: (after - start) / 2 ** 20,
    growth: long / short[2],
  };
}

/** Bytes, as the kernel knows them. */
function status(name) {
  const line = readFileSync("/proc/self/status", "utf8").match(new RegExp(`^${name}:\\s+(\\d+) kB`, "m"));
  return Number(line[1]) * 1024;
}

/** Makes the kernel's high-water mark start anew from here. */
function forgetPeak() {
  writeFileSync("/proc/self/clear_refs", "5");
}

/** Collects garbage each second, until that many have gone or so much memory is in use. */
async function settle(seconds, enough) {
  for (let i = 0; i < seconds && status("VmRSS") > enough; i++) {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    globalThis.gc();
  }
}
