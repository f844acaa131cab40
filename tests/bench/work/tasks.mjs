/**
 * The work of the benches, the same for every pool. A module for each pool beside this one adds what its interface
 * asks for.
 *
 * @module
 */

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

/** A fixed amount of work, so many times: takes longer where the core is shared. */
export function burn({ rounds, times }) {
  let sum = 0;
  for (let i = 0; i < times; i++) sum += churn(rounds);
  return sum;
}

/** How many rounds of work take a millisecond, once it is compiled. */
export function calibrate() {
  const rounds = 100_000;
  const times = 200;
  burn({ rounds, times });
  const since = performance.now();
  burn({ rounds, times });
  return rounds * times / (performance.now() - since);
}

function churn(rounds) {
  let state = 1;
  for (let i = 0; i < rounds; i++) state = Math.imul(state, 48271) + i | 0;
  return state;
}

/** Notes where and when it runs, and never ends. On Deno and Linux. */
export function hang(note) {
  const at = performance.timeOrigin + performance.now();
  // The process, "task" and the thread.
  const [pid, , thread] = globalThis.Deno.readLinkSync("/proc/thread-self").split("/");
  globalThis.Deno.writeTextFileSync(note, JSON.stringify({ at, pid: Number(pid), thread: Number(thread) }));
  for (;;);
}

/** Gives back what it got; the way back copies it. */
export function copy(buffer) {
  return buffer;
}
