import { pooledMap as std } from "npm:deno-std@1.4.0/async/pool.js";

/** Maps the values with at most so many calls at once; the results come in the order of the values. */
export const pooledMap: <T, R>(
  poolLimit: number,
  array: Iterable<T> | AsyncIterable<T>,
  iteratorFn: (data: T) => Promise<R>,
) => AsyncIterableIterator<R> = std;
