/**
 * The tasks of `progress.ts`: two ways to tell how far one is.
 *
 * @module
 */
import type { TaskContext } from "@cm/multiprocess";

/** Counts the primes below a limit, segment by segment. A generator: what it yields is progress. */
export function* countPrimes(limit: number): Generator<number, number> {
  const SEGMENT = 2 ** 18;
  const small = primesBelow(Math.sqrt(limit) + 1);
  let count = 0;
  for (let from = 0; from < limit; from += SEGMENT) {
    const composite = new Uint8Array(Math.min(SEGMENT, limit - from));
    for (const prime of small) {
      const first = Math.max(prime * prime, Math.ceil(from / prime) * prime);
      for (let n = first - from; n < composite.length; n += prime) composite[n] = 1;
    }
    for (let i = Math.max(0, 2 - from); i < composite.length; i++) if (composite[i] === 0) count++;
    yield Math.min(1, (from + SEGMENT) / limit);
  }
  return count;
}

/** Finds the start below a limit of the longest Collatz chain. A function: it calls `progress`. */
export function longestChain(this: TaskContext, limit: number): number {
  let best = 1;
  let longest = 0;
  for (let start = 1; start < limit; start++) {
    let length = 1;
    for (let n = start; n !== 1; length++) n = n % 2 === 0 ? n / 2 : 3 * n + 1;
    if (length > longest) [best, longest] = [start, length];
    // Called more often than every 10 ms, only the last value is told.
    if (start % 1_000 === 0) this.progress(start / limit);
  }
  return best;
}

function primesBelow(limit: number): number[] {
  const primes: number[] = [];
  for (let n = 2; n < limit; n++) if (!primes.some((prime) => n % prime === 0)) primes.push(n);
  return primes;
}
