/** Waits for the promise, but not longer than that; leaves no timer behind. */
export async function within(promise: Promise<unknown> | undefined, ms: number): Promise<void> {
  const { promise: over, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, Math.min(ms, 2 ** 31 - 1));
  try {
    await Promise.race([promise, over]);
  } finally {
    clearTimeout(timer);
  }
}
