import type { RetryData } from "../wire/protocol.ts";

/**
 * The back-off of `retry` of `@std/async`: exponential, less a share that is left to chance.
 *
 * @param attempts How often the task was run.
 * @param chance From 0 to 1.
 * @returns Milliseconds until the next attempt.
 */
export function backOff(
  attempts: number,
  { minTimeout, maxTimeout, multiplier, jitter }: RetryData,
  chance: number,
): number {
  return Math.min(maxTimeout, minTimeout * multiplier ** (attempts - 1)) * (1 - jitter * chance);
}

/**
 * When the task is to be tried again. What is left to chance depends on the task's id: the same history gives the same
 * commands.
 *
 * @returns Milliseconds.
 */
export function retryAfter({ id, attempts }: { id: number; attempts: number }, retry: RetryData): number {
  return backOff(attempts, retry, spread(id + attempts * 0.618));
}

/** A number from 0 to 1 that looks random and is the same for the same input. */
function spread(n: number): number {
  const x = Math.sin(n * 12.9898) * 43758.5453;
  return x - Math.floor(x);
}
