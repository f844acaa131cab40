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
