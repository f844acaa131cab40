/** Waits until a poolifier has all its workers. It tells by an event, too, but events cost time in its every task. */
export async function untilReady(pool) {
  while (!pool.info.ready) await new Promise((resolve) => setTimeout(resolve, 1));
}
