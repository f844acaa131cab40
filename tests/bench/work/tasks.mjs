/**
 * The work of the benches, the same for every pool. A module for each pool beside this one adds what its interface
 * asks for.
 *
 * @module
 */

/** Numbers in no order, the same for all. */
const SHUFFLED = new Int32Array(512).map((_, i) => Math.imul(i + 1, 48271) >> 8);
const sorted = new Int32Array(512);

export function noop() {}

/** Keeps the core busy for so many milliseconds by the clock. */
export function spin(ms) {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/** Spins, and tells when it was done, by a clock that all threads share. */
export function stamp(ms) {
  spin(ms);
  return performance.timeOrigin + performance.now();
}

/**
 * A fixed amount of work, so many times: takes longer where the core is shared. Sorting is the runtime's own code, so
 * that how well the loop around it was compiled makes no difference.
 */
export function burn({ rounds, times }) {
  for (let i = 0; i < rounds * times; i++) {
    sorted.set(SHUFFLED);
    sorted.sort();
  }
}

/** How many rounds of work take a millisecond. */
export function calibrate() {
  const rounds = 5_000;
  const since = performance.now();
  burn({ rounds, times: 1 });
  return rounds / (performance.now() - since);
}

/** Notes where and when it runs, and never ends. On Deno and Linux. */
export function hang(note) {
  const at = performance.timeOrigin + performance.now();
  // The process, "task" and the thread.
  const [pid, , thread] = globalThis.Deno.readLinkSync("/proc/thread-self").split("/");
  globalThis.Deno.writeTextFileSync(note, JSON.stringify({ at, pid: Number(pid), thread: Number(thread) }));
  for (;;);
}

/** Never ends, on any runtime. */
export function loop() {
  for (;;);
}

/** Never ends, without using a core. */
export function never() {
  return new Promise(() => {});
}

/** Gives back what it got; the way back copies it. */
export function copy(buffer) {
  return buffer;
}
