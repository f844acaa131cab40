/** Waits for the promise, but not longer than so many milliseconds, not at all if that is negative; leaves no timer behind. */
export async function within(promise: Promise<unknown> | undefined, ms: number): Promise<void> {
  const { promise: over, resolve } = Promise.withResolvers<void>();
  // Deno warns of a negative time, on stderr.
  const timer = setTimeout(resolve, Math.max(0, Math.min(ms, 2 ** 31 - 1)));
  try {
    await Promise.race([promise, over]);
  } finally {
    clearTimeout(timer);
  }
}
